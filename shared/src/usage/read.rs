//! Reading: rollups and what is not merged into them yet, as one consistent whole.

use std::collections::BTreeMap;

use futures::future;

use super::counts::UsageCounts;
use super::level::Level;
use super::pack;
use super::state::{SEQUENCE, STATE_VERSION};
use super::total::add_to_total;
use crate::core::clock::Env;
use crate::store::keys::{self, USAGE_SHARDS};
use crate::store::repeat::repeated;
use crate::store::table::{Item, Key, RangeQuery, Table, TableError, TableName};

/// Keys of one `TransactGetItems`.
const TOGETHER: usize = 99;
/// Attempts at a moment without a merge.
const ATTEMPTS: u32 = 4;

/// A flush that is not merged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flush {
    pub(super) key: Key,
    pub(super) instance: [u8; 16],
    pub(super) minute: i64,
    pub(super) sequence: i64,
    pub(super) sheet: UsageCounts,
}

impl Flush {
    fn read(item: &Item, now: i64) -> Option<Self> {
        let sk = &item.key.sk;
        let number = |range: std::ops::Range<usize>| Some(i64::from_be_bytes(sk.get(range)?.try_into().ok()?));
        Some(Self {
            key: item.key.clone(),
            minute: number(0..8)?,
            instance: sk.get(8..24)?.try_into().ok()?,
            sequence: number(24..32)?,
            sheet: pack::sheet(item, now)?,
        })
    }
}

/// Flushes, in the order of each instance; at most `most` per shard.
pub(super) async fn flushes(table: &dyn Table, env: &Env, most: Option<usize>) -> Result<Vec<Flush>, TableError> {
    let now = env.now().seconds();
    let shards = (0..USAGE_SHARDS).map(|shard| all(table, keys::usage_flushes(shard), None, None, most));
    let found = future::try_join_all(shards).await?;
    Ok(found.iter().flatten().filter_map(|item| Flush::read(item, now)).collect())
}

/// The items of a partition between two sort keys, inclusive.
async fn all(
    table: &dyn Table,
    pk: String,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    most: Option<usize>,
) -> Result<Vec<Item>, TableError> {
    let mut query = RangeQuery { from, to, limit: most, ..RangeQuery::partition(TableName::Volatile, pk) };
    let mut items = Vec::new();
    loop {
        let page = table.query(query.clone()).await?;
        items.extend(page.items);
        query.after = page.next;
        if query.after.is_none() || most.is_some_and(|most| items.len() >= most) {
            return Ok(items);
        }
    }
}

/// The sheets of all (`None`) or of one consumer by their start, `from` and before `to`, seconds since 1970.
///
/// # Errors
/// The store's.
pub async fn series(
    table: &dyn Table,
    env: &Env,
    level: Level,
    consumer: Option<&str>,
    (from, to): (i64, i64),
) -> Result<BTreeMap<i64, UsageCounts>, TableError> {
    let now = env.now().seconds();
    let first = level.start(from);
    let place = |start| keys::usage_rollup(level.letter(), consumer, start);
    let read = || all(table, place(first).pk, Some(place(first).sk), Some(place(to - 1).sk), None);
    let (items, waiting) = together(table, env, read).await?;
    let mut sheets = BTreeMap::new();
    for item in items {
        let start = item.key.sk.as_slice().try_into().map(i64::from_be_bytes).ok();
        if let Some((start, sheet)) = start.zip(pack::sheet(&item, now)) {
            sheets.insert(start, sheet);
        }
    }
    for flush in waiting.iter().filter(|flush| (first..to).contains(&level.start(flush.minute * 60))) {
        let sheet = match consumer {
            None => flush.sheet.clone(),
            Some(consumer) => flush.sheet.of(consumer),
        };
        if !sheet.is_empty() {
            sheets.entry(level.start(flush.minute * 60)).or_insert_with(UsageCounts::default).merge(&sheet);
        }
    }
    Ok(sheets)
}

/// The counts since ever: by route and class (consumer empty), and by consumer (route empty). They never fall.
///
/// # Errors
/// The store's.
pub async fn totals(table: &dyn Table, env: &Env) -> Result<UsageCounts, TableError> {
    let read = || async { table.get(&[(TableName::Volatile, keys::usage_total())], true).await };
    let (items, waiting) = together(table, env, read).await?;
    let mut total = items.into_iter().flatten().next().and_then(|item| pack::sheet(&item, 0)).unwrap_or_default();
    waiting.iter().for_each(|flush| add_to_total(&mut total, &flush.sheet));
    Ok(total)
}

/// What `read` finds, and the flushes that are not in it: nothing is missing and nothing is there twice.
///
/// The flushes are read first. A transactional read of the state and of the markers then fails while a merge is under way, and
/// afterwards tells which of the flushes are merged; if the state is still the same at the end, no merge began in between.
async fn together<T, F>(table: &dyn Table, env: &Env, read: impl Fn() -> F) -> Result<(T, Vec<Flush>), TableError>
where
    F: Future<Output = Result<T, TableError>>,
{
    let mut attempts = 0;
    loop {
        attempts += 1;
        let found = flushes(table, env, None).await?;
        let (before, waiting) = not_merged(table, env, found).await?;
        let value = read().await?;
        let (after, _) = not_merged(table, env, Vec::new()).await?;
        if before == after {
            return Ok((value, waiting));
        }
        if attempts == ATTEMPTS {
            return Err(TableError::Busy("usage is being merged all the time".to_owned()));
        }
    }
}

/// The version of the state, and those flushes that are not merged at it.
async fn not_merged(table: &dyn Table, env: &Env, mut found: Vec<Flush>) -> Result<(Option<String>, Vec<Flush>), TableError> {
    let mut instances: Vec<[u8; 16]> = found.iter().map(|flush| flush.instance).collect();
    instances.sort_unstable();
    instances.dedup();
    let mut markers: BTreeMap<[u8; 16], i64> = BTreeMap::new();
    let mut version = None;
    let mut chunks: Vec<&[[u8; 16]]> = instances.chunks(TOGETHER).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for chunk in chunks {
        let places: Vec<_> = [keys::usage_state()]
            .into_iter()
            .chain(chunk.iter().map(|instance| keys::usage_marker(instance)))
            .map(|key| (TableName::Volatile, key))
            .collect();
        let items = repeated(env, || table.get_transaction(&places)).await?;
        version = items.first().and_then(|item| item.as_ref()?.s(STATE_VERSION).map(str::to_owned));
        for (instance, item) in chunk.iter().zip(items.iter().skip(1)) {
            markers.insert(*instance, item.as_ref().and_then(|item| item.n(SEQUENCE)).unwrap_or(0));
        }
    }
    found.retain(|flush| markers.get(&flush.instance).is_none_or(|merged| flush.sequence > *merged));
    Ok((version, found))
}
