//! Writes: one `TransactWriteItems` that holds the record, its index rows, unique rows, guards, tags and riders.
//!
//! ```text
//! Mutation* + Riders -> build (actions, merged per item) -> commit (conflicts, unknown outcomes) -> judge (which constraint)
//!                                                              cascade (children of what is deleted)
//! ```
//! A write either has all of its effects or none. Whoever gets [`WriteError::Unknown`] does not know which; with an
//! idempotency row among the riders a repetition finds out.

mod build;
mod cancellation;
mod cascade;
mod commit;
mod guards;
mod steps;
#[cfg(test)]
mod tests;
mod unique;

use std::sync::Arc;

use super::table::{Item, SharedTable, TableError, Write};
use super::tags::Unsettled;
use crate::core::clock::{Env, Micros};
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx, Model};

pub(crate) use guards::referred;
pub use guards::{CLOSED, COUNT, RESTRICTING};
pub use steps::Swept;
pub use unique::{OWNER, unique_hash};

/// Most actions of a transaction.
pub const MAX_ACTIONS: usize = 100;
/// Most bytes of a transaction's items: DynamoDB's 4 MB, without what its own bookkeeping may add.
pub const MAX_BYTES: usize = 4_000_000;

/// The change of one record: create (`before` is none), update, or delete (`after` is none). `before` is the state that the
/// change was computed from; it must still be the stored one. A new `version` in `after` is the caller's to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// Of which entity.
    pub entity: EntityIx,
    /// The record as it was read.
    pub before: Option<Record>,
    /// The record as it shall be.
    pub after: Option<Record>,
}

impl Mutation {
    /// A new record.
    pub fn create(entity: &Entity, record: Record) -> Self {
        Self { entity: entity.ix, before: None, after: Some(record) }
    }

    /// A change; both states have the same id.
    pub fn update(entity: &Entity, before: Record, after: Record) -> Self {
        Self { entity: entity.ix, before: Some(before), after: Some(after) }
    }

    /// A deletion.
    pub fn delete(entity: &Entity, record: Record) -> Self {
        Self { entity: entity.ix, before: Some(record), after: None }
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        self.after.as_ref().or(self.before.as_ref()).map_or("", |record| &record.id)
    }
}

/// A record that a permission was decided by without being changed: its version must still be this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Of which entity.
    pub entity: EntityIx,
    /// Its id.
    pub id: String,
    /// The version that was read.
    pub version: String,
}

impl Check {
    /// Whether a mutation changes the very state that was checked.
    fn agrees_with(&self, mutation: &Mutation) -> bool {
        mutation.entity == self.entity
            && mutation.before.as_ref().is_some_and(|before| before.id == self.id && before.version == self.version)
    }
}

/// Items that are written with the effect or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttachedWrites {
    /// The idempotency row and its parts ([`crate::store::idempotency::Stored::items`]).
    pub idempotency: Vec<Item>,
    /// Audit entries: keys that exist nowhere yet.
    pub audit: Vec<Item>,
    /// Outbox entries: keys that exist nowhere yet.
    pub outbox: Vec<Item>,
    /// Changes of items that are neither records nor anything that belongs to one, with conditions of their own.
    pub conditioned: Vec<Write>,
}

/// A write as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// What changes; no two of one record.
    pub mutations: Vec<Mutation>,
    /// What must not have changed.
    pub checks: Vec<Check>,
    /// What rides along.
    pub riders: AttachedWrites,
}

/// A write that is done.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "its tags are to be cleared"]
pub struct Written {
    /// Elements of tags to remove now that the write is acknowledged.
    pub unsettled: Unsettled,
    /// Actions of the transaction.
    pub actions: usize,
    /// Whether children of what was deleted are still being removed (a cascade beyond one transaction).
    pub cascading: bool,
}

/// Why a write was not done. `mutation` is a position in [`Batch::mutations`].
#[derive(Debug, Clone, PartialEq)]
pub enum WriteError {
    /// A record of the id that was to be created exists.
    Exists {
        /// Which.
        mutation: usize,
    },
    /// A record of the id that was to be created has been deleted, but its children have not all followed yet.
    BeingDeleted {
        /// Which.
        mutation: usize,
    },
    /// The stored record is not the one that the change was computed from.
    Changed {
        /// Which.
        mutation: usize,
        /// The stored one; `None`: there is none any more.
        current: Option<Box<Record>>,
    },
    /// A record that the permission stands on has changed.
    CheckFailed {
        /// A position in [`Batch::checks`].
        check: usize,
    },
    /// Another record has the value of a unique field.
    Unique {
        /// Which.
        mutation: usize,
        /// The field.
        field: FieldIx,
    },
    /// A reference points to a record that does not exist or is being deleted.
    ReferenceMissing {
        /// Which.
        mutation: usize,
        /// The ref field.
        field: FieldIx,
    },
    /// The record cannot be deleted because others refer to it (`on_delete: restrict`).
    Restricted {
        /// Which.
        mutation: usize,
        /// An entity whose records may be those.
        by: EntityIx,
    },
    /// The condition of one of [`AttachedWrites::conditioned`] was not met; the item as it was, if there is one.
    Rider(Option<Box<Item>>),
    /// There is a live idempotency row of this key: another request with it has had its effect.
    IdempotencyRow(Option<Box<Item>>),
    /// It does not fit into one transaction. Nothing was sent.
    TooLarge {
        /// Actions that it needs; at most [`MAX_ACTIONS`] fit.
        actions: usize,
        /// Bytes that it needs; at most [`MAX_BYTES`] fit.
        bytes: usize,
    },
    /// Two changes of one record, or two that claim one unique value.
    Contradiction {
        /// The later one.
        mutation: usize,
    },
    /// Conflicts or throttling until the deadline. Nothing was done.
    Busy,
    /// No answer until the deadline: done or not done.
    Unknown,
    /// The table refused the call.
    Store(TableError),
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the table: {error}"),
            // Old items would show what the log must not hold.
            Self::IdempotencyRow(_) => f.write_str("an idempotency row of this key exists"),
            Self::Rider(_) => f.write_str("the condition of a rider was not met"),
            Self::Changed { mutation, .. } => write!(f, "the record of mutation {mutation} has changed"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<TableError> for WriteError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Busy(_) => Self::Busy,
            TableError::Unknown(_) => Self::Unknown,
            other => Self::Store(other),
        }
    }
}

/// Writes records of a model to a table.
#[derive(Clone)]
pub struct Writer {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
}

impl Writer {
    /// A writer: once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self { table, model, env }
    }

    /// Does all of `batch` or nothing. The outcome of the deletes among it includes what they bring along: `cascade` and
    /// `set_null` of children in the same transaction where all fits. A single delete that does not fit is done in steps,
    /// see [`Writer::sweep`]; its record is gone with the first.
    ///
    /// Conflicts with other transactions are retried with jitter, lost answers asked for again, until `deadline`.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was done, except that for [`WriteError::Unknown`] that is not known.
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "write", skip_all)]
    pub async fn write(&self, batch: &Batch, deadline: Micros) -> Result<Written, WriteError> {
        self.write_as(batch, false, deadline).await
    }

    /// `forced`: the deletes are part of a cascade that has begun, so nothing restricts them any more.
    async fn write_as(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        match self.attempt(batch, deadline).await {
            Ok(written) => Ok(written),
            Err(refused) => {
                let mutation = refused.of_children(forced)?;
                self.with_children(batch, mutation, forced, deadline).await
            }
        }
    }

    /// Actions and bytes that the batch needs, without what cascades would add: to tell a client before anything is sent.
    ///
    /// # Errors
    /// [`WriteError::Contradiction`], or [`WriteError::ReferenceMissing`] for a reference to what the batch itself deletes.
    pub fn measure(&self, batch: &Batch) -> Result<(usize, usize), WriteError> {
        let plan = build::TransactionPlan::new(&self.model, batch)?;
        let transaction = plan.transaction(&self.env, String::new());
        Ok((transaction.transaction.writes.len(), transaction.bytes))
    }

    /// Removes the elements of an acknowledged write: see [`Unsettled::clear`].
    pub async fn clear(&self, unsettled: Unsettled) {
        unsettled.clear(self.table.as_ref()).await;
    }
}
