//! `verify`: whether the items of the data table agree with each other, and `--repair`: making them agree.
//!
//! The table is scanned page by page while the service runs. A scan is no snapshot, so what looks wrong is a suspect only; it
//! is read again, with everything that it must agree with, in one `TransactGetItems`, and reported if it is wrong there too.
//! Nothing is counted, so memory does not grow with the table.
//!
//! After a restore from a backup this must run with `repair`: restores can tear recent transactions, and tags must differ from
//! all that any cache still holds.

mod find;
mod gates;
mod repair;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::table::{Item, Key, SharedTable, TableError, TableName};
use super::write::{WriteError, Writer};
use super::{items, keys, settle, tags};
use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::model::{Entity, Model};

pub use report::{Kind, Problem, Report};

/// Compares, and repairs where asked to.
pub struct Verifier {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    repair: bool,
    strict: bool,
}

impl Verifier {
    /// Compares only, unless `repair`.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env, repair: bool) -> Self {
        Self { table, model, env, repair, strict: false }
    }

    /// Also what crashed writers leave is a problem: for whoever knows that none has crashed.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Removes those of these rows of indexes, unique fields and references that no record needs; how many. For builds.
    pub(crate) async fn remove_orphans(&self, rows: Vec<Item>) -> Result<u64, TableError> {
        let mut report = Report::default();
        let (of_indexes, others): (Vec<Item>, Vec<Item>) = rows.into_iter().partition(|row| row.key.pk.starts_with("i#"));
        let (of_unique, of_references): (Vec<Item>, Vec<Item>) = others.into_iter().partition(|row| row.key.pk.starts_with("u#"));
        self.rows(of_indexes, &mut report).await?;
        self.owned(of_unique, &mut report).await?;
        self.reference_rows(of_references, &mut report).await?;
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
        let (mut records, mut rows, mut owned, mut gates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut references = Vec::new();
        for item in page {
            match item.key.pk.split_once('#').map(|(kind, _)| kind) {
                Some("r") if items::is_tombstone(&item) => self.tombstone(&item, report).await?,
                Some("r") => records.push(item),
                Some("i") => rows.push(item),
                Some("u") => owned.push(item),
                Some("f") => references.push(item),
                Some("g") => gates.push(item),
                Some("t") => self.tag(item, report).await?,
                _ if item.key.pk == keys::TOMBSTONES => self.entry(&item, report),
                _ => {}
            }
        }
        self.records(records, report).await?;
        self.rows(rows, report).await?;
        self.owned(owned, report).await?;
        self.reference_rows(references, report).await?;
        self.gates(gates, report).await
    }

    async fn tag(&self, tag: Item, report: &mut Report) -> Result<(), TableError> {
        let overdue = settle::overdue(&self.env, &tag);
        if overdue > 0 {
            let repaired = self.repair && settle::elements(self.table.as_ref(), &self.env, &tag).await? == overdue;
            self.unsettled(Kind::TagUnsettled, &tag.key, format!("{overdue} elements are overdue"), repaired, report);
        }
        if self.repair {
            tags::touch(self.table.as_ref(), &self.env, tag.key).await?;
        }
        Ok(())
    }

    /// What a dead writer left: a problem for whoever knows that none has died.
    fn unsettled(&self, kind: Kind, key: &Key, detail: String, repaired: bool, report: &mut Report) {
        if self.strict {
            report.add(Problem { kind, record: String::new(), detail, key: key.clone(), repaired });
        } else if repaired {
            report.settled += 1;
        } else {
            report.unsettled += 1;
        }
    }

    /// What stands in the place of a record whose children follow needs an entry, or nobody takes it up.
    async fn tombstone(&self, tombstone: &Item, report: &mut Report) -> Result<(), TableError> {
        let Some((entity, id)) = self.entity_of(&tombstone.key) else {
            report.foreign += 1;
            return Ok(());
        };
        let found = self.at_once(vec![tombstone.key.clone(), keys::tombstone(entity, id)]).await?;
        if found[0].as_ref() == Some(tombstone) && found[1].is_none() {
            let repaired = self.repair && self.take_up(entity, id, tombstone).await?;
            let (key, record, detail) = (tombstone.key.clone(), report::named(entity, id), "nobody takes it up".to_owned());
            report.add(Problem { kind: Kind::CascadeAbandoned, key, record, detail, repaired });
        }
        Ok(())
    }

    fn entry(&self, tombstone: &Item, report: &mut Report) {
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
        let mut backoff = Backoff::new(&self.env, Duration::from_millis(4), Duration::from_millis(512));
        let mut attempt = 0;
        loop {
            match self.table.get_transaction(&keys).await {
                Err(TableError::Busy(_) | TableError::Unknown(_)) if attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
            backoff.pause().await;
        }
    }
}

fn decoded(item: Option<&Item>) -> Option<crate::model::value::Record> {
    item.and_then(items::decode)
}
