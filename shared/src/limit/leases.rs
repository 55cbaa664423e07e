//! The leases of one consumer that an instance holds: taken from, ordered, opened and given back under the lock of its notes.

use super::lease::{self, Lease, LeaseScope, Order};
use super::memory::Notes;
use super::plan::Charge;
use super::verdict::{self, WindowState};
use crate::core::clock::Micros;

/// Takes a request's units from a lease: how the windows stand then, or nothing if no lease has them.
pub(super) fn take(notes: &mut Notes, scope: &LeaseScope, charge: &Charge, now: Micros) -> Option<Vec<WindowState>> {
    let lease = notes.leases.iter_mut().find(|lease| lease.serves(scope, charge.total, now))?;
    lease.left -= charge.total;
    let left = lease.left;
    let mut windows = verdict::windows(&scope.plan, &notes.state, charge, now);
    windows.iter_mut().for_each(|window| window.remaining = window.remaining.saturating_add(left));
    Some(windows)
}

/// The lease to ask for. What it carries over is taken out of the one that is there, so that nobody is served from it meanwhile.
pub(super) fn order(notes: &mut Notes, scope: &LeaseScope, units: u64, now: Micros) -> Option<Order> {
    let demand = notes.demand(now)?;
    let before = notes.leases.iter_mut().find(|lease| lease.is_for(scope));
    let credit = before.as_ref().map(|lease| lease.credit(scope, now)).unwrap_or_default();
    let order = lease::order(scope, &notes.state, demand, units, credit, now)?;
    if let Some(before) = before {
        before.left -= order.credit.units;
    }
    Some(order)
}

/// Puts back what a lease was to carry over that was not granted.
pub(super) fn give_back(notes: &mut Notes, scope: &LeaseScope, order: &Order) {
    if let Some(before) = notes.leases.iter_mut().find(|lease| lease.is_for(scope)) {
        before.left += order.credit.units;
    }
}

/// Notes a lease that was granted, less the request that asked for it; it replaces the one whose leftovers it carries.
pub(super) fn open(notes: &mut Notes, scope: LeaseScope, order: &Order, used: u64, now: Micros) {
    let windows = lease::starts(&scope.plan, now);
    notes.leases.retain(|lease| !lease.is_for(&scope) && lease.is_worth_keeping(scope.epoch, &windows, now));
    notes.leases.push(Lease { scope, until: now.plus(order.lead), left: order.units - used, windows });
}
