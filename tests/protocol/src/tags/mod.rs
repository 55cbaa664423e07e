//! Tags: announcements, fences, settlers, readers that fill and hit a cache, and replays from idempotency rows.
//!
//! ```text
//! write   begin -> announce at every tag -> commit -> acknowledge -> settle
//! read    begin -> read every tag -> hit
//!                                 -> read the data -> answer, and store an entry where the tags allow it
//! replay  idempotency row visible -> prove that the commit is over -> acknowledge
//! policy  on -> off (no announcement, no cache) -> returning (announcements, no cache) -> on
//! ```
//! Every write changes two items. They lie under one tag or under one each; what is read depends on both.

mod policy;
mod reader;
mod state;
mod writer;

pub use reader::{Entry, Reader};
pub use state::{Fence, Message, Policy, State, Step, Tag, Writer};

use stateright::{Model, Property};

/// No answer lacks a write that was acknowledged before the read began.
pub const NOT_STALE: &str = "no answer is older than an acknowledgement";
/// Whatever the writers leave, others can clean up.
pub const SETTLES: &str = "others can settle what writers leave";

/// A step of the protocol that is left out or done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The transaction does not demand that its fence is absent, and who settles puts none.
    NoFence,
    /// Who settles does not prove that a commit is over.
    NoProof,
    /// Who settles takes a missing fence for a write that is still under way.
    NeverFenced,
    /// The announcement sets a random version instead of counting.
    RandomVersionAlone,
    /// The fence is put before the commit by a plain call, demanded by the transaction, and deleted after settling.
    FencePutEarly,
    /// A fence goes while requests of its token can still be executed.
    FenceExpiresEarly,
    /// Elements do not keep a reader from storing or hitting an entry.
    ElementsIgnored,
    /// A reader that stores an entry may read the tags after the data.
    TagsReadLast,
    /// A replay believes the idempotency row.
    ReplayUnproven,
    /// A replay takes a missing fence for one that has expired.
    ReplayWithoutFence,
    /// A tag is on again while writes that did not announce can still commit.
    OnEarly,
    /// A tag is on again under the stamp that it had before.
    OnWithOldStamp,
}

/// An instance of the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scenario {
    /// Writers, at most [`state::WRITERS`].
    pub writers: usize,
    /// Readers, each of which reads again and again.
    pub readers: usize,
    /// Tags: 1 or 2.
    pub tags: usize,
    /// Settlers.
    pub settlers: usize,
    /// Requests that are executed late.
    pub late: u8,
    /// Whether clients repeat their requests.
    pub replays: bool,
    /// Whether fences expire, once nothing of their token can be executed any more.
    pub expiring: bool,
    /// Whether the first tag is switched off and on again.
    pub switched: bool,
    /// What is wrong.
    pub flaw: Option<Flaw>,
}

impl Scenario {
    /// One tag and one settler.
    pub fn new(writers: usize, readers: usize) -> Self {
        Self { writers, readers, tags: 1, settlers: 1, ..Self::default() }
    }

    /// With a flaw.
    #[must_use]
    pub fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    /// With so many requests that are executed late.
    #[must_use]
    pub fn late(self, late: u8) -> Self {
        Self { late, ..self }
    }
}

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

/// A step of somebody; the first number is the writer's, the reader's or the settler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A writer learns whether the first tag is on.
    Begin(usize),
    /// A writer puts its fence before its commit. A flaw.
    PutFence(usize, Delivery),
    /// A writer announces itself at a tag.
    Announce(usize, usize, Delivery),
    /// A writer sends its transaction.
    Commit(usize, Delivery),
    /// An item of a prepared transaction becomes visible.
    Visible(usize, u8),
    /// A writer learns that its transaction is committed.
    Acknowledge(usize),
    /// A writer takes its element out of a tag.
    Settle(usize, usize),
    /// A writer gives up.
    GiveUp(usize),
    /// A writer puts its own fence.
    Fence(usize),
    /// Somebody deletes a fence. A flaw.
    DeleteFence(usize),
    /// A fence expires.
    Expire(usize),
    /// A request is executed that was late.
    Arrive(Message),
    /// A settler fences the token of an element, or proves that its commit is over.
    Prove(usize, usize, usize),
    /// A settler removes the element.
    Clear(usize),
    /// A client that repeats its request is told that the write is done.
    Replay(usize),
    /// A reader reads its next tag.
    ReadTag(usize),
    /// A reader answers from the entry.
    Hit(usize),
    /// A reader reads its next item; with the last, it stores an entry if it may.
    ReadData(usize),
    /// The first tag gets its next policy.
    Switch,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Tags {
    scenario: Scenario,
}

impl Tags {
    /// The model of a scenario.
    pub fn new(scenario: Scenario) -> Self {
        Self { scenario }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.scenario.flaw == Some(flaw)
    }
}

impl Model for Tags {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State { late: self.scenario.late, ..State::default() };
        for writer in 0..self.scenario.writers {
            state.writers[writer].step = Step::Begin;
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for writer in 0..self.scenario.writers {
            actions.extend(state::members(state.prepared[writer]).map(|item| Action::Visible(writer, item as u8)));
            self.writer_actions(state, writer, actions);
        }
        actions.extend(state.messages.iter().flatten().map(|message| Action::Arrive(*message)));
        self.settler_actions(state, actions);
        for reader in 0..self.scenario.readers {
            self.reader_actions(state, reader, actions);
        }
        if self.scenario.switched {
            actions.push(Action::Switch);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let is_possible = match action {
            Action::Begin(writer) => self.begin(&mut state, writer),
            Action::PutFence(writer, delivery) => self.put_fence(&mut state, writer, delivery),
            Action::Announce(writer, tag, delivery) => self.announce(&mut state, writer, tag, delivery),
            Action::Commit(writer, delivery) => self.commit(&mut state, writer, delivery),
            Action::Visible(writer, item) => state.become_visible(writer, item),
            Action::Acknowledge(writer) => self.acknowledge(&mut state, writer),
            Action::Settle(writer, tag) => self.settle(&mut state, writer, tag),
            Action::GiveUp(writer) => self.go_to(&mut state, writer, Step::Fence),
            Action::Fence(writer) => self.fence(&mut state, writer),
            Action::DeleteFence(writer) => self.delete_fence(&mut state, writer),
            Action::Expire(writer) => self.expire(&mut state, writer),
            Action::Arrive(message) => self.arrive(&mut state, message),
            Action::Prove(settler, writer, tag) => self.prove(&mut state, settler, writer, tag),
            Action::Clear(settler) => state.clear(settler),
            Action::Replay(writer) => self.replay(&mut state, writer),
            Action::ReadTag(reader) => self.read_tag(&mut state, reader),
            Action::Hit(reader) => self.hit(&mut state, reader),
            Action::ReadData(reader) => self.read_data(&mut state, reader),
            Action::Switch => self.switch(&mut state),
        };
        is_possible.then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(NOT_STALE, |_: &Self, state: &State| !state.is_stale),
            Property::always(SETTLES, |model: &Self, state: &State| model.settles(state)),
            Property::sometimes("an entry that holds a write can be hit", |_, state: &State| {
                let is_quiet = state.tags.iter().all(|tag| tag.elements == 0 && tag.policy == Policy::On);
                let stamps = state.tags.map(|tag| tag.stamp);
                is_quiet && state.entry.is_some_and(|entry| entry.data[0] & entry.data[1] != 0 && entry.stamps == stamps)
            }),
        ];
        if self.scenario.late > 0 {
            all.push(Property::sometimes("a request is late by a whole write", |_, state: &State| {
                let is_after = |late: &Message| state::has(state.acknowledged, late.writer());
                state.messages.iter().flatten().any(is_after)
            }));
        }
        all
    }
}
