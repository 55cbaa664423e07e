//! `reindex`: bringing an index into the state `ready` while the service runs, resumably.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entry::{Entry, State, attribute};
use super::{Indexes, fingerprint};
use crate::core::backoff::Backoff;
use crate::model::value::Record;
use crate::model::{Entity, Index};
use crate::store::table::{Attr, Expr, Item, Key, TableError, TableName, Transaction, Write};
use crate::store::verify::Verifier;
use crate::store::{fence, items, keys, tags};

/// Time after which every write is of a writer that knows that a run has begun: what an instance remembers is [`super::REFRESH`] old at
/// most, and what it has sent may be executed for [`fence::LATE`].
pub const SETTLE: Duration = Duration::from_secs(fence::LATE.as_secs() + super::REFRESH.as_secs());

/// Records of one transaction: three actions each at most.
const CHUNK: usize = 25;

/// Where an interrupted run stands.
const CURSOR_PK: &str = "pk";
const CURSOR_SK: &str = "sk";

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items looked at.
    pub items: u64,
    /// Records of the entity among them.
    pub records: u64,
    /// Rows that were added or made right.
    pub written: u64,
    /// Rows that were removed because no record puts them there.
    pub removed: u64,
    /// Whether it went on where an earlier run was interrupted.
    pub resumed: bool,
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ReindexError {
    /// There is no such entity, or no such index of it.
    Unknown(String),
    /// The index stores nothing.
    NotStored,
    /// An instance with another version of the model is writing, or another run has taken over.
    Overtaken,
    /// The table.
    Table(TableError),
}

impl std::fmt::Display for ReindexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(what) => write!(f, "there is no {what} in the model"),
            Self::NotStored => f.write_str("this index joins two others and stores nothing: there is nothing to do"),
            Self::Overtaken => f.write_str(
                "the index changed its state meanwhile: an older version of the model is still writing, or another run is at \
                 work; try again when only this version is deployed",
            ),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReindexError {}

impl From<TableError> for ReindexError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

impl Indexes {
    /// Makes an index complete and ready. Interrupted, it goes on where it was. `settle` is [`SETTLE`] wherever other processes
    /// may be writing; 0 where none can.
    ///
    /// # Errors
    /// A [`ReindexError`]; the index stays unread and a further run goes on.
    pub async fn reindex(
        &self,
        entity: &str,
        index: &str,
        settle: Duration,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Result<Progress, ReindexError> {
        let entity = self.model.by_name(entity).ok_or_else(|| ReindexError::Unknown(format!("entity `{entity}`")))?;
        let index = entity.by_index(index).ok_or_else(|| ReindexError::Unknown(format!("index `{index}`")))?;
        if !index.is_stored() {
            return Err(ReindexError::NotStored);
        }
        self.check_protocol().await?;
        let (run, mut after) = self.begin(entity, index, settle).await?;
        let mut done = Progress { resumed: after.is_some(), ..Progress::default() };
        loop {
            let (page, next) = self.table.scan(TableName::Data, after, (0, 1)).await?;
            done.items += page.len() as u64;
            self.records(entity, index, &page, &mut done).await?;
            self.orphans(entity, index, page, &mut done).await?;
            progress(&done);
            let Some(next) = next else { break };
            self.keep_place(entity, index, &run, &next).await?;
            after = Some(next);
        }
        let ready = Entry { state: State::Ready, run: String::new(), ..run.clone() };
        if !self.replace(entity, &index.name, Some(&run), ready.attr()).await? {
            return Err(ReindexError::Overtaken);
        }
        self.memory().read = None;
        Ok(done)
    }

    /// Takes the index into this run: the entry, and where an earlier run was.
    pub(super) async fn begin(
        &self,
        entity: &Entity,
        index: &Index,
        settle: Duration,
    ) -> Result<(Entry, Option<Key>), ReindexError> {
        let own = fingerprint(&self.model, entity, index);
        let run = uuid::Builder::from_random_bytes(self.env.bytes::<16>()).into_uuid().simple().to_string();
        let item = self.table.get(&[(TableName::Data, keys::index_states(entity))], true).await?.into_iter().next().flatten();
        let before = item.as_ref().and_then(|item| Entry::of(item, &index.name));
        if let (Some(entry), Some(item)) = (&before, &item)
            && entry.state == State::Backfilling
            && entry.fingerprint == own
        {
            let place = place(item, &index.name);
            let entry_now = Entry { run, ..entry.clone() };
            let attr = with_place(&entry_now, place.as_ref());
            if !self.replace(entity, &index.name, Some(entry), attr).await? {
                return Err(ReindexError::Overtaken);
            }
            return Ok((entry_now, place));
        }
        let writing = Entry { fingerprint: own, state: State::Writing, run };
        if !self.replace(entity, &index.name, before.as_ref(), writing.attr()).await? {
            return Err(ReindexError::Overtaken);
        }
        tokio::time::sleep(settle).await;
        let backfilling = Entry { state: State::Backfilling, ..writing.clone() };
        if !self.replace(entity, &index.name, Some(&writing), backfilling.attr()).await? {
            return Err(ReindexError::Overtaken);
        }
        Ok((backfilling, None))
    }

    pub(super) async fn keep_place(&self, entity: &Entity, index: &Index, run: &Entry, next: &Key) -> Result<(), ReindexError> {
        let attr = with_place(run, Some(next));
        if self.replace(entity, &index.name, Some(run), attr).await? { Ok(()) } else { Err(ReindexError::Overtaken) }
    }

    async fn records(&self, entity: &Entity, index: &Index, page: &[Item], done: &mut Progress) -> Result<(), ReindexError> {
        let prefix = format!("r#{}#", entity.name);
        let records: Vec<Record> =
            page.iter().filter(|item| item.key.pk.starts_with(&prefix)).filter_map(items::decode).collect();
        done.records += records.len() as u64;
        let rows: Vec<Item> = records.iter().map(|record| items::row(&self.model, entity, index, record)).collect();
        let asked: Vec<_> = rows.iter().map(|row| (TableName::Data, row.key.clone())).collect();
        let found = self.table.get(&asked, true).await?;
        let wrong: Vec<(&Record, &Item)> = records
            .iter()
            .zip(&rows)
            .zip(&found)
            .filter(|((_, row), found)| found.as_ref().is_none_or(|found| found.attrs != row.attrs))
            .map(|(pair, _)| pair)
            .collect();
        for chunk in wrong.chunks(CHUNK) {
            if self.put(entity, index, chunk).await? {
                done.written += chunk.len() as u64;
                continue;
            }
            // Somebody changed one of them: whoever it was has kept the index, so each is looked at alone, once more.
            for (record, _) in chunk {
                done.written += u64::from(self.again(entity, index, &record.id).await?);
            }
        }
        Ok(())
    }

    /// Rows of records that are as they were read. `false`: at least one is not, and nothing was done.
    async fn put(&self, entity: &Entity, index: &Index, rows: &[(&Record, &Item)]) -> Result<bool, TableError> {
        let mut writes = Vec::new();
        let mut void: Vec<Key> = Vec::new();
        for (record, row) in rows {
            let condition = Expr::new("#v = :v").name("#v", keys::VERSION).value(":v", Attr::S(record.version.clone()));
            writes.push(Write::Check { key: keys::record(entity, &record.id), condition });
            writes.push(Write::Put { item: (*row).clone(), condition: None });
            let tag = keys::partition_tag(&row.key.pk, keys::shard(&record.id, entity.shards));
            if tags::has_tags(index) && !void.contains(&tag) {
                void.push(tag);
            }
        }
        // What was cached by an earlier life of the index is void, before anything is done, so that no death comes in between.
        // Nobody reads the index now, so the tags need no elements.
        for tag in void {
            tags::touch(self.table.as_ref(), &self.env, tag).await?;
        }
        let token = uuid::Builder::from_random_bytes(self.env.bytes::<16>()).into_uuid().simple().to_string();
        let writes = writes.into_iter().map(|write| (TableName::Data, write)).collect();
        match self.table.transact(Transaction { token, writes }).await {
            Ok(()) => Ok(true),
            Err(TableError::Cancelled(_) | TableError::Busy(_) | TableError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn again(&self, entity: &Entity, index: &Index, id: &str) -> Result<bool, TableError> {
        const ATTEMPTS: u32 = 30;
        let mut backoff = Backoff::new(&self.env, Duration::from_millis(2), Duration::from_millis(256));
        for _ in 0..ATTEMPTS {
            let found = self.table.get(&[(TableName::Data, keys::record(entity, id))], true).await?;
            let Some(record) = found[0].as_ref().and_then(items::decode) else { return Ok(false) };
            let row = items::row(&self.model, entity, index, &record);
            if self.put(entity, index, &[(&record, &row)]).await? {
                return Ok(true);
            }
            backoff.pause().await;
        }
        Err(TableError::Busy(format!("{}/{id} changes all the time", entity.name)))
    }

    /// Rows that a record puts elsewhere, or none: left by deletes of a version that did not know the index.
    async fn orphans(&self, entity: &Entity, index: &Index, page: Vec<Item>, done: &mut Progress) -> Result<(), TableError> {
        let name = format!("i#{}#{}", entity.name, index.name);
        let is_own = |pk: &str| pk.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
        let rows: Vec<Item> = page.into_iter().filter(|item| is_own(&item.key.pk)).collect();
        let verifier =
            Verifier::new(std::sync::Arc::clone(&self.table), std::sync::Arc::clone(&self.model), self.env.clone(), true);
        done.removed += verifier.remove_orphans(rows).await?;
        Ok(())
    }
}

fn with_place(entry: &Entry, place: Option<&Key>) -> Attr {
    let mut attr = entry.attr();
    if let (Attr::M(map), Some(place)) = (&mut attr, place) {
        map.insert(CURSOR_PK.to_owned(), Attr::S(place.pk.clone()));
        map.insert(CURSOR_SK.to_owned(), Attr::B(place.sk.clone()));
    }
    attr
}

fn place(item: &Item, index: &str) -> Option<Key> {
    let Attr::M(map): &Attr = item.attrs.get(&attribute(index))? else { return None };
    let map: &BTreeMap<String, Attr> = map;
    Some(Key::new(map.get(CURSOR_PK)?.as_s()?, map.get(CURSOR_SK)?.as_b()?))
}
