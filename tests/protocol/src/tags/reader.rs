//! Readers: strong tags first; an entry is stored and hit only under an equal stamp and with no element.
//!
//! What would only add states is left out. A read begins with its first call, since to begin earlier demands less. An entry is
//! stored with the last item read, since a later store is as good as a later hit. Only the newest entry is kept, since the
//! older one, which an eventual read may return, is the newest as long as the other's reader is slow. Where there are no
//! replays, a read that misses and may not store anything ends at once: data that is read after an acknowledgement has it.

use super::state::{DATA, Policy, State, bit, has, members};
use super::{Action, Flaw, Tags};

/// A cached answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Stamps of the tags, read before the data.
    pub stamps: [u8; 2],
    /// Which writes each of its items shows.
    pub data: [u8; 2],
}

/// A reader's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reader {
    /// Whether it is reading.
    pub is_reading: bool,
    /// Writes that were acknowledged when it began.
    pub acknowledged: u8,
    /// Tags that it has read.
    pub tags: u8,
    /// Their stamps.
    pub stamps: [u8; 2],
    /// Whether one of them forbids the cache.
    pub is_bypassed: bool,
    /// Items that it has read.
    pub items: u8,
    /// Which writes these show.
    pub data: [u8; 2],
}

impl Tags {
    /// What a reader may do next.
    pub(super) fn reader_actions(&self, state: &State, reader: usize, actions: &mut Vec<Action>) {
        let is_reading = state.readers[reader].is_reading;
        // Readers that do nothing are alike.
        if is_reading || state.readers[..reader].iter().all(|other| other.is_reading) {
            actions.extend([Action::ReadTag(reader), Action::ReadData(reader), Action::Hit(reader)]);
        }
    }

    fn begin_reading(state: &mut State, reader: usize) {
        if !state.readers[reader].is_reading {
            state.readers[reader] = Reader { is_reading: true, acknowledged: state.acknowledged, ..Reader::default() };
        }
    }

    fn has_tags(&self, memory: &Reader) -> bool {
        (0..self.scenario.tags).all(|tag| has(memory.tags, tag))
    }

    fn has_data(memory: &Reader) -> bool {
        memory.items == bit(DATA) | bit(DATA + 1)
    }

    /// Reads the next tag, strongly: a batch is no snapshot.
    pub(super) fn read_tag(&self, state: &mut State, reader: usize) -> bool {
        Self::begin_reading(state, reader);
        let memory = &mut state.readers[reader];
        let Some(tag) = (0..self.scenario.tags).find(|tag| !has(memory.tags, *tag)) else { return false };
        let item = state.tags[tag];
        let has_elements = item.elements != 0 && !self.has(Flaw::ElementsIgnored);
        memory.tags |= bit(tag);
        memory.stamps[tag] = item.stamp;
        memory.is_bypassed |= has_elements || item.policy != Policy::On;
        if memory.is_bypassed && !self.scenario.replays {
            *memory = Reader::default();
        }
        self.answer(state, reader);
        true
    }

    /// Answers from the entry.
    pub(super) fn hit(&self, state: &mut State, reader: usize) -> bool {
        let memory = state.readers[reader];
        let Some(entry) = state.entry else { return false };
        if memory.items != 0 || !self.has_tags(&memory) || memory.is_bypassed || entry.stamps != memory.stamps {
            return false;
        }
        self.end(state, reader, entry.data)
    }

    /// Reads the next item of the data.
    pub(super) fn read_data(&self, state: &mut State, reader: usize) -> bool {
        let is_early = !self.has(Flaw::TagsReadLast) && !self.has_tags(&state.readers[reader]);
        if is_early || Self::has_data(&state.readers[reader]) {
            return false;
        }
        Self::begin_reading(state, reader);
        let memory = &mut state.readers[reader];
        if !self.scenario.replays {
            // Only a hit could lack them.
            memory.acknowledged = 0;
        }
        let item = memory.items.count_ones() as usize;
        memory.items |= bit(item);
        memory.data[item] = state.data[item];
        self.answer(state, reader);
        true
    }

    /// Answers from the data once all is read, and stores an entry where every tag allows it.
    fn answer(&self, state: &mut State, reader: usize) {
        let memory = state.readers[reader];
        if Self::has_data(&memory) && self.has_tags(&memory) {
            if !memory.is_bypassed {
                state.entry = Some(Entry { stamps: memory.stamps, data: memory.data });
            }
            self.end(state, reader, memory.data);
        }
    }

    fn end(&self, state: &mut State, reader: usize, data: [u8; 2]) -> bool {
        let lacks = state.readers[reader].acknowledged & !(data[0] & data[1]);
        state.is_stale |= lacks != 0;
        state.readers[reader] = Reader::default();
        true
    }

    /// Nobody writes any more: one settler alone takes every element out.
    pub(super) fn settles(&self, state: &State) -> bool {
        let is_settled = |state: &State| state.tags.iter().all(|tag| tag.elements == 0);
        if state.prepared.iter().any(|prepared| *prepared != 0) || is_settled(state) {
            return true;
        }
        let mut state = state.clone();
        for tag in 0..self.scenario.tags {
            for writer in members(state.tags[tag].elements) {
                state.settlers[0] = None;
                if self.prove(&mut state, 0, writer, tag) {
                    state.clear(0);
                }
            }
        }
        is_settled(&state)
    }
}
