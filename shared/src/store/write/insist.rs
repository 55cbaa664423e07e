//! The protocol of a write, in one place: an attempt announces itself, closes what it deletes, commits, and is settled; one that fails
//! is fenced before anything of it is taken back.
//!
//! ```text
//! expand -> plan -> announce (tags, gates) -> close (gates of what goes) -> commit -> [settle, by the caller before it answers]
//!    ^                                          | a gate was closed: look again        | refused, given up
//!    |------------------------------------------'                                      v
//!    '------------- again: another attempt with another token <-------- fence, take out, open
//! ```
//! On a table that commits atomically the first attempt is one transaction, if nothing is deleted ([`super::at_once`]).
//!
//! docs/writes.md says why nothing can go wrong in between; `tests/protocol` checks it.

use futures::future;

use super::attempt::{Attempt, GivenUp, Stop};
use super::build::{Built, TransactionPlan};
use super::building;
use super::commit::Pauses;
use super::stale_rows::StaleRows;
use super::{Admission, Batch, MAX_ACTIONS, MAX_BYTES, WriteError, Writer, Written};
use crate::core::clock::Micros;
use crate::store::constraints::States;
use crate::store::fence::{self, Outcome};
use crate::store::table::TableError;
use crate::store::{gate, settle};

/// How an attempt is made.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Nothing that restricts a deletion counts.
    forced: bool,
    /// In one transaction where that is possible: the table commits atomically.
    at_once: bool,
}

impl Writer {
    /// Attempts until one has succeeded or failed for good.
    pub(super) async fn insist(
        &self,
        batch: &Batch,
        forced: bool,
        admission: &Admission<'_>,
        deadline: Micros,
    ) -> Result<Written, WriteError> {
        let mut pauses = Pauses::new(self, deadline);
        let states = self.states(&batch.mutations, deadline).await?;
        let mut stale = StaleRows::default();
        let mut at_once = self.table.commits_atomically();
        loop {
            let mut attempt = self.begin();
            let way = Way { forced, at_once };
            let stop = match self.run(batch, way, admission, &mut attempt, (&states, &stale), deadline).await {
                Ok(actions) => return Ok(attempt.written(actions)),
                Err(stop) => stop,
            };
            match self.give_up(attempt, deadline).await {
                GivenUp::Committed(unsettled) => return Ok(Written { unsettled, actions: 0, cascading: false }),
                GivenUp::Unknown => return Err(WriteError::Unknown),
                GivenUp::Aborted => {}
            }
            admission.clone().await;
            match stop {
                Stop::Error(error) => return Err(error),
                Stop::Large(_) if batch.is_one_deletion() => return self.delete_in_steps(batch, forced, deadline).await,
                Stop::Large(error) => return Err(error),
                Stop::Taken(refused) if self.look_at_owner(&refused, &mut stale).await? => {}
                // Another attempt may see that what a delete brought along has changed.
                Stop::Taken(refused) if refused.mutation < batch.mutations.len() => return Err(refused.error()),
                Stop::Again | Stop::Taken(_) if pauses.pause().await => {}
                Stop::Again | Stop::Taken(_) => return Err(WriteError::Busy),
            }
            // A gate is closed: an attempt that announces itself waits for whoever has closed it, or settles what they left.
            at_once = false;
        }
    }

    pub(super) fn begin(&self) -> Attempt {
        Attempt::new(&self.env)
    }

    /// One attempt; the actions of its transaction.
    async fn run(
        &self,
        batch: &Batch,
        way: Way,
        admission: &Admission<'_>,
        attempt: &mut Attempt,
        (states, stale): (&States, &StaleRows),
        deadline: Micros,
    ) -> Result<usize, Stop> {
        // What is wrong in itself is told before anything is looked at.
        let plan = TransactionPlan::new(&self.model, batch)?.past(stale);
        building::check(&self.model, states, &batch.mutations, batch.mutations.len())?;
        if let Some(built) = way.at_once.then(|| plan.at_once(&self.env, attempt)).flatten() {
            admission.clone().await;
            return self.commit_at_once(batch, built, attempt, deadline).await;
        }
        let built = self.fitting(&plan, attempt)?;
        if plan.removals.is_empty() {
            self.announce(&plan, attempt, deadline).await?;
            admission.clone().await;
            return self.commit(batch, built, attempt, deadline).await;
        }
        admission.clone().await;
        loop {
            let expanded = self.expand(batch, way.forced, attempt).await?;
            building::check(&self.model, states, &expanded.batch.mutations, batch.mutations.len())?;
            let plan = TransactionPlan::new(&self.model, &expanded.batch).map_err(|error| expanded.of_caller(error))?;
            let mut plan = plan.past(stale);
            plan.leftovers(&expanded.leftovers);
            let built = self.fitting(&plan, attempt)?;
            self.announce(&plan, attempt, deadline).await.map_err(|stop| expanded.stop_of_caller(stop))?;
            if expanded.open.is_empty() {
                let sent = self.commit(&expanded.batch, built, attempt, deadline).await;
                return sent.map_err(|stop| expanded.stop_of_caller(stop));
            }
            self.close_all(&expanded.open, attempt, deadline).await?;
        }
    }

    /// The transaction of a plan; refuses, before anything is sent, what cannot be one.
    pub(super) fn fitting(&self, plan: &TransactionPlan, attempt: &Attempt) -> Result<Built, WriteError> {
        let built = plan.transaction(&self.env, attempt);
        let (actions, bytes) = (built.purposes.len(), built.bytes);
        if actions > MAX_ACTIONS || bytes > MAX_BYTES {
            return Err(WriteError::TooLarge { actions, bytes });
        }
        Ok(built)
    }

    /// Ends an attempt that has failed, or whose outcome is unknown: first its fence, then everything that it left.
    pub(super) async fn give_up(&self, attempt: Attempt, deadline: Micros) -> GivenUp {
        if attempt.left_nothing() {
            return GivenUp::Aborted;
        }
        let mut pauses = Pauses::new(self, deadline);
        let outcome = loop {
            match fence::decide(self.table.as_ref(), attempt.element.token(), self.env.now()).await {
                Ok(Outcome::Pending) | Err(TableError::Unknown(_)) if pauses.pause().await => {}
                Ok(outcome) => break outcome,
                Err(error) => {
                    tracing::debug!(%error, "an attempt is left to whoever settles it");
                    break Outcome::Pending;
                }
            }
        };
        match outcome {
            Outcome::Aborted => {
                self.take_back(attempt).await;
                GivenUp::Aborted
            }
            Outcome::Committed => GivenUp::Committed(attempt.unsettled()),
            Outcome::Pending if attempt.uncertain => GivenUp::Unknown,
            Outcome::Pending => GivenUp::Aborted,
        }
    }

    /// Takes out the elements of an attempt that is fenced, opens what it has closed, and removes the gates that nobody uses.
    async fn take_back(&self, attempt: Attempt) {
        let table = self.table.as_ref();
        let closed = attempt.closed.values().flatten();
        let mut calls: Vec<_> = closed.map(|gate| gate::reopen(gate, &attempt.element)).collect();
        let element = attempt.element.text();
        calls.extend(attempt.tags.iter().chain(&attempt.gates).map(|item| gate::settle(item, vec![element.clone()])));
        let calls = calls.into_iter().map(|write| settle::call(table, write));
        for outcome in future::join_all(calls).await {
            if let Err(error) = outcome {
                tracing::debug!(%error, "an attempt that failed left something to settle");
            }
        }
        let unused = attempt.new_gates.iter().chain(attempt.closed.values().flatten());
        let discards = unused.map(|gate| settle::call(table, gate::discard(gate)));
        let _best_effort = future::join_all(discards).await;
    }
}
