//! A state of the model: the table, writers, readers, settlers, and requests that are still on their way.

use super::reader::{Entry, Reader};

/// Writers at most.
pub const WRITERS: usize = 3;
/// The first data item of a transaction; the second follows.
pub const DATA: usize = 0;
/// The idempotency row.
pub const IDEMPOTENCY: usize = 2;
/// The fence.
pub const FENCE: usize = 3;
/// All items of a transaction, a bit each.
pub const ALL: u8 = 0b1111;

/// Whether writers announce themselves at a tag, and readers believe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Both.
    #[default]
    On,
    /// Neither.
    Off,
    /// Writers that begin now do, readers do not yet.
    Returning,
}

/// A tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tag {
    /// `c`.
    pub stamp: u8,
    /// `u`: writers that have announced themselves, a bit each.
    pub elements: u8,
    /// Who regards it.
    pub policy: Policy,
    /// Whether it has been off: once is enough.
    pub was_off: bool,
}

/// What the fence of a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fence {
    /// Nothing yet, or nothing any more.
    #[default]
    Absent,
    /// The transaction is committed.
    Committed,
    /// The transaction can never commit.
    Aborted,
    /// The transaction may commit. A flaw: only the transaction puts a fence.
    Open,
}

/// Where a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// Nothing to do, or nothing left to do.
    #[default]
    Over,
    /// About to learn the policy.
    Begin,
    /// About to put its fence. A flaw.
    PutFence,
    /// Announcing.
    Announce,
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
    /// Settled, about to delete its fence. A flaw.
    DeleteFence,
}

/// A writer's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Writer {
    /// Where it is.
    pub step: Step,
    /// Tags that it has announced itself at.
    pub announced: u8,
    /// Tags that it need not announce itself at.
    pub skipped: u8,
}

/// A request that has not been executed, or not for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// An announcement at a tag.
    Announce(u8, u8),
    /// A fence that is put early. A flaw.
    PutFence(u8),
    /// The transaction.
    Commit(u8),
}

impl Message {
    /// Who sent it.
    pub fn writer(self) -> usize {
        let (Self::Announce(writer, _) | Self::PutFence(writer) | Self::Commit(writer)) = self;
        usize::from(writer)
    }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// Tags.
    pub tags: [Tag; 2],
    /// Which writes each data item shows.
    pub data: [u8; 2],
    /// Idempotency rows that are visible.
    pub idempotency: u8,
    /// Fences.
    pub fences: [Fence; WRITERS],
    /// Writers.
    pub writers: [Writer; WRITERS],
    /// Items of their transactions that are prepared and not yet visible.
    pub prepared: [u8; WRITERS],
    /// Writes that somebody was told are done.
    pub acknowledged: u8,
    /// The cached entry.
    pub entry: Option<Entry>,
    /// Readers.
    pub readers: [Reader; 2],
    /// Elements that settlers are about to remove: writer and tag.
    pub settlers: [Option<(u8, u8)>; 2],
    /// Requests on their way, in order.
    pub messages: [Option<Message>; 2],
    /// How many more may be late.
    pub late: u8,
    /// Whether an answer lacked a write that was acknowledged before the read began.
    pub is_stale: bool,
}

impl State {
    /// Lets a request be executed late; `false` where no more may be.
    pub fn post(&mut self, message: Message) -> bool {
        let Some(free) = self.messages.iter().position(Option::is_none).filter(|_| self.late > 0) else { return false };
        self.messages[free] = Some(message);
        self.messages.sort_unstable();
        self.late -= 1;
        true
    }

    /// Takes a request off the way.
    pub fn take(&mut self, message: Message) {
        if let Some(slot) = self.messages.iter_mut().find(|slot| **slot == Some(message)) {
            *slot = None;
        }
        self.messages.sort_unstable();
    }

    /// One item of a transaction becomes visible.
    pub fn become_visible(&mut self, writer: usize, item: u8) -> bool {
        match usize::from(item) {
            IDEMPOTENCY => self.idempotency |= bit(writer),
            FENCE => self.fences[writer] = Fence::Committed,
            data => self.data[data] |= bit(writer),
        }
        self.prepared[writer] &= !bit(usize::from(item));
        true
    }

    /// A settler removes its element.
    pub fn clear(&mut self, settler: usize) -> bool {
        let Some((writer, tag)) = self.settlers[settler].take() else { return false };
        self.tags[usize::from(tag)].elements &= !bit(usize::from(writer));
        true
    }
}

/// A set of one.
pub fn bit(index: usize) -> u8 {
    1 << index
}

/// Whether a set holds something.
pub fn has(set: u8, index: usize) -> bool {
    set & bit(index) != 0
}

/// What a set holds, in order.
pub fn members(set: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |index| has(set, *index))
}
