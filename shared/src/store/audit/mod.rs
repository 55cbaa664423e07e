//! The audit trail: who did what to what and when, as rows that commit with what they tell of.
//!
//! A day's rows are spread over [`SHARDS`] partitions, so that the trail is never the ceiling of writes, and merged on reading. The
//! sort key is the moment and 64 random bits, which makes one order of all shards and a cursor of the last row that was shown.

pub mod check;
pub mod export;
mod part;
mod window;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::caller::Caller;
use crate::core::clock::{Env, Micros};
use crate::store::keys as place;
use crate::store::table::{Attr, Item, RangeQuery, Table, TableError, TableName};

/// Partitions of a day: 16 x 1000 rows a second.
pub const SHARDS: u16 = 16;
/// What the trail tells of beside the entities of the model.
pub const OTHER_RESOURCES: [&str; 2] = ["consumer", "cache"];
/// Length of an action's name, in characters.
pub const MAX_ACTION: usize = 256;
/// Days that one page looks back over at most; a page of a quiet time is short, with a cursor.
const DAYS: i64 = 31;
/// Rows that one page reads at most.
const EXAMINE: usize = 1000;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const DOCUMENT: &str = "d";

/// One entry. Nothing in it may be a secret or the content of a record: names and ids only, except where an administrator's own
/// settings are told (consumers).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// Time, RFC 3339.
    pub at: String,
    /// What: `order.update`, `consumer.key.delete`, `order.invoice.download`.
    pub action: String,
    /// What kind of thing it was done to: an entity, `consumer`, `cache`.
    pub resource: String,
    /// Name.
    pub id: Option<String>,
    /// Consumer that is charged.
    pub consumer: String,
    /// By whom.
    pub subject: String,
    /// In which roles.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
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

impl Entry {
    /// An entry by a caller, which does not say yet what was done.
    pub fn by(caller: &Caller, correlation: &str) -> Self {
        Self {
            roles: caller.roles.clone(),
            key_id: caller.key_id.clone(),
            correlation_id: Some(correlation.to_owned()),
            ..Self::of(&caller.consumer, &caller.subject)
        }
    }

    /// An entry by somebody who did not come by the API.
    pub fn of(consumer: &str, subject: &str) -> Self {
        Self { consumer: consumer.to_owned(), subject: subject.to_owned(), ..Self::default() }
    }
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
    /// Start of the next page, if there may be one.
    pub next_cursor: Option<String>,
}

/// Reason why the trail could not be read.
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

/// Filter of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// None older than this.
    pub since: Micros,
    /// None from this moment on.
    pub until: Micros,
    /// On this account only.
    pub consumer: Option<&'a str>,
    /// Done to this kind of thing only: [`Entry::resource`].
    pub resource: Option<&'a str>,
    /// This only: [`Entry::action`], whole (`order.update`) or what stands behind its last dot (`update`).
    pub action: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Everything between two moments.
    pub fn between(since: Micros, until: Micros) -> Wanted<'a> {
        Wanted { since, until, consumer: None, resource: None, action: None }
    }

    fn is(&self, entry: &Entry) -> bool {
        let same = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        let last = entry.action.rsplit('.').next();
        same(self.consumer, &entry.consumer)
            && same(self.resource, &entry.resource)
            && (same(self.action, &entry.action) || self.action == last)
    }
}

/// Reads at most `limit` entries that are wanted and older than the cursor, newest first. A page is short, even empty, with a
/// cursor, when many days or rows had to be read for it.
///
/// # Errors
/// [`AuditError`].
pub async fn list(table: &dyn Table, wanted: &Wanted<'_>, limit: usize, cursor: Option<&str>) -> Result<Page, AuditError> {
    // Everything at and before `last` is still to be read.
    let start = position(Micros(wanted.until.0.saturating_sub(1)), u64::MAX);
    let mut last = match cursor {
        Some(cursor) => decode(cursor)?.min(start),
        None => start,
    };
    let (mut entries, mut examined, mut days) = (Vec::new(), 0, 0);
    while moment(last) >= wanted.since && entries.len() < limit && examined < EXAMINE && days < DAYS {
        let ask = limit - entries.len();
        let mut rows = of_day(table, last, ask).await?;
        rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        rows.truncate(ask);
        examined += rows.len();
        let first_of_day = moment(last).0.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
        // Fewer than were asked for: the day has no more.
        let read = rows.last().filter(|_| rows.len() == ask).map_or(position(Micros(first_of_day), 0), |(at, _)| *at);
        days += i64::from(rows.len() < ask);
        let fits = |(at, entry): &(u128, Entry)| moment(*at) >= wanted.since && wanted.is(entry);
        entries.extend(rows.into_iter().filter(fits).map(|(_, entry)| entry));
        last = match read.checked_sub(1) {
            Some(next) => next,
            None => return Ok(Page { entries, next_cursor: None }),
        };
    }
    Ok(Page { entries, next_cursor: (moment(last) >= wanted.since).then(|| encode(last)) })
}

/// The newest rows of the day of `last`, at or before it, of every shard.
async fn of_day(table: &dyn Table, last: u128, limit: usize) -> Result<Vec<(u128, Entry)>, AuditError> {
    let day = day(moment(last));
    let shards = (0..SHARDS).map(|shard| {
        table.query(RangeQuery {
            to: Some(last.to_be_bytes().to_vec()),
            descending: true,
            limit: Some(limit),
            ..RangeQuery::partition(TableName::Data, place::audit(&day, shard, [0; 16]).pk)
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
    use crate::aws::dynamodb::embedded::Embedded;
    use crate::identity::auth::tests::support::{NOW, Seeded, Set};
    use crate::store::table::{Returning, Write};

    const LATER: Micros = Micros((NOW + 100 * 86_400) * 1_000_000);

    #[tokio::test]
    async fn a_page_has_what_is_wanted_of_a_time_and_nothing_else() {
        let db = Embedded::start().await;
        let clock = Arc::new(Set::at(NOW));
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(4)) };
        let of = |n: usize| Entry {
            consumer: format!("c{}", n % 2),
            resource: if n.is_multiple_of(3) { "order".into() } else { "book".into() },
            action: format!("{}.{}", if n.is_multiple_of(3) { "order" } else { "book" }, ["create", "update"][n / 6 % 2]),
            ..entry(n)
        };
        for n in 0..48 {
            let write = Write::Put { item: item(of(n), &env), condition: None };
            db.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
            clock.advance(7 * 3600);
        }
        let at = |n: i64| Micros((NOW + n * 7 * 3600) * 1_000_000);
        let all = Wanted::between(at(0), LATER);
        let cases: [(Wanted<'_>, &dyn Fn(usize) -> bool); 6] = [
            (all, &|_| true),
            (Wanted { consumer: Some("c1"), ..all }, &|n| n % 2 == 1),
            (Wanted { resource: Some("order"), action: Some("order.update"), ..all }, &|n| n.is_multiple_of(3) && n / 6 % 2 == 1),
            (Wanted { action: Some("create"), ..all }, &|n| n / 6 % 2 == 0),
            (Wanted { since: at(10), until: at(20), ..all }, &|n| (10..20).contains(&n)),
            (Wanted { consumer: Some("nobody"), ..all }, &|_| false),
        ];
        for (wanted, expected) in cases {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = list(&db.table, &wanted, 5, cursor.as_deref()).await.unwrap();
                assert!(page.entries.len() <= 5);
                seen.extend(page.entries.into_iter().map(|entry| entry.id.unwrap().parse::<usize>().unwrap()));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            let expected: Vec<usize> = (0..48).rev().filter(|n| expected(*n)).collect();
            assert_eq!(seen, expected, "{wanted:?}");
        }
    }

    fn entry(id: usize) -> Entry {
        Entry {
            action: "order.update".into(),
            resource: "order".into(),
            id: Some(id.to_string()),
            correlation_id: Some("c".into()),
            ..Entry::of("acme", "u1")
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
        let end = Micros(env.now().0 + 1);
        let (mut seen, mut cursor) = (Vec::new(), None);
        for _ in 0..20 {
            let page = list(&db.table, &Wanted::between(Micros(NOW * 1_000_000), end), 7, cursor.as_deref()).await.unwrap();
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
        let recent = list(&db.table, &Wanted::between(since, end), 100, None).await.unwrap();
        assert_eq!(recent.entries.len(), seen.iter().filter(|entry| entry.at >= since.rfc3339()).count());
        assert_eq!(recent.next_cursor, None);
        for cursor in ["", "x", "MQ", "MgAAAAAAAAAAAAAAAAAAAAA", "Mf____________________8"] {
            assert_eq!(list(&db.table, &Wanted::between(since, end), 5, Some(cursor)).await, Err(AuditError::Cursor), "{cursor}");
        }
    }
}
