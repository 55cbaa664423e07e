//! Evaluation of a charge against a known state: the limits that it violates, and what is left of every window.

use std::time::Duration;

use super::gcra::Gcra;
use super::item::State;
use super::plan::{Charge, LimitQuota, LimitRate, ResolvedPlan};
use super::window::Span;
use crate::core::clock::Micros;

/// A limit that a request violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitViolation {
    /// The rate's or quota's name.
    pub name: String,
    /// Whether it is a quota.
    pub quota: bool,
    /// How long until this limit alone would admit the request, if nothing else is sent; exact, never zero.
    pub wait: Duration,
}

/// State of a rate or quota, as the headers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowState {
    /// The rate's or quota's name.
    pub name: String,
    /// Whether it is a quota.
    pub quota: bool,
    /// Units that it holds: the burst, or the quota.
    pub limit: u64,
    /// Units that are left now.
    pub remaining: u64,
    /// Its length: the time in which a burst refills, or the calendar window.
    pub window: Duration,
    /// Time until all of it is there again.
    pub reset: Duration,
}

impl WindowState {
    /// Used part of its units, thousandths.
    pub fn used(&self) -> u16 {
        let limit = u128::from(self.limit.max(1));
        let used = limit.saturating_sub(u128::from(self.remaining));
        u16::try_from(used * 1_000 / limit).unwrap_or(1_000)
    }
}

/// A cost that no waiting can make fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The rate's or quota's name.
    pub name: String,
    /// What the request costs.
    pub cost: u64,
    /// The most that the limit can admit at once.
    pub limit: u64,
}

/// The first limit that a charge exceeds as a whole.
pub fn excess(plan: &ResolvedPlan, charge: &Charge) -> Option<Excess> {
    let rates = plan.rates.iter().zip(&charge.rates).map(|(rate, cost)| (&rate.name, *cost, rate.gcra.burst()));
    // A quota of nothing is used up from the beginning, whatever is asked for.
    let quotas = plan.quotas.iter().filter(|quota| quota.limit > 0).map(|quota| (&quota.name, charge.total, quota.limit));
    rates.chain(quotas).find(|(_, cost, limit)| cost > limit).map(|(name, cost, limit)| Excess {
        name: name.clone(),
        cost,
        limit,
    })
}

/// The limits that a charge violates in this state. A free request violates nothing.
pub fn violations(plan: &ResolvedPlan, state: &State, charge: &Charge, now: Micros) -> Vec<LimitViolation> {
    let rates = plan.rates.iter().zip(&charge.rates).filter(|(_, cost)| **cost > 0).filter_map(|(rate, cost)| {
        let wait = rate.gcra.wait(state.tat(&rate.attribute), now, *cost);
        (!wait.is_zero()).then(|| LimitViolation { name: rate.name.clone(), quota: false, wait })
    });
    let quotas = plan.quotas.iter().filter(|_| charge.total > 0).filter_map(|quota| {
        let span = Span::of(quota.window, now);
        let over = state.count(&quota.name, span.start).saturating_add(charge.total) > quota.limit;
        over.then(|| LimitViolation { name: quota.name.clone(), quota: true, wait: span.rest(now) })
    });
    rates.chain(quotas).collect()
}

/// State of the windows: those rates that concern the request, then every quota.
pub fn windows(plan: &ResolvedPlan, state: &State, charge: &Charge, now: Micros) -> Vec<WindowState> {
    let rates = concerned(plan, charge).map(|(rate, _)| rate_state(&rate.name, &rate.gcra, state.tat(&rate.attribute), now));
    let quotas = plan.quotas.iter().map(|quota| {
        let count = state.count(&quota.name, Span::of(quota.window, now).start);
        quota_state(quota, quota.limit.saturating_sub(count), now)
    });
    rates.chain(quotas).collect()
}

/// The rates that a request is told of, and what it costs of each: those that it meets, and those that every operation meets.
pub(super) fn concerned<'a>(plan: &'a ResolvedPlan, charge: &'a Charge) -> impl Iterator<Item = (&'a LimitRate, u64)> {
    let rates = plan.rates.iter().zip(charge.rates.iter().copied());
    rates.filter(|(rate, cost)| *cost > 0 || rate.only.is_empty())
}

pub(super) fn quota_state(quota: &LimitQuota, remaining: u64, now: Micros) -> WindowState {
    let span = Span::of(quota.window, now);
    WindowState {
        name: quota.name.clone(),
        quota: true,
        limit: quota.limit,
        remaining,
        window: Duration::from_secs(span.seconds()),
        reset: span.rest(now),
    }
}

pub(super) fn rate_state(name: &str, gcra: &Gcra, tat: i64, now: Micros) -> WindowState {
    WindowState {
        name: name.to_owned(),
        quota: false,
        limit: gcra.burst(),
        remaining: gcra.remaining(tat, now),
        window: gcra.refill(),
        reset: gcra.full_after(tat, now),
    }
}
