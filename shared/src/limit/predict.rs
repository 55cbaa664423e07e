//! When a quota runs out at the present pace.
//!
//! The pace weighs this window's count with the part of the previous window that the last full window length covers: the usual
//! estimate of a sliding window. So it is steady at a window's beginning, when little has been counted. Without a previous count
//! it is this window's own, over at least a minute.

use std::time::Duration;

use super::item::State;
use super::plan::ResolvedPlan;
use super::window::Span;
use crate::core::clock::Micros;

/// How a quota develops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The quota's name.
    pub name: String,
    /// Units per window.
    pub limit: u64,
    /// Units counted in this window.
    pub used: u64,
    /// When the window ends.
    pub resets: Micros,
    /// When nothing will be left, if that is before the window ends.
    pub runs_out: Option<Micros>,
}

/// The forecast of every quota of a plan.
pub fn forecasts(plan: &ResolvedPlan, state: &State, now: Micros) -> Vec<Forecast> {
    plan.quotas
        .iter()
        .map(|quota| {
            let span = Span::of(quota.window, now);
            let used = state.count(&quota.name, span.start);
            let before = state.count(&quota.name, span.start_before(quota.window, 1));
            let resets = Micros(span.end.saturating_mul(1_000_000));
            let left = quota.limit.saturating_sub(used);
            let runs_out = if left == 0 { Some(now) } else { run_out(left, used, before, span, now) }.filter(|at| *at < resets);
            Forecast { name: quota.name.clone(), limit: quota.limit, used, resets, runs_out }
        })
        .collect()
}

/// `now + left / pace`; the pace is `units / time`, both whole numbers.
fn run_out(left: u64, used: u64, before: u64, span: Span, now: Micros) -> Option<Micros> {
    let length = u128::from(span.seconds()) * 1_000_000;
    let passed = span.passed(now);
    let (units, time) = if before > 0 {
        let uncovered = length.saturating_sub(passed.as_micros());
        (u128::from(used) + u128::from(before) * uncovered / length.max(1), length)
    } else {
        (u128::from(used), passed.max(Duration::from_secs(60)).as_micros())
    };
    let wait = (u128::from(left) * time).checked_div(units)?;
    Some(Micros(now.0.saturating_add(i64::try_from(wait).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::item::count_name;
    use crate::limit::plan::LimitQuota;
    use crate::model::Window;

    const HOUR: i64 = 3_600;

    fn runs_out(before: i64, used: i64, limit: u64, seconds: i64) -> Option<i64> {
        let plan = ResolvedPlan {
            name: "p".into(),
            rates: vec![],
            quotas: vec![LimitQuota { name: "hour".into(), limit, window: Window::Hour }],
            costs: vec![],
            thresholds: vec![],
            fail_open: false,
        };
        let mut state = State::default();
        state.numbers.insert(count_name("hour", 0), before);
        state.numbers.insert(count_name("hour", HOUR), used);
        let now = Micros((HOUR + seconds) * 1_000_000);
        forecasts(&plan, &state, now).remove(0).runs_out.map(|at| at.seconds() - HOUR)
    }

    #[test]
    fn a_steady_pace_is_drawn_out() {
        assert_eq!(runs_out(0, 600, 1_000, 1_800), Some(3_000));
        assert_eq!(runs_out(0, 600, 1_200, 1_800), None, "just enough");
        assert_eq!(runs_out(0, 1_000, 1_000, 1_800), Some(1_800), "nothing is left");
        assert_eq!(runs_out(0, 0, 1_000, 1_800), None);
    }

    #[test]
    fn at_a_windows_beginning_the_previous_one_counts() {
        // One request in the first second is no pace of 3,600 an hour.
        assert_eq!(runs_out(10, 1, 100, 1), None);
        assert_eq!(runs_out(3_600, 1, 1_800, 1), Some(1_800));
    }
}
