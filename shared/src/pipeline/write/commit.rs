//! Reading what a write begins from, and committing it, until nobody else was faster.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::change::{Change, What};
use super::idempotent::KeyReservation;
use super::prepare::{merge_problems, merged, prepare, with_pointer};
use super::prepared::Prepared;
use super::references;
use super::refused::{reference_missing, refused};
use super::replay::masked;
use crate::core::clock::Micros;
use crate::http::problem::{Code, Problem};
use crate::http::respond;
use crate::model::Action;
use crate::model::value::Record;
use crate::pipeline::Context;
use crate::query::policy::Access;
use crate::store::audit;
use crate::store::idempotency::{self, Answer};
use crate::store::table::{Item, TableName};
use crate::store::write::{Admission, AttachedWrites, Batch, WriteError};
use crate::store::{items, keys};

/// What a write leaves of the request's time, beyond what the pipeline keeps for the answer, so that it can say what happened.
const RESERVE: i64 = 800_000;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// What a client is told, and whether it was told before.
pub(super) enum ChangeOutcome {
    /// It has been done.
    Done(Answer),
    /// It had been done already.
    Replayed(Answer),
}

/// Does all of `changes` in one transaction, or nothing; with a claim, once. `many`: the answer is that of a `_bulk` call.
///
/// # Errors
/// The [`Problem`] for the client; nothing was done, unless it says that this is not known.
pub(super) async fn run(
    cx: &Context<'_>,
    changes: &[Change<'_>],
    claim: Option<&KeyReservation>,
    many: bool,
    answer: fn(&[Prepared]) -> Answer,
) -> Result<ChangeOutcome, Problem> {
    if let Some(problem) = merge_problems(changes.iter().filter_map(|change| forbidden_for_all(cx, change)).collect()) {
        return Err(problem);
    }
    let mut pauses = Pauses::new();
    loop {
        let (row, stored) = read(cx, changes, claim).await?;
        if let (Some(claim), Some(entity)) = (claim, changes.first().map(|change| change.entity))
            && let Some(kept) = claim.kept(cx, row.as_ref()).await?
        {
            return masked(cx, entity, many, kept).await.map(ChangeOutcome::Replayed);
        }
        let prepared = prepare_all(cx, changes, &stored).await?;
        let answer = answer(&prepared);
        check_answer_size(cx, &answer)?;
        let mut batch = batch(cx, changes, &prepared, claim, &answer)?;
        if !cx.gate.is_sure {
            cx.gate.passed().await;
        }
        let call = claim.and_then(|claim| claim.call.as_deref());
        let turn = match call {
            Some(call) => call.lock().await,
            None => None,
        };
        if let (Some(call), Some(_)) = (call, &turn) {
            batch.riders.conditioned = call.row(cx).map_err(Problem::internal)?;
        }
        let outcome = cx.app.writer.write_when(&batch, &admission(cx), deadline(cx)).await;
        if let Some(mut turn) = turn {
            *turn = outcome.is_ok();
        }
        match outcome {
            Ok(written) => {
                cx.app.writer.settle(written.unsettled).await;
                return Ok(ChangeOutcome::Done(answer));
            }
            // Another request has taken the key, unless its row has gone again.
            Err(WriteError::Rider(_)) if let Some(call) = call => {
                call.claim().found(cx).await?;
                if !pauses.pause(cx).await {
                    return Err(Problem::unavailable("the row of a call changed until the deadline"));
                }
            }
            Err(error) if is_outrun(changes, &error) && pauses.pause(cx).await => {}
            Err(error) => return Err(refused(cx, changes, &prepared, error, claim.is_some())),
        }
    }
}

fn admission<'a>(cx: &Context<'a>) -> Admission<'a> {
    let gate = cx.gate;
    let passed: BoxFuture<'a, ()> = Box::pin(gate.passed());
    passed.shared()
}

/// Refuses, before it has an effect, a write whose answer could not be sent.
fn check_answer_size(cx: &Context<'_>, answer: &Answer) -> Result<(), Problem> {
    let sent = respond::sent_bytes(cx.request, &answer.body)?;
    if sent <= respond::MAX_SENT {
        return Ok(());
    }
    let most = respond::MAX_SENT;
    let detail =
        format!("Nothing was done: the answer would have {sent} bytes, at most {most} can be sent; do less in one call.");
    Err(Problem::new(Code::ResponseTooLarge, detail).with_member("bytes", sent).with_member("limit", most))
}

/// When a write must have ended.
pub(in crate::pipeline) fn deadline(cx: &Context<'_>) -> Micros {
    Micros(cx.request.deadline.0.saturating_sub(RESERVE))
}

/// Whether the write failed only because somebody else changed something after it was read.
fn is_outrun(changes: &[Change<'_>], error: &WriteError) -> bool {
    match error {
        WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_) => true,
        // A PUT that found nothing to replace.
        WriteError::Exists { mutation } => changes.get(*mutation).is_some_and(|change| matches!(change.what, What::Replace(_))),
        _ => false,
    }
}

/// What is forbidden whatever the record: nothing has to be read for that.
fn forbidden_for_all(cx: &Context<'_>, change: &Change<'_>) -> Option<Problem> {
    let forbidden = |action| Access::of(cx.model(), cx.principal, change.entity, action).is_forbidden();
    let (verb, is_forbidden) = match change.what {
        What::Create(_) => ("create", forbidden(Action::Create)),
        What::Replace(_) => ("update", forbidden(Action::Update) && forbidden(Action::Create)),
        What::Merge(_) | What::JsonPatch(_) => ("update", forbidden(Action::Update)),
        What::Delete => ("delete", forbidden(Action::Delete)),
    };
    is_forbidden.then(|| with_pointer(Problem::forbidden(format!("You may not {verb} {}.", change.entity.plural)), change))
}

/// The idempotency row and the records as they are, strongly consistent, in one batch; beside it what has to precede a write.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "read", skip_all)]
async fn read(
    cx: &Context<'_>,
    changes: &[Change<'_>],
    claim: Option<&KeyReservation>,
) -> Result<(Option<Item>, Vec<Option<Record>>), Problem> {
    let mut places: Vec<_> = claim.iter().map(|claim| idempotency::row_key(&claim.scope)).collect();
    // A creation does not look: the condition of its write finds out.
    let id = |change: &Change<'_>| change.id.clone().filter(|_| !matches!(change.what, What::Create(_)));
    places.extend(changes.iter().filter_map(|change| Some((TableName::Data, keys::record(change.entity, &id(change)?)))));
    let get = async {
        match places.is_empty() {
            true => Ok(Vec::new()),
            false => cx.app.table.get(&places, true).await,
        }
    };
    let (found, ready) = futures::join!(get, cx.app.indexes.before_write(deadline(cx)));
    ready?;
    let mut found = found?.into_iter();
    let row = if claim.is_some() { found.next().flatten() } else { None };
    let mut stored = Vec::with_capacity(changes.len());
    for change in changes {
        stored.push(match id(change).and_then(|_| found.next().flatten()) {
            Some(item) => items::stored(Some(&item))?,
            None => None,
        });
    }
    Ok((row, stored))
}

/// All that is wrong at once.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "prepare", skip_all)]
async fn prepare_all(cx: &Context<'_>, changes: &[Change<'_>], stored: &[Option<Record>]) -> Result<Vec<Prepared>, Problem> {
    let (mut prepared, mut problems) = (Vec::with_capacity(changes.len()), Vec::new());
    for (change, stored) in changes.iter().zip(stored) {
        match prepare(cx, change, stored.as_ref(), &prepared).await {
            Ok(one) => prepared.push(one),
            Err(problem) => problems.push(with_pointer(problem, change)),
        }
    }
    if problems.is_empty() {
        problems = unseen(cx, changes, &prepared).await?;
    }
    if changes.len() == 1 && problems.len() == 1 {
        return Err(problems.swap_remove(0));
    }
    merge_problems(problems).map_or(Ok(prepared), Err)
}

/// A problem for each change that refers to a record which is not there for the caller.
async fn unseen(cx: &Context<'_>, changes: &[Change<'_>], prepared: &[Prepared]) -> Result<Vec<Problem>, Problem> {
    let mut problems = Vec::new();
    for (change, one) in changes.iter().zip(prepared) {
        let fields = references::still_unseen(cx, prepared, &one.unseen).await?;
        problems.extend(fields.first().map(|field| with_pointer(reference_missing(change, one, *field), change)));
    }
    Ok(problems)
}

fn batch(
    cx: &Context<'_>,
    changes: &[Change<'_>],
    prepared: &[Prepared],
    claim: Option<&KeyReservation>,
    answer: &Answer,
) -> Result<Batch, Problem> {
    let idempotency = match claim {
        Some(claim) => idempotency::items(&claim.scope, &claim.print, answer, cx.app.env.now()).map_err(Problem::internal)?,
        None => Vec::new(),
    };
    Ok(Batch {
        mutations: prepared.iter().map(|one| one.mutation.clone()).collect(),
        checks: prepared.iter().fold(Vec::new(), |checks, one| merged(checks, one.checks.clone())),
        riders: AttachedWrites {
            idempotency,
            audit: audit_entry(cx, changes, prepared).into_iter().collect(),
            ..AttachedWrites::default()
        },
        voids: Vec::new(),
    })
}

/// One entry for a write; of a bulk it lists the operations, because every further item would be one that the transaction
/// cannot hold for records.
fn audit_entry(cx: &Context<'_>, changes: &[Change<'_>], prepared: &[Prepared]) -> Option<Item> {
    let entity = changes.first()?.entity;
    let (action, id, detail) = match prepared {
        [] => return None,
        [one] => {
            let detail = (!one.changed.is_empty()).then(|| json!({ "fields": one.changed }));
            (one.action.name(), Some(one.mutation.id().to_owned()), detail)
        }
        many => {
            let line = |one: &Prepared| json!({"action": one.action.name(), "id": one.mutation.id()});
            ("bulk", None, Some(json!({"operations": many.iter().map(line).collect::<Vec<Value>>()})))
        }
    };
    let entry = audit::Entry {
        action: format!("{}.{action}", entity.name),
        resource: entity.name.clone(),
        id,
        detail,
        ..audit::Entry::by(cx.principal, &cx.correlation)
    };
    Some(audit::item(entry, &cx.app.env))
}

/// Pauses that grow, drawn at random.
pub(in crate::pipeline) struct Pauses {
    next: Duration,
}

impl Pauses {
    /// From the shortest.
    pub(in crate::pipeline) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// Waits; `false` where the deadline would pass.
    pub(in crate::pipeline) async fn pause(&mut self, cx: &Context<'_>) -> bool {
        let env = &cx.app.env;
        let bound = u32::try_from(self.next.as_micros()).unwrap_or(u32::MAX);
        let pause = Duration::from_micros(u64::from(env.random.below(bound)));
        if env.now().plus(pause) >= deadline(cx) {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(MAX_PAUSE);
        true
    }
}
