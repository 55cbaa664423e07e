//! From a permitted list to the partitions that hold its rows.
//!
//! A plan is a set of scans, each part of one partition of a stored index, that are merged in the order of their sort keys. That
//! one form serves them all: a filter on equality is one scan, `in` is several, alternatives of a policy are several (each by
//! the index that serves it, as long as their orders agree), a filter over a to-one relation is one scan per matching parent.
//!
//! What the scans leave open stays as a residual filter: it is evaluated for every row anyway, so that scans only ever have to
//! cover a superset of the answer.

mod choose;
mod cursor;
mod help;
mod range;
#[cfg(test)]
mod tests;

use crate::model::{EntityIx, IndexIx, Model, SortPart};
use crate::query::ListQuery;
use crate::query::policy::Permitted;
use crate::store::indexes::States;

pub use cursor::{BadCursor, Cursor, CursorKey, CursorKeys, KeyId};
pub use help::to_count;

/// Most partitions that one list may merge.
pub const MAX_SCANS: usize = 100;

/// How a list is read.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPlan {
    /// Whose records.
    pub entity: EntityIx,
    /// What is read, in no order.
    pub scans: Vec<Scan>,
    /// Parents to be found first: each becomes a scan of its own.
    pub joins: Vec<Join>,
    /// The order of the rows: that of the indexes.
    pub order: Vec<SortPart>,
    /// Read backwards.
    pub reverse: bool,
}

impl QueryPlan {
    /// The plan of a single read: nothing is scanned.
    pub fn of_record(permitted: &Permitted<ListQuery>) -> Self {
        let entity = permitted.query().entity;
        Self { entity, scans: Vec::new(), joins: Vec::new(), order: Vec::new(), reverse: false }
    }
}

/// Part of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Of which index.
    pub index: IndexIx,
    /// The partition.
    pub pk: String,
    /// First sort key, inclusive.
    pub from: Option<Vec<u8>>,
    /// Last sort key, inclusive.
    pub to: Option<Vec<u8>>,
}

/// A semi-join: parents by an index of theirs, then their children by an index on the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// The parents' entity.
    pub parent: EntityIx,
    /// Partitions of the parents' index.
    pub partitions: Vec<String>,
    /// The index of this entity with the reference as its equality.
    pub index: IndexIx,
}

/// Why a list cannot be planned: no index serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoIndex {
    /// The parameter that is not served, as it would stand in a query string.
    pub parameter: String,
    /// What would be right.
    pub help: String,
}

/// Plans a permitted list.
///
/// # Errors
/// [`NoIndex`], naming the index to add.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "plan", skip_all)]
pub fn plan(model: &Model, states: &States, permitted: &Permitted<ListQuery>) -> Result<QueryPlan, NoIndex> {
    choose::choose(model, states, permitted)
}
