//! The leases of one consumer that an instance holds, and what they left over: taken from, ordered, opened and given back under the
//! lock of its notes.

use super::lease::{self, Credit, Lease, LeaseScope, Leftover, Order};
use super::memory::Notes;
use super::plan::{Charge, ResolvedPlan};
use crate::core::clock::Micros;

/// Whether a request should renew the lease that would serve it; one request of each lease does.
pub(super) fn renews(notes: &mut Notes, scope: &LeaseScope, now: Micros) -> bool {
    let Some(demand) = notes.demand(now).filter(|demand| scope.is_tight(&notes.state, *demand, now)) else { return false };
    let due = notes.leases.iter_mut().find(|lease| demand > 0 && lease.is_for(scope) && lease.is_due(now));
    due.is_some_and(|lease| !std::mem::replace(&mut lease.is_renewed, true))
}

/// Takes a request's units from a lease: whether one has them.
pub(super) fn take(notes: &mut Notes, scope: &LeaseScope, charge: &Charge, now: Micros) -> bool {
    let Some(lease) = notes.leases.iter_mut().find(|lease| lease.serves(scope, charge.total, now)) else { return false };
    lease.left -= charge.total;
    true
}

/// The lease to ask for, and what it carries over, which is taken out of where it was, so that nobody uses it meanwhile.
pub(super) fn order(notes: &mut Notes, scope: &LeaseScope, units: u64, now: Micros) -> Option<(Order, Leftover)> {
    let demand = notes.demand(now)?;
    sweep(notes, &scope.plan, scope.epoch, now);
    let live = notes.leases.iter().find(|lease| lease.is_for(scope)).map_or(0, |lease| lease.left);
    let credit = Credit { units: live + notes.leftover.good_for(&scope.plan, now), live };
    let order = lease::order(scope, &notes.state, demand, units, credit, now)?;
    if let Some(before) = notes.leases.iter_mut().find(|lease| lease.is_for(scope)) {
        before.left = 0;
    }
    Some((order, std::mem::take(&mut notes.leftover)))
}

/// Puts back what a lease was to carry over that was not granted. Where that is not known (`is_certain` is false), the quota may count
/// the order already, and no more is put back than it then counts.
pub(super) fn give_back(notes: &mut Notes, scope: &LeaseScope, order: &Order, leftover: Leftover, is_certain: bool) {
    let Credit { units, live } = order.credit;
    let kept = if is_certain { units } else { units.min(order.units) };
    match notes.leases.iter_mut().find(|lease| lease.is_for(scope)) {
        Some(before) => before.left += live,
        None => tracing::debug!(live, "a lease ended before what it was to carry over came back"),
    }
    restore(notes, Leftover { units: kept - live, ..leftover });
}

/// Notes a lease that was granted, less the request that asked for it; it replaces the one whose leftovers it carries.
pub(super) fn open(notes: &mut Notes, scope: LeaseScope, order: &Order, used: u64, now: Micros) {
    let counts = lease::counts(&scope.plan, now);
    notes.leases.retain(|lease| !lease.is_for(&scope));
    notes.leases.push(Lease { scope, until: now.plus(order.lead), left: order.units - used, counts, is_renewed: false });
}

/// Takes what is left over, for a request that is charged by itself.
pub(super) fn claim(notes: &mut Notes, plan: &ResolvedPlan, epoch: i64, now: Micros) -> Leftover {
    sweep(notes, plan, epoch, now);
    if notes.leftover.good_for(plan, now) > 0 { std::mem::take(&mut notes.leftover) } else { Leftover::default() }
}

/// Puts back what a request claimed and could not use.
pub(super) fn restore(notes: &mut Notes, leftover: Leftover) {
    if leftover.units == 0 {
        return;
    }
    if notes.leftover.counts == leftover.counts {
        notes.leftover.units += leftover.units;
    } else if notes.leftover.units == 0 {
        notes.leftover = leftover;
    }
}

/// Takes everything that was counted and not spent, of leases that still live too: by the windows that counted it.
pub(super) fn close(notes: &mut Notes) -> Vec<Leftover> {
    let mut all = vec![std::mem::take(&mut notes.leftover)];
    for Lease { counts, left, .. } in notes.leases.drain(..) {
        match all.iter_mut().find(|one| one.counts == counts) {
            Some(one) => one.units += left,
            None => all.push(Leftover { counts, units: left }),
        }
    }
    all.retain(|one| one.units > 0 && !one.counts.is_empty());
    all
}

/// Ends the leases whose time has passed, or that an older state of the consumer was given. What they left in the present windows is left
/// over; of other windows it is gone with them.
fn sweep(notes: &mut Notes, plan: &ResolvedPlan, epoch: i64, now: Micros) {
    let is_over = |lease: &Lease| now >= lease.until || lease.scope.epoch < epoch;
    if plan.quotas.is_empty() {
        // What other plans of the consumer left of their quotas is not this one's.
        return notes.leases.retain(|lease| !is_over(lease) || !lease.counts.is_empty());
    }
    if !notes.leases.iter().any(is_over) {
        return;
    }
    let counts = lease::counts(plan, now);
    let ended: Vec<Lease> = notes.leases.extract_if(.., |lease| is_over(lease)).collect();
    let units = ended.iter().filter(|lease| lease.counts == counts).map(|lease| lease.left).sum::<u64>();
    if notes.leftover.counts != counts {
        notes.leftover = Leftover { counts, units: 0 };
    }
    notes.leftover.units += units;
}
