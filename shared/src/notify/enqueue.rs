//! The transaction that enqueues a notice once.

use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::limit::Crossing;
use crate::limit::item::{SUSTAINED, THROTTLED, notified_name};
use crate::model::Window;
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, Reason, Table, TableError, TableName, Transaction, Write};

use super::notice::{Kind, Notice};
use super::outbox;

/// Attempts at one transaction before it is left to a later request or the reporter.
const ATTEMPTS: u32 = 3;
/// Bounds of the pauses between them.
const FIRST_PAUSE: Duration = Duration::from_millis(16);
const MAX_PAUSE: Duration = Duration::from_millis(64);

/// Enqueues notices of a consumer's crossings. Gives those that were enqueued here; none where another was faster.
///
/// # Errors
/// The store's: nothing is lost, a later request or the reporter finds the crossing again.
pub async fn enqueue(
    table: &dyn Table,
    env: &Env,
    consumer: &str,
    due: &[Crossing],
    now: Micros,
) -> Result<Vec<Notice>, TableError> {
    let mut enqueued = Vec::new();
    for crossing in due {
        enqueued.extend(enqueue_one(table, env, consumer, crossing, now).await?);
    }
    Ok(enqueued)
}

/// The transaction holds exactly the thresholds above the highest one with a notice, on condition that the item still records that one.
/// Where another was faster with a lower threshold, what is still above is enqueued in a second round, so there are at most as many rounds as
/// thresholds.
async fn enqueue_one(
    table: &dyn Table,
    env: &Env,
    consumer: &str,
    crossing: &Crossing,
    now: Micros,
) -> Result<Vec<Notice>, TableError> {
    let attribute = notified_name(&crossing.quota, crossing.span.start);
    let mut notified = crossing.notified;
    loop {
        let above = crossing.percents.iter().filter(|percent| i64::from(**percent) > notified);
        let notices: Vec<Notice> =
            above.map(|percent| Notice::new(env, Some(consumer), threshold(crossing, *percent), now)).collect();
        if notices.is_empty() {
            return Ok(notices);
        }
        let seen = match notified {
            0 => Expr::new("attribute_not_exists(#t)"),
            _ => Expr::new("#t = :seen").value(":seen", Attr::N(notified)),
        };
        match once(table, env, consumer, &attribute, crossing.highest(), seen, &notices, now).await? {
            None => return Ok(notices),
            // The number only grows; anything else would mean that the item is gone, and then nothing is left to tell.
            Some(other) if other > notified => notified = other,
            Some(_) => return Ok(Vec::new()),
        }
    }
}

/// Enqueues the notice of sustained throttling, or of a rate that is near its bound, once an hour each.
///
/// # Errors
/// The store's.
pub async fn enqueue_hourly(
    table: &dyn Table,
    env: &Env,
    consumer: &str,
    kind: Kind,
    now: Micros,
) -> Result<Option<Notice>, TableError> {
    let hour = now.seconds().div_euclid(3_600);
    let mark = if matches!(kind, Kind::Sustained { .. }) { SUSTAINED } else { THROTTLED };
    let notice = Notice::new(env, Some(consumer), kind, now);
    let lower = Expr::new("attribute_not_exists(#t) OR #t < :v");
    let held = once(table, env, consumer, mark, hour, lower, std::slice::from_ref(&notice), now).await?;
    Ok(held.is_none().then_some(notice))
}

/// Whether at least `n` of the last `m` whole minutes before `now` are among these (since 1970, in any order): how many, if so.
pub fn lasting(minutes: &[i64], n: u32, m: u32, now: Micros) -> Option<u32> {
    let this = now.seconds().div_euclid(60);
    let mut recent: Vec<i64> = minutes.iter().copied().filter(|minute| (this - i64::from(m)..this).contains(minute)).collect();
    recent.sort_unstable();
    recent.dedup();
    u32::try_from(recent.len()).ok().filter(|minutes| *minutes >= n.max(1))
}

/// Enqueues a notice to the operator that no consumer's item remembers.
///
/// # Errors
/// The store's.
pub async fn enqueue_for_operator(table: &dyn Table, env: &Env, kind: Kind, now: Micros) -> Result<Notice, TableError> {
    let notice = Notice::new(env, None, kind, now);
    let token = token(env);
    table.transact(Transaction { token, writes: outbox::rows(env, &notice, now) }).await?;
    Ok(notice)
}

/// Enqueues a notice unless its `mark` is there: a row of the volatile table, kept until `until` (seconds since 1970) and longer than the
/// reason for the notice could be found again. Gives whether it was enqueued here.
///
/// # Errors
/// The store's: it may have been enqueued or not; a repetition enqueues it once.
pub async fn enqueue_first(
    table: &dyn Table,
    env: &Env,
    mark: Key,
    until: i64,
    notice: &Notice,
    now: Micros,
) -> Result<bool, TableError> {
    let item = Item::new(mark).with("ttl", Attr::N(until));
    let first = Write::Put { item, condition: Some(Expr::new("attribute_not_exists(pk)")) };
    let writes = [(TableName::Volatile, first)].into_iter().chain(outbox::rows(env, notice, now)).collect();
    match table.transact(Transaction { token: token(env), writes }).await {
        Ok(()) => Ok(true),
        Err(TableError::Cancelled(reasons)) if matches!(reasons.first(), Some(Reason::ConditionFailed(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `SET attribute = value` on the limiter's item if `condition` holds, and the notices' rows, in one transaction. Nothing
/// if it went through, else what the attribute held instead. An unknown outcome is asked again with the same token and body, so it cannot happen twice.
#[expect(clippy::too_many_arguments, reason = "one transaction's parts")]
async fn once(
    table: &dyn Table,
    env: &Env,
    consumer: &str,
    attribute: &str,
    value: i64,
    condition: Expr,
    notices: &[Notice],
    now: Micros,
) -> Result<Option<i64>, TableError> {
    let update = Expr::new("SET #t = :v").name("#t", attribute).value(":v", Attr::N(value));
    let change = Write::Update { key: keys::limiter(consumer), update, condition: Some(condition.name("#t", attribute)) };
    let rows = notices.iter().flat_map(|notice| outbox::rows(env, notice, now));
    let writes: Vec<_> = [(TableName::Data, change)].into_iter().chain(rows).collect();
    let mut transaction = Transaction { token: token(env), writes };
    let mut attempt = 0;
    let mut backoff = Backoff::new(env, FIRST_PAUSE, MAX_PAUSE);
    loop {
        attempt += 1;
        match table.transact(transaction.clone()).await {
            Ok(()) => return Ok(None),
            Err(TableError::Cancelled(mut reasons)) if matches!(reasons.first(), Some(Reason::ConditionFailed(_))) => {
                let Reason::ConditionFailed(old) = reasons.swap_remove(0) else { return Ok(Some(0)) };
                return Ok(Some(old.and_then(|item| item.n(attribute)).unwrap_or(0)));
            }
            Err(error) if attempt >= ATTEMPTS => return Err(error),
            Err(TableError::Unknown(_)) => {}
            Err(TableError::Busy(_) | TableError::Cancelled(_)) => transaction.token = token(env),
            Err(error) => return Err(error),
        }
        backoff.pause().await;
    }
}

fn token(env: &Env) -> String {
    env.uuid_v7().to_string()
}

fn threshold(crossing: &Crossing, percent: u8) -> Kind {
    let rfc3339 = |seconds: i64| Micros(seconds.saturating_mul(1_000_000)).rfc3339();
    let window = match crossing.window {
        Window::Hour => "hour",
        Window::Day => "day",
        Window::Month => "month",
    };
    Kind::Threshold {
        quota: crossing.quota.clone(),
        window: window.to_owned(),
        percent,
        used: crossing.count,
        limit: crossing.limit,
        window_start: rfc3339(crossing.span.start),
        resets_at: rfc3339(crossing.span.end),
        runs_out_at: crossing.runs_out.map(Micros::rfc3339),
    }
}
