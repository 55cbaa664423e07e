//! A table that ends its handler before or after its n-th call, as a function that is killed ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast::store::table::SharedTable;

use crate::intercept::{Hook, Intercept};

/// When the handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Before the call has any effect.
    Before,
    /// After the call's effect, before its answer is seen.
    After,
}

/// Lets calls pass until the n-th.
pub struct Death {
    left: AtomicU32,
    end: End,
    ended: tokio::sync::Notify,
}

/// A table whose n-th call is the last. A handler that makes that call never gets an answer: run it with
/// [`Crashing::until_end`].
/// Its hook may end calls to something else too.
pub type Crashing = Intercept<Arc<Death>>;

impl Crashing {
    /// Ends at call `call` (from 1).
    pub fn at(table: SharedTable, call: u32, end: End) -> Arc<Self> {
        let death = Death { left: AtomicU32::new(call), end, ended: tokio::sync::Notify::new() };
        Arc::new(Self::new(table, Arc::new(death)))
    }

    /// Runs a handler on this table until it is done (`Some`) or has come to its end (`None`).
    pub async fn until_end<T>(self: &Arc<Self>, handler: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.hook.ended.notified() => None,
            done = handler => Some(done),
        }
    }
}

impl Hook for Death {
    async fn around<T: Send>(&self, call: impl Future<Output = T> + Send) -> T {
        // The last call is counted down to 0; whatever a handler has under way beside it stays unanswered too.
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        match left {
            Ok(0) => std::future::pending().await,
            Ok(1) => {
                if self.end == End::After {
                    call.await;
                }
                self.ended.notify_one();
                std::future::pending().await
            }
            _ => call.await,
        }
    }
}
