//! Flushing: one `Put` per batch, never on the way of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tracing::Instrument as _;

use super::counter::{Batch, Counter};
use super::finished::Finished;
use super::pack;
use crate::core::clock::Env;
use crate::store::keys;
use crate::store::table::{Returning, SharedTable, TableError, TableName, Write};

/// How long a flush waits for the reporter, seconds. A reporter that is silent for longer loses counts.
pub const KEPT: i64 = 3 * 86_400;
/// Attempts per batch when the process ends.
const ATTEMPTS: u32 = 3;

/// Counts the requests of a process and flushes what it counted.
#[derive(Clone)]
pub struct Usage {
    counter: Arc<Counter>,
    /// Held during a flush: one batch is under way at a time.
    turn: Arc<Mutex<()>>,
    begun: Arc<AtomicBool>,
    counts: bool,
    table: SharedTable,
    env: Env,
}

impl Usage {
    /// For one process. No call is made.
    pub fn new(table: SharedTable, env: Env) -> Self {
        Self { counter: Arc::new(Counter::new(&env)), turn: Arc::default(), begun: Arc::default(), counts: true, table, env }
    }

    /// A counter that counts nothing: for measuring the cost of counting.
    #[must_use]
    pub fn off(self) -> Self {
        Self { counts: false, ..self }
    }

    /// Whether this is the first call: at the first request of a process.
    pub fn is_first(&self) -> bool {
        !self.begun.swap(true, Ordering::Relaxed)
    }

    /// Counts a request.
    pub fn count(&self, done: Finished) {
        if self.counts {
            self.counter.add(done, self.env.now());
        }
    }

    /// Best effort: flushes what is due in a task of its own, beside the calls of the request that has just come. A function that is
    /// frozen after its answer goes on with it at the next request; a flush whose outcome is unknown is repeated under its sequence.
    pub fn flush_beside(&self) {
        let Ok(turn) = self.turn.clone().try_lock_owned() else { return };
        let Some(batch) = self.counter.due(self.env.now(), false) else { return };
        let usage = self.clone();
        let flush = async move {
            if let Err(error) = usage.put(&batch).await {
                tracing::warn!(%error, "usage could not be flushed yet");
            }
            drop(turn);
        };
        // A trace of its own: it is of many requests.
        let span = tracing::trace_span!(target: "holdfast::trace", parent: None, "flush usage");
        tokio::spawn(flush.instrument(span));
    }

    /// Flushes everything: at the end of a process, and before its own usage is read.
    ///
    /// # Errors
    /// The store's; what is left stays in memory.
    pub async fn flush(&self) -> Result<(), TableError> {
        let _turn = self.turn.lock().await;
        let mut failures = 0;
        while let Some(batch) = self.counter.due(self.env.now(), true) {
            if let Err(error) = self.put(&batch).await {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Best effort: flushes everything at the end of the process.
    pub async fn close(&self) {
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "usage is lost: it could not be flushed at the end");
        }
    }

    /// The random name of this process.
    pub fn instance(&self) -> &[u8; 16] {
        &self.counter.instance
    }

    /// Whether a flush is under way.
    pub fn is_flushing(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    /// Stores a batch. The same batch at the same place twice is one: the place names instance and sequence.
    async fn put(&self, batch: &Batch) -> Result<(), TableError> {
        let place = keys::usage_flush(&self.counter.instance, batch.minute, batch.sequence);
        let item = pack::item(place, &batch.sheet, Some(self.env.now().seconds() + KEPT));
        self.table.write(TableName::Volatile, Write::Put { item, condition: None }, Returning::Nothing).await?;
        self.counter.stored(batch.sequence);
        Ok(())
    }
}
