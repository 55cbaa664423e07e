//! Designs that count references beside the transaction: why there are no counts.
//!
//! A writer puts an intent, adds to the parent's count, commits, settles. Whoever finds an element of a dead writer undoes its
//! count, or completes it. An announcement that is executed a second time, late, counts a second time: an intent that is
//! deleted after settling lets it look like a new one, and a fence that stays forever cannot take back what it added.

use stateright::{Model, Property};

/// Nobody refers to a parent that is gone.
pub const NO_DANGLING: &str = "nobody refers to a parent that is gone";
/// When nothing is left to do, the count is the number of children.
pub const COUNT_EQUALS: &str = "the count equals the children in the end";

const WRITERS: usize = 3;

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A child comes.
    Gain,
    /// A child goes.
    Loss,
    /// The parent is deleted, if the count and `u` say that it may be.
    Delete,
}

/// How the design knows what became of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// An intent is put by a plain call, changed by the transaction, and deleted after settling.
    Intent,
    /// A fence is put by the transaction alone and stays.
    Fence,
}

/// What an intent or a fence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Intent {
    /// Nothing.
    #[default]
    Absent,
    /// The transaction may commit.
    Open,
    /// It is committed.
    Committed,
    /// It can never commit.
    Aborted,
}

/// Where a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// About to begin.
    #[default]
    Begin,
    /// About to announce.
    Announce,
    /// About to commit.
    Commit,
    /// Committed, about to settle.
    Settle,
    /// Given up, about to say so.
    Abort,
    /// About to take back its announcement.
    Undo,
    /// About to delete its intent.
    Forget,
    /// At its end.
    Over,
}

/// A step of a writer or of one that settles for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A writer puts its intent, or puts it and a copy arrives later.
    Begin(usize, bool),
    /// A writer adds to the count, or adds and a copy arrives later.
    Announce(usize, bool),
    /// A writer's transaction.
    Commit(usize),
    /// A writer gives up before its transaction.
    GiveUp(usize),
    /// A writer says that it will not commit.
    Abort(usize),
    /// A writer completes or takes back its announcement.
    Settle(usize),
    /// A writer deletes its intent.
    Forget(usize),
    /// A deleter's transaction.
    Delete(usize),
    /// The copy arrives.
    Arrive,
    /// Another finds an element and learns, or decides, what becomes of its writer.
    Prove(usize),
    /// It acts on that.
    Clear,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    is_deleted: bool,
    count: i8,
    elements: u8,
    children: u8,
    intents: [Intent; WRITERS],
    steps: [Step; WRITERS],
    settler: Option<(usize, bool)>,
    /// The copy that is on its way: whose, and whether of the announcement.
    copy: Option<(usize, bool)>,
    has_copied: bool,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Counters {
    kinds: Vec<Kind>,
    design: Design,
}

impl Counters {
    /// Writers over one parent. Children that go are there at the start.
    pub fn new(design: Design, kinds: impl Into<Vec<Kind>>) -> Self {
        Self { kinds: kinds.into(), design }
    }

    fn bit(writer: usize) -> u8 {
        1 << writer
    }

    /// `ADD n 1, u :e` if the element is not there, or `ADD u :e` for a loss, if there is a parent.
    fn announce(&self, state: &mut State, writer: usize) -> bool {
        let is_there = state.elements & Self::bit(writer) != 0;
        if state.is_deleted || self.kinds[writer] == Kind::Gain && is_there {
            return false;
        }
        state.count += i8::from(self.kinds[writer] == Kind::Gain);
        state.elements |= Self::bit(writer);
        true
    }

    /// Removes the element and corrects the count: of a loss that happened, of a gain that did not.
    fn settle(&self, state: &mut State, writer: usize, is_committed: bool) {
        if state.elements & Self::bit(writer) != 0 {
            let is_less = if is_committed { Kind::Loss } else { Kind::Gain };
            state.count -= i8::from(self.kinds[writer] == is_less);
            state.elements &= !Self::bit(writer);
        }
    }

    fn open(state: &mut State, writer: usize) {
        if state.intents[writer] == Intent::Absent {
            state.intents[writer] = Intent::Open;
        }
    }

    fn copy(state: &mut State, writer: usize, of_announcement: bool, wanted: bool) -> bool {
        if wanted && !state.has_copied {
            state.copy = Some((writer, of_announcement));
            state.has_copied = true;
            return true;
        }
        !wanted
    }

    fn commit(&self, state: &mut State, writer: usize) {
        let wanted = if self.design == Design::Fence { Intent::Absent } else { Intent::Open };
        if state.intents[writer] != wanted {
            state.steps[writer] = Step::Undo;
            return;
        }
        state.intents[writer] = Intent::Committed;
        match self.kinds[writer] {
            Kind::Gain => state.children |= Self::bit(writer),
            Kind::Loss => state.children &= !Self::bit(writer),
            Kind::Delete => {}
        }
        state.steps[writer] = Step::Settle;
    }

    fn act(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Begin(writer, is_copied) => {
                if self.design == Design::Intent {
                    Self::open(state, writer);
                }
                state.steps[writer] = Step::Announce;
                Self::copy(state, writer, false, is_copied)
            }
            Action::Announce(writer, is_copied) => {
                let is_announced = self.announce(state, writer) || state.elements & Self::bit(writer) != 0;
                state.steps[writer] = if is_announced { Step::Commit } else { Step::Abort };
                Self::copy(state, writer, true, is_copied)
            }
            Action::Commit(writer) => {
                self.commit(state, writer);
                true
            }
            Action::GiveUp(writer) => {
                state.steps[writer] = Step::Abort;
                true
            }
            Action::Abort(writer) => {
                state.intents[writer] = Intent::Aborted;
                state.steps[writer] = Step::Undo;
                true
            }
            Action::Settle(writer) => {
                self.settle(state, writer, state.steps[writer] == Step::Settle);
                state.steps[writer] = if self.design == Design::Intent { Step::Forget } else { Step::Over };
                true
            }
            Action::Forget(writer) => {
                state.intents[writer] = Intent::Absent;
                state.steps[writer] = Step::Over;
                true
            }
            Action::Delete(writer) => {
                let may = !state.is_deleted && state.count == 0 && state.elements == 0;
                state.is_deleted |= may;
                state.steps[writer] = Step::Over;
                may
            }
            Action::Arrive => self.arrive(state),
            Action::Prove(writer) => {
                let is_committed = state.intents[writer] == Intent::Committed;
                if !is_committed {
                    state.intents[writer] = Intent::Aborted;
                }
                state.settler = Some((writer, is_committed));
                true
            }
            Action::Clear => self.clear(state),
        }
    }

    fn arrive(&self, state: &mut State) -> bool {
        match state.copy.take() {
            Some((writer, true)) => {
                self.announce(state, writer);
                true
            }
            Some((writer, false)) => {
                Self::open(state, writer);
                true
            }
            None => false,
        }
    }

    fn clear(&self, state: &mut State) -> bool {
        let Some((writer, is_committed)) = state.settler.take() else { return false };
        self.settle(state, writer, is_committed);
        if self.design == Design::Intent {
            state.intents[writer] = Intent::Absent;
        }
        true
    }

    /// What is left to do for anybody but a writer that may be dead.
    fn is_quiet(&self, state: &State) -> bool {
        let is_over = |(writer, step): (usize, &Step)| *step == Step::Over || self.kinds[writer] == Kind::Delete;
        let writers = state.steps.iter().enumerate().take(self.kinds.len());
        state.elements == 0 && state.settler.is_none() && state.copy.is_none() && writers.into_iter().all(is_over)
    }
}

impl Model for Counters {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::default();
        for (writer, _) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Loss) {
            state.children |= Self::bit(writer);
            state.count += 1;
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (writer, kind) in self.kinds.iter().enumerate() {
            match state.steps[writer] {
                Step::Over => {}
                _ if *kind == Kind::Delete => actions.push(Action::Delete(writer)),
                Step::Begin => actions.extend([Action::Begin(writer, false), Action::Begin(writer, true)]),
                Step::Announce => actions.extend([Action::Announce(writer, false), Action::Announce(writer, true)]),
                Step::Commit => actions.extend([Action::Commit(writer), Action::GiveUp(writer)]),
                Step::Abort => actions.push(Action::Abort(writer)),
                Step::Settle | Step::Undo => actions.push(Action::Settle(writer)),
                Step::Forget => actions.push(Action::Forget(writer)),
            }
            if state.settler.is_none() && state.elements & Self::bit(writer) != 0 {
                actions.push(Action::Prove(writer));
            }
        }
        actions.extend([Action::Arrive, Action::Clear]);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_DANGLING, |_, state: &State| !state.is_deleted || state.children == 0),
            Property::always(COUNT_EQUALS, |model: &Self, state: &State| {
                let is_equal = state.count == state.children.count_ones() as i8;
                state.is_deleted || is_equal || !model.is_quiet(state)
            }),
        ]
    }
}
