//! `/v1/_consumers`: who may call, and with which keys.

use http::header::{CACHE_CONTROL, IF_MATCH, IF_NONE_MATCH, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::parameters::{Parameters, bad_cursor};
use super::{body, permit};
use crate::audit;
use crate::consumer::{Change, Consumer, ConsumerError, Consumers, Riders};
use crate::http::conditional::check_write;
use crate::http::{JSON, Reply, header_value};
use crate::model::SystemPermission;
use crate::pipeline::Context;
use crate::problem::{Code, FieldError, Problem};
use crate::store::table::{TableName, Write};

const PERMISSION: SystemPermission = SystemPermission::Consumers;

/// `GET /v1/_consumers`, by id.
pub(super) async fn list(cx: &Context<'_>) -> Result<Reply, Problem> {
    permit(cx, PERMISSION)?;
    let parameters = Parameters::read(cx.request, &["limit", "cursor"])?;
    let listed = of(cx, &|_| Vec::new()).list(parameters.limit()?, parameters.cursor()?).await.map_err(problem)?;
    let data: Vec<Value> = listed.consumers.iter().map(Consumer::to_json).collect();
    Ok(parameters.page(cx.request, &data, listed.next_cursor.as_deref()))
}

/// `POST /v1/_consumers`.
pub(super) async fn create(cx: &Context<'_>) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = body::json(cx.request, &[JSON])?;
    let consumer = of(cx, &|change| told(cx, change)).create(&body).await.map_err(problem)?;
    Ok(shown(StatusCode::CREATED, &consumer))
}

/// `GET /v1/_consumers/{id}`.
pub(super) async fn get(cx: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let consumer = of(cx, &|_| Vec::new()).get(id).await.map_err(problem)?;
    Ok(shown(StatusCode::OK, &consumer))
}

/// `PUT /v1/_consumers/{id}`.
pub(super) async fn put(cx: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = body::json(cx.request, &[JSON])?;
    let riders = |change: &Change| told(cx, change);
    let consumers = of(cx, &riders);
    let (consumer, created) = match condition(cx, &consumers, id).await? {
        // `If-None-Match: *` and nobody there: it must still be so when it is written.
        Condition::Absent if body.get("id").is_none_or(|named| named == id) && body.is_object() => {
            let mut body = body;
            body["id"] = json!(id);
            (consumers.create(&body).await.map_err(unless_absent)?, true)
        }
        Condition::Absent | Condition::None => consumers.put(id, &body, None).await.map_err(problem)?,
        Condition::Version(version) => consumers.put(id, &body, Some(&version)).await.map_err(problem)?,
    };
    Ok(shown(if created { StatusCode::CREATED } else { StatusCode::OK }, &consumer))
}

/// `PATCH /v1/_consumers/{id}`: a merge patch.
pub(super) async fn patch(cx: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let patch = body::json(cx.request, &[body::MERGE_PATCH, JSON])?;
    let riders = |change: &Change| told(cx, change);
    let consumers = of(cx, &riders);
    let version = condition(cx, &consumers, id).await?;
    let consumer = consumers.patch(id, &patch, version.version()).await.map_err(problem)?;
    Ok(shown(StatusCode::OK, &consumer))
}

/// `DELETE /v1/_consumers/{id}`.
pub(super) async fn delete(cx: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let riders = |change: &Change| told(cx, change);
    let consumers = of(cx, &riders);
    let version = condition(cx, &consumers, id).await?;
    consumers.delete(id, version.version()).await.map_err(problem)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /v1/_consumers/{id}/keys`: the only answer that ever has the key.
pub(super) async fn create_key(cx: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = body::optional(cx.request)?;
    let created = of(cx, &|change| told(cx, change)).create_key(id, &cx.app.environment, &body).await.map_err(problem)?;
    let document = serde_json::to_value(&created).map_err(Problem::internal)?;
    Ok(Reply::json(StatusCode::CREATED, &document)
        .header(LOCATION, header_value(format!("/v1/_consumers/{id}/keys/{}", created.view.id)))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

/// `DELETE /v1/_consumers/{id}/keys/{key_id}`.
pub(super) async fn delete_key(cx: &Context<'_>, id: &str, key_id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    of(cx, &|change| told(cx, change)).delete_key(id, key_id).await.map_err(problem)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// What all but the list begin with: the permission, and no parameters.
fn begin(cx: &Context<'_>) -> Result<(), Problem> {
    permit(cx, PERMISSION)?;
    Parameters::read(cx.request, &[]).map(drop)
}

fn of<'a>(cx: &'a Context<'_>, riders: Riders<'a>) -> Consumers<'a> {
    Consumers { table: &*cx.app.table, model: &cx.app.model, env: &cx.app.env, riders }
}

/// The audit trail's row, which commits with the change.
fn told(cx: &Context<'_>, change: &Change) -> Vec<(TableName, Write)> {
    let who = cx.principal;
    let entry = change.entry(&who.consumer, &who.subject, who.key_id.as_deref(), Some(cx.correlation));
    vec![(TableName::Data, Write::Put { item: audit::item(entry, &cx.app.env), condition: None })]
}

/// What a request's conditions, already held against the present state, ask of the write.
enum Condition {
    /// Nothing.
    None,
    /// That this is still the version.
    Version(String),
    /// That there is still no such consumer.
    Absent,
}

impl Condition {
    fn version(&self) -> Option<&str> {
        match self {
            Self::Version(version) => Some(version),
            Self::None | Self::Absent => None,
        }
    }
}

async fn condition(cx: &Context<'_>, consumers: &Consumers<'_>, id: &str) -> Result<Condition, Problem> {
    let headers = &cx.request.headers;
    if !headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH) {
        return Ok(Condition::None);
    }
    let present = match consumers.get(id).await {
        Ok(consumer) => Some(consumer),
        Err(ConsumerError::NotFound) => None,
        Err(error) => return Err(problem(error)),
    };
    check_write(headers, present.as_ref().map(|consumer| consumer.version.as_str()), false)?;
    Ok(present.map_or(Condition::Absent, |consumer| Condition::Version(consumer.version)))
}

fn shown(status: StatusCode, consumer: &Consumer) -> Reply {
    let reply = Reply::json(status, &consumer.to_json()).version(&consumer.version);
    match status {
        StatusCode::CREATED => reply.header(LOCATION, header_value(format!("/v1/_consumers/{}", consumer.id))),
        _ => reply,
    }
}

/// A creation under the condition that there is none.
fn unless_absent(error: ConsumerError) -> Problem {
    match error {
        ConsumerError::Exists => Problem::precondition_failed(),
        error => problem(error),
    }
}

/// What went wrong, as the caller may know it.
fn problem(error: ConsumerError) -> Problem {
    match error {
        ConsumerError::NotFound => Problem::not_found(),
        ConsumerError::Exists => Problem::conflict("There is a consumer of this id already; change it by PUT or PATCH."),
        ConsumerError::Invalid(violations) => {
            let errors = violations.into_iter().map(|one| FieldError::new(one.pointer, one.code, one.message)).collect();
            Problem::new(Code::ValidationFailed, "The body breaks rules; `errors` lists all of them.").with_errors(errors)
        }
        ConsumerError::Precondition => Problem::precondition_failed(),
        error @ ConsumerError::TooManyKeys => Problem::conflict(format!("Refused: {error}.")),
        ConsumerError::Cursor => bad_cursor(),
        error @ ConsumerError::Contended => Problem::unavailable(error),
        ConsumerError::Store(why) => Problem::unavailable(why),
    }
}
