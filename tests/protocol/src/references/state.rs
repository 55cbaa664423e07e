//! A state of the model: the table, the writers, the settlers, and requests that are still on their way.

use super::References;
use super::scenario::{FenceLife, Flaw};
use super::settler::Settler;
use super::store::{Closed, Fence, GATES, Gate, GateChange, Item, Prepared, RECORDS, Record, WRITERS, bit, has};

/// Where a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// Nothing to do, or nothing left to do.
    #[default]
    Over,
    /// About to read what it changes.
    Begin,
    /// Announcing, and confirming parents.
    Announce,
    /// About to ask whether anything refers to what it deletes.
    FirstQuery,
    /// About to delete what has no gate.
    CommitUngated,
    /// Closing gates.
    Close,
    /// Waiting until `u` is empty.
    AwaitEmpty,
    /// Reading reference rows.
    Query,
    /// About to commit.
    Commit,
    /// Waiting for the answer.
    Await,
    /// Acknowledged, taking its elements out.
    Settle,
    /// Given up, about to put its fence.
    Fence,
    /// Fenced, taking its elements out.
    Retract,
    /// Opening the gates that it has closed.
    Reopen,
}

/// A writer's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Writer {
    /// Where it is.
    pub step: Step,
    /// Announcements that are out, a bit each.
    pub announced: u8,
    /// Announcements at gates without `ok`.
    pub unconfirmed: u8,
    /// Versions of the records that it read.
    pub seen: [u8; RECORDS],
    /// Records that it deletes.
    pub deletes: u8,
    /// Records whose references it takes away.
    pub nulls: u8,
    /// Records of `deletes` whose rows are read to the end.
    pub queried: u8,
    /// How far it is with the rows of the next.
    pub cursor: u8,
    /// Gates that it has closed.
    pub closed: u8,
}

/// A request that has not been executed, or not for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// An announcement.
    Announce(u8, u8),
    /// A transaction that confirms a parent.
    Confirm(u8, u8),
    /// The closing of a gate.
    Close(u8, u8),
    /// The transaction; `true` where it demands that there is no gate.
    Commit(u8, bool),
}

impl Message {
    /// Who sent it.
    pub fn writer(self) -> usize {
        match self {
            Self::Announce(writer, _) | Self::Confirm(writer, _) | Self::Close(writer, _) | Self::Commit(writer, _) => {
                usize::from(writer)
            }
        }
    }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// Records.
    pub records: [Record; RECORDS],
    /// Reference rows under each record: a bit for each that refers to it.
    pub rows: [u8; RECORDS],
    /// Gates.
    pub gates: [Gate; GATES],
    /// Fences.
    pub fences: [Fence; WRITERS],
    /// Writers.
    pub writers: [Writer; WRITERS],
    /// Their transactions.
    pub prepared: [Prepared; WRITERS],
    /// Settlers.
    pub settlers: [Settler; 2],
    /// Requests on their way, in order.
    pub messages: [Option<Message>; 2],
    /// How many more may be late.
    pub late: u8,
    /// Who referred to a record when its delete in steps committed.
    pub orphans: [u8; RECORDS],
}

impl State {
    /// Whether a transaction has prepared an item and not released it.
    pub fn is_locked(&self, item: Item) -> bool {
        self.prepared.iter().any(|prepared| prepared.locks(item))
    }

    /// The same, for a gate.
    pub fn is_gate_locked(&self, gate: usize) -> bool {
        self.prepared.iter().any(|prepared| has(prepared.gates, gate))
    }

    /// Lets a request be executed late; `false` where no more may be.
    pub fn post(&mut self, message: Message) -> bool {
        let Some(free) = self.messages.iter().position(Option::is_none).filter(|_| self.late > 0) else { return false };
        self.messages[free] = Some(message);
        self.messages.sort_unstable();
        self.late -= 1;
        true
    }

    /// A writer that has come to its end forgets all that no late request of it needs.
    pub fn forget(&mut self, writer: usize) {
        let is_needed = |message: &Message| matches!(message, Message::Commit(sender, _) if usize::from(*sender) == writer);
        if self.writers[writer].step == Step::Over && !self.messages.iter().flatten().any(is_needed) {
            self.writers[writer] = Writer::default();
        }
    }

    /// The records as they are once every transaction is visible.
    pub fn effective_records(&self) -> [Record; RECORDS] {
        let mut records = self.records;
        for prepared in &self.prepared {
            for (record, after) in prepared.after.iter().enumerate().filter(|(record, _)| has(prepared.records, *record)) {
                records[record] = *after;
            }
        }
        records
    }
}

impl References {
    /// One item of a transaction becomes visible.
    pub(super) fn become_visible(&self, state: &mut State, writer: usize, item: Item) -> bool {
        let prepared = state.prepared[writer];
        match item {
            Item::Record(record) => state.records[record] = prepared.after[record],
            Item::Row(target, at) if has(prepared.put[target], at) => state.rows[target] |= bit(at),
            Item::Row(target, at) => state.rows[target] &= !bit(at),
            Item::Gate(gate) => self.change_gate(state, writer, gate, prepared.gate_change),
            Item::Fence => state.fences[writer] = Fence::Committed,
        }
        state.prepared[writer].release(item);
        true
    }

    fn change_gate(&self, state: &mut State, writer: usize, gate: usize, change: GateChange) {
        match change {
            GateChange::Delete => state.gates[gate] = Gate::default(),
            GateChange::Gone => state.gates[gate].closed = Closed::Gone,
            GateChange::Ok => {
                for announcement in self.announcements[writer].iter().filter(|announcement| announcement.is_own) {
                    self.confirm_part(state, announcement.gate, gate);
                }
            }
        }
    }

    /// A fence expires. Where it outlasts its token, the deadline of the writer is over by then, and it sends nothing more.
    pub(super) fn expire(&self, state: &mut State, writer: usize) -> bool {
        if state.fences[writer] == Fence::Absent || state.prepared[writer].fence {
            return false;
        }
        if self.scenario.fences == FenceLife::Outlasting && !self.has(Flaw::FenceExpiresEarly) {
            let is_on_its_way = state.messages.iter().flatten().any(|message| message.writer() == writer);
            if is_on_its_way || !state.prepared[writer].is_over() {
                return false;
            }
            state.writers[writer] = Writer::default();
        }
        state.fences[writer] = Fence::Absent;
        true
    }

    /// A gate with neither `u`, `ok` nor `closed` goes.
    pub(super) fn drop_gate(&self, state: &mut State, gate: usize) -> bool {
        let is_free = !state.is_gate_locked(gate);
        let is_empty = state.gates[gate] == Gate { exists: true, ..Gate::default() };
        if is_free && is_empty {
            state.gates[gate] = Gate::default();
        }
        is_free && is_empty
    }
}
