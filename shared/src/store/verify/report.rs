//! What a run of `verify` found.

use crate::model::Entity;
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
    /// An item that should be a record or a row cannot be read.
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
    /// A record refers to another, which has no row of it.
    ReferenceMissing,
    /// The row of a reference that its record does not have.
    ReferenceOrphan,
    /// A gate without a record, or one that says nothing.
    GateOrphan,
    /// A gate with attempts whose writers died, or closed by a deletion that died: whoever meets it settles it, so only a strict
    /// comparison takes it for a problem.
    GateUnsettled,
    /// A reference to a record that does not exist: mended where the rule is `set_null`, otherwise only a person can decide.
    Dangling,
    /// A tag whose writer died: whoever reads under it settles it, so only a strict comparison takes it for a problem.
    TagUnsettled,
    /// A cascade whose writer died.
    CascadeAbandoned,
    /// A value that the model forbids, stored under another: told, and no disagreement of items.
    Forbidden,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Items read.
    pub items: u64,
    /// Records among them.
    pub records: u64,
    /// Problems found.
    pub problems: u64,
    /// Problems repaired.
    pub repaired: u64,
    /// The first thousand of them.
    pub listed: Vec<Problem>,
    /// Rows of entities or indexes that this model does not know: another version's, left alone.
    pub foreign: u64,
    /// Values that the model forbids, stored under another model: no disagreement of items, so no problems.
    pub forbidden: u64,
    /// The first thousand of them.
    pub forbidden_listed: Vec<Problem>,
    /// Tags and gates with marks of writers that died, as any crash leaves them: the next who meets them settles them.
    pub unsettled: u64,
    /// Tags and gates of that kind that were settled.
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

impl Report {
    pub(super) fn forbid(&mut self, key: Key, record: String, detail: String) {
        self.forbidden += 1;
        if self.forbidden_listed.len() < LISTED {
            self.forbidden_listed.push(Problem { kind: Kind::Forbidden, key, record, detail, repaired: false });
        }
    }
}

pub(super) fn named(entity: &Entity, id: &str) -> String {
    format!("{}/{id}", entity.name)
}
