//! `migrate`: everything that a model needs over what is stored, in the right order, while the service runs.
//!
//! ```text
//! values: mark what gets another name -> wait -> one scan: names, forms, values that are missing -> note what lacks nothing any more
//! rows:   mark what is built -> wait -> one scan: rows of indexes, unique fields and references -> ready
//! ```
//! Interrupted, it goes on: records that are right are left alone, and the scan for rows keeps its place.

use std::sync::Arc;
use std::time::Duration;

use super::plan::Units;
use super::rewrite::{Change, Rewrite as _, Rewriter};
use super::values::Values;
use super::{Fills, MigrateError, Plan, Progress, ids, stored_model};
use crate::core::clock::Env;
use crate::model::value::Record;
use crate::model::{Entity, Model};
use crate::store::constraints::{self, BuildError, Constraints, Lack, Lacking, States};
use crate::store::items;
use crate::store::table::{Item, SharedTable, TableError};

/// A model over what is stored.
pub struct Evolution {
    pub(super) table: SharedTable,
    pub(super) model: Arc<Model>,
    pub(super) env: Env,
    pub(super) constraints: Constraints,
    fills: Fills,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evolved {
    /// The rewriting of values.
    pub values: Progress,
    /// The building of rows.
    pub rows: constraints::Progress,
}

impl Evolved {
    /// Whether all that was to be done is done.
    pub fn is_complete(&self) -> bool {
        self.values.stuck == 0 && self.rows.duplicates == 0 && self.rows.overtaken.is_empty()
    }
}

impl Evolution {
    /// Over the records of a table.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env, fills: Fills) -> Self {
        let constraints = Constraints::new(Arc::clone(&table), Arc::clone(&model), env.clone());
        Self { table, model, env, constraints, fills }
    }

    /// What there is to do.
    ///
    /// # Errors
    /// What the table says.
    pub async fn plan(&self) -> Result<Plan, MigrateError> {
        let states = self.states().await?;
        let old = stored_model::read(self.table.as_ref()).await?;
        Ok(Plan::new(old.as_deref(), &self.model, &states))
    }

    /// Looks at everything that is stored and changes nothing: what a run would read and write.
    ///
    /// # Errors
    /// What the table says.
    pub async fn estimate(&self, mut progress: impl FnMut(&Units) + Send) -> Result<(Units, Progress), MigrateError> {
        let states = self.states().await?;
        let values = self.values(states.lacking().to_vec());
        let targets = states.targets(&self.model);
        let rewriter = self.rewriter();
        let (mut units, mut done, mut after) = (Units::default(), Progress::default(), None);
        let scans = u64::from(!values.lacking.is_empty()) + u64::from(!targets.is_empty());
        loop {
            let (page, next) = rewriter.scan(after).await?;
            units.items += page.len() as u64;
            units.read += scans * page.iter().map(items::size).sum::<usize>().div_ceil(8192) as u64;
            for entity in &self.model.entities {
                let records = records(entity, &page);
                let built = targets.iter().filter(|target| target.entity(&self.model).ix == entity.ix).count() as u64;
                units.rows += built * records.len() as u64;
                units.write += records.iter().map(|record| built * 2 * kilobytes(record) + 2 * u64::from(built > 0)).sum::<u64>();
                units.without_value += records.iter().filter(|record| values.is_without(entity, record)).count() as u64;
                let rows = entity.indexes.len() as u64 + 1;
                for (change, stuck) in values.changes(entity, records).await? {
                    units.rewritten += u64::from(change.is_some());
                    units.write += change.map_or(0, |change| 2 * rows * kilobytes(&change.after) + 8);
                    done.add_stuck(stuck);
                }
            }
            progress(&units);
            after = next;
            if after.is_none() {
                return Ok((units, done));
            }
        }
    }

    /// What must come before the model is deployed: unique fields are announced, so that writes of the new version are not refused, and
    /// records that lack a value get it, as far as the version that is deployed leaves it alone. No version is hindered.
    ///
    /// # Errors
    /// A [`MigrateError`]; a further run goes on.
    pub async fn prepare(&self, mut progress: impl FnMut(&Progress) + Send) -> Result<Progress, MigrateError> {
        let states = self.states().await?;
        let is_value = |lacking: &&Lacking| lacking.lack == Lack::Value && !states.is_moving(lacking.entity);
        let lacking: Vec<Lacking> = states.lacking().iter().filter(is_value).cloned().collect();
        let mut done = Progress::default();
        self.rewrite(&self.values(lacking), &mut done, &mut progress).await?;
        self.constraints.prepare(&states.targets(&self.model)).await?;
        Ok(done)
    }

    /// Does all of it. `settle` is [`constraints::SETTLE`] wherever other processes may be writing; 0 where none can.
    ///
    /// # Errors
    /// A [`MigrateError`]; a further run goes on.
    pub async fn run(
        &self,
        settle: Duration,
        mut values: impl FnMut(&Progress) + Send,
        rows: impl FnMut(&constraints::Progress) + Send,
    ) -> Result<Evolved, MigrateError> {
        let mut evolved = Evolved::default();
        let plan = self.plan().await?;
        self.move_entities(settle, &mut evolved.values, &mut values).await?;
        let states = self.states().await?;
        // Before anything waits: writes of the new version are not refused from now on.
        self.constraints.prepare(&states.targets(&self.model)).await?;
        let lacking = states.lacking().to_vec();
        if !lacking.is_empty() {
            self.constraints.begin_values(&lacking).await?;
            let rewriting = self.values(lacking);
            if rewriting.lacking.iter().any(|lacking| matches!(lacking.lack, Lack::Name(_))) {
                tokio::time::sleep(settle).await;
            }
            self.rewrite(&rewriting, &mut evolved.values, &mut values).await?;
            self.constraints.finish_values(&rewriting.mended(&evolved.values)).await?;
        }
        let pending = self.states().await?.targets(&self.model);
        if !pending.is_empty() {
            evolved.rows = self.constraints.build(&pending, settle, rows).await.map_err(failed)?;
        }
        let converted = ids::converted(&self.model, &plan);
        ids::check(&self.rewriter(), &converted, &mut evolved.values, &mut values).await?;
        if evolved.is_complete() {
            stored_model::record(self.table.as_ref(), &self.env, &self.model).await?;
        }
        Ok(evolved)
    }

    /// The states as they are now.
    pub(super) async fn states(&self) -> Result<Arc<States>, TableError> {
        self.constraints.forget();
        self.constraints.states().await
    }

    fn rewriter(&self) -> Rewriter {
        Rewriter::new(&self.table, &self.model, &self.env)
    }

    fn values(&self, lacking: Vec<Lacking>) -> Values {
        Values { model: Arc::clone(&self.model), env: self.env.clone(), lacking, fills: self.fills.clone() }
    }

    async fn rewrite(
        &self,
        values: &Values,
        done: &mut Progress,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<(), MigrateError> {
        let rewriter = self.rewriter();
        let mut after = None;
        while !values.lacking.is_empty() {
            let (page, next) = rewriter.scan(after).await?;
            done.items += page.len() as u64;
            for entity in self.model.entities.iter().filter(|entity| values.concerns(entity)) {
                let records = records(entity, &page);
                done.records += records.len() as u64;
                let mut changes: Vec<Change> = Vec::new();
                for (change, stuck) in values.changes(entity, records).await? {
                    done.pending += u64::from(change.is_some());
                    done.add_stuck(stuck);
                    changes.extend(change);
                }
                rewriter.write_all(entity, &changes, values, done, progress).await?;
            }
            progress(done);
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn records(entity: &Entity, page: &[Item]) -> Vec<Record> {
    let prefix = format!("r#{}#", entity.name);
    page.iter().filter(|item| item.key.pk.starts_with(&prefix)).filter_map(items::decode).collect()
}

fn kilobytes(record: &Record) -> u64 {
    let bytes = serde_json::to_vec(&record.fields).map_or(0, |json| json.len()) + 100;
    bytes.div_ceil(1024) as u64
}

fn failed(error: BuildError) -> MigrateError {
    match error {
        BuildError::Table(error) => error.into(),
        other => MigrateError::Busy(other.to_string()),
    }
}
