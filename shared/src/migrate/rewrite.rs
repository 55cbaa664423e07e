//! Changing stored records one after the other while others write: each on condition that it is as it was read, with an audit entry.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use super::{MigrateError, Progress, Stuck};
use crate::core::clock::Env;
use crate::model::value::{Record, new_version};
use crate::model::{Entity, FieldIx, Model};
use crate::store::audit;
use crate::store::constraints::Constraints;
use crate::store::repeat::repeated;
use crate::store::table::{Item, Key, SharedTable, TableError, TableName};
use crate::store::write::{AttachedWrites, Batch, Mutation, WriteError, Writer};
use crate::store::{items, keys};

/// Records of one transaction.
const CHUNK: usize = 8;
/// How long one write may wait for others.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a record is read anew because somebody else changed it.
const ATTEMPTS: u32 = 30;

/// A record as it shall be, and the fields that change.
pub(super) struct Change {
    pub(super) before: Record,
    pub(super) after: Record,
    pub(super) fields: Vec<String>,
}

/// What has to change of records.
pub(super) trait Rewrite: Sync {
    /// Of each record the change, if there is one, and what has to change and cannot.
    fn changes<'a>(
        &'a self,
        entity: &'a Entity,
        records: Vec<Record>,
    ) -> BoxFuture<'a, Result<Vec<(Option<Change>, Vec<Stuck>)>, TableError>>;
}

/// Writes changes.
pub(super) struct Rewriter {
    table: SharedTable,
    env: Env,
    writer: Writer,
    constraints: Constraints,
}

impl Rewriter {
    pub(super) fn new(table: &SharedTable, model: &Arc<Model>, env: &Env) -> Self {
        let writer = Writer::new(Arc::clone(table), Arc::clone(model), env.clone());
        let constraints = Constraints::new(Arc::clone(table), Arc::clone(model), env.clone());
        Self { table: Arc::clone(table), env: env.clone(), writer, constraints }
    }

    /// A page of everything that is stored.
    pub(super) async fn scan(&self, after: Option<Key>) -> Result<(Vec<Item>, Option<Key>), TableError> {
        repeated(&self.env, || self.table.scan(TableName::Data, after.clone(), (0, 1))).await
    }

    /// Writes all of these, several at once, or, where that is refused, each alone.
    pub(super) async fn write_all(
        &self,
        entity: &Entity,
        changes: &[Change],
        rewrite: &dyn Rewrite,
        done: &mut Progress,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<(), MigrateError> {
        for chunk in changes.chunks(CHUNK) {
            match self.write(entity, chunk).await {
                Ok(()) => done.changed += chunk.len() as u64,
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(_) => {
                    for change in chunk {
                        self.write_alone(entity, &change.before.id, rewrite, done).await?;
                    }
                }
            }
            progress(done);
        }
        Ok(())
    }

    /// One record, from the state that it has by now.
    async fn write_alone(
        &self,
        entity: &Entity,
        id: &str,
        rewrite: &dyn Rewrite,
        done: &mut Progress,
    ) -> Result<(), MigrateError> {
        let key = [(TableName::Data, keys::record(entity, id))];
        for _ in 0..ATTEMPTS {
            let found = repeated(&self.env, || self.table.get(&key, true)).await?;
            let Some(record) = found.first().and_then(Option::as_ref).and_then(items::decode) else { return Ok(()) };
            // Values that cannot change are told of already.
            let Some((Some(change), _)) = rewrite.changes(entity, vec![record]).await?.pop() else { return Ok(()) };
            let why = match self.write(entity, std::slice::from_ref(&change)).await {
                Ok(()) => {
                    done.changed += 1;
                    return Ok(());
                }
                // Somebody was faster, or the answer was lost: what is stored tells what is left to do.
                Err(WriteError::Changed { .. } | WriteError::Unknown) => continue,
                Err(WriteError::Busy) => return Err(MigrateError::Busy(format!("{}/{id}", entity.name))),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Unique { field, .. }) => taken(entity, field),
                Err(other) => other.to_string(),
            };
            done.add_stuck(vec![Stuck { record: format!("{}/{id}", entity.name), field: change.fields.join(", "), why }]);
            return Ok(());
        }
        Err(MigrateError::Busy(format!("{}/{id} changes all the time", entity.name)))
    }

    /// All of the changes in one transaction, each with an audit entry.
    async fn write(&self, entity: &Entity, changes: &[Change]) -> Result<(), WriteError> {
        let deadline = self.env.now().plus(PATIENCE);
        self.constraints.before_write(deadline).await?;
        let mutation = |change: &Change| {
            let mut after = Record { version: new_version(&self.env), ..change.after.clone() };
            after.stamp(entity, &self.env, false);
            Mutation::update(entity, change.before.clone(), after)
        };
        let riders = AttachedWrites {
            audit: changes.iter().map(|change| self.audited(entity, change)).collect(),
            ..AttachedWrites::default()
        };
        let batch = Batch { mutations: changes.iter().map(mutation).collect(), riders, ..Batch::default() };
        let written = self.writer.write(&batch, deadline).await?;
        self.writer.settle(written.unsettled).await;
        Ok(())
    }

    fn audited(&self, entity: &Entity, change: &Change) -> Item {
        let entry = audit::Entry {
            action: format!("{}.update", entity.name),
            resource: entity.name.clone(),
            id: Some(change.before.id.clone()),
            detail: Some(json!({ "fields": change.fields })),
            ..audit::Entry::of("operator", "holdfast migrate")
        };
        audit::item(entry, &self.env)
    }
}

fn taken(entity: &Entity, field: FieldIx) -> String {
    format!("another {} has the new value of the unique field {} already", entity.name, entity.field(field).name)
}
