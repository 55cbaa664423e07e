//! Thresholds of quotas: those that were crossed and have no notice yet.
//!
//! The item itself records the highest threshold with a notice. So a crossing whose notice was lost (a crash between the update and the
//! outbox) is found again by every later request and by the reporter, and the condition of the enqueuing transaction makes it happen once.

use super::item::State;
use super::plan::{LimitQuota, ResolvedPlan};
use super::predict;
use super::window::Span;
use crate::core::clock::Micros;
use crate::model::Window;

/// Thresholds of one quota's window that are crossed and have no notice yet.
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
    /// Highest threshold with a notice, per cent; 0: none.
    pub notified: i64,
    /// When nothing will be left at the present pace, if that is before the window ends.
    pub runs_out: Option<Micros>,
    /// The thresholds without a notice, ascending, never empty.
    pub percents: Vec<u8>,
}

impl Crossing {
    /// The highest threshold to tell.
    pub fn highest(&self) -> i64 {
        self.percents.last().map_or(0, |percent| i64::from(*percent))
    }
}

/// What is crossed and untold in this state. A quota with less left than the cheapest request costs counts as used up, so that
/// 100 % is notified even where weights never hit the limit exactly.
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
    let notified = state.notified(&quota.name, span.start);
    let used_up = count > 0 && quota.limit.saturating_sub(count) < least;
    let reached = |percent: u8| {
        used_up && percent <= 100 || u128::from(count) * 100 >= u128::from(quota.limit) * u128::from(percent) && count > 0
    };
    let percents: Vec<u8> =
        thresholds.iter().copied().filter(|percent| i64::from(*percent) > notified && reached(*percent)).collect();
    (!percents.is_empty()).then(|| Crossing {
        quota: quota.name.clone(),
        window: quota.window,
        span,
        limit: quota.limit,
        count,
        notified,
        runs_out: None,
        percents,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::item::{count_name, notified_name};

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

    fn due_at(plan: &ResolvedPlan, count: i64, notified: i64) -> Vec<u8> {
        let mut state = State::default();
        state.numbers.insert(count_name("day", 0), count);
        state.numbers.insert(notified_name("day", 0), notified);
        due(plan, &state, Micros(5)).into_iter().flat_map(|crossing| crossing.percents).collect()
    }

    #[test]
    fn a_threshold_is_due_from_the_unit_that_reaches_it() {
        let plan = plan(101, vec![]);
        assert_eq!(due_at(&plan, 80, 0), [] as [u8; 0]);
        assert_eq!(due_at(&plan, 81, 0), [80]);
        assert_eq!(due_at(&plan, 101, 0), [80, 95, 100]);
        assert_eq!(due_at(&plan, 101, 95), [100]);
        assert_eq!(due_at(&plan, 101, 100), [] as [u8; 0]);
    }

    #[test]
    fn with_weights_the_last_request_that_fits_uses_the_quota_up() {
        let plan = plan(100, vec![crate::model::Cost { entity: None, operation: None, units: 7 }]);
        assert_eq!(due_at(&plan, 91, 80), [] as [u8; 0]);
        assert_eq!(due_at(&plan, 98, 80), [95, 100]);
    }
}
