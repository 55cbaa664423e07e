//! Writers, those who settle for them, and replays.

use super::state::{ALL, DATA, FENCE, Fence, IDEMPOTENCY, Message, Policy, State, Step, bit, has, members};
use super::{Action, Delivery, Flaw, Tags};

const DELIVERIES: [Delivery; 3] = [Delivery::Once, Delivery::Twice, Delivery::Late];
const BOTH_DATA: u8 = 0b11;

impl Tags {
    /// What a writer may do next, and what may happen to its fence.
    pub(super) fn writer_actions(&self, state: &State, writer: usize, actions: &mut Vec<Action>) {
        let memory = &state.writers[writer];
        let deliveries = if state.late > 0 { &DELIVERIES[..] } else { &DELIVERIES[..1] };
        match memory.step {
            Step::Over => {}
            Step::Begin => actions.push(Action::Begin(writer)),
            Step::PutFence => actions.extend(deliveries.iter().map(|delivery| Action::PutFence(writer, *delivery))),
            Step::Announce => {
                let tags = (0..self.scenario.tags).filter(|tag| !has(memory.announced | memory.skipped, *tag));
                for tag in tags {
                    actions.extend(deliveries.iter().map(|delivery| Action::Announce(writer, tag, *delivery)));
                }
            }
            Step::Commit => actions.extend(deliveries.iter().map(|delivery| Action::Commit(writer, *delivery))),
            Step::Await => actions.extend([Action::Acknowledge(writer), Action::GiveUp(writer)]),
            Step::Settle | Step::Retract => {
                actions.extend(members(memory.announced).map(|tag| Action::Settle(writer, tag)));
            }
            Step::Fence => actions.push(Action::Fence(writer)),
            Step::DeleteFence => actions.push(Action::DeleteFence(writer)),
        }
        if self.has(Flaw::FencePutEarly) && state.fences[writer] == Fence::Aborted {
            actions.push(Action::DeleteFence(writer));
        }
        if self.scenario.expiring || self.has(Flaw::FenceExpiresEarly) {
            actions.push(Action::Expire(writer));
        }
        if self.scenario.replays && !has(state.acknowledged, writer) {
            actions.push(Action::Replay(writer));
        }
    }

    /// Learns whether the first tag wants announcements.
    pub(super) fn begin(&self, state: &mut State, writer: usize) -> bool {
        if state.tags[0].policy == Policy::Off {
            state.writers[writer].skipped = bit(0);
        }
        let step = if self.has(Flaw::FencePutEarly) { Step::PutFence } else { Step::Announce };
        self.go_to(state, writer, step)
    }

    /// Goes to a step, and past it where it has nothing to do. What was skipped is remembered while a request may be late.
    pub(super) fn go_to(&self, state: &mut State, writer: usize, step: Step) -> bool {
        let memory = &mut state.writers[writer];
        let tags = if self.scenario.tags == 1 { 0b1 } else { 0b11 };
        memory.step = match step {
            Step::Announce if memory.announced | memory.skipped == tags => Step::Commit,
            Step::Settle if memory.announced == 0 && self.has(Flaw::FencePutEarly) => Step::DeleteFence,
            Step::Settle | Step::Retract if memory.announced == 0 => Step::Over,
            step => step,
        };
        true
    }

    fn deliver(&self, state: &mut State, delivery: Delivery, message: Message) -> bool {
        delivery == Delivery::Once || state.post(message)
    }

    /// Puts the fence by a plain call. A flaw.
    pub(super) fn put_fence(&self, state: &mut State, writer: usize, delivery: Delivery) -> bool {
        if !self.deliver(state, delivery, Message::PutFence(writer as u8)) || delivery == Delivery::Late {
            return false;
        }
        if state.fences[writer] == Fence::Absent {
            state.fences[writer] = Fence::Open;
        }
        self.go_to(state, writer, Step::Announce)
    }

    /// `ADD c 1, u :e`.
    pub(super) fn announce(&self, state: &mut State, writer: usize, tag: usize, delivery: Delivery) -> bool {
        if !self.deliver(state, delivery, Message::Announce(writer as u8, tag as u8)) {
            return false;
        }
        state.writers[writer].announced |= bit(tag);
        if delivery == Delivery::Late {
            return self.go_to(state, writer, Step::Fence);
        }
        self.add_element(state, writer, tag);
        self.go_to(state, writer, Step::Announce)
    }

    fn add_element(&self, state: &mut State, writer: usize, tag: usize) {
        let item = &mut state.tags[tag];
        item.stamp = if self.has(Flaw::RandomVersionAlone) { 10 + writer as u8 } else { item.stamp + 1 };
        item.elements |= bit(writer);
    }

    /// Sends the transaction.
    pub(super) fn commit(&self, state: &mut State, writer: usize, delivery: Delivery) -> bool {
        if !self.deliver(state, delivery, Message::Commit(writer as u8)) {
            return false;
        }
        if delivery == Delivery::Late {
            return self.go_to(state, writer, Step::Fence);
        }
        match self.attempt(state, writer) {
            None => false,
            Some(true) => self.go_to(state, writer, Step::Await),
            Some(false) => delivery == Delivery::Once && self.go_to(state, writer, Step::Fence),
        }
    }

    /// Whether the transaction is prepared; `None` where another is in the way.
    fn attempt(&self, state: &mut State, writer: usize) -> Option<bool> {
        let is_locked = state.prepared.iter().any(|prepared| prepared & BOTH_DATA != 0) || state.prepared[writer] != 0;
        if is_locked {
            return None;
        }
        let wanted = if self.has(Flaw::FencePutEarly) { Fence::Open } else { Fence::Absent };
        let is_unfenced = state.fences[writer] == wanted || self.has(Flaw::NoFence);
        let is_first = !has(state.data[DATA], writer);
        if is_unfenced && is_first {
            state.prepared[writer] = if self.scenario.replays { ALL } else { ALL & !bit(IDEMPOTENCY) };
        }
        Some(is_unfenced && is_first)
    }

    /// The transaction is visible as a whole, so the answer says that it is committed.
    pub(super) fn acknowledge(&self, state: &mut State, writer: usize) -> bool {
        state.acknowledged |= bit(writer);
        state.prepared[writer] == 0 && self.go_to(state, writer, Step::Settle)
    }

    /// Takes the writer's element out of a tag.
    pub(super) fn settle(&self, state: &mut State, writer: usize, tag: usize) -> bool {
        state.tags[tag].elements &= !bit(writer);
        state.writers[writer].announced &= !bit(tag);
        let step = state.writers[writer].step;
        self.go_to(state, writer, step)
    }

    /// `F` `aborted` if there is none; `committed` is an answer, once the commit is over.
    pub(super) fn fence(&self, state: &mut State, writer: usize) -> bool {
        if has(state.prepared[writer], FENCE) {
            return false;
        }
        if state.fences[writer] == Fence::Committed {
            return self.acknowledge(state, writer);
        }
        state.fences[writer] = Fence::Aborted;
        self.go_to(state, writer, Step::Retract)
    }

    /// Deletes a fence whose writer is settled, or whose element is out. A flaw.
    pub(super) fn delete_fence(&self, state: &mut State, writer: usize) -> bool {
        let is_settled = state.writers[writer].step == Step::DeleteFence;
        let is_out = state.fences[writer] == Fence::Aborted && state.tags.iter().all(|tag| !has(tag.elements, writer));
        if !is_settled && !is_out {
            return false;
        }
        state.fences[writer] = Fence::Absent;
        let step = if is_settled { Step::Over } else { state.writers[writer].step };
        self.go_to(state, writer, step)
    }

    /// A fence expires: once nothing of its token can be executed any more, and its writer's deadline is over.
    pub(super) fn expire(&self, state: &mut State, writer: usize) -> bool {
        let is_locked = has(state.prepared[writer], FENCE);
        let is_on_its_way = state.messages.iter().flatten().any(|message| message.writer() == writer);
        if state.fences[writer] == Fence::Absent || is_locked {
            return false;
        }
        if !self.has(Flaw::FenceExpiresEarly) {
            if is_on_its_way || state.prepared[writer] != 0 {
                return false;
            }
            state.writers[writer].step = Step::Over;
            state.writers[writer].announced = 0;
        }
        state.fences[writer] = Fence::Absent;
        true
    }

    /// A request that was late is executed, or refused.
    pub(super) fn arrive(&self, state: &mut State, message: Message) -> bool {
        let writer = message.writer();
        match message {
            Message::Announce(_, tag) => self.add_element(state, writer, usize::from(tag)),
            Message::PutFence(_) if state.fences[writer] == Fence::Absent => state.fences[writer] = Fence::Open,
            Message::PutFence(_) => {}
            Message::Commit(_) => {
                self.attempt(state, writer);
            }
        }
        state.take(message);
        true
    }

    /// What settlers may do.
    pub(super) fn settler_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for settler in 0..self.scenario.settlers {
            if state.settlers[settler].is_some() {
                actions.push(Action::Clear(settler));
                continue;
            }
            for (tag, item) in state.tags.iter().enumerate() {
                actions.extend(members(item.elements).map(|writer| Action::Prove(settler, writer, tag)));
            }
            // Those that have nothing in mind are alike.
            break;
        }
    }

    /// Makes sure that a token's transaction is over, or can never commit.
    pub(super) fn prove(&self, state: &mut State, settler: usize, writer: usize, tag: usize) -> bool {
        state.settlers[settler] = Some((writer as u8, tag as u8));
        if self.has(Flaw::NoFence) {
            return state.prepared.iter().all(|prepared| *prepared == 0);
        }
        if has(state.prepared[writer], FENCE) {
            return false;
        }
        if matches!(state.fences[writer], Fence::Absent | Fence::Open) {
            if self.has(Flaw::NeverFenced) {
                return false;
            }
            state.fences[writer] = Fence::Aborted;
        }
        state.fences[writer] == Fence::Aborted || self.has(Flaw::NoProof) || state.prepared[writer] == 0
    }

    /// Answers a repeated request from its idempotency row, once the keys in the fence prove that the commit is over. A row
    /// without a fence is one whose fence is not visible yet; only a row that is older than any commit needs none.
    pub(super) fn replay(&self, state: &mut State, writer: usize) -> bool {
        let has_row = has(state.idempotency, writer);
        let is_over = state.prepared[writer] == 0;
        let is_proven = match state.fences[writer] {
            _ if self.has(Flaw::ReplayUnproven) => true,
            Fence::Absent => is_over || self.has(Flaw::ReplayWithoutFence),
            Fence::Committed => is_over,
            Fence::Aborted | Fence::Open => false,
        };
        state.acknowledged |= bit(writer);
        has_row && is_proven
    }
}
