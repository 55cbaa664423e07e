//! What is usual at this time of the week.

use super::hour::{History, Hour};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// What is usual for a consumer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Baseline {
    /// Requests of an hour.
    pub(super) requests: Scatter,
    /// Share that failed.
    pub(super) errors: Scatter,
    /// Share that was refused or not found.
    pub(super) refused: Scatter,
    /// Share of the most repeated request.
    pub(super) repeated: Scatter,
    /// What it stands on, for people.
    pub(super) basis: &'static str,
}

/// Values around their median.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Scatter {
    /// Median.
    pub(super) middle: f64,
    /// Median absolute deviation as a standard deviation.
    pub(super) scatter: f64,
    /// Least value.
    pub(super) least: f64,
    /// Greatest value.
    pub(super) most: f64,
}

impl Scatter {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        let Some(middle) = median(&mut values) else { return Self::default() };
        let (least, most) = (values[0], values[values.len() - 1]);
        let mut away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        Self { middle, scatter: 1.4826 * median(&mut away).unwrap_or(0.0), least, most }
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The baseline at `start`; `None` while there is too little history.
pub(super) fn habit(start: i64, history: &History) -> Option<Baseline> {
    let since = history.since - history.since.rem_euclid(HOUR);
    let back =
        |every: i64, most: i64| (1..=most).map(move |n| start - n * every).filter(|hour| *hour >= since).collect::<Vec<_>>();
    let bases: [(Vec<i64>, usize, &str); 3] = [
        (back(WEEK, 8), 3, "at this hour of the week"),
        (back(DAY, 14), 5, "at this hour of the day"),
        (back(HOUR, 24), 12, "in the last day"),
    ];
    let (hours, _, basis) = bases.into_iter().find(|(hours, least, _)| hours.len() >= *least)?;
    let empty = Hour::default();
    let seen: Vec<&Hour> =
        hours.iter().map(|start| history.hours.iter().find(|hour| hour.start == *start).unwrap_or(&empty)).collect();
    // Shares of a handful of requests would make anything usual.
    let busy: Vec<&&Hour> = seen.iter().filter(|hour| hour.requests >= 20.0).collect();
    let share = |part: fn(&Hour) -> f64| Scatter::of(busy.iter().map(|hour| part(hour) / hour.requests));
    Some(Baseline {
        requests: Scatter::of(seen.iter().map(|hour| hour.requests)),
        errors: share(|hour| hour.errors),
        refused: share(|hour| hour.refused),
        repeated: share(|hour| hour.repeated),
        basis,
    })
}

/// The hours that a baseline at `start` may be computed from.
pub fn looked_at(start: i64) -> Vec<i64> {
    let mut hours: Vec<i64> = (1..=8).map(|n| start - n * WEEK).collect();
    hours.extend((1..=14).map(|n| start - n * DAY));
    hours.extend((1..=24).map(|n| start - n * HOUR));
    hours.sort_unstable();
    hours.dedup();
    hours
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200;

    fn hours(starts: impl Iterator<Item = i64>) -> History {
        let hours: Vec<Hour> = starts.map(|start| Hour { start, requests: 100.0, ..Hour::default() }).collect();
        let since = hours.iter().map(|hour| hour.start).min().unwrap_or(NOW);
        History { since, hours, ..History::default() }
    }

    #[test]
    fn the_basis_is_the_best_that_the_history_has() {
        let since = |back: i64| hours((1..=back / HOUR).map(|n| NOW - n * HOUR));
        assert_eq!(habit(NOW, &since(11 * HOUR)), None);
        assert_eq!(habit(NOW, &hours([].into_iter())), None);
        for (back, basis) in
            [(12 * HOUR, "in the last day"), (5 * DAY, "at this hour of the day"), (3 * WEEK, "at this hour of the week")]
        {
            assert_eq!(habit(NOW, &since(back)).unwrap().basis, basis);
        }
    }

    #[test]
    fn hours_without_requests_count_as_empty_ones() {
        let mut earlier = hours((1..=8).map(|n| NOW - n * WEEK));
        earlier.hours.remove(2);
        let requests = habit(NOW, &earlier).unwrap().requests;
        assert_eq!((requests.middle, requests.least, requests.most), (100.0, 0.0, 100.0));
    }

    #[test]
    fn one_outlier_moves_neither_median_nor_scatter() {
        let even = Scatter::of([9.0, 10.0, 11.0, 10.0, 9.5].into_iter());
        let odd = Scatter::of([9.0, 10.0, 11.0, 10.0, 9_500.0].into_iter());
        assert_eq!((even.middle, odd.middle), (10.0, 10.0));
        assert!(odd.scatter < 2.0);
    }
}
