//! What answers tell of a consumer's limits: what its item holds, and what this instance has debited and not yet spent.
//!
//! One answer must not contradict the next. So what is told of a window is remembered: a rate's `remaining` rises by what was refilled
//! and by nothing else, a quota's not before its window ends, and neither is ever above its limit, or below what the next request
//! needs where that would be admitted.

use std::collections::BTreeMap;

use super::item::{self, State};
use super::plan::{Charge, LimitQuota, LimitRate, ResolvedPlan};
use super::verdict::{self, LimitViolation, WindowState};
use super::window::Span;
use crate::core::clock::Micros;

/// Windows from which on those of the past are forgotten.
const MOST: usize = 16;

/// What was last told of each window, by the attribute that counts it.
#[derive(Debug, Default)]
pub struct Shown {
    /// TATs of rates, in their ticks.
    tats: BTreeMap<String, i64>,
    /// Units used of quotas.
    used: BTreeMap<String, u64>,
    /// Until when requests are refused although the item has room for them, so that a lease can gather (`super::lease::hold`).
    held: Option<Micros>,
}

/// Units that an instance has debited and not spent.
pub trait Unspent {
    /// Of a rate, by its attribute: what live leases hold.
    fn of_rate(&self, attribute: &str, now: Micros) -> u64;
    /// Of a quota's window, by the attribute that counts it.
    fn of_count(&self, count: &str) -> u64;
}

/// Attribute of a quota's present window.
fn counted(quota: &LimitQuota, now: Micros) -> String {
    item::count_name(&quota.name, Span::of(quota.window, now).start)
}

impl Shown {
    /// The windows that concern a request which was admitted, or which only looks.
    pub fn windows(
        &mut self,
        unspent: &impl Unspent,
        plan: &ResolvedPlan,
        state: &State,
        charge: &Charge,
        now: Micros,
    ) -> Vec<WindowState> {
        if self.used.len() > MOST {
            self.used.retain(|count, _| plan.quotas.iter().any(|quota| *count == counted(quota, now)));
        }
        let rates = verdict::concerned(plan, charge).map(|(rate, cost)| self.rate(unspent, rate, state, cost.max(1), now));
        let mut windows: Vec<WindowState> = rates.collect();
        windows.extend(plan.quotas.iter().map(|quota| self.quota(unspent, quota, state, charge.total.max(1), now)));
        windows
    }

    /// Of a request that is refused: of what it violates, less is left than it needs.
    pub fn refuse(
        &mut self,
        told: &mut [WindowState],
        plan: &ResolvedPlan,
        charge: &Charge,
        violated: &[LimitViolation],
        now: Micros,
    ) {
        let is_violated = |name: &str| violated.iter().any(|violation| violation.name == name);
        for (rate, cost) in verdict::concerned(plan, charge).filter(|(rate, _)| is_violated(&rate.name)) {
            let Some(window) = told.iter_mut().find(|window| !window.quota && window.name == rate.name) else { continue };
            if window.remaining >= cost {
                window.remaining = cost.saturating_sub(1);
                let tat = rate.gcra.bound(now, window.remaining);
                self.held = violated.iter().map(|violation| now.plus(violation.wait)).max();
                window.reset = rate.gcra.full_after(tat, now);
                self.tats.insert(rate.attribute.clone(), tat);
            }
        }
        for quota in plan.quotas.iter().filter(|quota| is_violated(&quota.name)) {
            let Some(window) = told.iter_mut().find(|window| window.quota && window.name == quota.name) else { continue };
            window.remaining = window.remaining.min(charge.total.saturating_sub(1));
            self.used.insert(counted(quota, now), quota.limit.saturating_sub(window.remaining));
        }
    }

    fn rate(&mut self, unspent: &impl Unspent, rate: &LimitRate, state: &State, cost: u64, now: Micros) -> WindowState {
        let gcra = &rate.gcra;
        let held = unspent.of_rate(&rate.attribute, now);
        let tat = state.tat(&rate.attribute).saturating_sub(gcra.cost(held));
        let told = self.tats.entry(rate.attribute.clone()).or_insert(tat);
        *told = tat.max(*told);
        let is_held = self.held.is_some_and(|until| now < until);
        if !is_held && gcra.remaining(*told, now) < cost && cost <= gcra.remaining(tat, now) {
            *told = gcra.bound(now, cost);
        }
        verdict::rate_state(&rate.name, gcra, *told, now)
    }

    fn quota(&mut self, unspent: &impl Unspent, quota: &LimitQuota, state: &State, cost: u64, now: Micros) -> WindowState {
        let count = counted(quota, now);
        let start = Span::of(quota.window, now).start;
        let used = state.count(&quota.name, start).saturating_sub(unspent.of_count(&count));
        let told = self.used.entry(count).or_insert(used);
        *told = used.max(*told);
        let left = |used: u64| quota.limit.saturating_sub(used);
        if left(*told) < cost && cost <= left(used) {
            *told = quota.limit.saturating_sub(cost);
        }
        verdict::quota_state(quota, left(*told), now)
    }
}
