//! What a refusal of the store means for the client.

use super::change::Change;
use super::prepare::with_pointer;
use super::prepared::Prepared;
use crate::http::problem::{Code, FieldError, Problem};
use crate::model::{Action, FieldIx};
use crate::pipeline::Context;
use crate::query::policy::Access;
use crate::store::write::{MAX_ACTIONS, MAX_BYTES, WriteError};

/// The problem. `keyed`: the request has an idempotency key, so that a repetition finds out what an unknown outcome was.
pub(super) fn refused(
    cx: &Context<'_>,
    changes: &[Change<'_>],
    prepared: &[Prepared],
    error: WriteError,
    keyed: bool,
) -> Problem {
    let at = |mutation: usize, problem: Problem| match changes.get(mutation) {
        Some(change) => with_pointer(problem, change),
        None => problem,
    };
    match error {
        WriteError::Exists { mutation } => {
            let problem = Problem::conflict("A record with this id exists already.");
            // Whoever sent the parts of an id need not know how they are put together.
            let id = prepared.get(mutation).map(|prepared| prepared.mutation.id());
            at(mutation, problem.with_member("id", id.unwrap_or_default()))
        }
        WriteError::BeingDeleted { mutation } => {
            let detail = "The record that had this id is being deleted with what belongs to it; repeat the request later.";
            at(mutation, Problem::conflict(detail).retry_after(1))
        }
        WriteError::Unique { mutation, field } => {
            let problem = Problem::new(Code::UniqueViolation, "Another record has a value that no two records may have.");
            match (changes.get(mutation), prepared.get(mutation)) {
                (Some(change), Some(one)) => {
                    with_pointer(with_field(problem, change, one, field, "unique", "is taken by another record"), change)
                }
                _ => problem,
            }
        }
        WriteError::ReferenceMissing { mutation, field } => match (changes.get(mutation), prepared.get(mutation)) {
            (Some(change), Some(one)) => with_pointer(reference_missing(change, one, field), change),
            _ => Problem::internal("a reference of no operation"),
        },
        WriteError::Restricted { mutation, by } => {
            let by = by.map(|by| cx.model().entity(by)).filter(|by| {
                let may = |action: &Action| !Access::of(cx.model(), cx.principal, by, *action).is_forbidden();
                [Action::Read, Action::List].iter().any(may)
            });
            let who = by.map_or_else(|| "Other records".to_owned(), |by| format!("Records of {}", by.plural));
            at(mutation, Problem::new(Code::Restricted, format!("{who} refer to this one, so it cannot be deleted.")))
        }
        WriteError::Building { mutation, constraint } => at(mutation, building(&constraint)),
        WriteError::Contradiction { mutation } => {
            let detail = "This operation and an earlier one claim the same value or record; only one of them can.";
            at(mutation, Problem::new(Code::UniqueViolation, detail))
        }
        WriteError::TooLarge { actions, bytes } => too_large(changes.len(), actions, bytes),
        WriteError::Busy | WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_) => {
            Problem::unavailable("conflicts until the deadline")
        }
        WriteError::Unknown if keyed => unknown_outcome(),
        WriteError::Unknown => Problem::timeout().logged("outcome unknown at the deadline"),
        WriteError::Rider(_) => Problem::internal("a rider's condition failed, and none was set"),
        WriteError::Store(error) => Problem::from(error),
    }
}

/// A write that cannot be decided before a rule of the model is complete. Which rule is the operators' to know.
fn building(constraint: &str) -> Problem {
    let detail = "A constraint of the model is not built yet, so this cannot be decided; it can after `holdfast migrate`.";
    Problem::new(Code::Building, detail).retry_after(30).logged(format!("{constraint} is not built: run `holdfast migrate`"))
}

/// The problem of a reference to a record that does not exist, or that the caller may not read: the same to the byte.
pub(super) fn reference_missing(change: &Change<'_>, prepared: &Prepared, field: FieldIx) -> Problem {
    let problem = Problem::new(Code::ReferenceNotFound, "A record that the body refers to does not exist.");
    with_field(problem, change, prepared, field, "reference_not_found", "names a record that does not exist")
}

/// Names the field, unless the caller may not know of it.
fn with_field(problem: Problem, change: &Change<'_>, prepared: &Prepared, field: FieldIx, code: &str, message: &str) -> Problem {
    if !prepared.known.contains(field) {
        return problem;
    }
    let name = &change.entity.field(field).name;
    problem.with_errors(vec![FieldError::new(format!("/{name}"), code, message)])
}

fn too_large(operations: usize, actions: usize, bytes: usize) -> Problem {
    let fit = |needed: usize, most: usize| operations * most / needed.max(1);
    let advice = match fit(actions, MAX_ACTIONS).min(fit(bytes, MAX_BYTES)) {
        fits if operations > 1 && fits > 0 => format!(" About {fits} operations like these fit."),
        _ => String::new(),
    };
    let detail = format!(
        "The write needs {actions} items and {bytes} bytes in one transaction, which takes {MAX_ACTIONS} items and {MAX_BYTES} \
         bytes.{advice}"
    );
    Problem::new(Code::PayloadTooLarge, detail)
        .with_member("items", actions)
        .with_member("max_items", MAX_ACTIONS)
        .with_member("bytes", bytes)
        .with_member("max_bytes", MAX_BYTES)
}

/// 409 for a request with an idempotency key of which nothing is known at its deadline.
pub(in crate::pipeline) fn unknown_outcome() -> Problem {
    let detail = "Whether the request has had its effect is not known yet; repeat it with the same Idempotency-Key.";
    Problem::new(Code::RequestInProgress, detail).retry_after(1).logged("outcome unknown at the deadline")
}
