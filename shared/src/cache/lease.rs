//! One reading for all instances: who misses an answer takes a short lease on reading it, and who comes meanwhile waits for the entry.
//!
//! The lease is asked for beside the reading, so it makes no miss slower; an instance that does not get it drops its own reading.
//! A lease belongs to what the tags said: whoever waits saw the same, and an entry of that stamp is right for it as for a hit. So
//! clocks and lost leases decide how often an answer is read, never which one is served.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use tracing::Instrument as _;

use super::background::Background;
use super::entry::{Answer, Entry};
use super::key::CacheKey;
use super::memory;
use super::snapshot::Stamp;
use super::{Cache, EntryDescriptor, Filled, TagSnapshot};
use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::core::deadline;
use crate::store::table::{Attr, Expr, Item, Returning, SharedTable, TableError, TableName, Write};

/// Until when it lasts, microseconds since 1970.
const UNTIL: &str = "u";
/// The volatile table's time to live, seconds since 1970.
const EXPIRES: &str = "ttl";
/// How long the row stays, seconds: far longer than clocks differ.
const KEPT: i64 = 300;
/// Longest pause between the first two looks for the entry.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two looks.
const MAX_PAUSE: Duration = Duration::from_millis(150);

/// Who reads an answer that was missed.
enum Turn {
    /// This instance.
    Ours,
    /// Another one, right now.
    Theirs,
    /// Nobody: another one has read it since.
    Found(Entry),
}

/// The lease on reading one answer, while its tags say the same.
#[derive(Clone)]
struct Lease {
    table: SharedTable,
    env: Env,
    key: CacheKey,
    stamp: Stamp,
    length: Duration,
}

impl Lease {
    /// `lookup`: whether an entry may be there that was not asked for yet.
    async fn turn(self, look: bool) -> Turn {
        if look && let Ok((Some(entry), _)) = self.lookup().await {
            return Turn::Found(entry);
        }
        let now = self.env.now();
        let item = Item::new(self.key.lease(&self.stamp))
            .with(UNTIL, Attr::N(now.plus(self.length).0))
            .with(EXPIRES, Attr::N(now.seconds() + KEPT));
        let free = Expr::new("attribute_not_exists(pk) OR #u < :now").name("#u", UNTIL).value(":now", Attr::N(now.0));
        let write = Write::Put { item, condition: Some(free) };
        match self.table.write(TableName::Volatile, write, Returning::Nothing).await {
            Err(TableError::ConditionFailed(_)) => Turn::Theirs,
            // Who cannot ask reads.
            Ok(_) | Err(_) => Turn::Ours,
        }
    }

    /// The entry that another instance is about to store; nothing if it gives up, or takes longer than a lease.
    async fn awaited(&self) -> Option<Entry> {
        let looking = async {
            let mut backoff = Backoff::new(&self.env, FIRST_PAUSE, MAX_PAUSE).with_equal_jitter().growing_by_half();
            loop {
                let (entry, leased) = self.lookup().await.ok()?;
                if entry.is_some() || !leased {
                    return entry;
                }
                backoff.pause().await;
            }
        };
        tokio::time::timeout(deadline::at_most(self.length), looking).await.ok().flatten()
    }

    /// The table's entry, if it is of what the tags said, and whether somebody has the lease.
    async fn lookup(&self) -> Result<(Option<Entry>, bool), TableError> {
        let asked = [self.key.item(), self.key.lease(&self.stamp)].map(|key| (TableName::Volatile, key));
        let found = self.table.get(&asked, true).await?;
        let now = self.env.now();
        let entry = found.first().and_then(Option::as_ref).and_then(|item| Entry::decode(&self.key, item).ok());
        let until = found.get(1).and_then(Option::as_ref).and_then(|item| item.n(UNTIL));
        let right = |entry: &Entry| entry.stamp == self.stamp && entry.expires > now.seconds();
        Ok((entry.filter(right), until.is_some_and(|until| until >= now.0)))
    }

    async fn release(self) {
        let write = Write::Delete { key: self.key.lease(&self.stamp), condition: None };
        if let Err(error) = self.table.write(TableName::Volatile, write, Returning::Nothing).await {
            tracing::debug!(%error, "a lease of the cache runs out by itself");
        }
    }
}

/// A lease that this instance has. However its reading ends without an entry, nobody needs to wait for one any longer.
struct HeldLease<'a> {
    background: &'a Background,
    lease: Option<Lease>,
}

impl<'a> HeldLease<'a> {
    fn of(cache: &'a Cache, lease: Lease) -> Self {
        Self { background: &cache.background, lease: Some(lease) }
    }

    /// There is an entry; the lease runs out by itself.
    fn end(mut self) {
        self.lease = None;
    }
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.background.best_effort(lease.release());
        }
    }
}

impl Cache {
    /// Reads an answer, unless another instance is at it or has it.
    pub(super) async fn read_or_wait<E, F>(
        &self,
        descriptor: &EntryDescriptor,
        snapshot: &TagSnapshot,
        read: impl Fn() -> F,
    ) -> Result<(Arc<Answer>, Filled), E>
    where
        F: Future<Output = Result<Answer, E>>,
    {
        let (table, env, length) = (Arc::clone(&self.table), self.env.clone(), self.settings.lease);
        let lease = Lease { table, env, key: descriptor.key, stamp: snapshot.stamp(), length };
        // A task of its own: a call that is dropped half way would take its connection with it.
        let turn = tokio::spawn(lease.clone().turn(!snapshot.asked_for_entry).in_current_span());
        let (answer, held) = match select(turn, Box::pin(read())).await {
            Either::Right((answer, _)) => (answer, Some(HeldLease::of(self, lease))),
            Either::Left((Ok(Turn::Found(entry)), _)) => return Ok((self.found(descriptor, snapshot, entry), Filled::Shared)),
            Either::Left((Ok(Turn::Theirs), reading)) => {
                drop(reading);
                match lease.awaited().await {
                    Some(entry) => return Ok((self.found(descriptor, snapshot, entry), Filled::Shared)),
                    None => (read().await, None),
                }
            }
            Either::Left((Ok(Turn::Ours) | Err(_), reading)) => {
                let held = HeldLease::of(self, lease);
                (reading.await, Some(held))
            }
        };
        let answer = Arc::new(answer?);
        if !self.keep(descriptor, snapshot, &answer) {
            return Ok((answer, Filled::TooLarge));
        }
        if let Some(held) = held {
            held.end();
        }
        Ok((answer, Filled::Stored))
    }

    /// What another instance has read for those who saw the same.
    pub(super) fn found(&self, descriptor: &EntryDescriptor, snapshot: &TagSnapshot, entry: Entry) -> Arc<Answer> {
        let answer = Arc::new(entry.answer);
        let expires = Micros(entry.expires.saturating_mul(1_000_000));
        self.memory.insert(descriptor.key, memory::CachedEntry::new(entry.stamp, Arc::clone(&answer), snapshot.asked, expires));
        answer
    }
}
