//! How many calls of the table a request waits for one after another (the budget of `architecture.md` 7).

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast::store::double::{Intercept, TableCall};
use holdfast::store::table::TableError;

/// Counts waits: a call that begins after others have ended is one wait behind the longest chain of them. Where independent
/// chains run beside each other this may say one too many, never one too few.
#[derive(Debug, Default)]
pub struct Waits {
    ended: AtomicU32,
}

impl Waits {
    /// Waits since the last call of this, which starts anew.
    pub fn take(&self) -> u32 {
        self.ended.swap(0, Ordering::SeqCst)
    }
}

impl Intercept for Waits {
    async fn around<T: Send>(
        &self,
        _: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        let depth = self.ended.load(Ordering::SeqCst) + 1;
        let done = pass.await;
        self.ended.fetch_max(depth, Ordering::SeqCst);
        done
    }
}
