//! The counts of one instance between two flushes. Nothing here waits for anything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::counts::UsageCounts;
use super::finished::Finished;
use crate::core::clock::{Env, Micros};

/// How long counts stay in memory while requests come: what a killed instance loses at most.
pub const EVERY: Duration = Duration::from_secs(5);
/// A batch is closed at this many consumers, so that one transaction can merge it,
const CONSUMERS: usize = 24;
/// at this many cells, so that one item can hold it,
const CELLS: usize = 400;
/// or at this many plans or deprecated names.
const NAMES: usize = 100;
/// Batches that wait at most while the store does not take them; beyond that the oldest is dropped, and counted as lost.
const WAITING: usize = 40;

/// Counts that are flushed together: all of one minute.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Minutes since 1970. It never falls from one batch to the next.
    pub minute: i64,
    /// Number of the batch within its instance, from 1.
    pub sequence: i64,
    /// The counts.
    pub sheet: UsageCounts,
}

/// Counts in memory.
#[derive(Debug)]
pub struct Counter {
    /// Random name of this instance.
    pub instance: [u8; 16],
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    minute: i64,
    since: Micros,
    open: UsageCounts,
    closed: VecDeque<Batch>,
    sequence: i64,
}

impl Counter {
    /// Nothing counted yet.
    pub fn new(env: &Env) -> Self {
        let inner = Inner { minute: 0, since: Micros(0), open: UsageCounts::default(), closed: VecDeque::new(), sequence: 0 };
        Self { instance: env.bytes(), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that was answered at `now`.
    pub fn add(&self, done: Finished, now: Micros) {
        let mut inner = self.lock();
        inner.turn(now);
        if inner.open.is_empty() {
            inner.since = now;
        }
        inner.open.add(done);
        if inner.is_full() {
            inner.close();
        }
    }

    /// The batch to flush next, if one is due; all that is left where `everything` is asked for. It is the same one until it is
    /// [`Counter::stored`], so that batches arrive in order.
    pub fn due(&self, now: Micros, everything: bool) -> Option<Batch> {
        let mut inner = self.lock();
        inner.turn(now);
        let old = now >= inner.since.plus(EVERY);
        if !inner.open.is_empty() && (everything || old) {
            inner.close();
        }
        inner.closed.front().cloned()
    }

    /// This batch is stored.
    pub fn stored(&self, sequence: i64) {
        let mut inner = self.lock();
        if inner.closed.front().is_some_and(|batch| batch.sequence == sequence) {
            inner.closed.pop_front();
        }
    }

    /// Whether everything has been flushed.
    pub fn is_clean(&self) -> bool {
        let inner = self.lock();
        inner.open.is_empty() && inner.closed.is_empty()
    }
}

impl Inner {
    /// Closes the batch of a minute that is over. A clock that is set back does not open an old minute again.
    fn turn(&mut self, now: Micros) {
        let minute = now.seconds().div_euclid(60).max(self.minute);
        if minute > self.minute {
            self.close();
            self.minute = minute;
        }
    }

    fn is_full(&self) -> bool {
        let (open, names) = (&self.open, self.open.plans.len().max(self.open.deprecated.len()));
        open.cells.len() >= CELLS || names >= NAMES || open.habits.len() >= CONSUMERS
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.sequence += 1;
        let sheet = std::mem::take(&mut self.open);
        self.closed.push_back(Batch { minute: self.minute, sequence: self.sequence, sheet });
        if self.closed.len() > WAITING {
            // The first may be under way; the second is the oldest that is not.
            if let Some(dropped) = self.closed.remove(1) {
                let lost = dropped.sheet.requests() + dropped.sheet.lost;
                tracing::error!(lost, "usage could not be flushed for too long: counts are dropped");
                self.open.lost += lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_219_200;

    fn at(seconds: i64) -> Micros {
        Micros((START + seconds) * 1_000_000)
    }

    fn by(consumer: &str) -> Finished {
        Finished { consumer: consumer.into(), route: "GET /v1/books".into(), status: 200, ..Finished::default() }
    }

    fn counter() -> Counter {
        Counter::new(&Env::system())
    }

    #[test]
    fn a_batch_is_due_when_it_is_old_or_its_minute_is_over() {
        let counter = counter();
        counter.add(by("a"), at(1));
        assert_eq!(counter.due(at(2), false), None);
        let batch = counter.due(at(6), false).unwrap();
        assert_eq!((batch.minute, batch.sequence, batch.sheet.requests()), (START / 60, 1, 1));
        counter.stored(1);
        counter.add(by("a"), at(58));
        counter.add(by("a"), at(61));
        let batch = counter.due(at(61), false).unwrap();
        assert_eq!((batch.minute, batch.sheet.requests()), (START / 60, 1));
        counter.stored(2);
        assert!(!counter.is_clean());
        assert_eq!(counter.due(at(61), true).unwrap().minute, START / 60 + 1);
    }

    #[test]
    fn a_batch_comes_again_as_it_was_until_it_is_stored() {
        let counter = counter();
        counter.add(by("a"), at(0));
        let first = counter.due(at(9), false).unwrap();
        counter.add(by("a"), at(9));
        assert_eq!(counter.due(at(31), true), Some(first.clone()));
        counter.stored(first.sequence);
        assert_eq!(counter.due(at(31), true).unwrap().sequence, 2);
        counter.stored(first.sequence);
        assert_eq!(counter.due(at(31), true).unwrap().sequence, 2, "only the one that was stored goes");
    }

    #[test]
    fn memory_is_bounded_and_what_is_dropped_is_told() {
        let counter = counter();
        let sent: u64 = 5_000;
        for n in 0..sent {
            counter.add(by(&format!("c{n}")), at(0));
        }
        assert!(counter.lock().closed.len() <= WAITING);
        let (mut requests, mut lost) = (0, 0);
        while let Some(batch) = counter.due(at(0), true) {
            assert!(batch.sheet.habits.len() <= CONSUMERS);
            requests += batch.sheet.requests();
            lost += batch.sheet.lost;
            counter.stored(batch.sequence);
        }
        assert_eq!(requests + lost, sent);
        assert!(lost > 0);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_batches_out_of_order() {
        let counter = counter();
        counter.add(by("a"), at(120));
        counter.add(by("a"), at(0));
        let batch = counter.due(at(0), true).unwrap();
        assert_eq!((batch.minute, batch.sheet.requests()), (START / 60 + 2, 2));
    }
}
