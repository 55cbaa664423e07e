//! Plans: what of which partitions is read, and in which order.

use crate::model::{EntityIx, IndexIx, SortPart};
use crate::query::ListQuery;
use crate::query::policy::Permitted;

/// Maximum number of partitions that one list may merge.
pub const MAX_SCANS: usize = 100;

/// Plan of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPlan {
    /// Entity of the records.
    pub entity: EntityIx,
    /// Parts of partitions to read, in no order.
    pub scans: Vec<Scan>,
    /// Joins: each parent that they find becomes a scan of its own.
    pub joins: Vec<Join>,
    /// Order of the rows, which is that of the indexes.
    pub order: Vec<SortPart>,
    /// Whether to read backwards.
    pub reverse: bool,
}

impl QueryPlan {
    /// The plan of a single read: nothing is scanned.
    pub fn of_record(permitted: &Permitted<ListQuery>) -> Self {
        let entity = permitted.query().entity;
        Self { entity, scans: Vec::new(), joins: Vec::new(), order: Vec::new(), reverse: false }
    }

    /// Adds scans, each once.
    pub(super) fn add_scans(&mut self, scans: impl IntoIterator<Item = Scan>) {
        for scan in scans {
            if !self.scans.contains(&scan) {
                self.scans.push(scan);
            }
        }
    }
}

/// Part of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Index.
    pub index: IndexIx,
    /// Partition key.
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

/// Reason why a list cannot be planned: no index serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoIndex {
    /// Parameter that is not served, as in a query string.
    pub parameter: String,
    /// Correction.
    pub help: String,
    /// Whether it will be served as soon as what the model says is built.
    pub is_building: bool,
}
