//! `migrate --drop`: removing what versions of before had and the model has no more, as far as an operator asks for it.
//!
//! ```text
//! mark -> wait: a version that is still deployed takes the mark away -> withdraw every promise -> one scan: records, values, rows -> forget
//! ```
//! Interrupted, it goes on where it was. Nothing of it can be undone, so it looks at the marks before each page.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use super::place::{Place, Resumed};
use super::plan::step_of;
use super::rewrite::{Change, Rewrite};
use super::sorting::{Sorted, Sorting};
use super::{Evolution, MigrateError, Progress, Stuck, stored_model};
use crate::model::Entity;
use crate::model::evolution::MigrationStep;
use crate::model::value::Record;
use crate::store::audit;
use crate::store::constraints::{Leftover, LeftoverKind, Mark};
use crate::store::items;
use crate::store::pending_deletion::PendingDeletion;
use crate::store::repeat::repeated;
use crate::store::table::{Item, Returning, TableError, TableName, Transaction, Write};
use crate::store::verify::Verifier;
use crate::store::{keys, object, tags};

/// Name of the place of an interrupted run.
const NAME: &str = "drop";
/// Records with files of one transaction.
const CHUNK: usize = 10;

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dropped {
    /// Items read.
    pub items: u64,
    /// Items removed.
    pub removed: u64,
    /// The records that have lost values, and those that could not.
    pub values: Progress,
    /// What was not removed, or not all of it, because a version that has it is deployed.
    pub in_use: Vec<Leftover>,
    /// Whether it went on where an earlier run was interrupted.
    pub resumed: bool,
}

impl Dropped {
    /// Whether all that was asked for is gone.
    pub fn is_complete(&self) -> bool {
        self.in_use.is_empty() && self.values.stuck == 0
    }
}

/// Items and units of a removal, estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropUnits {
    /// Items that the scan reads.
    pub items: u64,
    /// Items that are removed.
    pub removed: u64,
    /// Records that lose values.
    pub rewritten: u64,
    /// Read units.
    pub read: u64,
    /// Write units, at most.
    pub write: u64,
}

impl Evolution {
    /// What is left of earlier models.
    ///
    /// # Errors
    /// What the table says.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, MigrateError> {
        let old = stored_model::read(self.table.as_ref()).await?;
        let also: Vec<String> = old.iter().flat_map(|old| &old.entities).map(|entity| entity.name.clone()).collect();
        Ok(self.constraints.leftovers(&also).await?)
    }

    /// Looks at everything that is stored and changes nothing: what the removal of these would read and write.
    ///
    /// # Errors
    /// What the table says.
    pub async fn estimate_drop(
        &self,
        chosen: &[Leftover],
        mut progress: impl FnMut(&DropUnits) + Send,
    ) -> Result<DropUnits, MigrateError> {
        let (mut units, mut after) = (DropUnits::default(), None);
        loop {
            let (page, next) = self.rewriter().scan(after).await?;
            units.items += page.len() as u64;
            units.read += page.iter().map(items::size).sum::<usize>().div_ceil(8192) as u64;
            let sorted = Sorting::new(&self.model, chosen).sort(page);
            units.removed += (sorted.plain.len() + sorted.records.len()) as u64;
            let bytes = sorted.plain.iter().chain(&sorted.records).map(|item| items::size(item).div_ceil(1024) as u64);
            units.write += bytes.sum::<u64>() + 4 * sorted.records.len() as u64;
            for (entity, records) in &sorted.rewritten {
                let rows = entity.indexes.len() as u64 + 1;
                units.rewritten += records.len() as u64;
                units.write += records.iter().map(|record| 2 * rows * super::evolve::kilobytes(record) + 8).sum::<u64>();
            }
            progress(&units);
            after = next;
            if after.is_none() {
                return Ok(units);
            }
        }
    }

    /// Removes these, and nothing of them that a version which is still deployed has. `settle` as in [`Evolution::run`].
    ///
    /// # Errors
    /// A [`MigrateError`]; a further run goes on.
    pub async fn drop_leftovers(
        &self,
        chosen: &[Leftover],
        settle: Duration,
        mut progress: impl FnMut(&Dropped) + Send,
    ) -> Result<Dropped, MigrateError> {
        let mut done = Dropped::default();
        let marks: Vec<Mark> = chosen.iter().map(|one| one.0.clone()).collect();
        let place = Place::new(&self.table, &self.env, NAME, named(chosen));
        let Resumed { mut after, count, names } = self.begin_scan(&marks, &place, settle).await?;
        done.resumed = after.is_some();
        (done.values.stuck, done.values.stuck_in) = (count, names);
        let mut left: Vec<Leftover> = self.constraints.start_run(&marks).await?.into_iter().map(Leftover).collect();
        let one_way = left.iter().map(|one| step_of(one).work).filter(MigrationStep::is_one_way);
        self.mark_one_way(&one_way.map(|work| work.to_string()).collect::<Vec<_>>()).await?;
        while !left.is_empty() {
            let (page, next) = self.rewriter().scan(after).await?;
            done.items += page.len() as u64;
            self.drop_page(&left, page, &mut done).await?;
            progress(&done);
            left = self.constraints.standing(&marks).await?.into_iter().map(Leftover).collect();
            let Some(next) = next else { break };
            place.keep(&next, done.values.stuck, &done.values.stuck_in).await?;
            after = Some(next);
        }
        place.remove().await?;
        self.end_drop(&left, &mut done).await?;
        done.in_use.extend(chosen.iter().filter(|one| !left.contains(one)).cloned());
        Ok(done)
    }

    /// Forgets what is gone. Values that some record could not lose are not.
    async fn end_drop(&self, left: &[Leftover], done: &mut Dropped) -> Result<(), MigrateError> {
        for one in left {
            let is_stuck =
                one.kind() == LeftoverKind::Values && done.values.stuck_in.contains(&format!("{}.{}", one.entity(), one.name()));
            if is_stuck {
                continue;
            }
            self.tell_drop(one).await?;
            if !self.constraints.forget_leftover(one).await? {
                done.in_use.push(one.clone());
            }
        }
        Ok(())
    }

    async fn tell_drop(&self, one: &Leftover) -> Result<(), TableError> {
        let entry = audit::Entry {
            action: format!("{}.drop", one.entity()),
            resource: one.entity().to_owned(),
            detail: Some(json!({ "dropped": one.to_string() })),
            ..audit::Entry::of("operator", "holdfast migrate")
        };
        let write = Write::Put { item: audit::item(entry, &self.env), condition: None };
        repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
    }

    async fn drop_page(&self, left: &[Leftover], page: Vec<Item>, done: &mut Dropped) -> Result<(), MigrateError> {
        let Sorted { plain, suspects, records, rewritten } = Sorting::new(&self.model, left).sort(page);
        let is_tag = plain.iter().any(|item| item.key.pk.starts_with("t#"));
        done.removed += (plain.len() + records.len()) as u64;
        let deletes: Vec<_> =
            plain.into_iter().map(|item| (TableName::Data, Write::Delete { key: item.key, condition: None })).collect();
        repeated(&self.env, || self.table.write_batch(deletes.clone())).await?;
        for chunk in records.chunks(CHUNK) {
            self.drop_with_files(chunk).await?;
        }
        // The tags say nothing any more of what was cached under them.
        if is_tag {
            tags::touch(self.table.as_ref(), &self.env, keys::global_tag()).await?;
        }
        let verifier = Verifier::new(self.table.clone(), self.model.clone(), self.env.clone(), true);
        done.removed += verifier.remove_orphans(suspects).await?;
        let without = Without(left);
        for (entity, records) in rewritten {
            let changes: Vec<Change> = records.into_iter().filter_map(|record| without.change(entity, record)).collect();
            self.rewriter().write_all(entity, &changes, &without, &mut done.values, &mut |_| {}).await?;
        }
        Ok(())
    }

    /// Removes records, and lets go of the objects of their files in the same moment.
    async fn drop_with_files(&self, records: &[Item]) -> Result<(), TableError> {
        let mut writes = Vec::new();
        for item in records {
            let fields = items::decode(item).map(|record| record.fields);
            for key in object::released(fields.as_ref(), None) {
                let item = PendingDeletion::object(&self.env, &key, self.env.now()).item();
                writes.push((TableName::Data, Write::Put { item, condition: None }));
            }
            writes.push((TableName::Data, Write::Delete { key: item.key.clone(), condition: None }));
        }
        let once = || {
            let transaction = Transaction { token: self.env.uuid_v7().to_string(), writes: writes.clone() };
            async {
                self.table.transact(transaction).await.map_err(|error| match error {
                    TableError::Cancelled(reasons) => TableError::Busy(format!("{reasons:?}")),
                    other => other,
                })
            }
        };
        repeated(&self.env, once).await
    }
}

/// What a run must be about to go on where another was.
fn named(left: &[Leftover]) -> String {
    let mut names: Vec<String> = left.iter().map(ToString::to_string).collect();
    names.sort();
    names.join("; ")
}

/// Records without the values of fields that are gone.
struct Without<'a>(&'a [Leftover]);

impl Without<'_> {
    fn change(&self, entity: &Entity, before: Record) -> Option<Change> {
        let mut after = before.clone();
        let gone =
            self.0.iter().filter(|one| one.kind() == LeftoverKind::Values && one.entity() == entity.name).map(Leftover::name);
        let had = |name: &&str| {
            let object = after.fields.remove(&object::member(name));
            after.fields.remove(*name).is_some() || object.is_some()
        };
        let fields: Vec<String> = gone.filter(had).map(str::to_owned).collect();
        (!fields.is_empty()).then_some(Change { before, after, fields })
    }
}

impl Rewrite for Without<'_> {
    fn changes<'a>(
        &'a self,
        entity: &'a Entity,
        records: Vec<Record>,
    ) -> BoxFuture<'a, Result<Vec<(Option<Change>, Vec<Stuck>)>, TableError>> {
        let changes = records.into_iter().map(|record| (self.change(entity, record), Vec::new())).collect();
        Box::pin(std::future::ready(Ok(changes)))
    }
}
