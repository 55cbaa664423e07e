//! Until when the work at hand must have ended, for adapters deep below that decide how long to wait and whether to repeat.
//!
//! It travels with the task, not through every signature: whoever has none (a command, a test) has all the time that the adapter's own
//! limits give.

use std::time::Duration;

use tokio::time::{Instant, error::Elapsed};

use crate::core::clock::Micros;

/// Microseconds of a year.
const YEAR: i64 = 365 * 24 * 3_600 * 1_000_000;

tokio::task_local! {
    static UNTIL: Instant;
}

/// Runs `work` for at most `time`; adapters see what is left of it.
///
/// # Errors
/// [`Elapsed`]: it did not end in time, and was dropped.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let until = Instant::now() + time;
    UNTIL.scope(until, tokio::time::timeout_at(until, work)).await
}

/// When an invocation must have ended, by the deadline that its runtime names: milliseconds since 1970, or, as `cargo lambda watch` has
/// it, milliseconds from now on.
pub fn of_invocation(deadline: u64, now: Micros) -> Micros {
    let micros = i64::try_from(deadline).unwrap_or(i64::MAX).saturating_mul(1_000);
    // No invocation has ended in 1970, and none may take a year.
    if micros < YEAR { Micros(now.0.saturating_add(micros)) } else { Micros(micros) }
}

/// What is left at `now` until a moment; zero behind it.
pub fn left(until: Micros, now: Micros) -> Duration {
    Duration::from_micros(u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0))
}

/// `longest`, or what is left if that is less.
pub fn at_most(longest: Duration) -> Duration {
    let left = UNTIL.try_with(|until| until.saturating_duration_since(Instant::now()));
    left.map_or(longest, |left| left.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_moment_or_a_time() {
        let now = Micros(1_795_219_200_000_000);
        assert_eq!(left(of_invocation(1_795_219_229_000, now), now), Duration::from_secs(29));
        assert_eq!(left(of_invocation(600_000, now), now), Duration::from_secs(600), "cargo lambda watch");
        assert_eq!(left(of_invocation(1_795_219_199_000, now), now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn work_sees_what_is_left_of_its_time() {
        let second = Duration::from_secs(1);
        assert_eq!(at_most(second), second, "no deadline");
        let seen = within(second * 2, async {
            tokio::time::advance(second).await;
            (at_most(second * 3), at_most(second / 2))
        });
        assert_eq!(seen.await.unwrap(), (second, second / 2));
        assert!(within(second, std::future::pending::<()>()).await.is_err());
    }
}
