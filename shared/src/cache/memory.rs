//! Answers in the memory of this instance, bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::entry::Answer;
use super::key::CacheKey;
use super::snapshot::Stamp;
use crate::core::clock::Micros;

/// What an entry costs beside its body.
const OVERHEAD: u64 = 400;
/// Bodies are some KB; this only sizes tables.
const USUAL: u64 = 8 << 10;

/// An answer with what its tags said.
pub(super) struct CachedEntry {
    pub(super) stamp: Stamp,
    pub(super) answer: Arc<Answer>,
    pub(super) expires: Micros,
    /// When the tags that last agreed with it were asked for.
    checked: AtomicI64,
}

impl CachedEntry {
    pub(super) fn new(stamp: Stamp, answer: Arc<Answer>, checked: Micros, expires: Micros) -> Self {
        Self { stamp, answer, expires, checked: AtomicI64::new(checked.0) }
    }

    pub(super) fn checked(&self) -> Micros {
        Micros(self.checked.load(Ordering::Relaxed))
    }

    pub(super) fn check(&self, now: Micros) {
        self.checked.fetch_max(now.0, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<CacheKey, Arc<CachedEntry>> for Bytes {
    fn weight(&self, _: &CacheKey, held: &Arc<CachedEntry>) -> u64 {
        OVERHEAD + held.answer.body.len() as u64
    }
}

pub(super) struct Memory(Cache<CacheKey, Arc<CachedEntry>, Bytes>);

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / USUAL).unwrap_or(usize::MAX).max(16);
        let options = OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(bytes).shards(4).build();
        // Every option that has no default is set.
        let cache = match options {
            Ok(options) => Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default()),
            Err(_) => Cache::with_weighter(items, bytes, Bytes),
        };
        Self(cache)
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<CachedEntry>> {
        self.0.get(key)
    }

    /// Keeps it, unless something is there that was asked for later.
    pub(super) fn insert(&self, key: CacheKey, held: CachedEntry) {
        if self.0.peek(&key).is_none_or(|known| known.checked() <= held.checked()) {
            self.0.insert(key, Arc::new(held));
        }
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn forget(&self, key: &CacheKey) {
        self.0.remove(key);
    }
}
