//! Consumers whose requests are being denied, or that use nearly all of a rate: from here the reporter finds what lasts.
//!
//! The instance that denies notes the minute at its first denial in it; all that follow in that minute cost nothing. The note is best
//! effort and stands in the volatile table: a lost one delays the notice by a minute.

use std::time::Duration;

use super::enqueue::{enqueue, enqueue_hourly, lasting};
use super::notice::{Kind, Limit};
use crate::core::clock::{Env, Micros};
use crate::limit::{LimitSubject, Limiter, WindowState};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, RangeQuery, Returning, Table, TableError, TableName, Write};

/// Minutes considered.
pub const OF: u32 = 15;
/// Minutes with denials, or near the bound of a rate, among them, from which on that is told.
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
    /// Minutes with denials, or near the bound of a rate.
    pub minutes: Vec<Minute>,
    ends: i64,
}

/// A minute, a limit, and what there was with it. As text: `29930301!day`, `29930301~burst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// Since 1970.
    pub minute: i64,
    /// Whether requests were denied, else the rate was near its bound.
    pub is_denied: bool,
    /// The limit; nothing in a row of before limits were named.
    pub limit: String,
}

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.is_denied, self.limit.as_str()) {
            (true, "") => write!(f, "{}", self.minute),
            (is_denied, limit) => write!(f, "{}{}{limit}", self.minute, if is_denied { '!' } else { '~' }),
        }
    }
}

impl Minute {
    fn parse(text: &str) -> Option<Self> {
        let end = text.find(['!', '~']).unwrap_or(text.len());
        let (minute, rest) = text.split_at_checked(end)?;
        Some(Self {
            minute: minute.parse().ok()?,
            is_denied: !rest.starts_with('~'),
            limit: rest.get(1..).unwrap_or_default().to_owned(),
        })
    }
}

fn place(consumer: &str) -> Key {
    keys::watched(keys::shard(consumer, SHARDS), consumer)
}

/// Notes this minute as one with denials by these limits.
///
/// # Errors
/// The store's; a caller with an answer to give ignores it.
pub async fn note_denied(table: &dyn Table, subject: &LimitSubject, limits: &[&str], now: Micros) -> Result<(), TableError> {
    let minute = now.seconds().div_euclid(60);
    note(table, subject, limits.iter().map(|limit| Minute { minute, is_denied: true, limit: (*limit).to_owned() }), now).await
}

/// Notes minutes in which rates were near their bound.
///
/// # Errors
/// The store's; a caller with an answer to give ignores it.
pub async fn note_near(table: &dyn Table, subject: &LimitSubject, near: &[(i64, String)], now: Micros) -> Result<(), TableError> {
    let minute = |(minute, rate): &(i64, String)| Minute { minute: *minute, is_denied: false, limit: rate.clone() };
    note(table, subject, near.iter().map(minute), now).await
}

async fn note(
    table: &dyn Table,
    subject: &LimitSubject,
    minutes: impl Iterator<Item = Minute>,
    now: Micros,
) -> Result<(), TableError> {
    let minutes: Vec<String> = minutes.map(|minute| minute.to_string()).collect();
    if minutes.is_empty() {
        return Ok(());
    }
    let update = Expr::new("SET #p = :p, #t = :t ADD #m :m")
        .name("#p", PLAN)
        .name("#t", TTL)
        .name("#m", MINUTES)
        .value(":p", Attr::S(subject.plan.name.clone()))
        .value(":t", Attr::N(now.plus(LISTED).seconds()))
        .value(":m", Attr::Ss(minutes));
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
        minutes: minutes.iter().filter_map(|minute| Minute::parse(minute)).collect(),
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
    let standing = match subject {
        Some(subject) => Some(limiter.standing(subject, now).await?),
        None => None,
    };
    let windows = standing.as_ref().map(|standing| standing.windows.as_slice()).unwrap_or_default();
    let kind = sustained(one, true, windows, now).or_else(|| sustained(one, false, windows, now));
    if let Some(kind) = kind {
        enqueued += usize::from(enqueue_hourly(table, env, &one.consumer, kind, now).await?.is_some());
    }
    if let Some(standing) = &standing {
        enqueued += enqueue(table, env, &one.consumer, &standing.due, now).await?.len();
    }
    forget(table, one, now).await?;
    Ok(enqueued)
}

/// The notice of limits that denied requests, or of rates near their bound, in so many of the last minutes that it is told.
fn sustained(one: &Watched, is_denied: bool, windows: &[WindowState], now: Micros) -> Option<Kind> {
    let of_kind = || one.minutes.iter().filter(move |minute| minute.is_denied == is_denied);
    let minutes = lasting(&of_kind().map(|minute| minute.minute).collect::<Vec<_>>(), SUSTAINED, OF, now)?;
    let is_meant = |window: &&WindowState| of_kind().any(|minute| minute.limit == window.name);
    let limits = windows.iter().filter(is_meant).map(|window| Limit::of(window, now)).collect();
    Some(match is_denied {
        true => Kind::Throttled { minutes, of: OF, limits },
        false => Kind::Sustained { minutes, of: OF, limits },
    })
}

/// Removes minutes from the row that are no longer considered.
async fn forget(table: &dyn Table, one: &Watched, now: Micros) -> Result<(), TableError> {
    let oldest = now.seconds().div_euclid(60) - i64::from(OF);
    let old: Vec<String> = one.minutes.iter().filter(|minute| minute.minute < oldest).map(ToString::to_string).collect();
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
