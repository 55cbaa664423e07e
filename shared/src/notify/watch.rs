//! Consumers whose requests are being denied: from here the reporter finds sustained throttling.
//!
//! The instance that denies notes the minute at its first denial in it; all that follow in that minute cost nothing. The note is best
//! effort and stands in the volatile table: a lost one delays the notice by a minute.

use std::time::Duration;

use super::enqueue::{enqueue, enqueue_throttled, throttled};
use crate::core::clock::{Env, Micros};
use crate::limit::{LimitSubject, Limiter};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, RangeQuery, Returning, Table, TableError, TableName, Write};

/// Minutes considered.
pub const OF: u32 = 15;
/// Minutes with denials, among them, from which on throttling is called sustained.
pub const SUSTAINED: u32 = 5;
/// Shards of the list of watched consumers.
const SHARDS: u16 = 4;
/// How long a consumer is listed after its last note.
const LISTED: Duration = Duration::from_secs(3_600);

const MINUTES: &str = "m";
const PLAN: &str = "p";
const TTL: &str = "ttl";

/// A consumer with recent denials, or with a crossing whose notice could not be enqueued.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Consumer.
    pub consumer: String,
    /// The plan that it was charged by.
    pub plan: String,
    /// Minutes since 1970 with denials.
    pub minutes: Vec<i64>,
    ends: i64,
}

fn place(consumer: &str) -> Key {
    keys::watched(keys::shard(consumer, SHARDS), consumer)
}

/// Notes a minute with denials.
///
/// # Errors
/// The store's; a caller with an answer to give ignores it.
pub async fn note(table: &dyn Table, subject: &LimitSubject, now: Micros) -> Result<(), TableError> {
    let update = Expr::new("SET #p = :p, #t = :t ADD #m :m")
        .name("#p", PLAN)
        .name("#t", TTL)
        .name("#m", MINUTES)
        .value(":p", Attr::S(subject.plan.name.clone()))
        .value(":t", Attr::N(now.plus(LISTED).seconds()))
        .value(":m", Attr::Ss(vec![now.seconds().div_euclid(60).to_string()]));
    let write = Write::Update { key: place(&subject.consumer), update, condition: None };
    table.write(TableName::Volatile, write, Returning::Nothing).await.map(drop)
}

/// The consumers that are watched now.
///
/// # Errors
/// The store's.
pub async fn watched(table: &dyn Table, now: Micros) -> Result<Vec<Watched>, TableError> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        let mut after = None;
        loop {
            let query = RangeQuery { after, ..RangeQuery::partition(TableName::Volatile, keys::watched(shard, "").pk) };
            let page = table.query(query).await?;
            // Rows are deleted days after they expire.
            found.extend(page.items.iter().filter_map(read).filter(|one| one.ends > now.seconds()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

fn read(item: &Item) -> Option<Watched> {
    let minutes = item.attrs.get(MINUTES).and_then(Attr::as_ss).unwrap_or_default();
    Some(Watched {
        consumer: String::from_utf8(item.key.sk.clone()).ok()?,
        plan: item.s(PLAN)?.to_owned(),
        minutes: minutes.iter().filter_map(|minute| minute.parse().ok()).collect(),
        ends: item.n(TTL)?,
    })
}

/// Enqueues the due notices of one consumer: sustained throttling, and thresholds whose notice was lost in a crash. `subject`: what it is
/// limited by, if known. Gives the number of notices.
///
/// # Errors
/// The store's; the next tick finds the same again.
pub async fn enqueue_due(
    table: &dyn Table,
    env: &Env,
    limiter: &Limiter,
    one: &Watched,
    subject: Option<&LimitSubject>,
    now: Micros,
) -> Result<usize, TableError> {
    let mut enqueued = 0;
    if let Some(minutes) = throttled(&one.minutes, SUSTAINED, OF, now) {
        enqueued += usize::from(enqueue_throttled(table, env, &one.consumer, (minutes, OF), now).await?.is_some());
    }
    if let Some(subject) = subject {
        let due = limiter.standing(subject, now).await?.due;
        enqueued += enqueue(table, env, &one.consumer, &due, now).await?.len();
    }
    forget(table, one, now).await?;
    Ok(enqueued)
}

/// Removes minutes from the row that are no longer considered.
async fn forget(table: &dyn Table, one: &Watched, now: Micros) -> Result<(), TableError> {
    let oldest = now.seconds().div_euclid(60) - i64::from(OF);
    let old: Vec<String> = one.minutes.iter().filter(|minute| **minute < oldest).map(ToString::to_string).collect();
    if old.is_empty() {
        return Ok(());
    }
    let key = place(&one.consumer);
    let write = if old.len() == one.minutes.len() {
        // Unless somebody noted a minute meanwhile.
        let condition = Expr::new("#t = :t").name("#t", TTL).value(":t", Attr::N(one.ends));
        Write::Delete { key, condition: Some(condition) }
    } else {
        let update = Expr::new("DELETE #m :old").name("#m", MINUTES).value(":old", Attr::Ss(old));
        Write::Update { key, update, condition: Some(Expr::new("attribute_exists(pk)")) }
    };
    match table.write(TableName::Volatile, write, Returning::Nothing).await {
        Ok(_) | Err(TableError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
