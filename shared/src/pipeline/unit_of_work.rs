//! One unit of work: an effect that takes place once per `Idempotency-Key`, and is attempted again where others were faster.
//!
//! ```text
//! read -> kept under the key? replay : attempt (build -> gate -> write) -> settle -> answer
//!   ^------------- outrun, until the deadline ------------'
//! ```
//! Records, files, shares, consumers and purges say as [`UnitOfWork`] what differs: what is read, what is built, what a refusal
//! means. The order of the steps, the key, the gate and the pauses stand here and nowhere else.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Context;
use super::write::idempotent::{KeyReservation, reply_of};
use crate::core::backoff::Backoff;
use crate::core::clock::Micros;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::query::policy::PermittedBatch;
use crate::store::idempotency::Answer;
use crate::store::settle::Unsettled;
use crate::store::table::{Item, TableError};
use crate::store::write::{Admission, WriteError};

/// What a write leaves of the request's time, beyond what the pipeline keeps for the answer, so that it can say what happened.
const RESERVE: i64 = 800_000;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Deadline of a write.
pub(super) fn deadline(cx: &Context<'_>) -> Micros {
    Micros(cx.request.deadline.0.saturating_sub(RESERVE))
}

/// What one kind of effect does at each step.
pub(super) trait UnitOfWork: Send + Sync {
    /// What an attempt begins from.
    type State: Send;
    /// Answer to the caller.
    type Answer: Send;

    /// The row of the key, if there are both, and the state of an attempt; refuses whoever may not know of it.
    fn read(&self, claim: Option<&KeyReservation>) -> impl Future<Output = Result<(Option<Item>, Self::State), Problem>> + Send;

    /// The answer to a repetition.
    fn replay(&self, kept: Answer) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;

    /// One attempt, by [`write()`] or in a transaction with what [`super::write::idempotent::remembered`] gives.
    fn attempt(
        &mut self,
        state: Self::State,
        claim: Option<&KeyReservation>,
    ) -> impl Future<Output = Result<Committed<Self::Answer>, Failure>> + Send;
}

/// An effect that has taken place.
pub(super) struct Committed<T> {
    /// Answer to the caller.
    pub(super) answer: T,
    /// What is to be settled first.
    pub(super) unsettled: Option<Unsettled>,
}

/// Reason why an attempt had no effect.
pub(super) enum Failure {
    /// Others changed what it began from; the refusal, where the deadline leaves no further attempt.
    Outrun(Problem),
    /// A refusal, unless the same request was faster: then its answer holds.
    UnlessReplayed(Problem),
    /// A refusal.
    Refused(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// Answer to a client, and whether it was given before.
pub(super) enum Outcome<T> {
    /// The effect took place now.
    Done(T),
    /// It had taken place before.
    Replayed(T),
}

impl<T> Outcome<T> {
    /// Answer to the client.
    pub(super) fn into_answer(self) -> T {
        let (Self::Done(answer) | Self::Replayed(answer)) = self;
        answer
    }
}

/// Performs a unit of work; with a claim, once.
///
/// # Errors
/// The [`Problem`] for the client; nothing was done, unless it says that this is not known.
pub(super) async fn perform<U: UnitOfWork>(
    cx: &Context<'_>,
    claim: Option<&KeyReservation>,
    unit: &mut U,
) -> Result<Outcome<U::Answer>, Problem> {
    let mut backoff = Backoff::new(&cx.app.env, FIRST_PAUSE, MAX_PAUSE);
    loop {
        let (row, state) = unit.read(claim).await?;
        if let Some(kept) = kept(cx, claim, row).await? {
            return unit.replay(kept).await.map(Outcome::Replayed);
        }
        match unit.attempt(state, claim).await {
            Ok(Committed { answer, unsettled }) => {
                if let Some(unsettled) = unsettled {
                    cx.app.writer.settle(unsettled).await;
                }
                return Ok(Outcome::Done(answer));
            }
            Err(Failure::Outrun(problem)) if !backoff.pause_before(deadline(cx)).await => return Err(problem),
            Err(Failure::Outrun(_)) => {}
            Err(Failure::UnlessReplayed(problem)) => {
                let row = row_of(cx, claim).await?;
                let kept = kept(cx, claim, row).await?.ok_or(problem)?;
                return unit.replay(kept).await.map(Outcome::Replayed);
            }
            Err(Failure::Refused(problem)) => return Err(problem),
        }
    }
}

/// Performs what reads and repeats by itself, and tells a kept answer as it is.
///
/// Consumers and shares are not written through [`write()`]: they decide on rows of their own and repeat by conditions of their own,
/// consumers below the pipeline. What is left of the unit for them is the key: one attempt, and a look at whether a repetition
/// was faster.
///
/// # Errors
/// As [`perform`].
pub(super) async fn once<F>(
    cx: &Context<'_>,
    claim: Option<&KeyReservation>,
    attempt: impl FnMut() -> F + Send + Sync,
) -> Result<Reply, Problem>
where
    F: Future<Output = Result<Reply, Problem>> + Send,
{
    Ok(perform(cx, claim, &mut SelfContained { cx, attempt }).await?.into_answer())
}

struct SelfContained<'a, A> {
    cx: &'a Context<'a>,
    attempt: A,
}

impl<A, F> UnitOfWork for SelfContained<'_, A>
where
    A: FnMut() -> F + Send + Sync,
    F: Future<Output = Result<Reply, Problem>> + Send,
{
    type State = ();
    type Answer = Reply;

    async fn read(&self, claim: Option<&KeyReservation>) -> Result<(Option<Item>, ()), Problem> {
        Ok((row_of(self.cx, claim).await?, ()))
    }

    async fn replay(&self, kept: Answer) -> Result<Reply, Problem> {
        reply_of(kept, true)
    }

    async fn attempt(&mut self, (): (), _: Option<&KeyReservation>) -> Result<Committed<Reply>, Failure> {
        let answer = (self.attempt)().await.map_err(Failure::UnlessReplayed)?;
        Ok(Committed { answer, unsettled: None })
    }
}

/// Writes `batch`, with what remembers `answer`, behind the gate.
///
/// # Errors
/// As [`crate::query::policy::Writer::write`].
pub(super) async fn write(
    cx: &Context<'_>,
    claim: Option<&KeyReservation>,
    mut batch: PermittedBatch,
    answer: &Answer,
) -> Result<Unsettled, WriteError> {
    if let Some(claim) = claim {
        batch.riders.idempotency = claim.items(cx, answer).map_err(not_kept)?;
    }
    if !cx.gate.is_sure {
        cx.gate.passed().await;
    }
    let call = claim.and_then(|claim| claim.call.as_deref());
    let turn = match call {
        Some(call) => call.lock().await,
        None => None,
    };
    if let (Some(call), Some(_)) = (call, &turn) {
        batch.riders.conditioned.extend(call.row(cx).map_err(not_kept)?);
    }
    let written = cx.app.writer.write(batch, &admission(cx), deadline(cx)).await;
    if let Some(mut turn) = turn {
        *turn = written.is_ok();
    }
    written.map(|written| written.unsettled)
}

/// Compressing into memory does not fail.
fn not_kept(error: std::io::Error) -> WriteError {
    WriteError::Store(TableError::Broken(format!("an answer cannot be kept: {error}")))
}

fn admission<'a>(cx: &Context<'a>) -> Admission<'a> {
    let gate = cx.gate;
    let passed: BoxFuture<'a, ()> = Box::pin(gate.passed());
    passed.shared()
}

/// The row of the key as it is.
///
/// # Errors
/// 503 without the store.
pub(super) async fn row_of(cx: &Context<'_>, claim: Option<&KeyReservation>) -> Result<Option<Item>, Problem> {
    match claim {
        Some(claim) => claim.row(cx).await,
        None => Ok(None),
    }
}

async fn kept(cx: &Context<'_>, claim: Option<&KeyReservation>, row: Option<Item>) -> Result<Option<Answer>, Problem> {
    match claim {
        Some(claim) => claim.kept(cx, row.as_ref()).await,
        None => Ok(None),
    }
}
