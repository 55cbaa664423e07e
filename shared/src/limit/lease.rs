//! Leases: a hot consumer's units debited in blocks, so that most requests of an instance cost no call.
//!
//! A lease lives at most [`MAX_TERM`] and ends with every window that it debits. It never admits more than the plan
//! (`super::expression` has the proof). It may admit less: what an instance debited and did not use is carried into its next
//! lease in the same windows, and lost only where no such lease follows. A lease holds at most what the instance was asked for
//! in the second before, and at most one [`QUOTA_SHARE`]th of what a quota has left. So **under-admission is bounded** by
//! one second's demand per instance and window, and vanishes towards a quota's end, where leases stop.

use std::sync::Arc;
use std::time::Duration;

use super::item::State;
use super::plan::{Charge, ResolvedPlan};
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
    /// Starts of the quota windows that it debited.
    pub windows: Vec<i64>,
}

impl Lease {
    /// Whether a request of `units` can be served from it.
    pub fn serves(&self, scope: &LeaseScope, units: u64, now: Micros) -> bool {
        now < self.until && self.left >= units && self.is_for(scope)
    }

    /// Units that the next lease may carry over.
    pub fn credit(&self, scope: &LeaseScope, now: Micros) -> Credit {
        if !self.is_for(scope) || self.windows != starts(&scope.plan, now) {
            return Credit::default();
        }
        Credit { units: self.left, live: if now < self.until { self.left } else { 0 } }
    }

    /// Whether it may still serve, or pay for another one's beginning, beside a lease of this epoch in these windows.
    pub fn is_worth_keeping(&self, epoch: i64, windows: &[i64], now: Micros) -> bool {
        self.scope.epoch == epoch && (now < self.until || self.left > 0 && !windows.is_empty() && self.windows == windows)
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
    /// In the same windows.
    pub units: u64,
    /// Of a lease that still lives.
    pub live: u64,
}

/// The starts of all quota windows now.
pub fn starts(plan: &ResolvedPlan, now: Micros) -> Vec<i64> {
    plan.quotas.iter().map(|quota| Span::of(quota.window, now).start).collect()
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
    let concerned = || scope.plan.rates.iter().zip(&scope.rates).filter(|(_, on)| **on).map(|(rate, _)| rate);
    let spans = scope.plan.quotas.iter().map(|quota| Span::of(quota.window, now));
    let lead =
        concerned().map(|rate| rate.gcra.refill() / 2).chain(spans.map(|span| span.rest(now))).fold(MAX_TERM, Duration::min);
    let wanted = u128::from(demand) * lead.as_micros() / 1_000_000;
    let rooms = concerned().map(|rate| rate.gcra.lease_room(state.tat(&rate.attribute), now, lead, credit.live));
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
    let concerned = scope.plan.rates.iter().zip(&scope.rates).filter(|(_, on)| **on).map(|(rate, _)| rate);
    concerned
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
