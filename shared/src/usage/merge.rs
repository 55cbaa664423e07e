//! Merging: flushes become rollups, once.
//!
//! One transaction adds some flushes to the rollups of their minute, hour and day (of all and of each consumer) and to the counts
//! since ever, deletes them, notes the last sequence of each instance, and changes the state item, which must be as it was when
//! the rollups were read. So reporters that overlap cannot both add, a half-done merge does not exist, and a flush that comes again
//! after it was merged is known by its sequence.

use std::collections::{BTreeMap, BTreeSet};

use super::counts::UsageCounts;
use super::level::Level;
use super::pack;
use super::read::{self, Flush};
use super::state::{SEQUENCE, STATE_VERSION, UNPUBLISHED};
use super::total::add_to_total;
use crate::core::clock::Env;
use crate::model::value::new_version;
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, Table, TableError, TableName, Transaction, Write};

/// How long the marker of an instance is kept: longer than any of its flushes, seconds.
const MARKER_KEPT: i64 = 2 * super::flush::KEPT;
/// Actions of a transaction.
const ACTIONS: usize = 100;
/// Flushes of one transaction.
const FLUSHES: usize = 40;
/// Most cells of a sheet of all.
pub const CELLS: usize = 1_000;
/// Attempts at one transaction.
const ATTEMPTS: u32 = 4;

/// What a run merged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// Flushes.
    pub flushes: usize,
    /// What was added, by minute since 1970.
    pub added: BTreeMap<i64, UsageCounts>,
    /// Transactions: how many publications of it are owed.
    pub transactions: i64,
}

/// A rollup: level, consumer (`None`: all), start.
type RollupKey = (Level, Option<String>, i64);

/// Merges flushes until there are none, `until` is over (seconds since 1970), or another reporter is at it.
///
/// # Errors
/// The store's, if nothing was merged; what was merged before a failure is returned.
pub async fn merge(table: &dyn Table, env: &Env, until: i64) -> Result<Merged, TableError> {
    let mut merged = Merged::default();
    let mut attempts = 0;
    while env.now().seconds() <= until && attempts < ATTEMPTS {
        match once(table, env, &mut merged).await {
            Ok(true) => attempts = 0,
            Ok(false) => break,
            // Another reporter was faster, or a busy store: what is there now is read again.
            Err(TableError::Cancelled(_) | TableError::Busy(_)) => attempts += 1,
            Err(error) if merged.transactions == 0 => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "some usage is merged later");
                break;
            }
        }
    }
    Ok(merged)
}

/// One transaction. Whether there may be more to do.
async fn once(table: &dyn Table, env: &Env, merged: &mut Merged) -> Result<bool, TableError> {
    let flushes = read::flushes(table, env, Some(FLUSHES)).await?;
    if flushes.is_empty() {
        return Ok(false);
    }
    let instances: BTreeSet<[u8; 16]> = flushes.iter().map(|flush| flush.instance).collect();
    let places: Vec<_> = [keys::usage_state()]
        .into_iter()
        .chain(instances.iter().map(|instance| keys::usage_marker(instance)))
        .map(volatile)
        .collect();
    let found = table.get(&places, true).await?;
    let state = found.first().cloned().flatten();
    let markers: BTreeMap<[u8; 16], i64> = instances
        .iter()
        .zip(&found[1..])
        .map(|(instance, item)| (*instance, item.as_ref().and_then(|item| item.n(SEQUENCE)).unwrap_or(0)))
        .collect();
    let (again, fresh): (Vec<Flush>, Vec<Flush>) =
        flushes.into_iter().partition(|flush| flush.sequence <= markers.get(&flush.instance).copied().unwrap_or(0));
    let mut writes: Vec<Write> =
        again.into_iter().take(FLUSHES).map(|flush| Write::Delete { key: flush.key, condition: None }).collect();
    let (chosen, places) = choose(fresh, ACTIONS - 2 - writes.len());
    writes.extend(rollups(table, env, &chosen, places).await?);
    writes.push(total(table, &chosen).await?);
    writes.extend(bookkeeping(env, &chosen, &markers, state.as_ref()));
    let writes = writes.into_iter().map(|write| (TableName::Volatile, write)).collect();
    table.transact(Transaction { token: env.uuid_v7().to_string(), writes }).await?;
    merged.flushes += chosen.len();
    merged.transactions += 1;
    for flush in &chosen {
        merged.added.entry(flush.minute).or_default().merge(&flush.sheet);
    }
    Ok(true)
}

fn volatile(key: Key) -> (TableName, Key) {
    (TableName::Volatile, key)
}

/// As many flushes, in their order, as one transaction can merge, and the rollups that they belong to.
fn choose(flushes: Vec<Flush>, actions: usize) -> (Vec<Flush>, BTreeSet<RollupKey>) {
    let (mut chosen, mut places, mut instances) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for flush in flushes.into_iter().take(FLUSHES) {
        let mut more = places.clone();
        for level in Level::ALL {
            let start = level.start(flush.minute * 60);
            more.insert((level, None, start));
            more.extend(flush.sheet.consumers().into_iter().map(|consumer| (level, Some(consumer.to_owned()), start)));
        }
        instances.insert(flush.instance);
        if more.len() + chosen.len() + 1 + instances.len() > actions {
            break;
        }
        places = more;
        chosen.push(flush);
    }
    (chosen, places)
}

/// The rollups with the flushes added.
async fn rollups(table: &dyn Table, env: &Env, chosen: &[Flush], places: BTreeSet<RollupKey>) -> Result<Vec<Write>, TableError> {
    let places: Vec<RollupKey> = places.into_iter().collect();
    let keys: Vec<Key> =
        places.iter().map(|(level, consumer, start)| keys::usage_rollup(level.letter(), consumer.as_deref(), *start)).collect();
    let found = table.get(&keys.iter().cloned().map(volatile).collect::<Vec<_>>(), true).await?;
    let now = env.now().seconds();
    let mut writes = Vec::new();
    for (((level, consumer, start), key), item) in places.into_iter().zip(keys).zip(found) {
        let mut sheet = item.as_ref().and_then(|item| pack::sheet(item, now)).unwrap_or_default();
        for flush in chosen.iter().filter(|flush| level.start(flush.minute * 60) == start) {
            match &consumer {
                None => sheet.merge(&flush.sheet),
                Some(consumer) => sheet.merge(&flush.sheet.of(consumer)),
            }
        }
        sheet.fold(CELLS);
        let item = pack::item(key, &sheet, Some(start + level.seconds() + level.kept()));
        writes.push(Write::Put { item, condition: None });
    }
    Ok(writes)
}

/// The counts since ever: by route and class, and by consumer.
async fn total(table: &dyn Table, chosen: &[Flush]) -> Result<Write, TableError> {
    let key = keys::usage_total();
    let found = table.get(&[volatile(key.clone())], true).await?.into_iter().next().flatten();
    let mut sheet = found.as_ref().and_then(|item| pack::sheet(item, 0)).unwrap_or_default();
    chosen.iter().for_each(|flush| add_to_total(&mut sheet, &flush.sheet));
    Ok(Write::Put { item: pack::item(key, &sheet, None), condition: None })
}

/// Deletes the flushes, notes the sequences, and moves the state on.
fn bookkeeping(env: &Env, chosen: &[Flush], markers: &BTreeMap<[u8; 16], i64>, state: Option<&Item>) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut last: BTreeMap<[u8; 16], i64> = BTreeMap::new();
    for flush in chosen {
        writes.push(Write::Delete { key: flush.key.clone(), condition: None });
        let sequence = last.entry(flush.instance).or_insert(flush.sequence);
        *sequence = flush.sequence.max(*sequence);
    }
    let until = env.now().seconds() + MARKER_KEPT;
    for (instance, sequence) in last {
        let item = Item::new(keys::usage_marker(&instance)).with(SEQUENCE, Attr::N(sequence)).with("ttl", Attr::N(until));
        let seen = markers.get(&instance).copied().unwrap_or(0);
        let condition = match seen {
            0 => Expr::new("attribute_not_exists(#n)").name("#n", SEQUENCE),
            _ => Expr::new("#n = :n").name("#n", SEQUENCE).value(":n", Attr::N(seen)),
        };
        writes.push(Write::Put { item, condition: Some(condition) });
    }
    let unchanged = match state.and_then(|item| item.s(STATE_VERSION)) {
        None => Expr::new("attribute_not_exists(#v)"),
        Some(version) => Expr::new("#v = :seen").value(":seen", Attr::S(version.to_owned())),
    };
    let update = Expr::new("SET #v = :v ADD #u :one")
        .name("#v", STATE_VERSION)
        .name("#u", UNPUBLISHED)
        .value(":v", Attr::S(new_version(env)))
        .value(":one", Attr::N(1));
    writes.push(Write::Update { key: keys::usage_state(), update, condition: Some(unchanged.name("#v", STATE_VERSION)) });
    writes
}
