//! What the tags of an answer said at one moment.

use sha2::{Digest as _, Sha256};

use crate::core::clock::Micros;
use crate::store::heat::{self, Heat};
use crate::store::table::{Item, Key};
use crate::store::tags;

/// Versions and counts of all tags, hashed: equal stamps mean that no write lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp(pub(super) [u8; 32]);

/// The tags of an answer as they were read together.
#[derive(Debug, Clone)]
pub struct TagSnapshot {
    /// Time of the request for them, by this instance's clock.
    pub(super) asked: Micros,
    /// Whether the table's entry was asked for at the same time.
    pub(super) asked_for_entry: bool,
    stamp: Stamp,
    open: Vec<Item>,
    hot: Vec<Item>,
}

impl TagSnapshot {
    /// `found` are the items of `tags`, in their order; a tag that no write has touched yet has none.
    pub(super) fn new(asked: Micros, tags: &[Key], found: &[Option<Item>]) -> Self {
        let mut hash = Sha256::new();
        let mut part = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        for (tag, item) in tags.iter().zip(found) {
            part(tag.pk.as_bytes());
            part(&tag.sk);
            let (version, count) = tags::stamp(item.as_ref());
            part(version.as_bytes());
            part(&count.to_be_bytes());
        }
        let open = found.iter().flatten().filter(|item| !tags::unsettled(item).is_empty()).cloned().collect();
        let hot = found.iter().flatten().filter(|item| heat::of(item, asked) != Heat::Cold).cloned().collect();
        Self { asked, asked_for_entry: false, stamp: Stamp(hash.finalize().into()), open, hot }
    }

    /// Whether no write under them may be half visible.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.hot.is_empty()
    }

    /// Tags that are written all the time, or were until just now: nothing is cached under them.
    pub(super) fn hot(&self) -> impl Iterator<Item = &Item> {
        self.hot.iter()
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Tags with writes that are not known to be settled.
    pub(super) fn open(&self) -> impl Iterator<Item = &Item> {
        self.open.iter()
    }
}
