//! Until when the work at hand must have ended, for adapters deep below that decide how long to wait and whether to repeat.
//!
//! It travels with the task, not through every signature: whoever has none (a command, a test) has all the time that the adapter's own
//! limits give.

use std::time::Duration;

use tokio::time::{Instant, error::Elapsed};

use crate::clock::Micros;

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

/// What is left at `now` of an invocation that Lambda ends at `deadline`, milliseconds since 1970.
pub fn left(deadline: u64, now: Micros) -> Duration {
    Duration::from_millis(deadline.saturating_sub(u64::try_from(now.millis()).unwrap_or(0)))
}

/// `longest`, or what is left if that is less.
pub fn at_most(longest: Duration) -> Duration {
    let left = UNTIL.try_with(|until| until.saturating_duration_since(Instant::now()));
    left.map_or(longest, |left| left.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

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
