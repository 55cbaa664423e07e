//! A write as a caller asks for it, and what can become of it.

use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx};
use crate::store::settle::Unsettled;
use crate::store::table::{Item, Key, TableError, Write};

/// Most actions of a transaction.
pub const MAX_ACTIONS: usize = 100;
/// Most bytes of a transaction's items: DynamoDB's 4 MB, without what its own bookkeeping may add.
pub const MAX_BYTES: usize = 4_000_000;

/// The change of one record: create (`before` is none), update, or delete (`after` is none). `before` is the state that the
/// change was computed from; it must still be the stored one. A new `version` in `after` is the caller's to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// Entity of the record.
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
    /// Entity of the record.
    pub entity: EntityIx,
    /// Its id.
    pub id: String,
    /// The version that was read.
    pub version: String,
}

impl Check {
    /// Whether a mutation changes the very state that was checked.
    pub(super) fn agrees_with(&self, mutation: &Mutation) -> bool {
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
    /// Tags that are announced at beside those of the mutations: what is cached under them is void.
    pub voids: Vec<Key>,
}

impl Batch {
    pub(super) fn is_one_deletion(&self) -> bool {
        matches!(&self.mutations[..], [Mutation { after: None, .. }])
    }
}

/// A write that is done.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it is to be settled"]
pub struct Written {
    /// What is to be settled before the write is acknowledged.
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
        /// Index into [`Batch::mutations`].
        mutation: usize,
    },
    /// A record of the id that was to be created has been deleted, but its children have not all followed yet.
    BeingDeleted {
        /// Index into [`Batch::mutations`].
        mutation: usize,
    },
    /// The stored record is not the one that the change was computed from.
    Changed {
        /// Index into [`Batch::mutations`].
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
        /// Index into [`Batch::mutations`].
        mutation: usize,
        /// The field.
        field: FieldIx,
    },
    /// A reference points to a record that does not exist or is being deleted.
    ReferenceMissing {
        /// Index into [`Batch::mutations`].
        mutation: usize,
        /// The ref field.
        field: FieldIx,
    },
    /// A rule of the model is not complete yet, so that the write cannot be decided.
    Building {
        /// Index into [`Batch::mutations`].
        mutation: usize,
        /// The rule, as `unique order.number` or `reference order.customer_id`.
        constraint: String,
    },
    /// The record cannot be deleted because others refer to it (`on_delete: restrict`).
    Restricted {
        /// Index into [`Batch::mutations`].
        mutation: usize,
        /// Entity of those records; `None`: they refer by a field that only another version of the model knows.
        by: Option<EntityIx>,
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
