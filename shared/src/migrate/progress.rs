//! How far a migration is, and what it could not do.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::table::TableError;

/// Records in [`Progress::listed`] at most; all are counted.
const LISTED: usize = 100;

/// A value that has to change and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The record, as `entity/id`.
    pub record: String,
    /// The field, or `id`.
    pub field: String,
    /// Why it cannot, and what would be right.
    pub why: String,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items read.
    pub items: u64,
    /// Records among them that hold subjects.
    pub records: u64,
    /// Records that have to change.
    pub pending: u64,
    /// Records that were changed.
    pub changed: u64,
    /// Values that have to change, by `entity.field`.
    pub values: BTreeMap<String, u64>,
    /// Values that have to change and cannot, those of an interrupted run included.
    pub stuck: u64,
    /// The first hundred of them, of this run.
    pub listed: Vec<Stuck>,
    /// Fields with such values, as `entity.field`.
    pub stuck_in: BTreeSet<String>,
    /// Values that are also ids of consumers with API keys.
    pub of_keys: u64,
    /// Whether it went on where an earlier run was interrupted.
    pub resumed: bool,
}

impl Progress {
    /// Whether something has to change.
    pub fn is_needed(&self) -> bool {
        self.pending > 0 || self.stuck > 0
    }

    pub(super) fn add_stuck(&mut self, stuck: Vec<Stuck>) {
        self.stuck += stuck.len() as u64;
        for one in &stuck {
            let entity = one.record.split('/').next().unwrap_or_default();
            self.stuck_in.extend(one.field.split(", ").map(|field| format!("{entity}.{field}")));
        }
        let room = LISTED.saturating_sub(self.listed.len());
        self.listed.extend(stuck.into_iter().take(room));
    }
}

/// Why a run ended before its end. What was changed until then stays changed; a further run goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum MigrateError {
    /// A record could not be written in time because of others' writes, or because the table is throttled.
    Busy(String),
    /// The table.
    Table(TableError),
}

impl std::fmt::Display for MigrateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy(what) => write!(f, "{what}: the table is busy; run it again, it goes on where it stopped"),
            Self::Table(error) => write!(f, "the table: {error}; run it again, it goes on where it stopped"),
        }
    }
}

impl std::error::Error for MigrateError {}

impl From<TableError> for MigrateError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Busy(why) | TableError::Unknown(why) => Self::Busy(why),
            other => Self::Table(other),
        }
    }
}
