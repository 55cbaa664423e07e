//! The items of the table as the model sees them, and transactions that are prepared but not yet visible everywhere.

/// Records of a scenario at most.
pub const RECORDS: usize = 3;
/// Gates of a record at most.
pub const SHARDS: usize = 2;
/// Gates at most: `record * SHARDS + shard`.
pub const GATES: usize = RECORDS * SHARDS;
/// Writers at most.
pub const WRITERS: usize = 3;
/// Where a row of a source lies that an edit has moved: bits of a target's rows from here on.
pub const MOVED: usize = 4;

/// What stands under a record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Life {
    /// Nothing.
    #[default]
    Absent,
    /// A record.
    Live,
    /// What a delete in steps leaves until the last step.
    Tombstone,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// What stands there.
    pub life: Life,
    /// The random version: of the writer that put it, 0 at first.
    pub version: u8,
    /// Records that it refers to, a bit each.
    pub targets: u8,
}

impl Record {
    /// A live record.
    pub fn live(version: u8, targets: u8) -> Self {
        Self { life: Life::Live, version, targets }
    }

    /// Whether it can be read.
    pub fn is_live(self) -> bool {
        self.life == Life::Live
    }
}

/// Who has closed a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Closed {
    /// Nobody.
    #[default]
    No,
    /// A deleter, by its token.
    By(u8),
    /// A delete in steps whose first transaction is committed.
    Gone,
}

/// A gate of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gate {
    /// Whether there is such an item.
    pub exists: bool,
    /// `u`: writers that have announced references, a bit each.
    pub elements: u8,
    /// `closed`.
    pub closed: Closed,
    /// `ok`: a transaction has seen the record beside this gate.
    pub ok: bool,
    /// On the first gate of a record: which others have `ok`, a bit each.
    pub shards: u8,
}

/// What the fence of a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fence {
    /// Nothing yet, or nothing any more.
    #[default]
    Absent,
    /// The transaction is committed.
    Committed,
    /// The transaction can never commit.
    Aborted,
}

/// What a transaction does to gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GateChange {
    /// `SET ok`.
    #[default]
    Ok,
    /// Removes them.
    Delete,
    /// `SET closed = gone`.
    Gone,
}

/// An item of a prepared transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// A record.
    Record(usize),
    /// A reference row: target, and bit of its rows.
    Row(usize, usize),
    /// A gate.
    Gate(usize),
    /// The fence.
    Fence,
}

/// What of a transaction is prepared and not yet visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Prepared {
    /// Records that it changes.
    pub records: u8,
    /// What becomes of these.
    pub after: [Record; RECORDS],
    /// Reference rows that it puts, per target.
    pub put: [u8; RECORDS],
    /// Reference rows that it deletes, per target.
    pub deleted: [u8; RECORDS],
    /// Gates that it changes.
    pub gates: u8,
    /// How.
    pub gate_change: GateChange,
    /// Whether its fence is still to come.
    pub fence: bool,
}

impl Prepared {
    /// Whether everything is visible.
    pub fn is_over(&self) -> bool {
        *self == Self::default()
    }

    /// Sets what becomes of a record.
    pub fn set(&mut self, record: usize, after: Record) {
        self.records |= bit(record);
        self.after[record] = after;
    }

    /// Whether an item of it is still to become visible.
    pub fn locks(&self, item: Item) -> bool {
        match item {
            Item::Record(record) => has(self.records, record),
            Item::Row(target, at) => has(self.put[target] | self.deleted[target], at),
            Item::Gate(gate) => has(self.gates, gate),
            Item::Fence => self.fence,
        }
    }

    /// Whether two transactions touch an item that is still locked by either.
    pub fn conflicts(&self, other: &Self) -> bool {
        let rows = |target: usize| (self.put[target] | self.deleted[target]) & (other.put[target] | other.deleted[target]);
        self.records & other.records != 0 || self.gates & other.gates != 0 || (0..RECORDS).any(|target| rows(target) != 0)
    }

    /// What is still to become visible.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let rows = (0..RECORDS).flat_map(|target| (0..2 * MOVED).map(move |at| Item::Row(target, at)));
        let all = (0..RECORDS).map(Item::Record).chain(rows).chain((0..GATES).map(Item::Gate)).chain([Item::Fence]);
        all.filter(|item| self.locks(*item))
    }

    /// Takes an item out, as one that is visible now.
    pub fn release(&mut self, item: Item) {
        match item {
            Item::Record(record) => {
                self.records &= !bit(record);
                self.after[record] = Record::default();
            }
            Item::Row(target, at) => {
                self.put[target] &= !bit(at);
                self.deleted[target] &= !bit(at);
            }
            Item::Gate(gate) => self.gates &= !bit(gate),
            Item::Fence => self.fence = false,
        }
        if self.gates == 0 {
            self.gate_change = GateChange::default();
        }
    }
}

/// A set of one.
pub fn bit(index: usize) -> u8 {
    1 << index
}

/// Whether a set holds something.
pub fn has(set: u8, index: usize) -> bool {
    set & bit(index) != 0
}

/// What a set holds, in order.
pub fn members(set: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |index| has(set, *index))
}
