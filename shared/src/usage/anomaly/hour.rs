//! An hour of one consumer.

use std::collections::{BTreeMap, BTreeSet};

use crate::usage::counts::UsageCounts;

/// The figures of an hour that are compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hour {
    /// Start, seconds since 1970.
    pub start: i64,
    /// Requests.
    pub requests: f64,
    /// Of these, failed: 400 and above, without those denied by a limit and without `refused`.
    pub errors: f64,
    /// Of these, answered 403 or 404.
    pub refused: f64,
    /// At least so many were one and the same request.
    pub repeated: f64,
    /// The route of that one.
    pub repeated_route: String,
    /// Requests by route.
    pub routes: BTreeMap<String, f64>,
}

/// What is known of a consumer's past.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// When it was first seen, seconds since 1970. Hours since then that are missing below count as empty.
    pub since: i64,
    /// Earlier hours, those of [`super::looked_at`] at least, in any order.
    pub hours: Vec<Hour>,
    /// Routes that it used before today.
    pub routes: BTreeSet<String>,
}

impl Hour {
    /// The hour of a consumer in its sheet.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn of(start: i64, sheet: &UsageCounts, consumer: &str) -> Self {
        let mut hour = Self { start, ..Self::default() };
        for ((_, route, _), numbers) in sheet.cells.iter().filter(|((of, ..), _)| of == consumer) {
            let refused = numbers.forbidden + numbers.missing;
            hour.requests += numbers.requests as f64;
            hour.refused += refused as f64;
            hour.errors += numbers.errors.saturating_sub(refused) as f64;
            *hour.routes.entry(route.clone()).or_default() += numbers.requests as f64;
        }
        if let Some(habit) = sheet.habits.get(consumer) {
            hour.repeated = habit.repeated.lead as f64;
            hour.repeated_route.clone_from(&habit.repeated.route);
        }
        hour
    }
}
