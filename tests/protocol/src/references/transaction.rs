//! The one transaction of an operation: conditions, and what it prepares.

use super::scenario::{Change, Flaw};
use super::state::State;
use super::store::{Closed, Fence, GateChange, Life, MOVED, Prepared, RECORDS, Record, bit, has, members};
use super::{References, first_gate, gate_of};

/// What becomes of a transaction that is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Another transaction holds one of its items.
    Conflict,
    /// A condition fails.
    Refused,
    /// It is committed, and becomes visible item by item.
    Prepared,
}

impl References {
    /// Executes the transaction of a writer; `is_ungated` where it demands that what it deletes has no gate.
    pub(super) fn attempt(&self, state: &mut State, writer: usize, is_ungated: bool) -> Attempt {
        let prepared = self.prepare(state, writer, is_ungated);
        let is_locked = state.prepared.iter().any(|other| other.conflicts(&prepared)) || state.prepared[writer].fence;
        if is_locked {
            return Attempt::Conflict;
        }
        let is_unfenced = state.fences[writer] == Fence::Absent || self.has(Flaw::NoFence);
        if !is_unfenced || !self.conditions_hold(state, writer, is_ungated) {
            return Attempt::Refused;
        }
        for record in members(prepared.records).filter(|record| prepared.after[*record].life == Life::Tombstone) {
            let sources = state.effective_records().map(|source| has(source.targets, record));
            state.orphans[record] = (0..RECORDS).filter(|source| sources[*source]).map(bit).sum();
        }
        state.prepared[writer] = prepared;
        Attempt::Prepared
    }

    /// Records that go in this transaction.
    fn deleted(&self, state: &State, writer: usize, is_ungated: bool) -> u8 {
        if is_ungated { self.operation(writer).delete.map_or(0, bit) } else { state.writers[writer].deletes }
    }

    fn conditions_hold(&self, state: &State, writer: usize, is_ungated: bool) -> bool {
        let memory = &state.writers[writer];
        let is_as_read = |record: usize| state.records[record].is_live() && state.records[record].version == memory.seen[record];
        let changes = self.operation(writer).changes.iter().all(|change| match change.creates {
            true => state.records[change.record].life == Life::Absent,
            false => is_as_read(change.record),
        });
        let nulls = if is_ungated { 0 } else { memory.nulls };
        let along = members(self.deleted(state, writer, is_ungated) | nulls).all(is_as_read);
        let gates = members(self.gates_of_delete(state, writer, is_ungated)).all(|gate| match is_ungated {
            true => !state.gates[gate].exists,
            false => state.gates[gate].closed == Closed::By(writer as u8),
        });
        changes && along && gates
    }

    fn gates_of_delete(&self, state: &State, writer: usize, is_ungated: bool) -> u8 {
        let operation = self.operation(writer);
        match operation.delete {
            Some(record) if is_ungated => {
                let shards = if self.scenario.is_registered { 1 } else { operation.shards };
                (0..shards).map(|shard| bit(gate_of(record, shard))).sum()
            }
            _ => state.writers[writer].closed,
        }
    }

    fn prepare(&self, state: &State, writer: usize, is_ungated: bool) -> Prepared {
        let mut prepared = Prepared { fence: true, ..Prepared::default() };
        for change in &self.operation(writer).changes {
            self.prepare_change(&mut prepared, writer, *change);
        }
        for announcement in self.announcements[writer].iter().filter(|announcement| announcement.is_own) {
            prepared.gates |= bit(announcement.gate);
            if self.scenario.is_registered {
                prepared.gates |= bit(first_gate(announcement.gate));
            }
        }
        if self.operation(writer).delete.is_some() {
            self.prepare_delete(&mut prepared, state, writer, is_ungated);
        }
        prepared
    }

    fn prepare_change(&self, prepared: &mut Prepared, writer: usize, change: Change) {
        let source = change.record;
        prepared.set(source, Record::live(version_of(writer), change.to));
        for target in members(change.to & !change.from) {
            prepared.put[target] |= bit(source);
        }
        for target in members(change.from & !change.to) {
            prepared.deleted[target] |= self.row_bits(source);
        }
        if self.has(Flaw::RowsMove) && change.from == change.to {
            for target in members(change.to) {
                prepared.put[target] |= bit(source + MOVED);
                prepared.deleted[target] |= bit(source);
            }
        }
    }

    /// Where the row of a source can lie.
    fn row_bits(&self, source: usize) -> u8 {
        if self.has(Flaw::RowsMove) { bit(source) | bit(source + MOVED) } else { bit(source) }
    }

    fn prepare_delete(&self, prepared: &mut Prepared, state: &State, writer: usize, is_ungated: bool) {
        let in_steps = self.operation(writer).in_steps && !is_ungated;
        let deleted = self.deleted(state, writer, is_ungated);
        for record in members(deleted) {
            let life = if in_steps { Life::Tombstone } else { Life::Absent };
            let version = if in_steps { version_of(writer) } else { 0 };
            prepared.set(record, Record { life, version, targets: 0 });
            let is_left = self.has(Flaw::RowsLeft) && self.operation(writer).delete != Some(record);
            let targets = state.records[record].targets;
            for target in members(if is_left { targets & deleted } else { targets }) {
                prepared.deleted[target] |= self.row_bits(record);
            }
        }
        let nulls = if is_ungated { 0 } else { state.writers[writer].nulls & !deleted };
        for source in members(nulls) {
            let targets = state.records[source].targets;
            prepared.set(source, Record::live(version_of(writer), targets & !deleted));
            for target in members(targets & deleted) {
                prepared.deleted[target] |= self.row_bits(source);
            }
        }
        prepared.gates |= self.gates_of_delete(state, writer, is_ungated);
        prepared.gate_change = match in_steps && !self.has(Flaw::StepsNotGone) {
            true => GateChange::Gone,
            false => GateChange::Delete,
        };
        if in_steps && self.has(Flaw::StepsNotGone) {
            prepared.gates = 0;
        }
    }
}

/// The version that a writer gives to what it writes.
fn version_of(writer: usize) -> u8 {
    writer as u8 + 1
}
