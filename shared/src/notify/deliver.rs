//! Delivery: the reporter takes due rows from the outbox and sends each to the operator's topic and to its consumer's addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, stream};

use super::outbox::{Delivery, Entry, SHARDS, mark};
use super::ports::{Audience, Channels, Message};
use super::send::{Sent, send};
use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{RangeQuery, Returning, Table, TableError, TableName, Write};

/// Attempts at one notice before it becomes a dead letter: with [`backoff`] about eleven hours.
pub const MAX_ATTEMPTS: u32 = 10;
/// A notice that is older than this becomes a dead letter at its next failure, however few attempts its receiver's open circuit
/// left to it.
const OLDEST: Duration = Duration::from_secs(3 * 86_400);
/// While one reporter sends, others leave the row alone for this long.
const CLAIM: Duration = Duration::from_secs(120);
/// Rows read at once.
const PAGE: usize = 50;
/// Consumers served at a time, each with its notices one after another: a slow receiver delays only its own.
const AT_ONCE: usize = 16;

/// Bounds of a delivery run.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Maximum number of notices.
    pub notices: usize,
    /// No attempt begins after this moment of the clock.
    pub until: Micros,
}

/// Result of a delivery run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Notices that reached all recipients.
    pub delivered: u32,
    /// Notices that are tried again later.
    pub put_off: u32,
    /// Notices that became dead letters.
    pub dead: u32,
}

impl Delivered {
    fn and(self, other: Self) -> Self {
        Self { delivered: self.delivered + other.delivered, put_off: self.put_off + other.put_off, dead: self.dead + other.dead }
    }
}

/// The pause after the `attempts`-th failed attempt: 10 s doubled each time, at most 6 h, the second half of it random.
pub fn backoff(attempts: u32, env: &Env) -> Duration {
    let backoff = Backoff::new(env, Duration::from_secs(10), Duration::from_secs(6 * 3_600)).with_equal_jitter();
    backoff.after(attempts.saturating_sub(1)).draw()
}

/// Delivers what is due at `now`.
///
/// # Errors
/// The store's, the first of them; what was delivered stays delivered, and what was not is taken up by the next delivery.
pub async fn deliver(
    table: &dyn Table,
    env: &Env,
    channels: &Channels,
    budget: Budget,
    now: Micros,
) -> Result<Delivered, TableError> {
    let mut groups: BTreeMap<Option<String>, Vec<Entry>> = BTreeMap::new();
    for entry in due(table, budget.notices, now).await? {
        groups.entry(entry.notice.consumer.clone()).or_default().push(entry);
    }
    let jobs = groups.into_values().map(|entries| async move {
        let mut done = Delivered::default();
        for entry in entries {
            if env.now() >= budget.until {
                break;
            }
            done = done.and(deliver_entry(table, env, channels, entry, now).await?);
        }
        Ok(done)
    });
    // Collected first: a stream of closures over borrowed ports is more than the compiler can see to be `Send`.
    let jobs: Vec<_> = jobs.collect();
    let outcomes: Vec<Result<Delivered, TableError>> = stream::iter(jobs).buffer_unordered(AT_ONCE).collect().await;
    outcomes.into_iter().try_fold(Delivered::default(), |sum, done| Ok(sum.and(done?)))
}

async fn due(table: &dyn Table, most: usize, now: Micros) -> Result<Vec<Entry>, TableError> {
    let mut due = Vec::new();
    for shard in 0..SHARDS {
        let mut after = None;
        loop {
            let page = table.query(page(shard, after.take())).await?;
            due.extend(page.items.iter().filter_map(Entry::read).filter(|entry| entry.next <= now));
            if due.len() >= most {
                due.truncate(most);
                return Ok(due);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(due)
}

fn page(shard: u16, after: Option<Vec<u8>>) -> RangeQuery {
    RangeQuery { after, limit: Some(PAGE), ..RangeQuery::partition(TableName::Data, keys::outbox(shard, &[]).pk) }
}

async fn deliver_entry(
    table: &dyn Table,
    env: &Env,
    channels: &Channels,
    entry: Entry,
    now: Micros,
) -> Result<Delivered, TableError> {
    // Claimed by moving its time on: another reporter that read the same row fails here.
    let claimed = Entry { next: now.plus(CLAIM), attempts: entry.attempts + 1, ..entry.clone() };
    match table.write(TableName::Data, entry.put_off(claimed.attempts, claimed.next, &entry.done), Returning::Nothing).await {
        Err(TableError::ConditionFailed(_)) => return Ok(Delivered::default()),
        other => other?,
    };
    let sent = send(channels, &entry.notice, &entry.done, now).await;
    if sent.is_complete() {
        return done(table, &entry, Delivery::delivered()).await.map(|()| Delivered { delivered: 1, ..Delivered::default() });
    }
    let is_old = now.0.saturating_sub(entry.born().0) > i64::try_from(OLDEST.as_micros()).unwrap_or(i64::MAX);
    if sent.failed.is_empty() || claimed.attempts < MAX_ATTEMPTS && !is_old {
        return put_off(table, env, &entry, &claimed, &sent, now).await;
    }
    let failed: Vec<String> = sent.failed.iter().map(|(target, why)| format!("{target}: {why}")).collect();
    let body = serde_json::json!({"notice": entry.notice, "failed": failed}).to_string();
    let subject = format!("Undeliverable: {}", entry.notice.subject());
    let message = Message { subject: &subject, body: &body, kind: entry.notice.kind.name(), audience: Audience::DeadLetter };
    tracing::error!(notice = entry.notice.id, ?failed, "a notice is undeliverable");
    if let Err(why) = channels.topic.publish(message).await {
        // Kept: better late than lost.
        tracing::error!(notice = entry.notice.id, why, "a dead letter could not be delivered");
        return Ok(Delivered { put_off: 1, ..Delivered::default() });
    }
    done(table, &entry, Delivery::undeliverable(sent.failed_addresses())).await?;
    Ok(Delivered { dead: 1, ..Delivered::default() })
}

/// Keeps the row for a later attempt. One that met only open circuits does not count as an attempt.
async fn put_off(
    table: &dyn Table,
    env: &Env,
    entry: &Entry,
    claimed: &Entry,
    sent: &Sent,
    now: Micros,
) -> Result<Delivered, TableError> {
    let (attempts, next) = match sent.failed.is_empty() {
        true => (entry.attempts, sent.waiting.unwrap_or(now)),
        false => {
            tracing::warn!(notice = entry.notice.id, failed = ?sent.failed, attempts = claimed.attempts, "a notice is tried again");
            (claimed.attempts, now.plus(backoff(claimed.attempts, env)))
        }
    };
    match table.write(TableName::Data, claimed.put_off(attempts, next, &sent.have), Returning::Nothing).await {
        // The claim has run out meanwhile, and another reporter has the row.
        Err(TableError::ConditionFailed(_)) => Ok(Delivered::default()),
        other => other.map(|_| Delivered { put_off: 1, ..Delivered::default() }),
    }
}

/// Deletes the row of the outbox and notes its outcome in the list of notices.
async fn done(table: &dyn Table, entry: &Entry, delivery: Delivery) -> Result<(), TableError> {
    mark(table, entry, &delivery).await;
    let gone = Write::Delete { key: entry.key.clone(), condition: None };
    table.write(TableName::Data, gone, Returning::Nothing).await.map(drop)
}
