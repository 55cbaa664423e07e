//! What must hold in every state, and what some state must show.

use stateright::Property;

use super::References;
use super::settler::Settler;
use super::state::{Message, State};
use super::store::{Closed, Fence, Life, MOVED, RECORDS, bit, has, members};

/// Nobody refers to a record that is gone.
pub const NO_DANGLING: &str = "nobody refers to a record that is gone";
/// Reference rows say what the records say.
pub const ROWS_EQUAL: &str = "reference rows equal the records";
/// Whatever the writers leave, others can clean up.
pub const SETTLES: &str = "others can settle what writers leave";

/// The properties of a scenario.
pub(super) fn all(model: &References) -> Vec<Property<References>> {
    let mut all = vec![
        Property::always(NO_DANGLING, no_dangling),
        Property::always(ROWS_EQUAL, rows_equal),
        Property::always(SETTLES, settles),
    ];
    let commits = [
        Property::sometimes("operation 0 commits", |_: &References, state: &State| is_committed(state, 0)),
        Property::sometimes("operation 1 commits", |_: &References, state: &State| is_committed(state, 1)),
        Property::sometimes("operation 2 commits", |_: &References, state: &State| is_committed(state, 2)),
    ];
    let is_expected = |operation: usize| !has(model.scenario.restricted, operation);
    let commits = commits.into_iter().enumerate().take(model.scenario.operations.len());
    all.extend(commits.filter(|(operation, _)| is_expected(*operation)).map(|(_, property)| property));
    if model.scenario.restricted != 0 {
        all.push(Property::always("what is restricted never commits", |model: &References, state: &State| {
            !members(model.scenario.restricted).any(|operation| is_committed(state, operation))
        }));
    }
    if model.scenario.late > 0 {
        let is_late = |_: &References, state: &State| state.messages.iter().flatten().any(|late| is_after_end(state, *late));
        all.push(Property::sometimes("a request is late by a whole write", is_late));
    }
    all
}

fn is_committed(state: &State, writer: usize) -> bool {
    state.fences[writer] == Fence::Committed
}

fn is_after_end(state: &State, message: Message) -> bool {
    is_committed(state, message.writer()) && state.prepared[message.writer()].is_over()
}

/// A reference counts from the moment its transaction is prepared, and until another's is that takes it away. Children of a
/// delete in steps may outlive it, if they referred to the record when that was committed, and until the last step.
fn no_dangling(model: &References, state: &State) -> bool {
    let records = state.effective_records();
    records.iter().enumerate().all(|(source, record)| {
        members(record.targets).all(|target| match records[target].life {
            Life::Live => true,
            Life::Absent => false,
            Life::Tombstone => {
                let may_outlive = has(state.orphans[target], source);
                may_outlive && model.scenario.on_delete[source] != super::OnDelete::Restrict
            }
        })
    })
}

fn rows_equal(_: &References, state: &State) -> bool {
    let records = state.effective_records();
    let mut rows = state.rows;
    for prepared in &state.prepared {
        for (target, rows) in rows.iter_mut().enumerate() {
            *rows = *rows & !prepared.deleted[target] | prepared.put[target];
        }
    }
    rows.iter().enumerate().all(|(target, rows)| {
        let says = |at: usize| has(*rows, at) || has(*rows, at + MOVED);
        (0..RECORDS).all(|source| says(source) == has(records[source].targets, target))
    })
}

/// Nobody writes any more: one settler alone gets every gate open and empty, every tombstone away. Only states without a
/// prepared transaction need to be looked at: the others lead to such.
fn settles(model: &References, state: &State) -> bool {
    if state.prepared.iter().any(|prepared| !prepared.is_over()) || is_settled(state) {
        return true;
    }
    let mut state = state.clone();
    state.settlers = Default::default();
    for gate in 0..state.gates.len() {
        for writer in members(state.gates[gate].elements) {
            run(model, &mut state, |state| model.prove(state, 0, writer, Settler::Element(writer, gate)));
        }
        if matches!(state.gates[gate].closed, Closed::By(_)) {
            run(model, &mut state, |state| model.prove_closed(state, 0, gate));
        }
    }
    for _ in 0..=RECORDS {
        for record in 0..RECORDS {
            while state.records[record].life == Life::Tombstone {
                model.sweep(&mut state, 0, record);
                if state.settlers[0] == Settler::Idle {
                    break;
                }
            }
        }
    }
    is_settled(&state) && no_dangling(model, &state) && rows_equal(model, &state)
}

fn run(model: &References, state: &mut State, prove: impl FnOnce(&mut State) -> bool) {
    if prove(state) {
        model.clear(state, 0);
    }
    state.settlers[0] = Settler::Idle;
}

fn is_settled(state: &State) -> bool {
    let is_open = state.gates.iter().all(|gate| gate.elements == 0 && gate.closed == Closed::No);
    is_open && state.records.iter().all(|record| record.life != Life::Tombstone)
}

/// A set of records.
pub fn set(records: &[usize]) -> u8 {
    records.iter().map(|record| bit(*record)).sum()
}
