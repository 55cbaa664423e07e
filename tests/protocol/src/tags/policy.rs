//! A tag that is written all the time is switched off, and on again later.
//!
//! Off, writers need not announce themselves and readers use no cache. Before readers may use it again, every writer that
//! learned `off` must be unable to commit. In the code that is a mark older than any writer's memory *and* any request: a
//! write that did not announce itself leaves no element, so nobody can fence it.

use super::state::{Policy, State, Step, has};
use super::{Flaw, Tags};

/// What a stamp gets when the tag is on again.
const NEW: u8 = 0x80;

impl Tags {
    /// The next policy of the first tag, once around.
    pub(super) fn switch(&self, state: &mut State) -> bool {
        let is_safe = !(0..self.scenario.writers).any(|writer| Self::may_commit_unannounced(state, writer));
        let tag = &mut state.tags[0];
        match tag.policy {
            Policy::On if !tag.was_off => tag.policy = Policy::Off,
            Policy::Off => tag.policy = Policy::Returning,
            Policy::Returning if is_safe || self.has(Flaw::OnEarly) => {
                tag.policy = Policy::On;
                tag.stamp |= if self.has(Flaw::OnWithOldStamp) { 0 } else { NEW };
            }
            Policy::On | Policy::Returning => return false,
        }
        tag.was_off = true;
        true
    }

    fn may_commit_unannounced(state: &State, writer: usize) -> bool {
        let is_on_its_way = state.messages.iter().flatten().any(|message| message.writer() == writer);
        let is_at_work = !matches!(state.writers[writer].step, Step::Over | Step::Settle | Step::Retract);
        has(state.writers[writer].skipped, 0) && (is_on_its_way || is_at_work || state.prepared[writer] != 0)
    }
}
