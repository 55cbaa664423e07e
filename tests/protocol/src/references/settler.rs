//! What is done for others: elements of the dead, gates that they closed, and what a delete in steps leaves.

use super::scenario::{Flaw, OnDelete};
use super::state::State;
use super::store::{Closed, Fence, GATES, Gate, Item, Life, RECORDS, Record, bit, has, members};
use super::{Action, References, record_of};

/// What a settler is about to do. It may be long until it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Settler {
    /// Nothing.
    #[default]
    Idle,
    /// Take the element of a writer out of a gate.
    Element(usize, usize),
    /// Open a gate that a writer closed.
    Closed(usize, usize),
    /// Take the next child of a record that has a tombstone, and whether it has met any.
    Sweep(usize, u8, bool),
}

/// Marks versions that a sweep gave.
const SWEPT: u8 = 0x80;

impl References {
    /// What settlers may do.
    pub(super) fn settler_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for settler in 0..self.scenario.settlers {
            match state.settlers[settler] {
                Settler::Idle => self.idle_actions(state, settler, actions),
                Settler::Element(..) | Settler::Closed(..) => actions.push(Action::Clear(settler)),
                Settler::Sweep(record, ..) => actions.push(Action::Sweep(settler, record)),
            }
            if state.settlers[settler] == Settler::Idle {
                // Those that have nothing in mind are alike.
                break;
            }
        }
    }

    fn idle_actions(&self, state: &State, settler: usize, actions: &mut Vec<Action>) {
        for (at, gate) in state.gates.iter().enumerate().filter(|(_, gate)| gate.exists) {
            actions.extend(members(gate.elements).map(|writer| Action::ProveElement(settler, writer, at)));
            if matches!(gate.closed, Closed::By(_)) {
                actions.push(Action::ProveClosed(settler, at));
            }
        }
        let tombstones = (0..RECORDS).filter(|record| state.records[*record].life == Life::Tombstone);
        actions.extend(tombstones.map(|record| Action::Sweep(settler, record)));
    }

    /// Makes sure that a token's transaction is over, or can never commit.
    pub(super) fn prove(&self, state: &mut State, settler: usize, writer: usize, then: Settler) -> bool {
        let is_proven = if self.has(Flaw::NoFence) {
            state.prepared.iter().all(|prepared| prepared.is_over())
        } else if state.prepared[writer].fence {
            false
        } else {
            if state.fences[writer] == Fence::Absent {
                state.fences[writer] = Fence::Aborted;
            }
            state.fences[writer] == Fence::Aborted || self.has(Flaw::NoProof) || state.prepared[writer].is_over()
        };
        state.settlers[settler] = then;
        is_proven
    }

    /// The same for the token that closes a gate.
    pub(super) fn prove_closed(&self, state: &mut State, settler: usize, gate: usize) -> bool {
        let Closed::By(deleter) = state.gates[gate].closed else { return false };
        if self.has(Flaw::ClosedNotSettled) {
            return false;
        }
        let deleter = usize::from(deleter);
        self.prove(state, settler, deleter, Settler::Closed(deleter, gate))
    }

    /// Removes the element, or `closed` if it is that token.
    pub(super) fn clear(&self, state: &mut State, settler: usize) -> bool {
        let (Settler::Element(_, gate) | Settler::Closed(_, gate)) = state.settlers[settler] else { return false };
        if state.is_gate_locked(gate) {
            return false;
        }
        match state.settlers[settler] {
            Settler::Element(writer, _) => self.remove_element(state, writer, gate),
            Settler::Closed(writer, _) => self.open(state, writer, gate),
            Settler::Idle | Settler::Sweep(..) => {}
        }
        state.settlers[settler] = Settler::Idle;
        true
    }

    /// One step of what follows a delete in steps: look at the next row, or bury what no row is left of.
    pub(super) fn sweep(&self, state: &mut State, settler: usize, record: usize) -> bool {
        let (cursor, found) = match state.settlers[settler] {
            Settler::Sweep(_, cursor, found) => (cursor, found),
            Settler::Idle => (0, false),
            Settler::Element(..) | Settler::Closed(..) => return false,
        };
        let next = members(self.sources[record]).nth(usize::from(cursor));
        state.settlers[settler] = match next {
            Some(source) => {
                let is_row = has(state.rows[record], source);
                if is_row {
                    self.sweep_child(state, record, source);
                }
                Settler::Sweep(record, cursor + 1, found || is_row)
            }
            None => {
                if !found {
                    self.bury(state, record);
                }
                Settler::Idle
            }
        };
        true
    }

    /// The transaction that takes a child, or its reference. At once: nothing asks for what lies between.
    fn sweep_child(&self, state: &mut State, record: usize, source: usize) {
        let child = state.records[source];
        let rows = members(child.targets).map(|target| Item::Row(target, source));
        let is_locked = rows.chain([Item::Record(source)]).any(|item| state.is_locked(item));
        if is_locked || !child.is_live() || !has(child.targets, record) {
            return;
        }
        let keeps = self.scenario.on_delete[source] == OnDelete::SetNull;
        let gone = if keeps { bit(record) } else { child.targets };
        for target in members(gone) {
            state.rows[target] &= !bit(source);
        }
        let kept = Record::live(child.version | SWEPT, child.targets & !gone);
        state.records[source] = if keeps { kept } else { Record::default() };
    }

    /// The last transaction: tombstone and gates go, if `u` is empty and nobody can have opened them.
    fn bury(&self, state: &mut State, record: usize) {
        let gates = || (0..GATES).filter(|gate| record_of(*gate) == record);
        let is_locked = state.is_locked(Item::Record(record)) || gates().any(|gate| state.is_gate_locked(gate));
        let is_tombstone = state.records[record].life == Life::Tombstone;
        let is_shut = gates().filter(|gate| state.gates[*gate].exists).all(|gate| {
            let Gate { elements, closed, .. } = state.gates[gate];
            elements == 0 && (closed == Closed::Gone || self.has(Flaw::StepsNotGone))
        });
        if is_locked || !is_tombstone || !is_shut {
            return;
        }
        state.records[record] = Record::default();
        state.orphans[record] = 0;
        for gate in gates() {
            state.gates[gate] = Gate::default();
        }
    }
}
