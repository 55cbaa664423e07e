//! Repeating what may be repeated: calls with the same effect however often they arrive.

use std::time::Duration;

use super::table::TableError;
use crate::core::backoff::Backoff;
use crate::core::clock::Env;

/// Attempts before giving up: the pauses add up to about three seconds.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Makes a call until DynamoDB is neither busy nor silent, with growing pauses drawn at random.
///
/// # Errors
/// What the last attempt says; at once where repeating cannot help.
pub(crate) async fn repeated<T, F>(env: &Env, mut call: impl FnMut() -> F) -> Result<T, TableError>
where
    F: Future<Output = Result<T, TableError>>,
{
    let mut backoff = Backoff::new(env, FIRST_PAUSE, MAX_PAUSE);
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(TableError::Busy(_) | TableError::Unknown(_)) => {}
            other => return other,
        }
        backoff.pause().await;
    }
    call().await
}
