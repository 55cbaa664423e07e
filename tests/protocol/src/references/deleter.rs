//! A delete: query, and where a gate exists: close it, wait until `u` is empty, query again, commit.

use super::scenario::{Flaw, OnDelete};
use super::state::{Message, State, Step};
use super::store::{Closed, MOVED, bit, has, members};
use super::{Delivery, References, gate_of};

impl References {
    /// The rows under a record, without those of records that the operation itself changes.
    fn foreign_rows(&self, writer: usize, rows: u8) -> u8 {
        let changes = &self.operation(writer).changes;
        members(rows).filter(|at| !changes.iter().any(|change| change.record == at % MOVED)).map(bit).sum()
    }

    fn restricts(&self, at: usize) -> bool {
        self.scenario.on_delete[at % MOVED] == OnDelete::Restrict
    }

    /// Asks before anything is closed. One step, though rows are read one after another: without a gate rows can only go.
    pub(super) fn first_query(&self, state: &mut State, writer: usize) -> bool {
        let Some(record) = self.operation(writer).delete else { return false };
        let rows = self.foreign_rows(writer, state.rows[record]);
        if members(rows).any(|at| self.restricts(at)) {
            return self.give_up(state, writer);
        }
        if self.has(Flaw::QueryBeforeClosing) {
            members(rows).for_each(|at| self.take_along(state, writer, at % MOVED));
        }
        let is_slow = rows != 0 || self.has(Flaw::QueryBeforeClosing);
        self.go_to(state, writer, if is_slow { Step::Close } else { Step::CommitUngated })
    }

    /// The record of `deletes` whose rows come next.
    fn next_record(&self, state: &State, writer: usize) -> Option<usize> {
        let memory = &state.writers[writer];
        members(memory.deletes & !memory.queried).next()
    }

    /// The gates of a record that a deleter closes: as many as its model says, or those that the first one knows.
    fn next_gate(&self, state: &State, writer: usize, record: usize) -> Option<usize> {
        let first = gate_of(record, 0);
        let is_closed = |gate: &usize| has(state.writers[writer].closed, *gate);
        if self.scenario.is_registered {
            let known = members(state.gates[first].shards | bit(0)).map(|shard| first + shard);
            return known.into_iter().find(|gate| !is_closed(gate));
        }
        (0..self.operation(writer).shards).map(|shard| first + shard).find(|gate| !is_closed(gate))
    }

    /// Closes the next gate, in order.
    pub(super) fn close(&self, state: &mut State, writer: usize, delivery: Delivery) -> bool {
        let Some(record) = self.next_record(state, writer) else { return false };
        let Some(gate) = self.next_gate(state, writer, record) else { return false };
        if delivery != Delivery::Once && !state.post(Message::Close(writer as u8, gate as u8)) {
            return false;
        }
        if delivery == Delivery::Late {
            state.writers[writer].closed |= bit(gate);
            return self.give_up(state, writer);
        }
        match self.try_to_close(state, writer, gate) {
            None => return false,
            Some(false) => return delivery == Delivery::Once && self.give_up(state, writer),
            Some(true) => state.writers[writer].closed |= bit(gate),
        }
        if self.next_gate(state, writer, record).is_none() {
            let step = match self.scenario.flaw {
                Some(Flaw::QueryBeforeClosing) => Step::Commit,
                Some(Flaw::ElementsNotAwaited) => Step::Query,
                _ => Step::AwaitEmpty,
            };
            self.go_to(state, writer, step);
        }
        true
    }

    /// `SET closed = :d` if nobody has; `None` where a transaction is in the way.
    pub(super) fn try_to_close(&self, state: &mut State, writer: usize, gate: usize) -> Option<bool> {
        if state.is_gate_locked(gate) {
            return None;
        }
        let is_open = state.gates[gate].closed == Closed::No;
        if is_open {
            state.gates[gate].exists = true;
            state.gates[gate].closed = Closed::By(writer as u8);
        }
        Some(is_open)
    }

    /// `REMOVE closed` if it is that token.
    pub(super) fn open(&self, state: &mut State, writer: usize, gate: usize) {
        let closed = &mut state.gates[gate].closed;
        let is_any = self.has(Flaw::OpenWhoeverClosed) && matches!(closed, Closed::By(_));
        if is_any || *closed == Closed::By(writer as u8) {
            *closed = Closed::No;
        }
    }

    /// `u` is empty at every gate of the record that comes next.
    pub(super) fn see_empty(&self, state: &mut State, writer: usize) -> bool {
        let Some(record) = self.next_record(state, writer) else { return false };
        let gates = members(state.writers[writer].closed).filter(|gate| super::record_of(*gate) == record);
        let is_empty = gates.into_iter().all(|gate| state.gates[gate].elements == 0);
        is_empty && self.go_to(state, writer, Step::Query)
    }

    /// Reads one row after another.
    pub(super) fn query_row(&self, state: &mut State, writer: usize) -> bool {
        let Some(record) = self.next_record(state, writer) else { return false };
        let possible = self.foreign_rows(writer, self.sources[record]);
        let Some(at) = members(possible).nth(usize::from(state.writers[writer].cursor)) else {
            return self.end_query(state, writer, record);
        };
        state.writers[writer].cursor += 1;
        if !has(state.rows[record], at) || has(state.writers[writer].deletes, at % MOVED) {
            return true;
        }
        if self.restricts(at) {
            return self.give_up(state, writer);
        }
        if !self.operation(writer).in_steps {
            self.take_along(state, writer, at % MOVED);
        }
        true
    }

    fn end_query(&self, state: &mut State, writer: usize, record: usize) -> bool {
        let memory = &mut state.writers[writer];
        memory.queried |= bit(record);
        memory.cursor = 0;
        let step = if memory.deletes & !memory.queried == 0 { Step::Commit } else { Step::Close };
        self.go_to(state, writer, step)
    }

    /// A record that goes along, or stays without its reference, in the version that it has now.
    fn take_along(&self, state: &mut State, writer: usize, source: usize) {
        let memory = &mut state.writers[writer];
        memory.seen[source] = state.records[source].version;
        match self.scenario.on_delete[source] {
            OnDelete::SetNull => memory.nulls |= bit(source),
            OnDelete::Restrict | OnDelete::Cascade => memory.deletes |= bit(source),
        }
        if self.sources[source] == 0 {
            // Nothing in the scenario can refer to it.
            memory.queried |= bit(source);
        }
    }
}
