//! Counts calls and capacity units, in total and per task, so that budgets are tests and `_usage` can tell what a request cost.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// Operations of DynamoDB that Holdfast uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `GetItem`.
    Get,
    /// `BatchGetItem`.
    BatchGet,
    /// `TransactGetItems`.
    TransactGet,
    /// `Query`.
    Query,
    /// `Scan`.
    Scan,
    /// `PutItem`.
    Put,
    /// `UpdateItem`.
    Update,
    /// `DeleteItem`.
    Delete,
    /// `BatchWriteItem`.
    BatchWrite,
    /// `TransactWriteItems`.
    TransactWrite,
}

impl Kind {
    fn reads(self) -> bool {
        matches!(self, Self::Get | Self::BatchGet | Self::TransactGet | Self::Query | Self::Scan)
    }
}

/// What calls have cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Consumed {
    /// Calls sent, failed ones included.
    pub calls: BTreeMap<Kind, u64>,
    /// Read capacity units that DynamoDB reported.
    pub read_units: f64,
    /// Write capacity units that DynamoDB reported. It reports none for a write that fails, though it bills it.
    pub write_units: f64,
}

impl Consumed {
    /// Adds what others cost.
    fn add(&mut self, other: &Self) {
        for (kind, calls) in &other.calls {
            *self.calls.entry(*kind).or_default() += calls;
        }
        self.read_units += other.read_units;
        self.write_units += other.write_units;
    }

    /// All calls together.
    pub fn total_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls of one kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.calls.get(&kind).copied().unwrap_or(0)
    }
}

/// A counter that many may write to.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Consumed>);

impl Meter {
    /// Counts so far.
    pub fn usage(&self) -> Consumed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted so far, and starts again at zero.
    pub fn take(&self) -> Consumed {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl Fn(&mut Consumed)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // Outside of `measured` there is no second counter, which is no fault.
        let _ = TASK.try_with(|own| change(&mut own.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    /// Counts a call that is sent.
    pub fn call(&self, kind: Kind) {
        self.change(|usage| *usage.calls.entry(kind).or_default() += 1);
    }

    /// Counts the capacity units of an answer.
    pub fn units(&self, kind: Kind, units: f64) {
        self.change(|usage| if kind.reads() { usage.read_units += units } else { usage.write_units += units });
    }
}

tokio::task_local! {
    static TASK: Arc<Meter>;
}

/// Runs `work` and tells what the calls cost that it made (not those of tasks that it spawned).
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Consumed) {
    let meter = Arc::new(Meter::default());
    let outcome = TASK.scope(Arc::clone(&meter), work).await;
    let usage = meter.take();
    // Whoever measures around this sees it too.
    let _ = TASK.try_with(|outer| outer.0.lock().unwrap_or_else(PoisonError::into_inner).add(&usage));
    (outcome, usage)
}
