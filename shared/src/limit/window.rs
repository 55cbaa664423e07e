//! Calendar windows in UTC: when the one that holds a moment began and when it ends.
//!
//! Hours and days of POSIX time have 3,600 and 86,400 seconds each (leap seconds are not counted), months come from the
//! proleptic Gregorian calendar.

use std::time::Duration;

use time::{Date, Month, OffsetDateTime};

use crate::core::clock::Micros;
use crate::model::Window;

/// One window: seconds since 1970, `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First second.
    pub start: i64,
    /// First second after it.
    pub end: i64,
}

impl Span {
    /// The window that holds `now`.
    pub fn of(window: Window, now: Micros) -> Self {
        let seconds = now.seconds();
        match window {
            Window::Hour => fixed(seconds, 3_600),
            Window::Day => fixed(seconds, 86_400),
            Window::Month => {
                let index = month_index(seconds);
                Self { start: month_start(index), end: month_start(index + 1) }
            }
        }
    }

    /// The start of the window `count` windows before this one.
    pub fn start_before(self, window: Window, count: i64) -> i64 {
        match window {
            Window::Hour => self.start - 3_600 * count,
            Window::Day => self.start - 86_400 * count,
            Window::Month => month_start(month_index(self.start) - count),
        }
    }

    /// Length in seconds.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.end - self.start).unwrap_or(0)
    }

    /// Time until it ends.
    pub fn rest(self, now: Micros) -> Duration {
        Duration::from_micros(u64::try_from(self.end.saturating_mul(1_000_000).saturating_sub(now.0)).unwrap_or(0))
    }

    /// Time since it began.
    pub fn passed(self, now: Micros) -> Duration {
        Duration::from_micros(u64::try_from(now.0.saturating_sub(self.start.saturating_mul(1_000_000))).unwrap_or(0))
    }
}

fn fixed(seconds: i64, length: i64) -> Span {
    let start = seconds.div_euclid(length) * length;
    Span { start, end: start + length }
}

/// Months since the year 0.
fn month_index(seconds: i64) -> i64 {
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1
}

fn month_start(index: i64) -> i64 {
    let month = u8::try_from(index.rem_euclid(12) + 1).ok().and_then(|month| Month::try_from(month).ok());
    let year = i32::try_from(index.div_euclid(12)).ok();
    month
        .zip(year)
        .and_then(|(month, year)| Date::from_calendar_date(year, month, 1).ok())
        .map_or(0, |date| date.midnight().assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn at(moment: OffsetDateTime) -> Micros {
        Micros(moment.unix_timestamp() * 1_000_000)
    }

    #[test]
    fn a_leap_february_has_29_days() {
        let span = Span::of(Window::Month, at(datetime!(2028-02-29 23:59:59 UTC)));
        assert_eq!(span.start, datetime!(2028-02-01 0:00 UTC).unix_timestamp());
        assert_eq!(span.end, datetime!(2028-03-01 0:00 UTC).unix_timestamp());
        assert_eq!(span.seconds(), 29 * 86_400);
        assert_eq!(span.start_before(Window::Month, 2), datetime!(2027-12-01 0:00 UTC).unix_timestamp());
    }

    #[test]
    fn the_first_microsecond_belongs_to_the_new_window() {
        let edge = datetime!(2027-01-01 0:00 UTC).unix_timestamp();
        for window in [Window::Hour, Window::Day, Window::Month] {
            assert_eq!(Span::of(window, Micros(edge * 1_000_000 - 1)).end, edge);
            let span = Span::of(window, Micros(edge * 1_000_000));
            assert_eq!(span.start, edge);
            assert_eq!(span.rest(Micros(edge * 1_000_000 + 1)), Duration::from_secs(span.seconds()) - Duration::from_micros(1));
            assert_eq!(Span::of(window, Micros(edge * 1_000_000 - 1)).start, span.start_before(window, 1));
        }
    }
}
