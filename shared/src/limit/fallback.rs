//! While the store cannot be reached, a plan that fails open admits within a conservative limit that the instance keeps alone.
//!
//! An instance does not know how many others there are, so each takes a [`SHARE`]th of every rate and burst. What is remembered
//! of quotas still holds, and what is admitted meanwhile counts on top of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gcra::Gcra;
use super::item::State;
use super::plan::{Charge, ResolvedPlan};
use super::verdict::LimitViolation;
use super::window::Span;
use crate::core::clock::Micros;

/// The share of a rate that an instance takes on its own.
pub const SHARE: u64 = 10;

/// What an instance admitted by itself since it last reached the store.
#[derive(Debug, Clone, Default)]
pub struct Local {
    tats: BTreeMap<String, i64>,
    units: u64,
}

impl Local {
    /// Admits a charge unless it violates a limit. `state`: the last known state of the consumer's item.
    ///
    /// # Errors
    /// The limits that it violates.
    pub fn admit(&mut self, plan: &ResolvedPlan, state: &State, charge: &Charge, now: Micros) -> Result<(), Vec<LimitViolation>> {
        let rates = shares(plan, charge);
        let mut violated: Vec<LimitViolation> = rates
            .iter()
            .filter_map(|(name, gcra, cost)| {
                let wait = gcra.wait(self.tats.get(name).copied().unwrap_or(0), now, *cost);
                (!wait.is_zero()).then(|| LimitViolation { name: name.clone(), quota: false, wait })
            })
            .collect();
        violated.extend(plan.quotas.iter().filter(|_| charge.total > 0).filter_map(|quota| {
            let span = Span::of(quota.window, now);
            let count = state.count(&quota.name, span.start).saturating_add(self.units).saturating_add(charge.total);
            (count > quota.limit).then(|| LimitViolation { name: quota.name.clone(), quota: true, wait: span.rest(now) })
        }));
        if !violated.is_empty() {
            return Err(violated);
        }
        for (name, gcra, cost) in rates {
            let tat = self.tats.get(&name).copied().unwrap_or(0).max(gcra.at(now));
            self.tats.insert(name, tat.saturating_add(gcra.cost(cost)));
        }
        self.units = self.units.saturating_add(charge.total);
        Ok(())
    }
}

/// The conservative rates that a charge meets; a plan without rates gets one unit a second. A burst holds at least the charge
/// itself, or a heavy operation could never pass.
fn shares(plan: &ResolvedPlan, charge: &Charge) -> Vec<(String, Gcra, u64)> {
    let share = |rate: u64, per: Duration, burst: u64, cost: u64| {
        Gcra::new(rate, per.saturating_mul(10), (burst / SHARE).max(cost).max(1)).ok()
    };
    let mut rates: Vec<(String, Gcra, u64)> = plan
        .rates
        .iter()
        .zip(&charge.rates)
        .filter(|(_, cost)| **cost > 0)
        .filter_map(|(rate, cost)| Some((rate.name.clone(), share(rate.rate, rate.per, rate.gcra.burst(), *cost)?, *cost)))
        .collect();
    if rates.is_empty() && charge.total > 0 {
        let gcra = Gcra::new(1, Duration::from_secs(1), charge.total.max(SHARE)).ok();
        rates.extend(gcra.map(|gcra| ("unreachable_store".to_owned(), gcra, charge.total)));
    }
    rates
}
