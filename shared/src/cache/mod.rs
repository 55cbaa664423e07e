//! The cache: answers of reads, shared by all callers with equal effective access, on all instances.
//!
//! ```text
//! Permitted + Plan -> Place (key, tags) -> look: tags and entry in one call -> equal and settled? -> hit
//!                                                                           -> miss -> read -> fill
//! ```
//! An answer depends on tags ([`crate::store::tags`]), at which every write announces itself before it commits. An entry holds what its
//! tags said *before* its data were read; it is served only while they all say the same, and none of them has a write under it
//! that may be half visible. So whoever asks after a write was acknowledged never gets what was true before it, on any instance.
//!
//! There are two levels, memory and the volatile table, and one rule for both. Nothing here can fail a request: whatever goes
//! wrong is a miss, counted. docs/cache.md has the argument.

mod background;
mod counters;
mod descriptor;
mod entry;
mod flights;
mod key;
mod lease;
mod memory;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::core::clock::Env;
use crate::store::table::{Attr, Expr, Returning, SharedTable, TableError, TableName, Write};
use crate::store::{heat, settle};

pub use counters::{Counters, Event};
pub use descriptor::{EntryDescriptor, Mode, reads_others};
pub use entry::Answer;
pub use key::CacheKey;
pub use snapshot::TagSnapshot;

use background::Background;
use entry::Entry;
use flights::SingleFlight;
use memory::{CachedEntry, Memory};

/// How the cache of one instance works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of answers in memory.
    pub memory: u64,
    /// How long an entry may be used at all, so that what nobody asks for any more disappears.
    pub ttl: Duration,
    /// How long a request waits for the cache before it reads without.
    pub timeout: Duration,
    /// How long an instance then leaves the cache alone.
    pub rest: Duration,
    /// How long one instance may read an answer while others wait for it.
    pub lease: Duration,
    /// Of a million hits, how many are read anew and compared.
    pub sample: u32,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory: 8 << 20,
            ttl: Duration::from_secs(3600),
            timeout: Duration::from_millis(400),
            rest: Duration::from_secs(1),
            lease: Duration::from_secs(1),
            sample: 1000,
        }
    }
}

/// Result of a lookup in the cache.
#[derive(Debug)]
pub enum Lookup {
    /// This is the answer.
    Hit(Arc<Answer>),
    /// It has none. With what the tags said, an answer that is read from now on may be kept; without, it may not.
    Miss(Option<TagSnapshot>),
    /// Something that it depends on is written all the time, so nothing is kept.
    Hot,
}

/// An answer that the cache did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// It was read and kept.
    Stored,
    /// It was read, and is too large to be kept.
    TooLarge,
    /// Another request, of this instance or of another, was reading it.
    Shared,
}

/// What a second look at a sampled hit shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// It was right.
    Same,
    /// Something changed meanwhile: nothing can be said.
    Unclear,
    /// It was wrong. This must never happen.
    Stale,
}

/// The cache of one instance.
pub struct Cache {
    table: SharedTable,
    env: Env,
    settings: CacheSettings,
    memory: Memory,
    flights: SingleFlight,
    background: Background,
    /// Until when the cache is left alone, microseconds.
    resting: AtomicI64,
    /// Event.
    pub counters: Counters,
}

impl Cache {
    /// Once per process.
    pub fn new(table: SharedTable, env: Env, settings: CacheSettings) -> Self {
        Self {
            table,
            env,
            memory: Memory::new(settings.memory),
            settings,
            flights: SingleFlight::default(),
            background: Background::default(),
            resting: AtomicI64::new(i64::MIN),
            counters: Counters::default(),
        }
    }

    /// Looks for an answer: one call, tags and, unless it is in memory, the entry. None at all within the bound of `bounded`.
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "cache", skip_all)]
    pub async fn lookup(&self, descriptor: &EntryDescriptor) -> Lookup {
        let now = self.env.now();
        let held = self.memory.get(&descriptor.key).filter(|held| held.expires > now);
        if let (Mode::Bounded(bound), Some(held)) = (descriptor.mode, &held)
            && held.checked().plus(bound) > now
        {
            return self.hit(Event::HitUnchecked, &held.answer);
        }
        if now.0 < self.resting.load(Ordering::Relaxed) {
            return self.miss(Event::Failure, None);
        }
        let mut asked: Vec<_> = descriptor.tags.iter().map(|tag| (TableName::Data, tag.clone())).collect();
        if held.is_none() {
            asked.push((TableName::Volatile, descriptor.key.item()));
        }
        let found = match tokio::time::timeout(self.settings.timeout, self.table.get(&asked, true)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.failed(&error),
            Err(_) => return self.failed(&TableError::Busy("no answer in time".to_owned())),
        };
        let (of_tags, of_entry) = found.split_at(descriptor.tags.len());
        let mut snapshot = TagSnapshot::new(now, &descriptor.tags, of_tags);
        snapshot.asked_for_entry = held.is_none();
        if snapshot.hot().next().is_some() {
            self.cool_best_effort(&snapshot);
            self.settle_best_effort(&snapshot);
            self.counters.add(Event::Hot);
            return Lookup::Hot;
        }
        if !snapshot.is_settled() {
            self.settle_best_effort(&snapshot);
            return self.miss(Event::Unsettled, None);
        }
        match held {
            Some(held) if held.stamp == snapshot.stamp() => {
                held.check(now);
                self.hit(Event::HitMemory, &held.answer)
            }
            Some(_) => self.miss(Event::Miss, Some(snapshot)),
            None => match of_entry.first().and_then(Option::as_ref).map(|item| Entry::decode(&descriptor.key, item)) {
                Some(Ok(entry)) if entry.stamp == snapshot.stamp() && entry.expires > now.seconds() => {
                    let answer = self.found(descriptor, &snapshot, entry);
                    self.hit(Event::HitTable, &answer)
                }
                Some(Err(reason)) => {
                    tracing::warn!(reason, "an entry of the cache cannot be read");
                    self.counters.add(Event::Failure);
                    self.miss(Event::Miss, Some(snapshot))
                }
                _ => self.miss(Event::Miss, Some(snapshot)),
            },
        }
    }

    /// Reads an answer that the cache does not have, and keeps it. Requests for the same answer, which found the tags saying the
    /// same, share one reading: what is right for a hit is right for them.
    ///
    /// # Errors
    /// Those of `read`, which are not kept; whoever waits then reads on its own.
    pub async fn fill<E, F>(
        &self,
        descriptor: &EntryDescriptor,
        snapshot: &TagSnapshot,
        read: impl Fn() -> F,
    ) -> Result<(Arc<Answer>, Filled), E>
    where
        F: Future<Output = Result<Answer, E>>,
    {
        let flight = self.flights.join(descriptor.key, snapshot.stamp());
        let mut filled = Filled::Shared;
        let reading = async {
            let (answer, how) = self.read_or_wait(descriptor, snapshot, read).await?;
            filled = how;
            Ok(answer)
        };
        let answer = flight.get_or_try_init(|| reading).await.cloned()?;
        self.counters.add(match filled {
            Filled::Stored => Event::Stored,
            Filled::TooLarge => Event::TooLarge,
            Filled::Shared => Event::Shared,
        });
        Ok((answer, filled))
    }

    /// Whether this hit is to be read anew, to see that it is right.
    pub fn samples(&self) -> bool {
        self.settings.sample > 0 && self.env.random.below(1_000_000) < self.settings.sample
    }

    /// Compares a hit with what was read after it. A difference means something only if no write lies between the two; the tags
    /// tell, read by a transaction, which meets a conflict where a commit is under way.
    pub async fn compare(&self, descriptor: &EntryDescriptor, hit: &Answer, read: &Answer) -> Sample {
        let sample = if hit == read { Sample::Same } else { self.classify_difference(descriptor).await };
        self.counters.add(match sample {
            Sample::Same => Event::SampleSame,
            Sample::Unclear => Event::SampleUnclear,
            Sample::Stale => Event::SampleStale,
        });
        if sample == Sample::Stale {
            self.forget_best_effort(descriptor).await;
        }
        sample
    }

    /// Forgets what is in memory.
    pub fn clear_memory(&self) {
        self.memory.clear();
    }

    /// Waits until nothing is under way in the background any more.
    pub async fn idle(&self) {
        self.background.idle().await;
    }

    async fn classify_difference(&self, descriptor: &EntryDescriptor) -> Sample {
        let asked: Vec<_> = descriptor.tags.iter().map(|tag| (TableName::Data, tag.clone())).collect();
        let served = self.memory.get(&descriptor.key);
        match (served, self.table.get_transaction(&asked).await) {
            (Some(served), Ok(found)) => {
                let snapshot = TagSnapshot::new(self.env.now(), &descriptor.tags, &found);
                let unchanged = snapshot.is_settled() && snapshot.stamp() == served.stamp;
                if unchanged { Sample::Stale } else { Sample::Unclear }
            }
            _ => Sample::Unclear,
        }
    }

    fn hit(&self, event: Event, answer: &Arc<Answer>) -> Lookup {
        self.counters.add(event);
        Lookup::Hit(Arc::clone(answer))
    }

    fn miss(&self, event: Event, snapshot: Option<TagSnapshot>) -> Lookup {
        self.counters.add(event);
        Lookup::Miss(snapshot)
    }

    fn failed(&self, error: &TableError) -> Lookup {
        tracing::warn!(%error, "the cache cannot be read and is left alone for a moment");
        self.resting.store(self.env.now().plus(self.settings.rest).0, Ordering::Relaxed);
        self.miss(Event::Failure, None)
    }

    /// Whether the answer is kept: in memory at once, in the table in the background.
    fn keep(&self, descriptor: &EntryDescriptor, snapshot: &TagSnapshot, answer: &Arc<Answer>) -> bool {
        let expires = snapshot.asked.plus(self.settings.ttl);
        let entry = Entry { stamp: snapshot.stamp(), expires: expires.seconds(), answer: (**answer).clone() };
        let Some(item) = entry.encode(&descriptor.key, snapshot.asked) else { return false };
        self.memory.insert(descriptor.key, CachedEntry::new(snapshot.stamp(), Arc::clone(answer), snapshot.asked, expires));
        // A fill that took long must not replace what was read later.
        let condition =
            Expr::new("attribute_not_exists(pk) OR #a < :a").name("#a", entry::ASKED).value(":a", Attr::N(snapshot.asked.0));
        let write = Write::Put { item, condition: Some(condition) };
        let table = Arc::clone(&self.table);
        self.background.best_effort(async move {
            match table.write(TableName::Volatile, write, Returning::Nothing).await {
                Ok(_) | Err(TableError::ConditionFailed(_)) => {}
                Err(error) => tracing::warn!(%error, "an entry of the cache could not be stored"),
            }
        });
        true
    }

    async fn forget_best_effort(&self, descriptor: &EntryDescriptor) {
        // Nobody shall wait for what was read by then either.
        let lease = self.memory.get(&descriptor.key).map(|held| descriptor.key.lease(&held.stamp));
        self.memory.forget(&descriptor.key);
        let gone = [descriptor.key.item()].into_iter().chain(lease);
        let writes = gone.map(|key| (TableName::Volatile, Write::Delete { key, condition: None })).collect();
        if let Err(error) = self.table.write_batch(writes).await {
            tracing::warn!(%error, "a wrong entry of the cache could not be removed");
        }
    }

    /// Lets tags cool that nobody writes any more: writers would see it with their next write.
    fn cool_best_effort(&self, snapshot: &TagSnapshot) {
        for (tag, change) in snapshot.hot().filter_map(|tag| Some((tag, heat::due(tag, snapshot.asked)?))) {
            let table = Arc::clone(&self.table);
            self.background.alone(tag.key.clone(), async move {
                if let Err(error) = settle::call(table.as_ref(), change).await {
                    tracing::debug!(%error, "a tag stays hot");
                }
            });
        }
    }

    /// Removes what dead writers have left under the tags.
    fn settle_best_effort(&self, snapshot: &TagSnapshot) {
        for tag in snapshot.open().filter(|tag| settle::overdue(&self.env, tag) > 0) {
            let (table, env, tag) = (Arc::clone(&self.table), self.env.clone(), tag.clone());
            self.background.alone(tag.key.clone(), async move {
                if let Err(error) = settle::elements(table.as_ref(), &env, &tag).await {
                    tracing::debug!(%error, "a tag stays unsettled");
                }
            });
        }
    }
}
