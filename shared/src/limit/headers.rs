//! What a caller sees of its limits: the fields of draft-ietf-httpapi-ratelimit-headers-10, their common older form, and
//! `Retry-After` (RFC 9110, 10.2.3).

use std::time::Duration;

use sfv::{Integer, KeyRef, ListSerializer, StringRef};

use super::admission::Denial;
use super::verdict::WindowState;

/// A header: its name and its value.
pub type Header = (&'static str, String);

/// Name of the header with what is left.
pub const RATE_LIMIT: &str = "ratelimit";

/// Largest integer of a structured field (RFC 9651, 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// The headers of every answer of a limited route; none where nothing is limited.
///
/// `RateLimit-Policy`: `q` units in `w` seconds; a rate's window is the time in which its burst refills. `RateLimit`: `r` units are
/// left, and after `t` seconds all of them are there again. `X-RateLimit-*` repeat the window with the least left.
pub fn rate_limit(windows: &[WindowState]) -> Vec<Header> {
    let policy = list(windows, |window| [("q", window.limit), ("w", ceil(window.window).max(1))]);
    let state = list(windows, |window| [("r", window.remaining), ("t", ceil(window.reset))]);
    let Some((policy, state)) = policy.zip(state) else { return Vec::new() };
    let mut headers = vec![("ratelimit-policy", policy), (RATE_LIMIT, state)];
    if let Some(tightest) = tightest(windows) {
        headers.push(("x-ratelimit-limit", tightest.limit.to_string()));
        headers.push(("x-ratelimit-remaining", tightest.remaining.to_string()));
        headers.push(("x-ratelimit-reset", ceil(tightest.reset).to_string()));
    }
    headers
}

/// `Retry-After` in whole seconds, rounded up: never 0, because the request has just been refused.
pub fn retry_after(wait: Duration) -> Header {
    ("retry-after", ceil(wait).max(1).to_string())
}

/// The headers of a 429.
pub fn denied(denial: &Denial) -> Vec<Header> {
    let mut headers = rate_limit(&denial.windows);
    headers.push(retry_after(denial.retry_after()));
    headers
}

/// The names for the problem's member `violated-policies`.
pub fn violated_policies(denial: &Denial) -> Vec<String> {
    denial.violated.iter().map(|violation| violation.name.clone()).collect()
}

/// The window that bites first: the one with the least left, and of those the one that takes longest.
pub fn tightest(windows: &[WindowState]) -> Option<&WindowState> {
    windows.iter().min_by_key(|window| (window.remaining, std::cmp::Reverse(window.reset)))
}

/// Seconds, rounded up.
fn ceil(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A list of strings with two integers each. A name that no structured string can hold is left out.
fn list(windows: &[WindowState], members: impl Fn(&WindowState) -> [(&'static str, u64); 2]) -> Option<String> {
    let mut list = ListSerializer::new();
    for window in windows {
        let Ok(name) = StringRef::from_str(&window.name) else { continue };
        let mut item = list.bare_item(name);
        for (key, number) in members(window) {
            if let (Ok(key), Ok(number)) = (KeyRef::from_str(key), Integer::try_from(number.min(MAX_INTEGER))) {
                item = item.parameter(key, number);
            }
        }
    }
    list.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::LimitViolation;

    fn window(name: &str, quota: bool, limit: u64, remaining: u64, window: u64, reset_ms: u64) -> WindowState {
        let name = name.to_owned();
        WindowState { name, quota, limit, remaining, window: Duration::from_secs(window), reset: Duration::from_millis(reset_ms) }
    }

    #[test]
    fn the_fields_of_the_contract() {
        let windows = [window("burst", false, 100, 57, 2, 860), window("day", true, 10_000, 9_120, 86_400, 30_210_001)];
        assert_eq!(
            rate_limit(&windows),
            [
                ("ratelimit-policy", r#""burst";q=100;w=2, "day";q=10000;w=86400"#.to_owned()),
                ("ratelimit", r#""burst";r=57;t=1, "day";r=9120;t=30211"#.to_owned()),
                ("x-ratelimit-limit", "100".to_owned()),
                ("x-ratelimit-remaining", "57".to_owned()),
                ("x-ratelimit-reset", "1".to_owned()),
            ]
        );
        assert_eq!(rate_limit(&[]), []);
    }

    #[test]
    fn the_used_part_of_a_window_is_at_most_all_of_it() {
        let used = |limit, remaining| window("burst", false, limit, remaining, 1, 1).used();
        assert_eq!((used(10, 4), used(10, 0), used(10, 10), used(0, 0), used(u64::MAX, 0)), (600, 1000, 0, 1000, 1000));
    }

    #[test]
    fn a_denial_says_when_and_why() {
        let violated = vec![
            LimitViolation { name: "burst".into(), quota: false, wait: Duration::from_millis(20) },
            LimitViolation { name: "day".into(), quota: true, wait: Duration::from_micros(2_000_001) },
        ];
        let windows = vec![window("burst", false, 1, 0, 1, 20)];
        let denial = Denial { violated, windows, cost: 1, calls: 1, due: vec![], first_of_minute: false };
        assert_eq!(denied(&denial).last(), Some(&("retry-after", "3".to_owned())));
        assert_eq!(violated_policies(&denial), ["burst", "day"]);
    }
}
