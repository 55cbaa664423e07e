//! A write: announce, confirm, commit, settle; and what a writer does that gives up.

use super::scenario::Flaw;
use super::state::{Message, State, Step};
use super::store::{Closed, Fence, GATES, Item, bit, has, members};
use super::transaction::Attempt;
use super::{Action, Delivery, References, first_gate};

const DELIVERIES: [Delivery; 3] = [Delivery::Once, Delivery::Twice, Delivery::Late];

impl References {
    /// What a writer may do next.
    pub(super) fn writer_actions(&self, state: &State, writer: usize, actions: &mut Vec<Action>) {
        let memory = &state.writers[writer];
        let deliveries = if state.late > 0 { &DELIVERIES[..] } else { &DELIVERIES[..1] };
        match memory.step {
            Step::Over => {}
            Step::Begin => actions.push(Action::Begin(writer)),
            Step::Announce => {
                let all = 0..self.announcements[writer].len();
                for delivery in deliveries {
                    let out = all.clone().filter(|at| !has(memory.announced, *at));
                    actions.extend(out.map(|at| Action::Announce(writer, at, *delivery)));
                    actions.extend(members(memory.unconfirmed).map(|at| Action::Confirm(writer, at, *delivery)));
                }
                actions.push(Action::GiveUp(writer));
            }
            Step::FirstQuery => actions.push(Action::FirstQuery(writer)),
            Step::CommitUngated | Step::Commit => {
                actions.extend(deliveries.iter().map(|delivery| Action::Commit(writer, *delivery)));
                actions.push(Action::GiveUp(writer));
            }
            Step::Close => actions.extend(deliveries.iter().map(|delivery| Action::Close(writer, *delivery))),
            Step::AwaitEmpty => actions.extend([Action::SeeEmpty(writer), Action::GiveUp(writer)]),
            Step::Query => actions.push(Action::QueryRow(writer)),
            Step::Await => actions.extend([Action::Acknowledge(writer), Action::GiveUp(writer)]),
            Step::Settle | Step::Retract => {
                actions.extend(members(memory.announced).map(|at| Action::Settle(writer, at)));
            }
            Step::Fence => actions.push(Action::Fence(writer)),
            Step::Reopen => actions.push(Action::Reopen(writer)),
        }
    }

    /// Reads the records that the operation changes.
    pub(super) fn begin(&self, state: &mut State, writer: usize) -> bool {
        let operation = self.operation(writer);
        let read = operation.changes.iter().filter(|change| !change.creates);
        let is_as_expected = read.clone().all(|change| {
            let record = state.records[change.record];
            record.is_live() && record.targets == change.from
        });
        let exists = operation.delete.is_none_or(|record| state.records[record].is_live());
        let parents = self.announcements[writer].iter().filter(|announcement| !announcement.is_own);
        let has_parents =
            !self.has(Flaw::ParentReadFirst) || parents.clone().all(|parent| state.records[parent.target].is_live());
        if !(is_as_expected && exists && has_parents) {
            state.writers[writer].step = Step::Over;
            return true;
        }
        for record in read.map(|change| change.record).chain(operation.delete) {
            state.writers[writer].seen[record] = state.records[record].version;
        }
        state.writers[writer].deletes = operation.delete.map_or(0, bit);
        state.writers[writer].step = Step::Announce;
        self.leave_announcing(state, writer);
        true
    }

    /// Goes on when everything is announced and confirmed.
    fn leave_announcing(&self, state: &mut State, writer: usize) {
        let memory = &mut state.writers[writer];
        let is_announced = (0..self.announcements[writer].len()).all(|at| has(memory.announced, at));
        if memory.step == Step::Announce && is_announced && memory.unconfirmed == 0 {
            memory.step = if self.operation(writer).delete.is_some() { Step::FirstQuery } else { Step::Commit };
        }
    }

    /// `ADD u :e` at a gate that is not closed.
    pub(super) fn announce(&self, state: &mut State, writer: usize, at: usize, delivery: Delivery) -> bool {
        let announcement = self.announcements[writer][at];
        if !self.deliver(state, delivery, Message::Announce(writer as u8, at as u8)) {
            return false;
        }
        state.writers[writer].announced |= bit(at);
        if delivery == Delivery::Late {
            return self.give_up(state, writer);
        }
        if state.is_gate_locked(announcement.gate) {
            return false;
        }
        if state.gates[announcement.gate].closed != Closed::No {
            state.writers[writer].announced &= !bit(at);
            return delivery == Delivery::Once && self.give_up(state, writer);
        }
        self.add_element(state, writer, announcement.gate);
        if !state.gates[announcement.gate].ok && !announcement.is_own && !self.has(Flaw::ParentReadFirst) {
            state.writers[writer].unconfirmed |= bit(at);
        }
        self.leave_announcing(state, writer);
        true
    }

    fn add_element(&self, state: &mut State, writer: usize, gate: usize) {
        state.gates[gate].exists = true;
        state.gates[gate].elements |= bit(writer);
    }

    /// A transaction: the parent exists, the gate gets `ok`. Where the first gate knows the others, it must be open, too.
    pub(super) fn confirm(&self, state: &mut State, writer: usize, at: usize, delivery: Delivery) -> bool {
        if !self.deliver(state, delivery, Message::Confirm(writer as u8, at as u8)) {
            return false;
        }
        if delivery == Delivery::Late {
            return self.give_up(state, writer);
        }
        match self.try_to_confirm(state, writer, at) {
            None => false,
            Some(false) => delivery == Delivery::Once && self.give_up(state, writer),
            Some(true) => {
                state.writers[writer].unconfirmed &= !bit(at);
                self.leave_announcing(state, writer);
                true
            }
        }
    }

    /// Whether the parent exists; `None` where another transaction is in the way.
    fn try_to_confirm(&self, state: &mut State, writer: usize, at: usize) -> Option<bool> {
        let announcement = self.announcements[writer][at];
        let parent = announcement.target;
        if self.has(Flaw::ParentReadPlainly) {
            return Some(state.records[parent].is_live());
        }
        let first = first_gate(announcement.gate);
        let gates = [announcement.gate, if self.scenario.is_registered { first } else { announcement.gate }];
        if state.is_locked(Item::Record(parent)) || gates.iter().any(|gate| state.is_gate_locked(*gate)) {
            return None;
        }
        let may_register = !self.scenario.is_registered || state.gates[first].closed == Closed::No;
        let is_confirmed = state.records[parent].is_live() && may_register;
        if is_confirmed && !self.has(Flaw::OkWhenSettling) {
            self.confirm_gate(state, announcement.gate);
        }
        Some(is_confirmed)
    }

    /// `SET ok`, and where the first gate knows the others, its entry.
    pub(super) fn confirm_gate(&self, state: &mut State, gate: usize) {
        self.confirm_part(state, gate, gate);
        if self.scenario.is_registered {
            self.confirm_part(state, gate, first_gate(gate));
        }
    }

    /// What [`Self::confirm_gate`] does to one item.
    pub(super) fn confirm_part(&self, state: &mut State, gate: usize, item: usize) {
        if item == gate {
            state.gates[item].exists = true;
            state.gates[item].ok = true;
        }
        if self.scenario.is_registered && item == first_gate(gate) {
            state.gates[item].exists = true;
            state.gates[item].shards |= bit(gate - item);
        }
    }

    /// Sends the transaction.
    pub(super) fn commit(&self, state: &mut State, writer: usize, delivery: Delivery) -> bool {
        let is_ungated = state.writers[writer].step == Step::CommitUngated;
        if !self.deliver(state, delivery, Message::Commit(writer as u8, is_ungated)) {
            return false;
        }
        if delivery == Delivery::Late {
            return self.give_up(state, writer);
        }
        match self.attempt(state, writer, is_ungated) {
            Attempt::Conflict => false,
            Attempt::Refused if is_ungated && delivery == Delivery::Once => self.go_to(state, writer, Step::Close),
            Attempt::Refused => delivery == Delivery::Once && self.give_up(state, writer),
            Attempt::Prepared => self.go_to(state, writer, Step::Await),
        }
    }

    /// Posts the copy of a request that is to arrive late.
    fn deliver(&self, state: &mut State, delivery: Delivery, message: Message) -> bool {
        delivery == Delivery::Once || state.post(message)
    }

    pub(super) fn go_to(&self, state: &mut State, writer: usize, step: Step) -> bool {
        state.writers[writer].step = step;
        state.forget(writer);
        true
    }

    /// The transaction is visible as a whole, so the answer says that it is committed.
    pub(super) fn acknowledge(&self, state: &mut State, writer: usize) -> bool {
        let is_over = state.prepared[writer].is_over();
        if is_over {
            self.leave_for(state, writer, Step::Settle);
        }
        is_over
    }

    /// Takes the writer's element out of a gate.
    pub(super) fn settle(&self, state: &mut State, writer: usize, at: usize) -> bool {
        let gate = self.announcements[writer][at].gate;
        if state.is_gate_locked(gate) {
            return false;
        }
        self.remove_element(state, writer, gate);
        state.writers[writer].announced &= !bit(at);
        let step = state.writers[writer].step;
        self.leave_for(state, writer, step);
        true
    }

    /// `DELETE u :e` at a gate that exists.
    pub(super) fn remove_element(&self, state: &mut State, writer: usize, gate: usize) {
        let is_committed = state.fences[writer] == Fence::Committed;
        let item = &mut state.gates[gate];
        item.elements &= !bit(writer);
        item.ok |= item.exists && is_committed && self.has(Flaw::OkWhenSettling);
    }

    /// Whether the outcome is known or not, what follows begins with the fence.
    pub(super) fn give_up(&self, state: &mut State, writer: usize) -> bool {
        if self.has(Flaw::GiveUpUnfenced) {
            self.leave_for(state, writer, Step::Retract);
            return true;
        }
        self.go_to(state, writer, Step::Fence)
    }

    /// `F` `aborted` if there is none. Finding `committed` is an answer, too: once the commit is over, it is acknowledged.
    pub(super) fn fence(&self, state: &mut State, writer: usize) -> bool {
        if state.prepared[writer].fence {
            return false;
        }
        if state.fences[writer] == Fence::Committed {
            return self.acknowledge(state, writer);
        }
        state.fences[writer] = Fence::Aborted;
        self.leave_for(state, writer, Step::Retract);
        true
    }

    /// Goes to a step that takes elements out, and past it where none are left.
    fn leave_for(&self, state: &mut State, writer: usize, step: Step) {
        let memory = &state.writers[writer];
        let next = match (step, memory.announced, memory.closed) {
            (_, 0, 0) | (Step::Settle, 0, _) => Step::Over,
            (_, 0, _) => Step::Reopen,
            _ => step,
        };
        self.go_to(state, writer, next);
    }

    /// `REMOVE closed` if it is the writer's token.
    pub(super) fn reopen(&self, state: &mut State, writer: usize) -> bool {
        let Some(gate) = (0..GATES).find(|gate| has(state.writers[writer].closed, *gate)) else { return false };
        if state.is_gate_locked(gate) {
            return false;
        }
        self.open(state, writer, gate);
        state.writers[writer].closed &= !bit(gate);
        self.leave_for(state, writer, Step::Reopen);
        true
    }

    /// A request that was late is executed, or refused because a transaction is in the way.
    pub(super) fn arrive(&self, state: &mut State, message: Message) -> bool {
        let writer = message.writer();
        match message {
            Message::Announce(_, at) => {
                let gate = self.announcements[writer][usize::from(at)].gate;
                if !state.is_gate_locked(gate) && state.gates[gate].closed == Closed::No {
                    self.add_element(state, writer, gate);
                }
            }
            Message::Confirm(_, at) => {
                self.try_to_confirm(state, writer, usize::from(at));
            }
            Message::Close(_, gate) => {
                self.try_to_close(state, writer, usize::from(gate));
            }
            Message::Commit(_, is_ungated) => {
                self.attempt(state, writer, is_ungated);
            }
        }
        for slot in &mut state.messages {
            if *slot == Some(message) {
                *slot = None;
                break;
            }
        }
        state.messages.sort_unstable();
        state.forget(writer);
        true
    }
}
