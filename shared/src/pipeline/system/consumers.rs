//! `/v1/_consumers`: who may call, and with which keys.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, IF_MATCH, IF_NONE_MATCH, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::parameters::{Parameters, bad_cursor};
use crate::http::body::MERGE_PATCH;
use crate::http::conditional::check_write;
use crate::http::links;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::{JSON, Reply, VERSION, header_value};
use crate::identity::consumer::{AttachedWrites, Change, ChangeKind, Consumer, ConsumerError, Consumers};
use crate::pipeline::Context;
use crate::pipeline::unit_of_work;
use crate::pipeline::write::idempotent::{KeyReservation, bare, remembered};
use crate::query::policy::SystemPermit;
use crate::query::policy::system as permission;
use crate::store::audit;
use crate::store::idempotency::Answer;
use crate::store::table::{TableName, Write};

/// What every function here takes.
type Permit = SystemPermit<permission::Consumers>;

/// Member of a consumer that lists its keys.
const KEYS: &str = "keys";

/// `GET /v1/_consumers`, by id.
pub(super) async fn list(cx: &Context<'_>, _: Permit) -> Result<Reply, Problem> {
    let parameters = Parameters::read(cx.request, &["limit", "cursor"])?;
    let listed = of(cx, &|_| Vec::new()).list(parameters.limit()?, parameters.cursor()?).await.map_err(problem)?;
    let data: Vec<Value> = listed.consumers.iter().map(Consumer::to_json).collect();
    Ok(parameters.page(cx.request, &data, listed.next_cursor.as_deref()))
}

/// `POST /v1/_consumers`.
pub(super) async fn create(cx: &Context<'_>, _: Permit) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = cx.body.json(&[JSON])?;
    change(cx, Some(body), Work::Create).await
}

/// `GET /v1/_consumers/{id}`: with its keys, without what is secret of them.
pub(super) async fn get(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let consumers = of(cx, &|_| Vec::new());
    let (consumer, keys) = futures::try_join!(consumers.get(id), consumers.keys(id)).map_err(problem)?;
    let mut document = consumer.to_json();
    document[KEYS] = serde_json::to_value(keys).map_err(Problem::internal)?;
    Ok(Reply::json(StatusCode::OK, &document).version(&consumer.version))
}

/// A body without the keys that GET shows, so that GET, then PUT works. Other ones than there are stay, to be refused.
async fn without_keys<'b>(consumers: &Consumers<'_>, id: &str, body: &'b Value) -> Result<Cow<'b, Value>, Problem> {
    let mut body = Cow::Borrowed(body);
    if let Some(sent) = body.get(KEYS) {
        let present = serde_json::to_value(consumers.keys(id).await.map_err(problem)?).map_err(Problem::internal)?;
        if timeless(sent) == timeless(&present)
            && let Some(members) = body.to_mut().as_object_mut()
        {
            members.shift_remove(KEYS);
        }
    }
    Ok(body)
}

/// Keys without when they were used, which may have changed since they were shown.
fn timeless(keys: &Value) -> Value {
    let mut keys = keys.clone();
    for key in keys.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        key.shift_remove("last_used_at");
    }
    keys
}

/// `GET /v1/_consumers/{id}/keys`: without what is secret of them. There are few, so that there is one page.
pub(super) async fn keys(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let consumers = of(cx, &|_| Vec::new());
    let (_, keys) = futures::try_join!(consumers.get(id), consumers.keys(id)).map_err(problem)?;
    let keys = serde_json::to_value(keys).map_err(Problem::internal)?;
    Ok(Reply::json(StatusCode::OK, &json!({"data": keys, "next_cursor": null})).version(&cx.model().hash))
}

/// `PUT /v1/_consumers/{id}`.
pub(super) async fn put(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = cx.body.json(&[JSON])?;
    let body = without_keys(&of(cx, &|_| Vec::new()), id, body).await?;
    change(cx, Some(&body), Work::Put(id)).await
}

/// `PATCH /v1/_consumers/{id}`: a merge patch.
pub(super) async fn patch(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let patch = cx.body.json(&[MERGE_PATCH, JSON])?;
    let patch = without_keys(&of(cx, &|_| Vec::new()), id, patch).await?;
    change(cx, Some(&patch), Work::Patch(id)).await
}

/// `DELETE /v1/_consumers/{id}`.
pub(super) async fn delete(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    change(cx, None, Work::Delete(id)).await
}

/// `POST /v1/_consumers/{id}/keys`: the only answer that ever has the key. Repeated with its Idempotency-Key it makes no second
/// one and shows the first without its secret, which is stored nowhere.
pub(super) async fn create_key(cx: &Context<'_>, _: Permit, id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    let body = cx.body.optional_json()?;
    change(cx, Some(body), Work::CreateKey(id)).await
}

/// `DELETE /v1/_consumers/{id}/keys/{key_id}`.
pub(super) async fn delete_key(cx: &Context<'_>, _: Permit, id: &str, key_id: &str) -> Result<Reply, Problem> {
    begin(cx)?;
    change(cx, None, Work::DeleteKey(id, key_id)).await
}

/// What is to be done to a consumer, by id, or its keys.
#[derive(Clone, Copy)]
enum Work<'a> {
    Create,
    Put(&'a str),
    Patch(&'a str),
    Delete(&'a str),
    CreateKey(&'a str),
    DeleteKey(&'a str, &'a str),
}

impl Work<'_> {
    /// Whom it concerns; nothing where the id is not known yet.
    fn consumer<'w>(&'w self, body: &'w Value) -> Option<&'w str> {
        match self {
            Self::Create => body["id"].as_str(),
            Self::Put(id) | Self::Patch(id) | Self::Delete(id) | Self::CreateKey(id) | Self::DeleteKey(id, _) => Some(id),
        }
    }
}

/// Does it once by its Idempotency-Key.
async fn change(cx: &Context<'_>, body: Option<&Value>, work: Work<'_>) -> Result<Reply, Problem> {
    let claim = KeyReservation::of(cx, body).await?;
    let claim = claim.as_ref();
    let body = body.unwrap_or(&Value::Null);
    let riders = |change: &Change| riders(cx, claim, change);
    let attempt = || async {
        let outcome = done(cx, body, work, &riders).await;
        // What other instances remember ends within a second.
        work.consumer(body).into_iter().for_each(|consumer| cx.app.limiter.forget(consumer));
        outcome
    };
    unit_of_work::once(cx, claim, attempt).await
}

/// What commits with the change of a consumer: an entry of the audit trail, and what remembers it.
fn riders(cx: &Context<'_>, claim: Option<&KeyReservation>, change: &Change) -> Vec<(TableName, Write)> {
    let entry = change.entry(audit::Entry::by(cx.principal, &cx.correlation));
    let entry = Write::Put { item: audit::item(entry, &cx.app.env), condition: None };
    std::iter::once(entry).chain(remembered(cx, claim, &kept(change))).map(|write| (TableName::Data, write)).collect()
}

/// What is told again of a consumer: the answer without the secrets that only its first telling has. A repetition shows a key's
/// id and not the key: whoever lost it revokes it and makes another.
fn kept(change: &Change) -> Answer {
    let (status, shown, location) = match change.kind {
        ChangeKind::Create => (StatusCode::CREATED, change.after.as_ref(), Some(links::consumer(&change.consumer))),
        ChangeKind::Update => (StatusCode::OK, change.after.as_ref(), None),
        ChangeKind::CreateKey => {
            let location = change.key_id.as_ref().map(|key_id| links::key(&change.consumer, key_id));
            (StatusCode::CREATED, change.key.as_ref(), location)
        }
        ChangeKind::Delete | ChangeKind::DeleteKey => (StatusCode::NO_CONTENT, None, None),
    };
    let mut answer = bare(status, shown);
    answer.headers.extend(location.map(|location| ("location".to_owned(), location)));
    answer.headers.extend(change.version.as_ref().map(|version| (VERSION.to_owned(), version.clone())));
    answer
}

async fn done(cx: &Context<'_>, body: &Value, work: Work<'_>, riders: AttachedWrites<'_>) -> Result<Reply, Problem> {
    let consumers = of(cx, riders);
    match work {
        Work::Create => with_secret(cx, StatusCode::CREATED, &consumers.create(body).await.map_err(problem)?).await,
        Work::Put(id) => replaced(cx, &consumers, id, body).await,
        Work::Patch(id) => {
            let version = condition(cx, &consumers, id).await?;
            let consumer = consumers.patch(id, body, version.version()).await.map_err(problem)?;
            with_secret(cx, StatusCode::OK, &consumer).await
        }
        Work::Delete(id) => {
            let version = condition(cx, &consumers, id).await?;
            consumers.delete(id, version.version()).await.map_err(problem)?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        Work::CreateKey(id) => {
            let created =
                consumers.create_key_by(Some(&cx.principal.subject), id, &cx.app.environment, body).await.map_err(problem)?;
            let document = serde_json::to_value(&created).map_err(Problem::internal)?;
            let location = header_value(links::key(id, &created.view.id));
            Ok(confidential(Reply::json(StatusCode::CREATED, &document).header(LOCATION, location)))
        }
        Work::DeleteKey(id, key_id) => {
            consumers.delete_key(id, key_id).await.map_err(problem)?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
    }
}

async fn replaced(cx: &Context<'_>, consumers: &Consumers<'_>, id: &str, body: &Value) -> Result<Reply, Problem> {
    let (consumer, created) = match condition(cx, consumers, id).await? {
        // `If-None-Match: *` and nobody there: it must still be so when it is written.
        Condition::Absent if body.get("id").is_none_or(|named| named == id) && body.is_object() => {
            let mut body = body.clone();
            body["id"] = json!(id);
            (consumers.create(&body).await.map_err(unless_absent)?, true)
        }
        Condition::Absent | Condition::None => consumers.put(id, body, None).await.map_err(problem)?,
        Condition::Version(version) => consumers.put(id, body, Some(&version)).await.map_err(problem)?,
    };
    with_secret(cx, if created { StatusCode::CREATED } else { StatusCode::OK }, &consumer).await
}

/// What all but the list begin with: there are no parameters.
fn begin(cx: &Context<'_>) -> Result<(), Problem> {
    Parameters::read(cx.request, &[]).map(drop)
}

fn of<'a>(cx: &'a Context<'_>, riders: AttachedWrites<'a>) -> Consumers<'a> {
    Consumers { table: &*cx.app.table, model: &cx.app.model, env: &cx.app.env, riders }
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

/// The consumer after a change, with the secret of its webhooks if this change brought it: the only answer that ever has it.
async fn with_secret(cx: &Context<'_>, status: StatusCode, consumer: &Consumer) -> Result<Reply, Problem> {
    let Some(salts) = &consumer.webhook else { return Ok(shown(status, consumer)) };
    let master = cx.app.secrets().await?.webhook;
    let Some(secret) = salts.fresh(&master, &consumer.id, &consumer.version) else { return Ok(shown(status, consumer)) };
    let mut document = consumer.to_json();
    document["webhook_secret"] = json!(secret.reveal());
    let mut reply = shown(status, consumer);
    reply.body = document.to_string().into();
    Ok(confidential(reply))
}

/// An answer with a secret in it.
fn confidential(reply: Reply) -> Reply {
    reply
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

fn shown(status: StatusCode, consumer: &Consumer) -> Reply {
    let reply = Reply::json(status, &consumer.to_json()).version(&consumer.version);
    match status {
        StatusCode::CREATED => reply.header(LOCATION, header_value(links::consumer(&consumer.id))),
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
