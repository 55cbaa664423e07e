//! Work that nobody waits for: at most so much of it at a time, and none of it twice.
//!
//! On Lambda it runs while the answer is on its way, and goes on with the next request if the function is frozen before. All of
//! it may be lost or late without harm.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::store::table::Key;

/// Pieces of work under way at a time; what comes beyond is left undone.
const MAX_TASKS: u32 = 32;

pub(super) struct Background {
    permits: Arc<Semaphore>,
    busy: Arc<Mutex<HashSet<Key>>>,
}

impl Default for Background {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_TASKS as usize)), busy: Arc::default() }
    }
}

impl Background {
    /// Does it, unless too much is under way.
    pub(super) fn best_effort(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let work = async move {
                work.await;
                drop(permit);
            };
            // It belongs to the trace of the request that it is done for.
            tokio::spawn(work.in_current_span());
        }
    }

    /// As [`Self::best_effort`], unless something is being done about this item already.
    pub(super) fn alone(&self, item: Key, work: impl Future<Output = ()> + Send + 'static) {
        if !lock(&self.busy).insert(item.clone()) {
            return;
        }
        let done = Done { busy: Arc::clone(&self.busy), item };
        self.best_effort(async move {
            work.await;
            drop(done);
        });
    }

    /// Waits until nothing is under way.
    pub(super) async fn idle(&self) {
        // It is never closed.
        let _all = self.permits.acquire_many(MAX_TASKS).await;
    }
}

/// However the work ends, or if it never begins, the item is free again.
struct Done {
    busy: Arc<Mutex<HashSet<Key>>>,
    item: Key,
}

impl Drop for Done {
    fn drop(&mut self) {
        lock(&self.busy).remove(&self.item);
    }
}

fn lock(busy: &Mutex<HashSet<Key>>) -> std::sync::MutexGuard<'_, HashSet<Key>> {
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}
