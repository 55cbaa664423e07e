//! Sending the transaction of an attempt until its outcome is known, within the deadline.

use std::time::Duration;

use super::attempt::{Attempt, Stop};
use super::build::Built;
use super::cancellation::Cancelled;
use super::{Batch, WriteError, Writer};
use crate::core::backoff::Backoff;
use crate::core::clock::Micros;
use crate::store::fence::{self, Outcome};
use crate::store::table::{Item, TableError};

/// First and longest pause between attempts. A conflict ends when the other transaction does, within some milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Pauses that grow, drawn at random, until a deadline.
pub(super) struct Pauses<'a> {
    backoff: Backoff<'a>,
    deadline: Micros,
}

impl<'a> Pauses<'a> {
    pub(super) fn new(writer: &'a Writer, deadline: Micros) -> Self {
        Self { backoff: Backoff::new(&writer.env, FIRST_PAUSE, MAX_PAUSE), deadline }
    }

    /// Waits; `false` where the deadline would pass.
    pub(super) async fn pause(&mut self) -> bool {
        self.backoff.pause_before(self.deadline).await
    }
}

impl Writer {
    /// Sends a transaction; the number of its actions. A conflict is tried again as a new request with the same fence, so that both can have
    /// one effect at most; after an unknown outcome the very same request is sent again, because its token tells whether it is done.
    pub(super) async fn commit(
        &self,
        batch: &Batch,
        mut built: Built,
        attempt: &mut Attempt,
        deadline: Micros,
    ) -> Result<usize, Stop> {
        let mut pauses = Pauses::new(self, deadline);
        // A frozen function may wake up long after its answer was given.
        while self.env.now() < deadline {
            // Until its answer is there, it may have been sent.
            let uncertain = std::mem::replace(&mut attempt.uncertain, true);
            match self.table.transact(built.transaction.clone()).await {
                Ok(()) => return Ok(built.purposes.len()),
                Err(TableError::Cancelled(reasons)) => {
                    attempt.uncertain = uncertain;
                    match self.classify_cancellation(batch, &built.purposes, reasons) {
                        Some(Cancelled::Fenced(fence)) => return self.fenced(fence, built.purposes.len(), deadline).await,
                        Some(Cancelled::Stop(stop)) => return Err(stop),
                        None => {}
                    }
                }
                Err(TableError::Busy(why)) => {
                    attempt.uncertain = uncertain;
                    tracing::debug!(why, "a transaction is retried");
                }
                Err(TableError::Unknown(why)) => tracing::warn!(why, "the outcome of a transaction is asked for again"),
                Err(error) => {
                    attempt.uncertain = uncertain;
                    return Err(WriteError::Store(error).into());
                }
            }
            if !pauses.pause().await {
                break;
            }
            if !attempt.uncertain {
                built.transaction.token = self.env.uuid_v7().to_string();
            }
        }
        Err(WriteError::Busy.into())
    }

    /// The fence stood there already: put by an earlier sending of this attempt, or by somebody who did not wait for it.
    async fn fenced(&self, fence: Option<Item>, actions: usize, deadline: Micros) -> Result<usize, Stop> {
        let Some(fence) = fence else { return Err(Stop::Again) };
        let mut pauses = Pauses::new(self, deadline);
        loop {
            match fence::outcome(self.table.as_ref(), &fence).await {
                Ok(Outcome::Aborted) => return Err(Stop::Again),
                Ok(Outcome::Committed) => return Ok(actions),
                Ok(Outcome::Pending) | Err(TableError::Busy(_) | TableError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
            if !pauses.pause().await {
                return Err(WriteError::Unknown.into());
            }
        }
    }
}
