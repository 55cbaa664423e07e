//! What has happened since the instance began: for `_usage` and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident, $label:literal;)*) => {
        /// Something that happens to a read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event { $($(#[doc = $doc])* $name,)* }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in metrics.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

events! {
    /// Served from memory; the tags agreed.
    HitMemory, "hit_memory";
    /// Served from the table; the tags agreed.
    HitTable, "hit_table";
    /// Served from memory within the bound of a `bounded` entity, without a call.
    HitUnchecked, "hit_unchecked";
    /// Nothing was there, or it was out of date.
    Miss, "miss";
    /// A write was being committed: nothing could be served or kept.
    Unsettled, "unsettled";
    /// Something that the answer depends on is written all the time: the cache was left out.
    Hot, "hot";
    /// The model or the caller wanted no cache.
    Bypass, "bypass";
    /// The cache did not answer, or an entry could not be read.
    Failure, "failure";
    /// An answer was kept.
    Stored, "stored";
    /// An answer was too large to be kept.
    TooLarge, "too_large";
    /// A miss that another request answered, of this instance or of another.
    Shared, "shared";
    /// A hit was read anew and was right.
    SampleSame, "sample_same";
    /// A hit was read anew, but something had changed meanwhile.
    SampleUnclear, "sample_unclear";
    /// A hit was read anew and was wrong. This must stay 0.
    SampleStale, "sample_stale";
}

/// Counts of events.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; Event::ALL.len()]);

impl Counters {
    pub(crate) fn add(&self, event: Event) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Number of occurrences.
    pub fn of(&self, event: Event) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }

    /// Hits of all kinds.
    pub fn hits(&self) -> u64 {
        [Event::HitMemory, Event::HitTable, Event::HitUnchecked].into_iter().map(|event| self.of(event)).sum()
    }

    /// Reads that looked and found nothing they could use.
    pub fn misses(&self) -> u64 {
        [Event::Miss, Event::Unsettled].into_iter().map(|event| self.of(event)).sum()
    }
}
