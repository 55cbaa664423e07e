//! Writes: announced at tags and gates, committed by one `TransactWriteItems` that holds the record, its index rows, unique rows, the
//! rows of its references, riders and the fence of the attempt, and settled.
//!
//! ```text
//! Mutation* + AttachedWrites -> attempt: cascade (children of what is deleted) -> build (actions, merged per item)
//!                                -> announce -> close -> commit (conflicts, unknown outcomes) -> cancellation (which constraint)
//! ```
//! A write either has all of its effects or none. Whoever gets [`WriteError::Unknown`] does not know which; with an
//! idempotency row among the riders a repetition finds out.

mod announce;
mod at_once;
mod attempt;
mod batch;
mod build;
mod building;
mod cancellation;
mod cascade;
mod close;
mod commit;
mod insist;
mod stale_rows;
mod steps;
mod take_over;
#[cfg(test)]
mod tests;
mod unique;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::constraints::Constraints;
use super::settle::Unsettled;
use super::table::{Key, SharedTable};
use crate::core::clock::{Env, Micros};
use crate::model::Model;

pub use batch::{AttachedWrites, Batch, Check, MAX_ACTIONS, MAX_BYTES, Mutation, WriteError, Written};
pub use steps::Swept;
pub(crate) use steps::entry;
pub use unique::{OWNER, unique_hash};

/// Writes records of a model to a table, without asking who may: what requests write goes through `query::policy::Writer`.
#[derive(Clone)]
pub(crate) struct Writer {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    hot: HotTags,
    constraints: Option<Arc<Constraints>>,
}

/// Ends when a request is admitted; never, where it is refused.
pub type Admission<'a> = Shared<BoxFuture<'a, ()>>;

/// The admission of a request that has it.
fn admitted() -> Admission<'static> {
    let now: BoxFuture<'static, ()> = Box::pin(std::future::ready(()));
    now.shared()
}

/// Tags that were hot when this instance last wrote there.
#[derive(Clone, Default)]
struct HotTags(Arc<Mutex<HashSet<Key>>>);

impl HotTags {
    /// Tags that are remembered at a time; forgetting one costs a call.
    const MAX: usize = 1000;

    fn tags(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, tag: &Key) -> bool {
        self.tags().contains(tag)
    }

    fn insert(&self, tag: &Key) {
        let mut tags = self.tags();
        if tags.len() >= Self::MAX {
            tags.clear();
        }
        tags.insert(tag.clone());
    }

    fn remove(&self, tag: &Key) {
        self.tags().remove(tag);
    }
}

impl Writer {
    /// A writer: once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self { table, model, env, hot: HotTags::default(), constraints: None }
    }

    /// With the states of the model's constraints, of a table that versions with another model may have written; otherwise all count
    /// as complete.
    #[must_use]
    pub fn with_constraints(self, constraints: Arc<Constraints>) -> Self {
        Self { constraints: Some(constraints), ..self }
    }

    /// Does all of `batch` or nothing. The outcome of the deletes among it includes what they bring along: `cascade` and
    /// `set_null` of children in the same transaction where all fits. A single delete that does not fit is done in steps,
    /// see [`Writer::sweep`]; its record is gone with the first.
    ///
    /// Conflicts with other transactions are retried with jitter, lost answers asked for again, until `deadline`.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was done, except that for [`WriteError::Unknown`] that is not known.
    pub async fn write(&self, batch: &Batch, deadline: Micros) -> Result<Written, WriteError> {
        self.write_when(batch, &admitted(), deadline).await
    }

    /// As [`Writer::write`], for a request that is not admitted yet: it may announce what creates and changes records, and does nothing
    /// else before `admission` is there. Dropped while it waits, it leaves elements that whoever meets them settles.
    ///
    /// # Errors
    /// As [`Writer::write`].
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "write", skip_all)]
    pub async fn write_when(&self, batch: &Batch, admission: &Admission<'_>, deadline: Micros) -> Result<Written, WriteError> {
        self.insist(batch, false, admission, deadline).await
    }

    /// Actions and bytes that the batch needs, without what cascades would add: to tell a client before anything is sent.
    ///
    /// # Errors
    /// [`WriteError::Contradiction`], or [`WriteError::ReferenceMissing`] for a reference to what the batch itself deletes.
    #[cfg(test)]
    pub fn measure(&self, batch: &Batch) -> Result<(usize, usize), WriteError> {
        let plan = build::TransactionPlan::new(&self.model, batch)?;
        let transaction = plan.transaction(&self.env, &self.begin());
        Ok((transaction.transaction.writes.len(), transaction.bytes))
    }

    /// Settles a write that has committed, before it is acknowledged: see [`Unsettled::settle`].
    pub async fn settle(&self, unsettled: Unsettled) {
        unsettled.settle(self.table.as_ref()).await;
    }
}
