//! Health of the limiter's store: for readiness, metrics and the count of usage.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::core::clock::Micros;

/// How often the store failed the limiter, for metrics and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures of the store since the instance started.
    pub failures: u64,
    /// Requests that were admitted without the store, by plans that fail open.
    pub admitted: u64,
    /// Requests that were refused without the store, by plans that fail closed.
    pub refused: u64,
    /// Beginning of the present outage; `None`: the last call succeeded.
    pub failing_since: Option<Micros>,
}

/// Counts of what the store answered and of what was decided without it.
#[derive(Debug, Default)]
pub(super) struct StoreHealth {
    failures: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    /// Admitted and refused since they were last taken.
    untaken: [AtomicU64; 2],
    failing_since: AtomicI64,
}

impl StoreHealth {
    /// The store answered.
    pub(super) fn answered(&self) {
        self.failing_since.store(0, Ordering::Relaxed);
    }

    /// The store failed a call that no admission depends on: it is counted, and readiness does not change.
    pub(super) fn failed_once(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The store failed an admission.
    pub(super) fn failed(&self, now: Micros) {
        self.failed_once();
        let _already = self.failing_since.compare_exchange(0, now.0.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A request was admitted without the store.
    pub(super) fn admitted(&self) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.untaken[0].fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused without the store.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.untaken[1].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts.
    pub(super) fn read(&self) -> Health {
        let since = self.failing_since.load(Ordering::Relaxed);
        Health {
            failures: self.failures.load(Ordering::Relaxed),
            admitted: self.admitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failing_since: (since > 0).then_some(Micros(since)),
        }
    }

    /// Requests admitted and refused without the store since the previous call.
    pub(super) fn take(&self) -> [u64; 2] {
        self.untaken.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
    }
}
