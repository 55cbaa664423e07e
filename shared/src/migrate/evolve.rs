//! `migrate`: everything that a model needs over what is stored, in the right order, while the service runs.
//!
//! ```text
//! values: mark what is given -> wait -> one scan: names, forms, values that are missing -> note what lacks nothing any more
//! rows:   mark what is built -> wait -> one scan: rows of indexes, unique fields and references -> ready
//! ```
//! Interrupted, it goes on: records that are right are left alone, and scans keep their place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::place::{Place, Resumed};
use super::plan::Units;
use super::rewrite::{Change, Rewrite as _, Rewriter};
use super::values::Values;
use super::{Fills, MigrateError, Plan, Progress, ids, stored_model};
use crate::core::clock::Env;
use crate::model::value::Record;
use crate::model::{Entity, Model};
use crate::store::constraints::{self, BuildError, Constraints, Lack, Lacking, Mark, States};
use crate::store::items;
use crate::store::table::{Item, Key, SharedTable, TableError};

/// Name of the place of an interrupted scan for values.
const VALUES: &str = "values";
/// Name of the place of an interrupted scan for rows too many.
const SURPLUS: &str = "surplus";

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
        let leftovers = self.leftovers().await?;
        Ok(Plan::new(old.as_deref(), &self.model, &states, leftovers))
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
                let own = || targets.iter().filter(|target| target.entity(&self.model).ix == entity.ix);
                let built = own().count() as u64;
                let references = own().filter(|target| target.is_reference()).count() as u64;
                units.rows += built * records.len() as u64;
                units.read += reads(built, references) * records.len() as u64;
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
        self.rewrite(&self.values(lacking), None, None, &mut done, &mut progress).await?;
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
        let one_way = plan.own().filter(|step| step.work.is_one_way()).map(|step| step.work.to_string());
        self.mark_one_way(&one_way.collect::<Vec<_>>()).await?;
        self.move_entities(settle, &mut evolved.values, &mut values).await?;
        let states = self.states().await?;
        // Before anything waits: writes of the new version are not refused from now on.
        self.constraints.prepare(&states.targets(&self.model)).await?;
        let overtaken = self.run_values(states.lacking().to_vec(), settle, &mut evolved.values, &mut values).await?;
        let pending = self.states().await?.targets(&self.model);
        if !pending.is_empty() {
            evolved.rows = self.constraints.build(&pending, settle, rows).await.map_err(failed)?;
        }
        evolved.rows.overtaken.extend(overtaken);
        evolved.rows.removed += self.remove_surplus(settle).await?;
        let converted = ids::converted(&self.model, &plan);
        ids::check(&self.rewriter(), &converted, &mut evolved.values, &mut values).await?;
        if evolved.is_complete() {
            self.constraints.list_names(self.model.entities.iter().map(|entity| entity.name.clone()).collect()).await?;
            stored_model::record(self.table.as_ref(), &self.env, &self.model).await?;
        }
        Ok(evolved)
    }

    /// Gives values what they lack. Names of what lacks it still, because a version that does not give it is writing.
    async fn run_values(
        &self,
        lacking: Vec<Lacking>,
        settle: Duration,
        done: &mut Progress,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Vec<String>, MigrateError> {
        if lacking.is_empty() {
            return Ok(Vec::new());
        }
        let marks = self.constraints.value_marks(&lacking);
        self.constraints.begin_values(&lacking).await?;
        let rewriting = self.values(lacking);
        let place = Place::new(&self.table, &self.env, VALUES, rewriting.plan());
        let Resumed { after, count, names } = self.begin_scan(&marks, &place, settle).await?;
        (done.stuck, done.stuck_in, done.resumed) = (count, names, after.is_some());
        self.constraints.start_run(&marks).await?;
        self.rewrite(&rewriting, after, Some(&place), done, progress).await?;
        let mended = rewriting.mended(done);
        let left = self.constraints.standing(&self.constraints.value_marks(&mended)).await?;
        self.constraints.finish_values(&mended).await?;
        place.remove().await?;
        let stands = |mark: &Mark| left.contains(mark);
        let lost: Vec<Mark> = self.constraints.value_marks(&mended).into_iter().filter(|mark| !stands(mark)).collect();
        // Those that cannot change are looked at again by the next run.
        self.constraints.unmark(&marks).await?;
        Ok(lost.into_iter().map(|mark| format!("values of {}", mark.field())).collect())
    }

    /// Marks what a scan is about, and waits, unless it goes on where an interrupted one was: there.
    pub(super) async fn begin_scan(&self, marks: &[Mark], place: &Place<'_>, settle: Duration) -> Result<Resumed, MigrateError> {
        // Names have no marks of their own: nobody may write meanwhile.
        if !marks.is_empty() && self.constraints.begin_run(marks).await? {
            return Ok(place.read().await?);
        }
        // Wherever an earlier run was, a version that was at work since may have written before that place.
        place.remove().await?;
        tokio::time::sleep(settle).await;
        Ok(Resumed::default())
    }

    /// Removes rows that versions without a field have left; how many.
    async fn remove_surplus(&self, settle: Duration) -> Result<u64, MigrateError> {
        let rules = self.states().await?.surplus().to_vec();
        if rules.is_empty() {
            return Ok(0);
        }
        let marks = self.constraints.surplus_marks(&rules);
        let place = Place::new(&self.table, &self.env, SURPLUS, format!("{marks:?}"));
        let mut after = self.begin_scan(&marks, &place, settle).await?.after;
        self.constraints.start_run(&marks).await?;
        let mut removed = 0;
        loop {
            let (page, next) = self.rewriter().scan(after).await?;
            removed += self.constraints.remove_surplus(&rules, page).await?;
            let Some(next) = next else { break };
            place.keep(&next, 0, &BTreeSet::new()).await?;
            after = Some(next);
        }
        self.constraints.finish_surplus(&marks).await?;
        place.remove().await?;
        Ok(removed)
    }

    /// The states as they are now.
    pub(super) async fn states(&self) -> Result<Arc<States>, TableError> {
        self.constraints.forget();
        self.constraints.states().await
    }

    pub(super) fn rewriter(&self) -> Rewriter {
        Rewriter::new(&self.table, &self.model, &self.env)
    }

    fn values(&self, lacking: Vec<Lacking>) -> Values {
        Values { model: Arc::clone(&self.model), env: self.env.clone(), lacking, fills: self.fills.clone() }
    }

    async fn rewrite(
        &self,
        values: &Values,
        mut after: Option<Key>,
        place: Option<&Place<'_>>,
        done: &mut Progress,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<(), MigrateError> {
        let rewriter = self.rewriter();
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
            let Some(next) = next else { break };
            if let Some(place) = place {
                place.keep(&next, done.stuck, &done.stuck_in).await?;
            }
            after = Some(next);
        }
        Ok(())
    }
}

fn records(entity: &Entity, page: &[Item]) -> Vec<Record> {
    let prefix = format!("r#{}#", entity.name);
    page.iter().filter(|item| item.key.pk.starts_with(&prefix)).filter_map(items::decode).collect()
}

/// Read units of a build for one record: its rows are asked for, and what it refers to; half of what is put comes by in the scan again, and
/// then its record is read, and what it refers to.
fn reads(rows: u64, references: u64) -> u64 {
    rows + references + (rows + references).div_ceil(2)
}

pub(super) fn kilobytes(record: &Record) -> u64 {
    let bytes = serde_json::to_vec(&record.fields).map_or(0, |json| json.len()) + 100;
    bytes.div_ceil(1024) as u64
}

fn failed(error: BuildError) -> MigrateError {
    match error {
        BuildError::Table(error) => error.into(),
        other => MigrateError::Busy(other.to_string()),
    }
}
