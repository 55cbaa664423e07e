//! How far a build has come, and what it found.

use std::collections::BTreeSet;

/// Findings that are listed; all are counted.
const LISTED: usize = 100;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items looked at.
    pub items: u64,
    /// Records of the entities concerned among them.
    pub records: u64,
    /// Rows that were added or made right.
    pub written: u64,
    /// Rows that were removed because no record puts them there.
    pub removed: u64,
    /// Records that have the value of another in a unique field: it does not become ready.
    pub duplicates: u64,
    /// References to records that do not exist.
    pub dangling: u64,
    /// The first hundred of both.
    pub listed: Vec<Finding>,
    /// Names of the unique fields of which two records have one value.
    pub blocked: BTreeSet<String>,
    /// Names of what did not become ready, because a version of the model that does not keep it is writing.
    pub overtaken: Vec<String>,
    /// Whether it went on where an earlier run was interrupted.
    pub resumed: bool,
}

/// Something stored that a rule of the model forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, as `unique order.number`.
    pub rule: String,
    /// The record, as `order/17`.
    pub record: String,
    /// The record that has the value already, or that does not exist.
    pub other: String,
}

impl Progress {
    pub(super) fn find(&mut self, finding: Finding) {
        if self.listed.len() < LISTED {
            self.listed.push(finding);
        }
    }
}
