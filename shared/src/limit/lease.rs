//! Leases: a hot consumer's units debited in blocks, so that most requests of an instance cost no call.
//!
//! A lease lives at most [`MAX_TERM`] and ends with every window that it debits. It never admits more than the plan
//! (`super::expression` has the proof). What an instance debited from a quota and did not use pays for the consumer's next request on
//! it, whichever key makes that, and goes back to the quota when the instance ends. Units of a rate are lost when their lease ends, so
//! a lease that has units left is renewed before. A lease holds at most what the instance was asked for in the second before,
//! and at most one [`QUOTA_SHARE`]th of what a quota has left. So **under-admission is bounded**: an instance that vanishes without
//! a word, or that the consumer's requests no longer reach, takes at most one second's demand with it, and towards a quota's end
//! nothing, because leases stop there.

use std::sync::Arc;
use std::time::Duration;

use super::item::{self, State};
use super::plan::{Charge, LimitRate, ResolvedPlan};
use super::window::Span;
use crate::core::clock::Micros;

/// Longest life of a lease.
pub const MAX_TERM: Duration = Duration::from_secs(1);
/// A lease takes at most this share of what a quota has left.
pub const QUOTA_SHARE: u64 = 8;
/// A lease that saves fewer calls than this is not worth its under-admission.
const LEAST_REQUESTS: u64 = 4;
/// Longest time for which a hot consumer at its limit is refused single units so that a block can gather.
const MAX_HOLD: Duration = Duration::from_millis(800);

/// For whom and for which rates a lease is good.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseScope {
    /// The plan.
    pub plan: Arc<ResolvedPlan>,
    /// The key whose revocation was checked.
    pub key_id: Option<String>,
    /// The epoch that was checked.
    pub epoch: i64,
    /// Which rates are debited.
    pub rates: Vec<bool>,
}

/// Units debited and not yet used.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Scope of the requests that it serves.
    pub scope: LeaseScope,
    /// Its end, exclusive.
    pub until: Micros,
    /// What is left.
    pub left: u64,
    /// Attributes of the quota windows that it debited.
    pub counts: Vec<String>,
    /// Whether a request was sent to renew it.
    pub is_renewed: bool,
}

impl Lease {
    /// Whether a request of `units` can be served from it.
    pub fn serves(&self, scope: &LeaseScope, units: u64, now: Micros) -> bool {
        now < self.until && self.left >= units && self.is_for(scope)
    }

    /// Whether it debited the rate of this attribute.
    pub fn debits(&self, attribute: &str) -> bool {
        self.scope.concerned().any(|rate| rate.attribute == attribute)
    }

    /// Whether it ends soon, with units that no request may use up before.
    pub fn is_due(&self, now: Micros) -> bool {
        let rest = self.until.since(now);
        !self.is_renewed && self.left > 0 && !rest.is_zero() && rest < self.scope.term(now) / 4
    }

    /// Whether it was made for this scope (plans are compared last: they are usually the same object).
    pub fn is_for(&self, scope: &LeaseScope) -> bool {
        let LeaseScope { plan, key_id, epoch, rates } = &self.scope;
        *epoch == scope.epoch
            && *key_id == scope.key_id
            && *rates == scope.rates
            && (Arc::ptr_eq(plan, &scope.plan) || *plan == scope.plan)
    }
}

/// A lease to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Units.
    pub units: u64,
    /// Its length.
    pub lead: Duration,
    /// Units carried over: see [`super::expression::Debit`].
    pub credit: Credit,
}

/// Units that an instance debited and never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credit {
    /// In the same windows, of all its leases.
    pub units: u64,
    /// Of the lease that this one replaces, which still lives.
    pub live: u64,
}

/// Units that quotas counted in their present windows, and that no lease will use any more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Attributes of the windows.
    pub counts: Vec<String>,
    /// Units.
    pub units: u64,
}

impl Leftover {
    /// Those of its units that are good for a charge now: all, or none if a window has ended since.
    pub fn good_for(&self, plan: &ResolvedPlan, now: Micros) -> u64 {
        if self.units > 0 && self.counts == counts(plan, now) { self.units } else { 0 }
    }
}

/// Attributes of all quota windows of the present.
pub fn counts(plan: &ResolvedPlan, now: Micros) -> Vec<String> {
    plan.quotas.iter().map(|quota| item::count_name(&quota.name, Span::of(quota.window, now).start)).collect()
}

impl LeaseScope {
    fn concerned(&self) -> impl Iterator<Item = &LimitRate> {
        self.plan.rates.iter().zip(&self.rates).filter(|(_, on)| **on).map(|(rate, _)| rate)
    }

    /// Whether a rate has less to spare than two leases, so that what is lost of one would be missed.
    pub fn is_tight(&self, state: &State, demand: u64, now: Micros) -> bool {
        let lease = u128::from(demand) * self.term(now).as_micros() / 1_000_000;
        self.concerned().any(|rate| u128::from(rate.gcra.remaining(state.tat(&rate.attribute), now)) < 2 * lease)
    }

    /// Length of a lease: at most half the time in which a burst refills, and to the end of the next window.
    fn term(&self, now: Micros) -> Duration {
        let rests = self.plan.quotas.iter().map(|quota| Span::of(quota.window, now).rest(now));
        self.concerned().map(|rate| rate.gcra.refill() / 2).chain(rests).fold(MAX_TERM, Duration::min)
    }
}

/// The rates that a charge concerns, if it charges each of them with its whole cost (a mixed `_bulk` does not, and is never
/// served from a lease).
pub fn uniform(charge: &Charge) -> Option<Vec<bool>> {
    (charge.total > 0 && charge.rates.iter().all(|cost| *cost == 0 || *cost == charge.total))
        .then(|| charge.rates.iter().map(|cost| *cost > 0).collect())
}

/// The charge of a lease of `units` over these rates.
pub fn charge(rates: &[bool], units: u64) -> Charge {
    Charge { rates: rates.iter().map(|concerned| if *concerned { units } else { 0 }).collect(), total: units }
}

/// The lease worth asking for when requests of `units` come at `demand` units a second, if one is.
pub fn order(scope: &LeaseScope, state: &State, demand: u64, units: u64, credit: Credit, now: Micros) -> Option<Order> {
    let lead = scope.term(now);
    let wanted = u128::from(demand) * lead.as_micros() / 1_000_000;
    let rooms = scope.concerned().map(|rate| rate.gcra.lease_room(state.tat(&rate.attribute), now, lead, credit.live));
    let quotas = scope.plan.quotas.iter().map(|quota| {
        let left = quota.limit.saturating_sub(state.count(&quota.name, Span::of(quota.window, now).start));
        (left / QUOTA_SHARE).saturating_add(credit.units)
    });
    let most = rooms.chain(quotas).fold(u64::try_from(wanted).unwrap_or(u64::MAX), u64::min);
    (most >= units.saturating_mul(LEAST_REQUESTS) && most > credit.live).then_some(Order { units: most, lead, credit })
}

/// How long a hot consumer at its limit waits for a block instead of taking every unit the moment it drips: the name of the rate,
/// and the wait; nothing where the block is there, or too far away.
pub fn hold(scope: &LeaseScope, state: &State, demand: u64, units: u64, now: Micros) -> Option<(String, Duration)> {
    scope
        .concerned()
        .filter_map(|rate| {
            let block = (demand / 4 * 3).min(rate.gcra.burst() / 2).min(rate.gcra.units_in(MAX_HOLD));
            if block < units.saturating_mul(LEAST_REQUESTS) {
                return None;
            }
            let wait = rate.gcra.wait(state.tat(&rate.attribute), now, block);
            (!wait.is_zero() && wait <= MAX_HOLD).then(|| (rate.name.clone(), wait))
        })
        .max_by_key(|(_, wait)| *wait)
}
