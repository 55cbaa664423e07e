//! Gates, reference rows and fences: writers that refer, deletes that cascade, settlers, and requests that arrive late.
//!
//! ```text
//! write   begin -> announce (-> confirm the parent) -> commit -> settle
//! delete  begin -> query -> commit where no gate exists
//!                        -> close -> u empty -> query -> commit
//! either  given up: fence -> settle -> reopen
//! others  prove (or fence) -> clear an element, or open a gate; sweep what a delete in steps leaves
//! ```

mod deleter;
mod properties;
mod scenario;
mod settler;
mod state;
mod store;
mod transaction;
mod writer;

pub use properties::{NO_DANGLING, ROWS_EQUAL, SETTLES, set};
pub use scenario::{Change, FenceLife, Flaw, OnDelete, Operation, Scenario};
pub use settler::Settler;
pub use state::{Message, State, Step, Writer};
pub use store::{Closed, Fence, Gate, GateChange, Item, Life, Prepared, RECORDS, Record};

use stateright::{Model, Property};

use store::{GATES, MOVED, SHARDS, bit, members};

/// How a request gets to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As it should.
    Once,
    /// Now, and again at any later time.
    Twice,
    /// Only at a later time, if at all: its sender has given up by then.
    Late,
}

/// A step of somebody; the first number is the writer's, or the settler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A writer reads what it is about to change.
    Begin(usize),
    /// A writer announces a reference at a gate.
    Announce(usize, usize, Delivery),
    /// A transaction checks that the parent exists and sets `ok` at its gate.
    Confirm(usize, usize, Delivery),
    /// A deleter asks for reference rows before anything else.
    FirstQuery(usize),
    /// A deleter closes a gate.
    Close(usize, Delivery),
    /// A deleter sees `u` empty.
    SeeEmpty(usize),
    /// A deleter reads the next reference row.
    QueryRow(usize),
    /// A writer sends its transaction.
    Commit(usize, Delivery),
    /// An item of a prepared transaction becomes visible.
    Visible(usize, Item),
    /// A writer learns that its transaction is committed.
    Acknowledge(usize),
    /// A writer takes its element out of a gate.
    Settle(usize, usize),
    /// A writer gives up, or learns that it must.
    GiveUp(usize),
    /// A writer puts its own fence.
    Fence(usize),
    /// A deleter opens a gate again.
    Reopen(usize),
    /// A request is executed that was late.
    Arrive(Message),
    /// A settler fences the token of an element, or proves that its commit is over.
    ProveElement(usize, usize, usize),
    /// A settler fences the token that closes a gate, or proves that its commit is over.
    ProveClosed(usize, usize),
    /// A settler acts on its proof.
    Clear(usize),
    /// A settler goes on with a delete in steps.
    Sweep(usize, usize),
    /// A fence expires.
    Expire(usize),
    /// Somebody removes a gate that says nothing.
    DropGate(usize),
}

/// A reference that an operation adds.
#[derive(Debug, Clone, Copy)]
struct Announcement {
    target: usize,
    gate: usize,
    /// Whether the same transaction makes the target.
    is_own: bool,
}

/// The model.
#[derive(Debug, Clone)]
pub struct References {
    scenario: Scenario,
    announcements: Vec<Vec<Announcement>>,
    /// Which rows each record can ever have under it, a bit each.
    sources: [u8; RECORDS],
}

impl References {
    /// The model of a scenario.
    pub fn new(mut scenario: Scenario) -> Self {
        for operation in scenario.operations.iter_mut().filter(|operation| operation.shards == 0) {
            operation.shards = scenario.shards;
        }
        let mut model = Self { announcements: Vec::new(), sources: [0; RECORDS], scenario };
        model.announcements = model.scenario.operations.iter().map(|operation| model.announcements_of(operation)).collect();
        let changes = model.scenario.operations.iter().flat_map(|operation| &operation.changes);
        let starting = model.scenario.records.iter().enumerate().map(|(source, record)| (source, record.targets));
        for (source, targets) in starting.chain(changes.map(|change| (change.record, change.from | change.to))) {
            for target in members(targets) {
                model.sources[target] |= bit(source);
                if model.has(Flaw::RowsMove) {
                    model.sources[target] |= bit(source + MOVED);
                }
            }
        }
        model
    }

    fn announcements_of(&self, operation: &Operation) -> Vec<Announcement> {
        let is_own = |target: usize| operation.changes.iter().any(|change| change.creates && change.record == target);
        let one = |change: &Change, target: usize| Announcement {
            target,
            gate: gate_of(target, change.record % operation.shards),
            is_own: is_own(target),
        };
        let coming = operation
            .changes
            .iter()
            .flat_map(|change| members(change.to & !change.from).map(move |target| one(change, target)).collect::<Vec<_>>());
        coming.filter(|announcement| !(announcement.is_own && self.has(Flaw::OwnParentUnannounced))).collect()
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.scenario.flaw == Some(flaw)
    }

    fn operation(&self, writer: usize) -> &Operation {
        &self.scenario.operations[writer]
    }

    fn writers(&self) -> std::ops::Range<usize> {
        0..self.scenario.operations.len()
    }
}

fn gate_of(record: usize, shard: usize) -> usize {
    record * SHARDS + shard
}

fn record_of(gate: usize) -> usize {
    gate / SHARDS
}

fn first_gate(gate: usize) -> usize {
    gate_of(record_of(gate), 0)
}

impl Model for References {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State { late: self.scenario.late, records: self.scenario.records, ..State::default() };
        for (source, record) in self.scenario.records.iter().enumerate() {
            for target in members(record.targets) {
                state.rows[target] |= bit(source);
                if !self.scenario.is_imported {
                    self.confirm_gate(&mut state, gate_of(target, source % self.scenario.shards));
                }
            }
        }
        let records = (0..RECORDS).filter(|record| self.scenario.is_gated && self.sources[*record] != 0);
        for record in records.filter(|record| self.scenario.records[*record].is_live()) {
            (0..self.scenario.shards).for_each(|shard| self.confirm_gate(&mut state, gate_of(record, shard)));
        }
        for writer in self.writers() {
            state.writers[writer].step = Step::Begin;
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for writer in self.writers() {
            actions.extend(state.prepared[writer].items().map(|item| Action::Visible(writer, item)));
            self.writer_actions(state, writer, actions);
            if self.scenario.fences != FenceLife::Kept || self.has(Flaw::FenceExpiresEarly) {
                actions.push(Action::Expire(writer));
            }
        }
        actions.extend(state.messages.iter().flatten().map(|message| Action::Arrive(*message)));
        self.settler_actions(state, actions);
        actions.extend((0..GATES).filter(|gate| state.gates[*gate].exists).map(Action::DropGate));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let is_possible = match action {
            Action::Begin(writer) => self.begin(&mut state, writer),
            Action::Announce(writer, at, delivery) => self.announce(&mut state, writer, at, delivery),
            Action::Confirm(writer, at, delivery) => self.confirm(&mut state, writer, at, delivery),
            Action::FirstQuery(writer) => self.first_query(&mut state, writer),
            Action::Close(writer, delivery) => self.close(&mut state, writer, delivery),
            Action::SeeEmpty(writer) => self.see_empty(&mut state, writer),
            Action::QueryRow(writer) => self.query_row(&mut state, writer),
            Action::Commit(writer, delivery) => self.commit(&mut state, writer, delivery),
            Action::Visible(writer, item) => self.become_visible(&mut state, writer, item),
            Action::Acknowledge(writer) => self.acknowledge(&mut state, writer),
            Action::Settle(writer, at) => self.settle(&mut state, writer, at),
            Action::GiveUp(writer) => self.give_up(&mut state, writer),
            Action::Fence(writer) => self.fence(&mut state, writer),
            Action::Reopen(writer) => self.reopen(&mut state, writer),
            Action::Arrive(message) => self.arrive(&mut state, message),
            Action::ProveElement(settler, writer, gate) => {
                self.prove(&mut state, settler, writer, Settler::Element(writer, gate))
            }
            Action::ProveClosed(settler, gate) => self.prove_closed(&mut state, settler, gate),
            Action::Clear(settler) => self.clear(&mut state, settler),
            Action::Sweep(settler, record) => self.sweep(&mut state, settler, record),
            Action::Expire(writer) => self.expire(&mut state, writer),
            Action::DropGate(gate) => self.drop_gate(&mut state, gate),
        };
        is_possible.then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
