//! Writes: one record, or many with `_bulk`.
//!
//! ```text
//! body, headers -> Change* -> read (records, idempotency row: one batch) -> prepare (policy, validation) -> commit -> Reply
//!                              ^------------------ changed by somebody else in between ------------------'
//! ```
//! A change is prepared from a state that was read, and committed only if that state is still the stored one, with everything
//! that the permission stands on. Whoever was faster makes it start again, until the deadline.

pub(in crate::pipeline) mod answer;
mod body;
mod bulk;
mod change;
mod commit;
pub(in crate::pipeline) mod idempotent;
mod operations;
pub(super) mod prepare;
mod prepared;
mod references;
pub(super) mod refused;
pub(super) mod replay;
pub(super) mod rights;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::unit_of_work::Outcome;
use super::{Context, deprecated};
use crate::http::problem::Problem;
use crate::http::{JSON, Reply};
use crate::model::{Action, Entity, EntityIx, IdKind};

pub use bulk::{bulk, bulk_cost};

use answer::RecordAnswer;
use change::{Change, ChangeKind};
use commit::run;
use idempotent::KeyReservation;
use prepared::Prepared;

/// `POST /v1/{plural}`: 201 with `Location`.
///
/// # Errors
/// The [`Problem`] for the client.
pub async fn create(cx: &Context<'_>, entity: EntityIx) -> Result<Reply, Problem> {
    rights::may(cx, entity, &[Action::Create])?;
    let body = cx.body.json(&[JSON])?;
    single(cx, entity, None, Some(body), ChangeKind::Create(Cow::Borrowed(body))).await
}

/// `PUT /v1/{plural}/{id}`: 200, or 201 where it created.
///
/// # Errors
/// The [`Problem`] for the client.
pub async fn replace(cx: &Context<'_>, entity: EntityIx, id: &str) -> Result<Reply, Problem> {
    let generated = cx.model().entity(entity).id == IdKind::Uuid;
    rights::may(cx, entity, if generated { &[Action::Update] } else { &[Action::Update, Action::Create] })?;
    let body = cx.body.json(&[JSON])?;
    single(cx, entity, Some(id), Some(body), ChangeKind::Replace(Cow::Borrowed(body))).await
}

/// `PATCH /v1/{plural}/{id}`: a merge patch (RFC 7396) or a JSON Patch (RFC 6902), by its content type.
///
/// # Errors
/// The [`Problem`] for the client.
pub async fn patch(cx: &Context<'_>, entity: EntityIx, id: &str) -> Result<Reply, Problem> {
    rights::may(cx, entity, &[Action::Update])?;
    let (body, kind) = body::patch(&cx.body)?;
    single(cx, entity, Some(id), Some(body), kind).await
}

/// `DELETE /v1/{plural}/{id}`: 204.
///
/// # Errors
/// The [`Problem`] for the client.
pub async fn delete(cx: &Context<'_>, entity: EntityIx, id: &str) -> Result<Reply, Problem> {
    rights::may(cx, entity, &[Action::Delete])?;
    single(cx, entity, Some(id), None, ChangeKind::Delete).await
}

async fn single(
    cx: &Context<'_>,
    entity: EntityIx,
    id: Option<&str>,
    body: Option<&Value>,
    kind: ChangeKind<'_>,
) -> Result<Reply, Problem> {
    let conditions = if id.is_some() { cx.request.headers.clone() } else { HeaderMap::new() };
    let entity = cx.model().entity(entity);
    body.into_iter().for_each(|body| note_deprecated(cx, entity, body));
    let operation = kind.operation();
    let change = Change { entity, id: id.map(str::to_owned), kind, conditions, place: String::new() };
    let claim = KeyReservation::of(cx, body).await?;
    let outcome = run(cx, std::slice::from_ref(&change), claim.as_ref(), false, one_answer).await?;
    let replayed = matches!(outcome, Outcome::Replayed(_));
    Ok(deprecated::of_write(cx, outcome.into_answer().into_reply(replayed)?, entity, &[operation]))
}

/// Notes the deprecated fields that a body sets.
fn note_deprecated(cx: &Context<'_>, entity: &Entity, body: &Value) {
    let set = body.as_object().into_iter().flat_map(serde_json::Map::keys);
    let old = set.filter_map(|name| entity.by_field(name)).filter(|field| field.deprecated.is_some());
    old.for_each(|field| cx.metrics.deprecated(format!("{}.{}", entity.name, field.name)));
}

/// The answer to a change of one record.
fn one_answer(prepared: &[Prepared]) -> RecordAnswer {
    prepared.first().map_or_else(|| RecordAnswer::empty(StatusCode::NO_CONTENT), Prepared::answer)
}
