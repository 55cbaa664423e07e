//! What happens in an instance of the model: records, operations, how much may go wrong, and which flaw is built in.

use super::store::{RECORDS, Record, SHARDS, bit};

/// What the deletion of a record means for one that refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// It forbids the deletion.
    #[default]
    Restrict,
    /// It goes as well.
    Cascade,
    /// It stays, without the reference.
    SetNull,
}

/// A change of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub record: usize,
    /// Whether it is new.
    pub creates: bool,
    /// Records that it refers to before, a bit each.
    pub from: u8,
    /// Records that it refers to afterwards, a bit each.
    pub to: u8,
}

/// One write: changes and at most one delete, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operation {
    /// Records that it creates or changes.
    pub changes: Vec<Change>,
    /// The record that it deletes.
    pub delete: Option<usize>,
    /// Whether the children follow in transactions of their own.
    pub in_steps: bool,
    /// How many gates a record has by the model that its writer knows; 0 for [`Scenario::shards`].
    pub shards: usize,
}

impl Operation {
    /// A new record that refers to others.
    pub fn create(record: usize, to: u8) -> Self {
        Self::change(Change { record, creates: true, from: 0, to })
    }

    /// A record that refers to other records than before.
    pub fn refer(record: usize, from: u8, to: u8) -> Self {
        Self::change(Change { record, creates: false, from, to })
    }

    /// A change that leaves the references of a record as they are.
    pub fn edit(record: usize, targets: u8) -> Self {
        Self::refer(record, targets, targets)
    }

    /// A delete.
    pub fn delete(record: usize) -> Self {
        Self { delete: Some(record), ..Self::default() }
    }

    fn change(change: Change) -> Self {
        Self { changes: vec![change], ..Self::default() }
    }

    /// Both in one transaction: an atomic `_bulk`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self.delete = self.delete.or(other.delete);
        self
    }

    /// A delete whose children follow in transactions of their own.
    #[must_use]
    pub fn in_steps(self) -> Self {
        Self { in_steps: true, ..self }
    }

    /// By a writer whose model gives each record so many gates.
    #[must_use]
    pub fn knowing(self, shards: usize) -> Self {
        Self { shards, ..self }
    }
}

/// How long fences stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FenceLife {
    /// For good.
    #[default]
    Kept,
    /// Until nothing of the token can be executed any more: no request is on its way and its writer's deadline is over.
    Outlasting,
}

/// A step of the protocol that is left out or done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The transaction does not demand that its fence is absent, and who settles puts none.
    NoFence,
    /// Who settles does not prove that a commit is over.
    NoProof,
    /// Who gives up takes its elements out without a fence.
    GiveUpUnfenced,
    /// A fence goes while requests of its token can still be executed.
    FenceExpiresEarly,
    /// A delete asks for reference rows before it closes the gate, and not again.
    QueryBeforeClosing,
    /// A delete does not wait until `u` is empty.
    ElementsNotAwaited,
    /// Nobody opens a gate that a dead deleter has closed.
    ClosedNotSettled,
    /// Who opens a gate does not look whose token closes it.
    OpenWhoeverClosed,
    /// The first transaction of a delete in steps leaves its token in `closed`.
    StepsNotGone,
    /// An edit puts the reference row elsewhere, as it does with an index row.
    RowsMove,
    /// A delete that takes a child along leaves the child's rows under other records.
    RowsLeft,
    /// The parent is read before the announcement.
    ParentReadFirst,
    /// The parent is read after the announcement, but not by a transaction.
    ParentReadPlainly,
    /// `ok` is set when an announcement is settled.
    OkWhenSettling,
    /// A parent that comes in the same transaction is not announced.
    OwnParentUnannounced,
}

/// An instance of the model.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// What is written.
    pub operations: Vec<Operation>,
    /// Records at the start.
    pub records: [Record; RECORDS],
    /// What the deletion of a target means, per referring record.
    pub on_delete: [OnDelete; RECORDS],
    /// Gates of a record (`K`).
    pub shards: usize,
    /// Whether a record's first gate knows which others have `ok`.
    pub is_registered: bool,
    /// Whether references at the start have no gates, as after an import.
    pub is_imported: bool,
    /// Whether records have gates at the start, though nobody refers to them any more.
    pub is_gated: bool,
    /// How many settle for others at a time.
    pub settlers: usize,
    /// Requests that are executed late.
    pub late: u8,
    /// How long fences stay.
    pub fences: FenceLife,
    /// Operations that can never commit, because something restricts them; a bit each.
    pub restricted: u8,
    /// What is wrong.
    pub flaw: Option<Flaw>,
}

impl Scenario {
    /// Operations over records of which some are there at the start; one settler, nothing late.
    pub fn new(records: [Record; RECORDS], operations: impl Into<Vec<Operation>>) -> Self {
        Self { records, operations: operations.into(), shards: 1, settlers: 1, ..Self::default() }
    }

    /// With what the deletion of a target means for every record that refers to one.
    #[must_use]
    pub fn on_delete(self, on_delete: OnDelete) -> Self {
        Self { on_delete: [on_delete; RECORDS], ..self }
    }

    /// With so many requests that are executed late.
    #[must_use]
    pub fn late(self, late: u8) -> Self {
        Self { late, ..self }
    }

    /// With so many settlers.
    #[must_use]
    pub fn settlers(self, settlers: usize) -> Self {
        Self { settlers, ..self }
    }

    /// With several gates for each record; `is_registered`: its first gate knows the others.
    #[must_use]
    pub fn sharded(self, is_registered: bool) -> Self {
        Self { shards: SHARDS, is_registered, ..self }
    }

    /// With references at the start that have no gates.
    #[must_use]
    pub fn imported(self) -> Self {
        Self { is_imported: true, ..self }
    }

    /// With records that have gates at the start, though nobody refers to them any more.
    #[must_use]
    pub fn gated(self) -> Self {
        Self { is_gated: true, ..self }
    }

    /// With fences that expire.
    #[must_use]
    pub fn expiring(self) -> Self {
        Self { fences: FenceLife::Outlasting, ..self }
    }

    /// With an operation that can never commit, because something restricts it.
    #[must_use]
    pub fn restricting(self, operation: usize) -> Self {
        Self { restricted: self.restricted | bit(operation), ..self }
    }

    /// With a flaw.
    #[must_use]
    pub fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }
}
