//! The trail's way out of the table: gzip NDJSON in an archive that nobody can change (a bucket with object lock).
//!
//! Time is cut into windows of five minutes. Each gives at least one object, an empty one too, so that a missing object is a hole
//! and never a quiet time. The key names the window and the part; an object is put once and never over another.
//! ```text
//! closed windows -> read a part -> put it unless it is there -> move the checkpoint, if it still stands where it was read
//! ```
//! Who dies in between has put an object that the next one finds, reads again and compares: no hole, no second version. Two at
//! once put the same bytes under the same key, and one of them moves the checkpoint.
//!
//! A window is closed [`GRACE`] after its end. An entry is dated when its write is prepared, and AWS refuses a request that was signed
//! more than 15 minutes ago, however long a frozen function held it: after that nothing can be added. The rest is for clocks.

use std::collections::HashSet;
use std::fmt::Display;

use futures::future::BoxFuture;

use super::part::{self, Part};
use super::window::{DAY, start};
use super::{AuditError, SHARDS, day};
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, RangeQuery, Returning, Table, TableError, TableName, Write};

pub use super::window::{ExportPosition, GRACE, PART, WINDOW, key, open_since};

/// Parts that are exported at once; the next run goes on.
const MAX_MINUTES: usize = 60;
/// The first run finds the beginning of a trail that is older than the export: at most so many days back,
const LOOK_BACK: i64 = 90;
/// past so many days without entries.
const QUIET: i64 = 7;

const FIRST: &str = "f";
const IN_WINDOW: &str = "w";
const NEXT_PART: &str = "p";
const AFTER: &str = "a";

/// Reason why the archive refused, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveError(pub String);

/// Where the trail goes: objects that can be put once and read.
pub trait Archive: Send + Sync {
    /// Puts an object unless there is one under this key. Whether it was put.
    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>) -> BoxFuture<'a, Result<bool, ArchiveError>>;

    /// An object's content; `None` where there is none.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, ArchiveError>>;
}

/// Reason why a run of the export ended early; the next one goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportError {
    /// The tables'.
    Trail(AuditError),
    /// The archive's.
    Archive(ArchiveError),
    /// The object under this key lacks something of the trail, or is none of ours: somebody must look at it.
    Contradiction(String),
}

impl Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Trail(error) => write!(f, "the trail cannot be read: {error:?}"),
            Self::Archive(ArchiveError(why)) => write!(f, "the archive: {why}"),
            Self::Contradiction(key) => write!(f, "the archive holds another {key} than the trail says"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<AuditError> for ExportError {
    fn from(error: AuditError) -> Self {
        Self::Trail(error)
    }
}

impl From<TableError> for ExportError {
    fn from(error: TableError) -> Self {
        Self::Trail(error.into())
    }
}

impl From<ArchiveError> for ExportError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// How far the trail is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The first window of all.
    pub first: i64,
    /// What is exported next.
    pub next: ExportPosition,
}

/// What a run exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Objects.
    pub objects: usize,
    /// Entries in them.
    pub entries: usize,
}

impl ExportPosition {
    /// The one behind it.
    pub(super) fn behind(&self, part: &Part) -> Self {
        match part.is_full() {
            true => Self { part: self.part + 1, after: part.last, ..*self },
            false => Self::of(self.window + WINDOW),
        }
    }
}

/// Exports windows that are closed, until there are none, `until` is over, or another reporter is at it.
///
/// # Errors
/// [`ExportError`]; what was exported before stays so.
pub async fn export(table: &dyn Table, archive: &dyn Archive, env: &Env, until: Micros) -> Result<Exported, ExportError> {
    let mut exported = Exported::default();
    let Checkpoint { mut next, .. } = match checkpoint(table).await? {
        Some(checkpoint) => checkpoint,
        None => begin(table, env).await?,
    };
    while next.window < open_since(env.now()) && exported.objects < MAX_MINUTES && env.now() < until {
        let part = Part::read(table, &next).await?;
        put(archive, &key(&next), &part).await?;
        let behind = next.behind(&part);
        if !advance(table, &next, &behind).await? {
            break;
        }
        exported = Exported { objects: exported.objects + 1, entries: exported.entries + part.lines.len() };
        next = behind;
    }
    Ok(exported)
}

/// Puts an object, or makes sure that the one that is there says the same: all of the trail, or more. More is what a restore of the
/// table has lost; the archive is the better witness then, and `verify` tells of it.
async fn put(archive: &dyn Archive, key: &str, part: &Part) -> Result<(), ExportError> {
    let content = part.packed().map_err(|error| ArchiveError(error.to_string()))?;
    if archive.put(key, content).await? {
        return Ok(());
    }
    let there = archive.get(key).await?.and_then(|object| part::unpacked(&object));
    let contradiction = || ExportError::Contradiction(key.to_owned());
    let there: HashSet<String> = there.ok_or_else(contradiction)?.into_iter().collect();
    if part.lines.iter().all(|line| there.contains(line)) { Ok(()) } else { Err(contradiction()) }
}

/// How far the trail is exported; `None` before the first run.
///
/// # Errors
/// The store's.
pub async fn checkpoint(table: &dyn Table) -> Result<Option<Checkpoint>, AuditError> {
    let found = table.get(&[(TableName::Data, keys::audit_exported())], true).await?.into_iter().next().flatten();
    let Some(item) = found else { return Ok(None) };
    let number = |name| item.n(name).ok_or_else(|| AuditError::Store(format!("the checkpoint of the export has no {name}")));
    let after = item.b(AFTER).and_then(|bytes| bytes.try_into().ok()).map(u128::from_be_bytes);
    let next = ExportPosition { window: number(IN_WINDOW)?, part: number(NEXT_PART)?, after };
    Ok(Some(Checkpoint { first: number(FIRST)?, next }))
}

/// The first checkpoint: before the oldest entry, and at least one window that is closed, so that an archive that cannot be written
/// is known at once.
async fn begin(table: &dyn Table, env: &Env) -> Result<Checkpoint, ExportError> {
    let now = env.now();
    let mut first = open_since(now) - WINDOW;
    let (mut back, mut quiet) = (0, 0);
    while back < LOOK_BACK && quiet <= QUIET {
        match oldest(table, now.seconds() - back * DAY).await? {
            Some(moment) => (first, quiet) = (first.min(start(moment.seconds())), 0),
            None => quiet += 1,
        }
        back += 1;
    }
    let item =
        Item::new(keys::audit_exported()).with(FIRST, Attr::N(first)).with(IN_WINDOW, Attr::N(first)).with(NEXT_PART, Attr::N(0));
    let condition = Some(Expr::new("attribute_not_exists(pk)"));
    match table.write(TableName::Data, Write::Put { item, condition }, Returning::Nothing).await {
        Ok(_) => Ok(Checkpoint { first, next: ExportPosition::of(first) }),
        // Another reporter was faster.
        Err(TableError::ConditionFailed(_)) => {
            checkpoint(table).await?.ok_or_else(|| AuditError::Store("no checkpoint of the export".into()).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Time of the first entry of a day.
async fn oldest(table: &dyn Table, seconds: i64) -> Result<Option<Micros>, AuditError> {
    let day = day(Micros(seconds.saturating_mul(1_000_000)));
    let firsts = (0..SHARDS).map(|shard| {
        table.query(RangeQuery { limit: Some(1), ..RangeQuery::partition(TableName::Data, keys::audit(&day, shard, [0; 16]).pk) })
    });
    let pages = futures::future::try_join_all(firsts).await?;
    let positions = pages.into_iter().flat_map(|page| page.items).filter_map(|item| item.key.sk.try_into().ok());
    Ok(positions.map(|sk| super::moment(u128::from_be_bytes(sk))).min())
}

/// Moves the checkpoint if it stands where it stood. Whether it did: it only ever moves forward, so the same place is the same state.
async fn advance(table: &dyn Table, from: &ExportPosition, to: &ExportPosition) -> Result<bool, TableError> {
    let (set, remove) = if to.after.is_some() { (", #a = :a", "") } else { ("", " REMOVE #a") };
    let mut update = Expr::new(format!("SET #w = :w, #p = :p{set}{remove}"))
        .name("#w", IN_WINDOW)
        .name("#p", NEXT_PART)
        .name("#a", AFTER)
        .value(":w", Attr::N(to.window))
        .value(":p", Attr::N(to.part));
    if let Some(after) = to.after {
        update = update.value(":a", Attr::B(after.to_be_bytes().to_vec()));
    }
    let still = Expr::new("#w = :seen AND #p = :part").value(":seen", Attr::N(from.window)).value(":part", Attr::N(from.part));
    let write = Write::Update { key: keys::audit_exported(), update, condition: Some(still) };
    match table.write(TableName::Data, write, Returning::Nothing).await {
        Ok(_) => Ok(true),
        Err(TableError::ConditionFailed(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
