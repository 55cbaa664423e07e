//! A table that ends its handler before or after its n-th call, as a function that is killed ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast::store::double::{Double, Intercept, TableCall};
use holdfast::store::table::{SharedTable, TableError};

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
/// [`Death::until_end`].
pub type Crashing = Double<Death>;

/// The table that ends at call `call` (from 1).
pub fn crashing(table: SharedTable, call: u32, end: End) -> Arc<Crashing> {
    let death = Death { left: AtomicU32::new(call), end, ended: tokio::sync::Notify::new() };
    Arc::new(Crashing::new(table, death))
}

impl Death {
    /// Runs a handler on this table until it is done (`Some`) or has come to its end (`None`).
    pub async fn until_end<T>(&self, handler: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended.notified() => None,
            done = handler => Some(done),
        }
    }

    /// Makes a call, to this table or to something else, unless the handler has come to its end.
    pub async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
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

impl Intercept for Death {
    async fn around<T: Send>(
        &self,
        _: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        self.pass(pass).await
    }
}
