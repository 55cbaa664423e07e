//! What a run of `verify` found.

use crate::store::table::Key;

/// Problems that a report lists; all are counted.
const LISTED: usize = 1000;

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Kind of disagreement.
    pub kind: Kind,
    /// The item that is wrong or missing.
    pub key: Key,
    /// The record that it concerns, as `entity/id`.
    pub record: String,
    /// More about it: expected and found.
    pub detail: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

/// Kinds of disagreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An item that should be a record, a row or a guard cannot be read.
    Damaged,
    /// A record lacks a row in an index.
    RowMissing,
    /// A row does not carry what its record says.
    RowWrong,
    /// A row without a record, or with another place than the record's.
    RowOrphan,
    /// A unique value has no row.
    UniqueMissing,
    /// Two records have one unique value: only a person can decide.
    UniqueTwice,
    /// A unique row without a record that has the value.
    UniqueOrphan,
    /// A record that others may refer to lacks a guard.
    GuardMissing,
    /// A guard counts other than the references that there are.
    GuardCount,
    /// A guard without a record or tombstone.
    GuardOrphan,
    /// A reference to a record that does not exist: only a person can decide.
    Dangling,
    /// A tag whose writer died: whoever reads under it settles it, so only a strict comparison takes it for a problem.
    TagUnsettled,
    /// A cascade whose writer died.
    CascadeAbandoned,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Items read by scans.
    pub items: u64,
    /// Records among them (of the first scan).
    pub records: u64,
    /// Scans that were needed.
    pub scans: u32,
    /// Problems found.
    pub problems: u64,
    /// Problems repaired.
    pub repaired: u64,
    /// The first thousand of them.
    pub listed: Vec<Problem>,
    /// Rows of entities or indexes that this model does not know: another version's, left alone.
    pub foreign: u64,
    /// Tags with elements of writers that died, as any crash leaves them: the next reader settles them.
    pub unsettled: u64,
    /// Tags of that kind that were settled.
    pub settled: u64,
}

impl Report {
    pub(super) fn add(&mut self, problem: Problem) {
        self.problems += 1;
        self.repaired += u64::from(problem.repaired);
        if self.listed.len() < LISTED {
            self.listed.push(problem);
        }
    }
}
