//! Sending a transaction until its outcome is known, within the deadline.

use std::time::Duration;

use super::build::{Built, TransactionPlan};
use super::guards::Refused;
use super::{Batch, MAX_ACTIONS, MAX_BYTES, WriteError, Writer, Written};
use crate::core::clock::Micros;
use crate::store::table::TableError;

/// First and longest pause between attempts. A conflict ends when the other transaction does, within some milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Pauses that grow, drawn at random, until a deadline.
pub(super) struct Pauses<'a> {
    writer: &'a Writer,
    deadline: Micros,
    next: Duration,
}

impl<'a> Pauses<'a> {
    pub(super) fn new(writer: &'a Writer, deadline: Micros) -> Self {
        Self { writer, deadline, next: FIRST_PAUSE }
    }

    /// Waits; `false` where the deadline would pass.
    pub(super) async fn pause(&mut self) -> bool {
        let env = &self.writer.env;
        let micros = u32::try_from(self.next.as_micros()).unwrap_or(u32::MAX);
        let pause = Duration::from_micros(1 + u64::from(env.random.below(micros)));
        if env.now().plus(pause) >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(MAX_PAUSE);
        true
    }
}

impl Writer {
    pub(super) async fn attempt(&self, batch: &Batch, deadline: Micros) -> Result<Written, Refused> {
        self.commit(batch, &TransactionPlan::new(&self.model, batch)?, deadline).await
    }

    /// Sends a plan. A conflict is tried again as a new transaction; after an unknown outcome the very same transaction is
    /// sent again, because only its token tells whether it has been done.
    pub(super) async fn commit(&self, batch: &Batch, plan: &TransactionPlan, deadline: Micros) -> Result<Written, Refused> {
        let mut built = self.fitting(plan)?;
        let mut pauses = Pauses::new(self, deadline);
        let mut uncertain = false;
        loop {
            match self.table.transact(built.transaction.clone()).await {
                Ok(()) => {
                    let actions = built.purposes.len();
                    return Ok(Written { unsettled: built.unsettled, actions, cascading: false });
                }
                Err(TableError::Cancelled(reasons)) => {
                    if let Some(refused) = self.classify_cancellation(batch, &built.purposes, reasons) {
                        return Err(refused);
                    }
                }
                Err(TableError::Busy(why)) => tracing::debug!(why, "a transaction is retried"),
                Err(TableError::Unknown(why)) => {
                    tracing::warn!(why, "the outcome of a transaction is asked for again");
                    uncertain = true;
                }
                Err(error) => return Err(WriteError::Store(error).into()),
            }
            if !pauses.pause().await {
                return Err(if uncertain { WriteError::Unknown } else { WriteError::Busy }.into());
            }
            if !uncertain {
                built = self.fitting(plan)?;
            }
        }
    }

    fn fitting(&self, plan: &TransactionPlan) -> Result<Built, WriteError> {
        let token = uuid::Builder::from_random_bytes(self.env.bytes::<16>()).into_uuid().simple().to_string();
        let built = plan.transaction(&self.env, token);
        let (actions, bytes) = (built.purposes.len(), built.bytes);
        if actions > MAX_ACTIONS || bytes > MAX_BYTES {
            return Err(WriteError::TooLarge { actions, bytes });
        }
        Ok(built)
    }
}
