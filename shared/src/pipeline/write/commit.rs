//! The write of records as a unit of work: what it begins from, and what is committed.

use serde_json::{Value, json};

use super::answer::RecordAnswer;
use super::change::{Change, ChangeKind};
use super::idempotent::KeyReservation;
use super::prepare::{merge_problems, merged, prepare, with_pointer};
use super::prepared::Prepared;
use super::references;
use super::refused::{reference_missing, refused};
use super::replay::masked;
use crate::http::problem::{Code, Problem};
use crate::http::respond;
use crate::model::Action;
use crate::model::value::Record;
use crate::pipeline::Context;
use crate::pipeline::permission::lacking;
use crate::pipeline::unit_of_work::{self, Committed, Failure, Outcome, UnitOfWork, deadline};
use crate::query::policy::{Access, PermittedBatch};
use crate::store::audit;
use crate::store::idempotency::{self, Answer};
use crate::store::table::{Item, TableName};
use crate::store::write::{AttachedWrites, WriteError};
use crate::store::{items, keys};

/// Does all of `changes` in one transaction, or nothing; with a claim, once. `many`: the answer is that of a `_bulk` call.
///
/// # Errors
/// The [`Problem`] for the client; nothing was done, unless it says that this is not known.
pub(super) async fn run(
    cx: &Context<'_>,
    changes: &[Change<'_>],
    claim: Option<&KeyReservation>,
    many: bool,
    answer: fn(&[Prepared]) -> RecordAnswer,
) -> Result<Outcome<RecordAnswer>, Problem> {
    if let Some(problem) = merge_problems(changes.iter().filter_map(|change| forbidden_for_all(cx, change)).collect()) {
        return Err(problem);
    }
    unit_of_work::perform(cx, claim, &mut RecordWrite { cx, changes, many, answer }).await
}

struct RecordWrite<'a> {
    cx: &'a Context<'a>,
    changes: &'a [Change<'a>],
    many: bool,
    answer: fn(&[Prepared]) -> RecordAnswer,
}

impl UnitOfWork for RecordWrite<'_> {
    /// The record of each change.
    type State = Vec<Option<Record>>;
    type Answer = RecordAnswer;

    async fn read(&self, claim: Option<&KeyReservation>) -> Result<(Option<Item>, Self::State), Problem> {
        read(self.cx, self.changes, claim).await
    }

    async fn replay(&self, kept: Answer) -> Result<RecordAnswer, Problem> {
        let entity = self.changes.first().map(|change| change.entity);
        masked(self.cx, entity.ok_or_else(|| Problem::internal("a write without a change"))?, self.many, kept).await
    }

    async fn attempt(&mut self, stored: Self::State, claim: Option<&KeyReservation>) -> Result<Committed<RecordAnswer>, Failure> {
        let prepared = prepare_all(self.cx, self.changes, &stored).await?;
        let answer = (self.answer)(&prepared);
        let kept = answer.kept();
        check_answer_size(self.cx, &kept)?;
        match unit_of_work::write(self.cx, claim, batch(self.cx, self.changes, &prepared), &kept).await {
            Ok(unsettled) => Ok(Committed { answer, unsettled: Some(unsettled) }),
            Err(error) => Err(self.failure(&prepared, error, claim).await),
        }
    }
}

impl RecordWrite<'_> {
    async fn failure(&self, prepared: &[Prepared], error: WriteError, claim: Option<&KeyReservation>) -> Failure {
        let call = claim.and_then(|claim| claim.call.as_deref());
        // Another request has taken the key, unless its row has gone again.
        if let (WriteError::Rider(_), Some(call)) = (&error, call) {
            return match call.claim().found(self.cx).await {
                Ok(_) => Failure::Outrun(Problem::unavailable("the row of a call changed until the deadline")),
                Err(problem) => Failure::Refused(problem),
            };
        }
        let failure = if is_outrun(self.changes, &error) { Failure::Outrun } else { Failure::Refused };
        failure(refused(self.cx, self.changes, prepared, error, claim.is_some()))
    }
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

/// Whether the write failed only because somebody else changed something after it was read.
fn is_outrun(changes: &[Change<'_>], error: &WriteError) -> bool {
    match error {
        WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_) => true,
        // A PUT that found nothing to replace.
        WriteError::Exists { mutation } => {
            changes.get(*mutation).is_some_and(|change| matches!(change.kind, ChangeKind::Replace(_)))
        }
        _ => false,
    }
}

/// What is forbidden whatever the record: nothing has to be read for that.
fn forbidden_for_all(cx: &Context<'_>, change: &Change<'_>) -> Option<Problem> {
    let forbidden = |action| Access::of(cx.model(), cx.principal, change.entity, action).is_forbidden();
    let action = match change.kind {
        ChangeKind::Create(_) => Action::Create,
        ChangeKind::Replace(_) | ChangeKind::Merge(_) | ChangeKind::JsonPatch(_) => Action::Update,
        ChangeKind::Delete => Action::Delete,
    };
    // A PUT may create, too.
    let creates = matches!(change.kind, ChangeKind::Replace(_)) && !forbidden(Action::Create);
    (forbidden(action) && !creates).then(|| with_pointer(lacking(cx, change.entity, action), change))
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
    let id = |change: &Change<'_>| change.id.clone().filter(|_| !matches!(change.kind, ChangeKind::Create(_)));
    places.extend(changes.iter().filter_map(|change| Some((TableName::Data, keys::record(change.entity, &id(change)?)))));
    let get = async {
        match places.is_empty() {
            true => Ok(Vec::new()),
            false => cx.app.table.get(&places, true).await,
        }
    };
    let (found, ready) = futures::join!(get, cx.app.constraints.before_write(deadline(cx)));
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

fn batch(cx: &Context<'_>, changes: &[Change<'_>], prepared: &[Prepared]) -> PermittedBatch {
    PermittedBatch {
        mutations: prepared.iter().map(|one| one.mutation.clone()).collect(),
        checks: prepared.iter().fold(Vec::new(), |checks, one| merged(checks, one.checks.clone())),
        riders: AttachedWrites { audit: audit_entry(cx, changes, prepared).into_iter().collect(), ..AttachedWrites::default() },
        voids: Vec::new(),
    }
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
