//! Writes: one `TransactWriteItems` that holds the record, its index rows, unique rows, guards, tags and riders.
//!
//! ```text
//! Mutation* + AttachedWrites -> build (actions, merged per item) -> commit (conflicts, unknown outcomes) -> cancellation (which constraint)
//!                                                              cascade (children of what is deleted)
//! ```
//! A write either has all of its effects or none. Whoever gets [`WriteError::Unknown`] does not know which; with an
//! idempotency row among the riders a repetition finds out.

mod batch;
mod build;
mod cancellation;
mod cascade;
mod commit;
mod guards;
mod steps;
#[cfg(test)]
mod tests;
mod unique;

use std::sync::Arc;

use super::table::SharedTable;
use super::tags::Unsettled;
use crate::core::clock::{Env, Micros};
use crate::model::Model;

pub use batch::{AttachedWrites, Batch, Check, MAX_ACTIONS, MAX_BYTES, Mutation, WriteError, Written};
pub(crate) use guards::referred;
pub use guards::{CLOSED, COUNT, RESTRICTING};
pub use steps::Swept;
pub use unique::{OWNER, unique_hash};

/// Writes records of a model to a table.
#[derive(Clone)]
pub struct Writer {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
}

impl Writer {
    /// A writer: once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self { table, model, env }
    }

    /// Does all of `batch` or nothing. The outcome of the deletes among it includes what they bring along: `cascade` and
    /// `set_null` of children in the same transaction where all fits. A single delete that does not fit is done in steps,
    /// see [`Writer::sweep`]; its record is gone with the first.
    ///
    /// Conflicts with other transactions are retried with jitter, lost answers asked for again, until `deadline`.
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was done, except that for [`WriteError::Unknown`] that is not known.
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "write", skip_all)]
    pub async fn write(&self, batch: &Batch, deadline: Micros) -> Result<Written, WriteError> {
        self.write_as(batch, false, deadline).await
    }

    /// `forced`: the deletes are part of a cascade that has begun, so nothing restricts them any more.
    async fn write_as(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        match self.attempt(batch, deadline).await {
            Ok(written) => Ok(written),
            Err(refused) => {
                let mutation = refused.of_children(forced)?;
                self.with_children(batch, mutation, forced, deadline).await
            }
        }
    }

    /// Actions and bytes that the batch needs, without what cascades would add: to tell a client before anything is sent.
    ///
    /// # Errors
    /// [`WriteError::Contradiction`], or [`WriteError::ReferenceMissing`] for a reference to what the batch itself deletes.
    pub fn measure(&self, batch: &Batch) -> Result<(usize, usize), WriteError> {
        let plan = build::TransactionPlan::new(&self.model, batch)?;
        let transaction = plan.transaction(&self.env, String::new());
        Ok((transaction.transaction.writes.len(), transaction.bytes))
    }

    /// Removes the elements of an acknowledged write: see [`Unsettled::clear`].
    pub async fn clear(&self, unsettled: Unsettled) {
        unsettled.clear(self.table.as_ref()).await;
    }
}
