//! Windows of the export, and positions within them.

use super::day;
use crate::core::clock::Micros;

/// Length of a window, seconds; a day is a whole number of them.
pub const WINDOW: i64 = 300;
/// How long after its end nothing can be written into a window any more, seconds.
pub const GRACE: i64 = 1_200;
/// Entries of one object.
pub const PART: usize = 10_000;
/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Start of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportPosition {
    /// Start of its window, seconds since 1970.
    pub window: i64,
    /// Its number within the window, from 0.
    pub part: i64,
    /// The last entry of the part before it.
    pub after: Option<u128>,
}

/// Key of an object: `audit/2026/11/21/1005-0000.ndjson.gz`.
pub fn key(place: &ExportPosition) -> String {
    let day = day(Micros(place.window.saturating_mul(1_000_000))).replace('-', "/");
    let minute = place.window.rem_euclid(DAY) / 60;
    format!("audit/{day}/{:02}{:02}-{:04}.ndjson.gz", minute / 60, minute % 60, place.part)
}

/// Start of the first window that cannot be exported yet, seconds since 1970.
pub fn open_since(now: Micros) -> i64 {
    start(now.seconds() - GRACE)
}

/// Start of the window that a moment lies in; both seconds since 1970.
pub(super) fn start(seconds: i64) -> i64 {
    seconds - seconds.rem_euclid(WINDOW)
}

impl ExportPosition {
    /// Start of a window.
    pub(super) fn of(window: i64) -> Self {
        Self { window, part: 0, after: None }
    }
}
