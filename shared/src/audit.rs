//! The audit trail: who did what to what and when, as rows that commit with what they tell of.
//!
//! A day's rows are spread over [`SHARDS`] partitions, so that the trail is never the ceiling of writes, and merged on reading. The
//! sort key is the moment and 64 random bits, which makes one order of all shards and a cursor of the last row that was shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Env, Micros};
use crate::store::keys as place;
use crate::store::table::{Attr, Item, RangeQuery, Table, TableError, TableName};

/// Partitions of a day: 16 x 1000 rows a second.
pub const SHARDS: u16 = 16;
/// Days that one page looks back over at most; a page of a quiet time is short, with a cursor.
const DAYS: i64 = 31;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const DOCUMENT: &str = "d";

/// One entry. Nothing in it may be a secret or the content of a record: names and ids only, except where an administrator's own
/// settings are told (consumers).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub at: String,
    /// What: `order.update`, `consumer.key.delete`, `order.invoice.download`.
    pub action: String,
    /// What kind of thing it was done to: an entity, `consumer`, `cache`.
    pub resource: String,
    /// Which one.
    pub id: Option<String>,
    /// On whose account.
    pub consumer: String,
    /// By whom.
    pub subject: String,
    /// With which API key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_id: Option<String>,
    /// In which request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// More, by action: fields that changed, a link's end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<Value>,
}

/// The row of an entry that happened at `now` (which replaces its `at`).
pub fn item(mut entry: Entry, env: &Env) -> Item {
    let now = env.now();
    entry.at = now.rfc3339();
    let random = u64::from_be_bytes(env.bytes());
    let shard = u16::try_from(random % u64::from(SHARDS)).unwrap_or(0);
    let sk = position(now, random).to_be_bytes();
    // Texts and JSON: there is nothing in it that could not be written.
    let document = serde_json::to_string(&entry).unwrap_or_default();
    Item::new(place::audit(&day(now), shard, sk)).with(DOCUMENT, Attr::S(document))
}

/// A page of the trail, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub next_cursor: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq)]
pub enum AuditError {
    /// The cursor is not one of ours.
    Cursor,
    /// The database failed, or holds what this program does not write.
    Store(String),
}

impl From<TableError> for AuditError {
    fn from(error: TableError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Reads at most `limit` entries that are older than the cursor, none older than `since`.
///
/// # Errors
/// [`AuditError`].
pub async fn list(table: &dyn Table, now: Micros, since: Micros, limit: usize, cursor: Option<&str>) -> Result<Page, AuditError> {
    // Everything at and before `last` is still to be read.
    let mut last = match cursor {
        Some(cursor) => decode(cursor)?,
        None => position(now, u64::MAX),
    };
    let mut entries = Vec::new();
    for _ in 0..DAYS {
        if moment(last) < since || entries.len() == limit {
            break;
        }
        let mut rows = of_day(table, last, limit - entries.len()).await?;
        rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        rows.truncate(limit - entries.len());
        let full = entries.len() + rows.len() == limit;
        let first_of_day = moment(last).0.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
        let read = rows.last().filter(|_| full).map_or(position(Micros(first_of_day), 0), |(at, _)| *at);
        entries.extend(rows.into_iter().filter(|(at, _)| moment(*at) >= since).map(|(_, entry)| entry));
        last = match read.checked_sub(1) {
            Some(next) => next,
            None => return Ok(Page { entries, next_cursor: None }),
        };
    }
    Ok(Page { entries, next_cursor: (moment(last) >= since).then(|| encode(last)) })
}

/// The newest rows of the day of `last`, at or before it, of every shard.
async fn of_day(table: &dyn Table, last: u128, limit: usize) -> Result<Vec<(u128, Entry)>, AuditError> {
    let day = day(moment(last));
    let shards = (0..SHARDS).map(|shard| {
        table.query(RangeQuery {
            table: TableName::Data,
            pk: place::audit(&day, shard, [0; 16]).pk,
            from: None,
            to: Some(last.to_be_bytes().to_vec()),
            after: None,
            descending: true,
            limit: Some(limit),
            consistent: true,
            count_only: false,
        })
    });
    let mut rows = Vec::new();
    for page in futures::future::try_join_all(shards).await? {
        for item in page.items {
            let corrupt = || AuditError::Store(format!("unreadable row: {}", item.key.pk));
            let at = u128::from_be_bytes(item.key.sk.as_slice().try_into().map_err(|_| corrupt())?);
            rows.push((at, item.s(DOCUMENT).and_then(|text| serde_json::from_str(text).ok()).ok_or_else(corrupt)?));
        }
    }
    Ok(rows)
}

fn day(moment: Micros) -> String {
    moment.rfc3339().chars().take(10).collect()
}

fn position(moment: Micros, random: u64) -> u128 {
    u128::from(u64::try_from(moment.0).unwrap_or(0)) << 64 | u128::from(random)
}

fn moment(position: u128) -> Micros {
    Micros(i64::try_from(position >> 64).unwrap_or(i64::MAX))
}

/// `1` (the form of the cursor) and the position.
fn encode(position: u128) -> String {
    URL_SAFE_NO_PAD.encode([b"1".as_slice(), &position.to_be_bytes()].concat())
}

fn decode(cursor: &str) -> Result<u128, AuditError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| AuditError::Cursor)?;
    let position = bytes.strip_prefix(b"1").and_then(|rest| rest.try_into().ok()).ok_or(AuditError::Cursor)?;
    let position = u128::from_be_bytes(position);
    // A moment after the year 9999 was never ours.
    if moment(position) > Micros(253_402_300_799_000_000) { Err(AuditError::Cursor) } else { Ok(position) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::tests::support::{NOW, Seeded, Set};
    use crate::dynamodb::embedded::Embedded;
    use crate::store::table::{Returning, Write};

    fn entry(id: usize) -> Entry {
        Entry {
            at: String::new(),
            action: "order.update".into(),
            resource: "order".into(),
            id: Some(id.to_string()),
            consumer: "acme".into(),
            subject: "u1".into(),
            key_id: None,
            correlation_id: Some("c".into()),
            detail: None,
        }
    }

    #[tokio::test]
    async fn pages_are_newest_first_over_shards_and_days_without_repeats() {
        let db = Embedded::start().await;
        let clock = Arc::new(Set::at(NOW));
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(2)) };
        // Four a day, and several in one microsecond, over twenty days.
        for n in 0..60 {
            let write = Write::Put { item: item(entry(n), &env), condition: None };
            db.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
            if n % 3 != 0 {
                clock.advance(6 * 3600);
            }
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        for _ in 0..20 {
            let page = list(&db.table, env.now(), Micros(NOW * 1_000_000), 7, cursor.as_deref()).await.unwrap();
            assert!(page.entries.len() <= 7);
            seen.extend(page.entries);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 60);
        assert!(seen.is_sorted_by(|a, b| a.at >= b.at));
        let mut ids: Vec<usize> = seen.iter().map(|entry| entry.id.as_ref().unwrap().parse().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..60).collect::<Vec<_>>());

        let since = Micros((NOW + 5 * 86_400) * 1_000_000);
        let recent = list(&db.table, env.now(), since, 100, None).await.unwrap();
        assert_eq!(recent.entries.len(), seen.iter().filter(|entry| entry.at >= since.rfc3339()).count());
        assert_eq!(recent.next_cursor, None);
        for cursor in ["", "x", "MQ", "MgAAAAAAAAAAAAAAAAAAAAA", "Mf____________________8"] {
            assert_eq!(list(&db.table, env.now(), since, 5, Some(cursor)).await, Err(AuditError::Cursor), "{cursor}");
        }
    }
}
