//! Unique rows that say what is not so, left by versions of the model without the rule, and what an attempt does about them.
//!
//! Such a version takes, changes and deletes values without their rows. So a row may name an owner that is gone or has another value:
//! then whoever wants the value takes it over, if the owner is still as it was looked at. And two records may have one value, whose
//! row belongs to one of them: then the other releases nothing when it gives the value up.

use std::collections::HashMap;

use super::batch::WriteError;
use super::unique::OWNER;
use crate::model::{EntityIx, FieldIx};
use crate::store::table::{Item, Key};

/// A unique row that belongs to another than a transaction expected.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RefusedRow {
    pub(super) key: Key,
    /// The id in the row.
    pub(super) owner: Option<String>,
    pub(super) entity: EntityIx,
    pub(super) field: FieldIx,
    /// The mutation that takes or releases the value.
    pub(super) mutation: usize,
    /// Whether one takes it; otherwise it is only released.
    pub(super) is_wanted: bool,
}

/// What is known of a unique row that says what is not so.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StaleRow {
    /// Its owner does not have the value.
    Void {
        owner: String,
        record: Key,
        /// The version of the owner's record as it was looked at; `None`: there is none.
        version: Option<String>,
    },
    /// Its owner has the value, as has a record that gives it up.
    OfAnother,
}

/// The rows that an attempt has met.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StaleRows(HashMap<Key, StaleRow>);

impl StaleRows {
    pub(super) fn get(&self, row: &Key) -> Option<&StaleRow> {
        self.0.get(row)
    }

    /// Notes what is known of a row. Whether that is news.
    pub(super) fn insert(&mut self, row: Key, stale: StaleRow) -> bool {
        self.0.insert(row, stale.clone()) != Some(stale)
    }
}

impl RefusedRow {
    /// The refusal, where the owner has the value.
    pub(super) fn error(&self) -> WriteError {
        WriteError::Unique { mutation: self.mutation, field: self.field }
    }

    /// From the row as a failed condition shows it.
    pub(super) fn new(key: Key, row: Option<&Item>, who: (EntityIx, FieldIx, usize), is_wanted: bool) -> Self {
        let (entity, field, mutation) = who;
        Self { key, owner: row.and_then(|row| row.s(OWNER)).map(str::to_owned), entity, field, mutation, is_wanted }
    }
}
