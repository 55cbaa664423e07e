//! Thresholds of quotas: which have been crossed and not been told.
//!
//! The item itself says what was told, so a crossing whose telling was lost (a crash between the update and the outbox) is found
//! again by every later request and by the reporter, and the telling's own condition makes it happen once.

use super::item::State;
use super::plan::{LimitQuota, ResolvedPlan};
use super::predict;
use super::window::Span;
use crate::core::clock::Micros;
use crate::model::Window;

/// Thresholds of one quota's window that are crossed and not yet told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The quota's name.
    pub quota: String,
    /// Its window.
    pub window: Window,
    /// The window's bounds.
    pub span: Span,
    /// Units per window.
    pub limit: u64,
    /// Units counted when it was found.
    pub count: u64,
    /// What was told before, per cent; 0: nothing.
    pub told: i64,
    /// When nothing will be left at the present pace, if that is before the window ends.
    pub runs_out: Option<Micros>,
    /// The thresholds to tell, ascending, never empty.
    pub percents: Vec<u8>,
}

impl Crossing {
    /// The highest threshold to tell.
    pub fn highest(&self) -> i64 {
        self.percents.last().map_or(0, |percent| i64::from(*percent))
    }
}

/// What is crossed and untold in this state. A quota with less left than the cheapest request costs counts as used up, so that
/// 100 % is told even where weights never hit the limit exactly.
pub fn due(plan: &ResolvedPlan, state: &State, now: Micros) -> Vec<Crossing> {
    let least = plan.least_cost();
    let due = plan.quotas.iter().filter_map(|quota| crossing(quota, &plan.thresholds, least, state, now));
    let mut due: Vec<Crossing> = due.collect();
    if !due.is_empty() {
        let forecasts = predict::forecasts(plan, state, now);
        for crossing in &mut due {
            crossing.runs_out = forecasts.iter().find(|one| one.name == crossing.quota).and_then(|one| one.runs_out);
        }
    }
    due
}

fn crossing(quota: &LimitQuota, thresholds: &[u8], least: u64, state: &State, now: Micros) -> Option<Crossing> {
    let span = Span::of(quota.window, now);
    let count = state.count(&quota.name, span.start);
    let told = state.told(&quota.name, span.start);
    let used_up = count > 0 && quota.limit.saturating_sub(count) < least;
    let reached = |percent: u8| {
        used_up && percent <= 100 || u128::from(count) * 100 >= u128::from(quota.limit) * u128::from(percent) && count > 0
    };
    let percents: Vec<u8> =
        thresholds.iter().copied().filter(|percent| i64::from(*percent) > told && reached(*percent)).collect();
    (!percents.is_empty()).then(|| Crossing {
        quota: quota.name.clone(),
        window: quota.window,
        span,
        limit: quota.limit,
        count,
        told,
        runs_out: None,
        percents,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::item::{count_name, told_name};

    fn plan(limit: u64, costs: Vec<crate::model::Cost>) -> ResolvedPlan {
        ResolvedPlan {
            name: "p".into(),
            rates: vec![],
            quotas: vec![LimitQuota { name: "day".into(), limit, window: Window::Day }],
            costs,
            thresholds: vec![80, 95, 100],
            fail_open: false,
        }
    }

    fn told_at(plan: &ResolvedPlan, count: i64, told: i64) -> Vec<u8> {
        let mut state = State::default();
        state.numbers.insert(count_name("day", 0), count);
        state.numbers.insert(told_name("day", 0), told);
        due(plan, &state, Micros(5)).into_iter().flat_map(|crossing| crossing.percents).collect()
    }

    #[test]
    fn a_threshold_is_due_from_the_unit_that_reaches_it() {
        let plan = plan(101, vec![]);
        assert_eq!(told_at(&plan, 80, 0), [] as [u8; 0]);
        assert_eq!(told_at(&plan, 81, 0), [80]);
        assert_eq!(told_at(&plan, 101, 0), [80, 95, 100]);
        assert_eq!(told_at(&plan, 101, 95), [100]);
        assert_eq!(told_at(&plan, 101, 100), [] as [u8; 0]);
    }

    #[test]
    fn with_weights_the_last_request_that_fits_uses_the_quota_up() {
        let plan = plan(100, vec![crate::model::Cost { entity: None, operation: None, units: 7 }]);
        assert_eq!(told_at(&plan, 91, 80), [] as [u8; 0]);
        assert_eq!(told_at(&plan, 98, 80), [95, 100]);
    }
}
