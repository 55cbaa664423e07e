//! Rows of the outbox (until delivered) and of the list behind `/v1/_notifications` (90 days).

use serde::Serialize;

use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, RangeQuery, Returning, Table, TableError, TableName, Write};

use super::notice::Notice;

/// Shards of the outbox.
pub const SHARDS: u16 = 4;
/// How long a notice is listed, seconds.
const LISTED: i64 = 90 * 86_400;

const DOCUMENT: &str = "d";
const ATTEMPTS: &str = "n";
const NEXT: &str = "x";
const DONE: &str = "done";
/// Attribute of a listed row: its outcome; absent while the outbox has it.
const STATE: &str = "y";
/// Attribute of a listed row: addresses that it never reached.
const FAILED: &str = "u";

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Key of the row.
    pub key: Key,
    /// The notice.
    pub notice: Notice,
    /// Attempts made.
    pub attempts: u32,
    /// Earliest moment of the next attempt.
    pub next: Micros,
    /// Targets that have received it.
    pub done: Vec<String>,
}

/// The writes that enqueue a notice: its outbox row, and its rows in the list of its consumer and of all.
pub fn rows(env: &Env, notice: &Notice, now: Micros) -> Vec<(TableName, Write)> {
    let mut sk = now.0.to_be_bytes().to_vec();
    sk.extend(env.bytes::<8>());
    let document = Attr::S(serde_json::to_string(notice).unwrap_or_default());
    let shard = keys::shard(notice.consumer.as_deref().unwrap_or_default(), SHARDS);
    let waiting = Item::new(keys::outbox(shard, &sk)).with(DOCUMENT, document.clone()).with(NEXT, Attr::N(now.0));
    let listed = [None].into_iter().chain(notice.consumer.as_deref().map(Some)).map(|of| {
        let item = Item::new(keys::notice(of, &sk)).with(DOCUMENT, document.clone()).with("ttl", Attr::N(now.seconds() + LISTED));
        (TableName::Volatile, Write::Put { item, condition: None })
    });
    [(TableName::Data, Write::Put { item: waiting, condition: None })].into_iter().chain(listed).collect()
}

impl Entry {
    /// The entry of a row; `None` for one that cannot be read.
    pub fn read(item: &Item) -> Option<Self> {
        Some(Self {
            notice: serde_json::from_str(item.s(DOCUMENT)?).ok()?,
            attempts: item.n(ATTEMPTS).and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(0),
            next: Micros(item.n(NEXT)?),
            done: item.attrs.get(DONE).and_then(Attr::as_ss).map(<[String]>::to_vec).unwrap_or_default(),
            key: item.key.clone(),
        })
    }

    /// Time of enqueueing.
    pub fn born(&self) -> Micros {
        let moment = self.key.sk.first_chunk::<8>().copied().map_or(0, i64::from_be_bytes);
        Micros(moment)
    }

    /// The write that keeps the row for another attempt, if nobody changed it since it was read.
    pub fn put_off(&self, attempts: u32, next: Micros, done: &[String]) -> Write {
        let mut item = Item::new(self.key.clone())
            .with(DOCUMENT, Attr::S(serde_json::to_string(&self.notice).unwrap_or_default()))
            .with(NEXT, Attr::N(next.0))
            .with(ATTEMPTS, Attr::N(i64::from(attempts)));
        if !done.is_empty() {
            item = item.with(DONE, Attr::Ss(done.to_vec()));
        }
        let condition = Expr::new("#x = :x").name("#x", NEXT).value(":x", Attr::N(self.next.0));
        Write::Put { item, condition: Some(condition) }
    }
}

/// Outcome of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// `pending`, `delivered` or `undeliverable`.
    pub delivery: String,
    /// The consumer's addresses that it never reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undelivered_to: Vec<String>,
}

impl Delivery {
    /// All recipients have it.
    pub(super) fn delivered() -> Self {
        Self { delivery: "delivered".to_owned(), undelivered_to: Vec::new() }
    }

    /// No attempt is made any more.
    pub(super) fn undeliverable(undelivered_to: Vec<String>) -> Self {
        Self { delivery: "undeliverable".to_owned(), undelivered_to }
    }

    fn read(item: &Item) -> Self {
        Self {
            delivery: item.s(STATE).unwrap_or("pending").to_owned(),
            undelivered_to: item.attrs.get(FAILED).and_then(Attr::as_ss).map(<[String]>::to_vec).unwrap_or_default(),
        }
    }
}

/// A notice as `/v1/_notifications` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The notice.
    #[serde(flatten)]
    pub notice: Notice,
    /// Its outcome.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// Notes the outcome of an entry in the lists. Best effort: the lists may be lost as a whole.
pub(super) async fn mark(table: &dyn Table, entry: &Entry, delivery: &Delivery) {
    for of in [None, entry.notice.consumer.as_deref()].into_iter().take(1 + usize::from(entry.notice.consumer.is_some())) {
        let mut update = Expr::new("SET #y = :y").name("#y", STATE).value(":y", Attr::S(delivery.delivery.clone()));
        if !delivery.undelivered_to.is_empty() {
            update.text.push_str(", #u = :u");
            update = update.name("#u", FAILED).value(":u", Attr::Ss(delivery.undelivered_to.clone()));
        }
        // A row that has expired does not come back.
        let condition = Some(Expr::new("attribute_exists(pk)"));
        let write = Write::Update { key: keys::notice(of, &entry.key.sk), update, condition };
        if let Err(error) = table.write(TableName::Volatile, write, Returning::Nothing).await {
            tracing::debug!(notice = entry.notice.id, %error, "the outcome of a notice is not in the list");
        }
    }
}

/// Notices of a consumer, or all (`None`), newest first, at most `limit`; `after`: the position behind which to go on.
/// Gives the position of the next page too.
///
/// # Errors
/// The store's.
pub async fn list(
    table: &dyn Table,
    consumer: Option<&str>,
    limit: usize,
    after: Option<Vec<u8>>,
    now: Micros,
) -> Result<(Vec<Listed>, Option<Vec<u8>>), TableError> {
    let query = RangeQuery {
        after,
        descending: true,
        limit: Some(limit),
        ..RangeQuery::partition(TableName::Volatile, keys::notice(consumer, &[]).pk)
    };
    let page = table.query(query).await?;
    let live = page.items.iter().filter(|item| item.n("ttl").is_none_or(|end| end > now.seconds()));
    let notices = live.filter_map(|item| {
        let notice = serde_json::from_str(item.s(DOCUMENT)?).ok()?;
        Some(Listed { notice, delivery: Delivery::read(item) })
    });
    Ok((notices.collect(), page.next))
}
