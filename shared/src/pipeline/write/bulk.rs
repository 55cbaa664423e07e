//! `POST /v1/{plural}/_bulk`: up to 100 operations on records of one entity, each on its own or all at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::answer::RecordAnswer;
use super::change::{Change, ChangeKind};
use super::commit::run;
use super::idempotent::KeyReservation;
use super::prepared::Prepared;
use super::{one_answer, rights};
use crate::http::body::Body;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::{JSON, MAX_BULK as MAX_OPERATIONS, Reply, header_value, path_id, respond};
use crate::model::{Action, Entity, EntityIx, IdKind, Operation};
use crate::pipeline::unit_of_work::Outcome;
use crate::pipeline::{Context, deprecated};

/// Operations of a call that is not atomic which are under way at once.
const AT_ONCE: usize = 32;

/// Does the operations of the body.
///
/// # Errors
/// The [`Problem`] for the client. Operations that fail on their own are no error of the call.
pub async fn bulk(cx: &Context<'_>, entity: EntityIx) -> Result<Reply, Problem> {
    rights::may(cx, entity, &[Action::Create, Action::Update, Action::Delete])?;
    let body = cx.inner.body.json(&[JSON])?;
    let entity = cx.model().entity(entity);
    let (changes, atomic) = read(cx, entity, body)?;
    let reply = match atomic {
        false => each(cx, entity, body, &changes).await?,
        true => apply_atomically(cx, body, &changes).await?,
    };
    let operations: Vec<Operation> = bulk_cost(&cx.body).into_iter().map(|(operation, _)| operation).collect();
    Ok(deprecated::of_write(cx, reply, entity, &operations))
}

/// All operations in one transaction.
async fn apply_atomically(cx: &Context<'_>, body: &Value, changes: &[Change<'_>]) -> Result<Reply, Problem> {
    let claim = KeyReservation::of(cx, Some(body)).await?;
    if changes.is_empty() {
        return Ok(Reply::json(StatusCode::OK, &json!({"results": []})));
    }
    match run(cx, changes, claim.as_ref(), true, all_answers).await? {
        Outcome::Done(answer) => answer.into_reply(false),
        Outcome::Replayed(answer) => answer.into_reply(true),
    }
}

/// Operations of a request, by kind, for its cost. What cannot be read costs as one update, and is refused later.
pub fn bulk_cost(body: &Body<'_>) -> Vec<(Operation, u64)> {
    let Ok(body) = body.value() else { return vec![(Operation::Update, 1)] };
    let mut counts: BTreeMap<Operation, u64> = BTreeMap::new();
    for operation in body.get("operations").and_then(Value::as_array).into_iter().flatten().take(MAX_OPERATIONS) {
        let kind = match operation.get("op").and_then(Value::as_str) {
            Some("create") => Operation::Create,
            Some("delete") => Operation::Delete,
            _ => Operation::Update,
        };
        *counts.entry(kind).or_default() += 1;
    }
    if counts.is_empty() { vec![(Operation::Update, 1)] } else { counts.into_iter().collect() }
}

/// Each operation in a transaction of its own. Where records of the entity may refer to each other, one after another, so that
/// a record may refer to an earlier one.
async fn each(cx: &Context<'_>, entity: &Entity, body: &Value, changes: &[Change<'_>]) -> Result<Reply, Problem> {
    let claims = KeyReservation::of_operations(cx, body, changes.len()).await?;
    KeyReservation::not_reused(cx, &claims).await?;
    let to_itself = entity.to_one.iter().any(|relation| relation.target == entity.ix);
    let jobs = changes.iter().enumerate().map(|(at, change)| {
        let claim = claims.get(at);
        async move { run(cx, std::slice::from_ref(change), claim, false, one_answer).await }
    });
    let jobs: Vec<_> = jobs.collect();
    let outcomes: Vec<_> = stream::iter(jobs).buffered(if to_itself { 1 } else { AT_ONCE }).collect().await;
    if let Some(problem) = outrun(&outcomes) {
        return Err(problem);
    }
    // The answer is 200, but an alarm must see what one operation alone would have been answered; once, as an answer counts once.
    let mut failures = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    if let Some(first) = failures.find(|problem| problem.code.status().is_server_error()) {
        first.log(&cx.correlation);
    }
    let (mut results, mut done, mut replayed) = (Vec::with_capacity(outcomes.len()), 0, 0);
    for outcome in outcomes {
        results.push(match outcome {
            Ok(Outcome::Done(answer)) => {
                done += 1;
                answer.into_result()
            }
            Ok(Outcome::Replayed(answer)) => {
                replayed += 1;
                answer.into_result()
            }
            Err(problem) => failed(cx, &problem),
        });
    }
    let replayed = replayed > 0 && done == 0;
    let reply = RecordAnswer::of_bulk(results.clone()).into_reply(replayed)?;
    if respond::sent_bytes(cx.request, &reply.body)? <= respond::MAX_SENT {
        return Ok(reply);
    }
    // What is done is done: whoever needs the records reads them.
    results.iter_mut().for_each(id_alone);
    RecordAnswer::of_bulk(results).into_reply(replayed)
}

/// The refusal of a call that did nothing because another request took its key at the same time.
fn outrun(outcomes: &[Result<Outcome<RecordAnswer>, Problem>]) -> Option<Problem> {
    let reused = |problem: &&Problem| problem.code == Code::IdempotencyKeyReused;
    let found = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).find(reused)?;
    outcomes.iter().all(Result::is_err).then(|| Problem::new(found.code, found.detail.clone()))
}

/// Leaves of a result's record the id.
fn id_alone(result: &mut Value) {
    if let Some(Value::Object(data)) = result.get_mut("data") {
        data.retain(|name, _| name == "id");
    }
}

fn all_answers(prepared: &[Prepared]) -> RecordAnswer {
    RecordAnswer::of_bulk(prepared.iter().map(|change| change.answer().into_result()).collect())
}

fn failed(cx: &Context<'_>, problem: &Problem) -> Value {
    if problem.code.status().is_server_error() {
        tracing::error!(correlation = cx.correlation, %problem, "an operation of a bulk call failed");
    }
    let document = problem.document(&cx.request.base_url, &cx.request.path, &cx.correlation);
    json!({"status": problem.code.status().as_u16(), "problem": document})
}

/// The operations of a body, and whether they are to be done all at once.
///
/// # Errors
/// 422 with everything that is wrong about their form.
fn read<'a>(cx: &Context<'a>, entity: &'a Entity, body: &'a Value) -> Result<(Vec<Change<'a>>, bool), Problem> {
    let mut errors = Vec::new();
    let mut refuse = |pointer: String, code: &str, message: String| errors.push(FieldError::new(pointer, code, message));
    let members = body.as_object();
    for name in members.into_iter().flat_map(Map::keys).filter(|name| !matches!(name.as_str(), "operations" | "atomic")) {
        refuse(pointer("", name), "unknown_member", "is not known; a bulk call has `operations` and `atomic`".to_owned());
    }
    let atomic = match body.get("atomic") {
        None => false,
        Some(Value::Bool(atomic)) => *atomic,
        Some(_) => {
            refuse("/atomic".to_owned(), "type", "must be true or false".to_owned());
            false
        }
    };
    let mut changes = Vec::new();
    match body.get("operations").and_then(Value::as_array) {
        None => refuse("/operations".to_owned(), "type", "must be a list of operations".to_owned()),
        Some(all) if all.len() > MAX_OPERATIONS => {
            refuse(
                "/operations".to_owned(),
                "maxItems",
                format!("has {} operations, at most {MAX_OPERATIONS} are taken", all.len()),
            );
        }
        Some(all) => {
            let mut positions: HashMap<String, usize> = HashMap::new();
            for (at, operation) in all.iter().enumerate() {
                let change = match change(cx, entity, at, operation) {
                    Ok(change) => change,
                    Err(wrong) => {
                        wrong.into_iter().for_each(|error| refuse(error.pointer, &error.code, error.message));
                        continue;
                    }
                };
                if let Some(first) = change.id.as_ref().and_then(|id| positions.insert(id.clone(), at)) {
                    let message = format!("operation {first} is on the same record; one call changes a record once");
                    refuse(format!("/operations/{at}/id"), "unique_items", message);
                }
                changes.push(change);
            }
        }
    }
    if errors.is_empty() {
        return Ok((changes, atomic));
    }
    Err(Problem::new(Code::ValidationFailed, "Nothing was done: `errors` says what is wrong about the operations.")
        .with_errors(errors))
}

/// One operation.
fn change<'a>(cx: &Context<'a>, entity: &'a Entity, at: usize, operation: &'a Value) -> Result<Change<'a>, Vec<FieldError>> {
    let place = format!("/operations/{at}");
    let mut errors = Vec::new();
    let Some(members) = operation.as_object() else {
        return Err(vec![FieldError::new(place, "type", "must be an object with `op`, and `id` or `data`")]);
    };
    for name in members.keys().filter(|name| !matches!(name.as_str(), "op" | "id" | "data" | "if_match")) {
        errors.push(FieldError::new(
            pointer(&place, name),
            "unknown_member",
            "is not known; an operation has `op`, `id`, `data` and `if_match`",
        ));
    }
    let op = members.get("op").and_then(Value::as_str).unwrap_or_default();
    if !["create", "upsert", "update", "delete"].contains(&op) {
        errors.push(FieldError::new(format!("{place}/op"), "enum", "must be one of create, upsert, update, delete"));
    }
    let id = match members.get("id") {
        None if matches!(op, "upsert" | "update" | "delete") => {
            errors.push(FieldError::new(format!("{place}/id"), "required", "must be given"));
            None
        }
        None => None,
        Some(id) => match id_text(cx, entity, id) {
            Ok(id) => Some(id),
            Err(message) => {
                errors.push(FieldError::new(format!("{place}/id"), "pattern", message));
                None
            }
        },
    };
    let data = match (members.get("data"), op) {
        (Some(_), "delete") => {
            errors.push(FieldError::new(format!("{place}/data"), "unknown_member", "a delete has no data"));
            None
        }
        (None, "create" | "upsert" | "update") => {
            errors.push(FieldError::new(format!("{place}/data"), "required", "must be given"));
            None
        }
        (data, _) => data,
    };
    let data = data.map_or(Cow::Owned(Value::Null), Cow::Borrowed);
    let mut conditions = HeaderMap::new();
    match members.get("if_match") {
        Some(Value::String(tag)) => drop(conditions.insert(header::IF_MATCH, header_value(tag))),
        Some(_) => {
            errors.push(FieldError::new(format!("{place}/if_match"), "type", "must be an ETag, as the header If-Match has it"))
        }
        None => {}
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if let (Some(id), Some(other)) = (&id, data.get("id").and_then(|id| id_text(cx, entity, id).ok()))
        && *id != other
    {
        return Err(vec![FieldError::new(format!("{place}/data/id"), "read_only", "must be the id of the operation")]);
    }
    let (id, kind) = match op {
        "create" => creation(cx, entity, members.get("id"), id, data),
        "upsert" => (id, ChangeKind::Replace(data)),
        "update" => (id, ChangeKind::Merge(data)),
        _ => (id, ChangeKind::Delete),
    };
    Ok(Change { entity, id, kind, conditions, place })
}

/// The id of a creation may stand in the operation or in its data.
fn creation<'a>(
    cx: &Context<'_>,
    entity: &Entity,
    given: Option<&Value>,
    id: Option<String>,
    mut data: Cow<'a, Value>,
) -> (Option<String>, ChangeKind<'a>) {
    if let Some(given) = given
        && data.as_object().is_some_and(|members| !members.contains_key("id"))
    {
        data.to_mut()["id"] = given.clone();
    }
    let of_data = data.get("id").and_then(|id| id_text(cx, entity, id).ok());
    let of_parts = || crate::model::validate::composite_id(entity, data.as_object()?);
    (of_data.or(id).or_else(of_parts), ChangeKind::Create(data))
}

/// An id as it stands in paths.
fn id_text(cx: &Context<'_>, entity: &Entity, id: &Value) -> Result<String, String> {
    let text = match id {
        Value::String(text) => text.clone(),
        Value::Number(number) if entity.id == IdKind::Integer => number.to_string(),
        _ => return Err("must be an id as records show it".to_owned()),
    };
    path_id::check(cx.model(), entity, &text).map_err(|problem| problem.detail)
}

fn pointer(place: &str, member: &str) -> String {
    format!("{place}/{}", member.replace('~', "~0").replace('/', "~1"))
}
