//! One attempt to write: what it may have left, and how it can end.

use std::collections::BTreeMap;

use super::stale_rows::RefusedRow;
use super::{WriteError, Written};
use crate::core::clock::Env;
use crate::model::{Entity, EntityIx};
use crate::store::fence::Element;
use crate::store::keys;
use crate::store::settle::Unsettled;
use crate::store::table::{Key, TableError};

/// Why an attempt ends without its effect.
#[derive(Debug)]
pub(super) enum Stop {
    /// For good.
    Error(WriteError),
    /// Somebody was faster: another attempt may succeed.
    Again,
    /// It does not fit into one transaction.
    Large(WriteError),
    /// A unique row belongs to another.
    Taken(RefusedRow),
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::TooLarge { .. } => Self::Large(error),
            error => Self::Error(error),
        }
    }
}

impl From<TableError> for Stop {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Busy(_) | TableError::Unknown(_) => Self::Again,
            error => Self::Error(WriteError::Store(error)),
        }
    }
}

/// One attempt, with all that it may have left anywhere.
pub(super) struct Attempt {
    pub(super) element: Element,
    /// Tags and gates at which it was announced.
    pub(super) tags: Vec<Key>,
    pub(super) gates: Vec<Key>,
    /// Gates that it was the first to use, as far as it knows.
    pub(super) new_gates: Vec<Key>,
    /// Gates that it has closed, by the record that goes.
    pub(super) closed: BTreeMap<Removal, Vec<Key>>,
    /// Whether its transaction was sent and its outcome is not known.
    pub(super) uncertain: bool,
}

impl Attempt {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            element: Element::new(env),
            tags: Vec::new(),
            gates: Vec::new(),
            new_gates: Vec::new(),
            closed: BTreeMap::new(),
            uncertain: false,
        }
    }

    pub(super) fn left_nothing(&self) -> bool {
        self.tags.is_empty() && self.gates.is_empty() && self.closed.is_empty() && !self.uncertain
    }

    pub(super) fn unsettled(self) -> Unsettled {
        Unsettled { element: self.element, tags: self.tags, gates: self.gates }
    }

    pub(super) fn written(self, actions: usize) -> Written {
        Written { unsettled: self.unsettled(), actions, cascading: false }
    }
}

/// A record that goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Removal {
    pub(super) entity: EntityIx,
    pub(super) id: String,
    /// Its gate 0.
    pub(super) gate: Key,
}

impl Removal {
    pub(super) fn of(entity: &Entity, id: &str) -> Self {
        Self { entity: entity.ix, id: id.to_owned(), gate: keys::gate(entity, id, 0) }
    }
}

/// What has become of an attempt that was given up.
pub(super) enum GivenUp {
    /// It has no effect.
    Aborted,
    /// It has had its effect after all.
    Committed(Unsettled),
    /// That cannot be known now.
    Unknown,
}
