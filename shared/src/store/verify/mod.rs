//! `verify`: whether the items of the data table agree with each other, and `--repair`: making them agree.
//!
//! The table is scanned page by page while the service runs. A scan is no snapshot, so what looks wrong is a suspect only; it
//! is read again, with everything that it must agree with, in one `TransactGetItems`, and reported if it is wrong there too.
//! References are counted in memory that does not grow with the table: where the counters would not fit, they are divided by
//! hash and the table is scanned once for each part.
//!
//! After a restore from a backup this must run with `repair`: restores can tear recent transactions, and tags must differ from
//! all that any cache still holds.

mod counts;
mod find;
mod repair;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::table::{Item, Key, SharedTable, TableError, TableName};
use super::write::{WriteError, Writer};
use super::{items, keys, tags};
use crate::core::clock::{Env, Micros};
use crate::model::{Entity, Model};

use counts::Counts;

/// Problems that a report lists; all are counted.
const LISTED: usize = 1000;

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What.
    pub kind: Kind,
    /// The item that is wrong or missing.
    pub key: Key,
    /// The record that it concerns, as `entity/id`.
    pub record: String,
    /// More about it: expected and found.
    pub detail: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

/// Kinds of disagreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An item that should be a record, a row or a guard cannot be read.
    Damaged,
    /// A record lacks a row in an index.
    RowMissing,
    /// A row does not carry what its record says.
    RowWrong,
    /// A row without a record, or with another place than the record's.
    RowOrphan,
    /// A unique value has no row.
    UniqueMissing,
    /// Two records have one unique value: only a person can decide.
    UniqueTwice,
    /// A unique row without a record that has the value.
    UniqueOrphan,
    /// A record that others may refer to lacks a guard.
    GuardMissing,
    /// A guard counts other than the references that there are.
    GuardCount,
    /// A guard without a record or tombstone.
    GuardOrphan,
    /// A reference to a record that does not exist: only a person can decide.
    Dangling,
    /// A tag whose writer died: whoever reads under it settles it, so only a strict comparison takes it for a problem.
    TagUnsettled,
    /// A cascade whose writer died.
    CascadeAbandoned,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Items read by scans.
    pub items: u64,
    /// Records among them (of the first scan).
    pub records: u64,
    /// Scans that were needed.
    pub scans: u32,
    /// Problems found.
    pub problems: u64,
    /// Problems repaired.
    pub repaired: u64,
    /// The first thousand of them.
    pub listed: Vec<Problem>,
    /// Rows of entities or indexes that this model does not know: another version's, left alone.
    pub foreign: u64,
    /// Tags with elements of writers that died, as any crash leaves them: the next reader settles them.
    pub unsettled: u64,
    /// Tags of that kind that were settled.
    pub settled: u64,
}

impl Report {
    fn add(&mut self, problem: Problem) {
        self.problems += 1;
        self.repaired += u64::from(problem.repaired);
        if self.listed.len() < LISTED {
            self.listed.push(problem);
        }
    }
}

/// Compares, and repairs where asked to.
pub struct Verifier {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    repair: bool,
    strict: bool,
    most_counters: usize,
}

impl Verifier {
    /// Compares only, unless `repair`.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env, repair: bool) -> Self {
        Self { table, model, env, repair, strict: false, most_counters: 400_000 }
    }

    /// Also what crashed writers leave is a problem: for whoever knows that none has crashed.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// With another limit of counters held in memory (about 150 bytes each).
    #[must_use]
    pub fn with_counters(mut self, most: usize) -> Self {
        self.most_counters = most.max(1);
        self
    }

    /// Reads everything; `progress` is called after each page. `deadline` bounds only the completion of abandoned cascades.
    ///
    /// # Errors
    /// What the table says.
    pub async fn run(&self, deadline: Micros, mut progress: impl FnMut(&Report) + Send) -> Result<Report, TableError> {
        let mut report = Report::default();
        if self.repair {
            self.sweep(deadline).await?;
        }
        let mut counts = Counts::new(self.most_counters);
        loop {
            let first = report.scans == 0;
            report.scans += 1;
            let mut after = None;
            loop {
                let (page, next) = self.table.scan(TableName::Data, after, (0, 1)).await?;
                report.items += page.len() as u64;
                for item in &page {
                    self.count(&mut counts, item);
                }
                if first {
                    self.page(page, &mut report).await?;
                }
                progress(&report);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            for (key, wrong) in counts.wrong() {
                self.recount(&key, wrong, &mut report).await?;
            }
            progress(&report);
            if !counts.next_part() {
                return Ok(report);
            }
        }
    }

    /// Removes those of these index rows that no record puts there; how many. For `reindex`.
    pub(crate) async fn remove_orphans(&self, rows: Vec<Item>) -> Result<u64, TableError> {
        let mut report = Report::default();
        self.rows(rows, &mut report).await?;
        Ok(report.repaired)
    }

    async fn sweep(&self, deadline: Micros) -> Result<(), TableError> {
        let writer = Writer::new(Arc::clone(&self.table), Arc::clone(&self.model), self.env.clone());
        match writer.sweep(deadline).await {
            Ok(_) => Ok(()),
            Err(WriteError::Store(error)) => Err(error),
            Err(error) => Err(TableError::Busy(error.to_string())),
        }
    }

    /// The entity that a key belongs to and the rest of the key's text.
    fn entity_of<'a>(&self, key: &'a Key) -> Option<(&Entity, &'a str)> {
        let (_, rest) = key.pk.split_once('#')?;
        let (name, rest) = rest.split_once('#')?;
        Some((self.model.by_name(name)?, rest))
    }

    async fn page(&self, page: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        let (mut records, mut rows, mut owned, mut guards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for item in page {
            match item.key.pk.split_once('#').map(|(kind, _)| kind) {
                Some("r") => records.push(item),
                Some("i") => rows.push(item),
                Some("u") => owned.push(item),
                Some("g") => guards.push(item),
                Some("t") => self.tag(item, report).await?,
                _ if item.key.pk == keys::TOMBSTONES => self.tombstone(&item, report),
                _ => {}
            }
        }
        self.records(records, report).await?;
        self.rows(rows, report).await?;
        self.owned(owned, report).await?;
        self.guards(guards, report).await
    }

    async fn tag(&self, tag: Item, report: &mut Report) -> Result<(), TableError> {
        let overdue = tags::overdue(&self.env, &tag);
        if overdue > 0 {
            let repaired = self.repair && tags::settle(self.table.as_ref(), &self.env, &tag).await? == overdue;
            if self.strict {
                report.add(Problem {
                    kind: Kind::TagUnsettled,
                    record: String::new(),
                    detail: format!("{overdue} elements are overdue"),
                    key: tag.key.clone(),
                    repaired,
                });
            } else if repaired {
                report.settled += 1;
            } else {
                report.unsettled += 1;
            }
        }
        if self.repair {
            tags::touch(self.table.as_ref(), &self.env, tag.key).await?;
        }
        Ok(())
    }

    fn tombstone(&self, tombstone: &Item, report: &mut Report) {
        let record = String::from_utf8_lossy(&tombstone.key.sk).replacen('#', "/", 1);
        // A young one belongs to a writer at work.
        if Writer::is_abandoned(&self.env, tombstone) {
            report.add(Problem {
                kind: Kind::CascadeAbandoned,
                key: tombstone.key.clone(),
                record,
                detail: "its children have not all followed; `sweep` goes on".to_owned(),
                repaired: false,
            });
        }
    }

    async fn one(&self, key: Key) -> Result<Option<Item>, TableError> {
        Ok(self.table.get(&[(TableName::Data, key)], true).await?.into_iter().next().flatten())
    }

    /// Items at one moment. A commit in progress is waited for.
    async fn at_once(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, TableError> {
        const ATTEMPTS: u32 = 40;
        let keys: Vec<_> = keys.into_iter().map(|key| (TableName::Data, key)).collect();
        let mut attempt = 0;
        loop {
            match self.table.get_transaction(&keys).await {
                Err(TableError::Busy(_) | TableError::Unknown(_)) if attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
            let pause = 1 + u64::from(self.env.random.below(2 << attempt.min(8)));
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
    }
}

fn decoded(item: Option<&Item>) -> Option<crate::model::value::Record> {
    item.and_then(items::decode)
}
