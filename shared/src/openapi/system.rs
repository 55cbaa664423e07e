//! Operations on system resources that the caller may use.

use serde_json::{Map, Value, json};

use super::parts::{body, object, refer, with_example, with_idempotency};
use super::source::Source;
use super::{kinds, parameters, responses};
use crate::http::respond::MAX_SENT;
use crate::model::{Model, SystemPermission};
use crate::query::policy::allows_system;
use crate::store::audit::{MAX_ACTION, OTHER_RESOURCES};
use crate::store::object as stored;

/// Tag of all these operations.
pub(super) const TAG: &str = "_system";

/// Whether a role of the caller has the permission and the scopes of the token do not exclude it.
fn may(source: &Source<'_>, permission: SystemPermission) -> bool {
    allows_system(source.model, source.caller, permission)
}

/// Whether the caller may see the usage of all consumers.
pub(super) fn everybody(source: &Source<'_>) -> bool {
    may(source, SystemPermission::Usage)
}

/// The paths that the caller may use.
pub(super) fn paths(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut put = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    // An anonymous caller has no account to show.
    if !source.caller.anonymous || source.caller.key_id.is_some() {
        put("/v1/_me", json!({"get": me()}));
    }
    if !source.caller.anonymous {
        let all = everybody(source);
        put("/v1/_notifications", json!({"get": notifications(all)}));
        put("/v1/_usage", json!({"get": usage(all)}));
        put("/v1/_usage/dashboard", json!({"get": dashboard(all)}));
        put("/v1/_usage/metrics", json!({"get": metrics()}));
    }
    if may(source, SystemPermission::Consumers) {
        put("/v1/_consumers", json!({"get": list_consumers(), "post": create_consumer()}));
        put("/v1/_consumers/{id}", one_consumer());
        put(
            "/v1/_consumers/{id}/keys",
            json!({"parameters": [path("id", "Id of the consumer.")], "get": list_keys(), "post": create_key(source.model)}),
        );
        put(
            "/v1/_consumers/{id}/keys/{key_id}",
            json!({"parameters": [path("id", "Id of the consumer."), path("key_id", "Id of the key.")], "delete": delete_key()}),
        );
    }
    if may(source, SystemPermission::Consumers) {
        let id = path("id", "Id of the consumer.");
        put("/v1/_consumers/{id}/shares", json!({"parameters": [id], "get": list_shares(), "delete": revoke_shares()}));
    }
    if shares(source.model) {
        put("/v1/_shares/{secret}", use_share());
    }
    if may(source, SystemPermission::Cache) {
        put("/v1/_cache/purge", json!({"post": purge()}));
    }
    if may(source, SystemPermission::Audit) {
        put("/v1/_audit", json!({"get": audit(source.model)}));
    }
    paths
}

/// Whether any file field of the model allows shares.
fn shares(model: &Model) -> bool {
    let mut limits = model.entities.iter().flat_map(stored::fields).filter_map(stored::limits);
    limits.any(|limits| limits.share_expiry.is_some())
}

fn list_shares() -> Value {
    let about = "Addresses of files that the consumer has given away and that still lead there.";
    let answer = ("200", answer("Shares that live.", &["Link"], Some("ShareList")));
    operation("listApiConsumerShares", "List the shares of a consumer", about, pages(), answer, &[406])
}

fn revoke_shares() -> Value {
    let revoked = ("204", answer("They are revoked.", &[], None));
    let about = "Their addresses lead nowhere from now on.";
    operation("revokeApiConsumerShares", "Revoke the shares of a consumer", about, vec![], revoked, &[])
}

/// Open to everybody, so every document of a model with shares has it.
fn use_share() -> Value {
    let about = "The address that was shared. Each use asks whether the sharer may still read the file.";
    let link = ("302", answer("A link of one minute.", &["Location", "Referrer-Policy"], None));
    let mut used =
        operation("useShare", "Get a link to a file that was shared", about, vec![parameters::disposition()], link, &[404, 410]);
    used["security"] = json!([]);
    let about = "The address that was shared says it.";
    let secret = json!({"name": "secret", "in": "path", "required": true, "description": about, "schema": kinds::id()});
    json!({"parameters": [secret], "get": used})
}

fn path(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": kinds::id()})
}

/// An operation with the members that all have.
fn operation(id: &str, summary: &str, about: &str, parameters: Vec<Value>, answer: (&str, Value), errors: &[u16]) -> Value {
    let mut answers = object([(answer.0, Some(answer.1))]);
    answers.extend(responses::errors(errors));
    let mut parameters = parameters;
    parameters.push(refer("parameters", "CorrelationId"));
    json!({
        "operationId": id, "summary": summary, "description": about, "tags": [TAG], "parameters": parameters,
        "responses": answers,
    })
}

fn answer(description: &str, headers: &[&str], schema: Option<&str>) -> Value {
    let mut answer = json!({"description": description, "headers": responses::headers(headers)});
    if let Some(schema) = schema {
        answer["content"] = json!({crate::http::JSON: {"schema": refer("schemas", schema)}});
    }
    answer
}

fn pages() -> Vec<Value> {
    vec![refer("parameters", "Limit"), refer("parameters", "Cursor")]
}

fn me() -> Value {
    let about = "The consumer, the roles and the plan that the credentials stand for, and when a quota runs out at this pace.";
    let answer = ("200", answer("It is you.", &[], Some("Me")));
    operation("getMe", "Who am I, and what is left of my limits", about, vec![], answer, &[406])
}

/// The parameter `consumer`, for callers who may see all consumers.
fn of_consumer(everybody: bool) -> Option<Value> {
    let about = "Only this consumer.";
    everybody.then(|| json!({"name": "consumer", "in": "query", "description": about, "schema": kinds::id()}))
}

fn usage(everybody: bool) -> Value {
    let query =
        |name: &str, about: &str, schema: Value| json!({"name": name, "in": "query", "description": about, "schema": schema});
    let mut parameters = vec![
        query("from", "From this moment on.", kinds::moment()),
        query("to", "Up to this moment; now where nothing is said.", kinds::moment()),
        query(
            "granularity",
            "How long each row's time is; `hour` where nothing is said.",
            kinds::word(&["minute", "hour", "day"]),
        ),
    ];
    let mut by = query(
        "group_by",
        "What rows are told apart by, beside time.",
        json!({
            "type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true, "items": kinds::word(&["consumer", "route", "status"]),
        }),
    );
    by["style"] = json!("form");
    by["explode"] = json!(false);
    parameters.push(by);
    parameters.extend(of_consumer(everybody));
    let mut rows = answer("Rows by time.", &[], Some("UsageList"));
    rows["content"]["text/csv"] = json!({"schema": kinds::about(kinds::text(MAX_SENT), "The same as a table (RFC 4180).")});
    let about = "Requests, denials, errors, cache hits, latencies and units. Without the permission `usage`: the caller's own.";
    operation("listUsage", "What was used", about, parameters, ("200", rows), &[406])
}

fn dashboard(everybody: bool) -> Value {
    let about = "A page with charts, or its data for those who accept `application/json`.";
    let ranges = kinds::word(&["1h", "6h", "24h", "7d", "30d", "90d"]);
    let look_back = "How far to look back; 24 hours where nothing is said.";
    let mut parameters = vec![json!({"name": "range", "in": "query", "description": look_back, "schema": ranges})];
    parameters.extend(of_consumer(everybody));
    let mut page = answer("The page.", &["Referrer-Policy"], None);
    page["content"] = json!({
        "text/html": {"schema": kinds::text(MAX_SENT)},
        crate::http::JSON: {"schema": {"type": "object", "additionalProperties": true}},
    });
    operation("getUsageDashboard", "See what was used", about, parameters, ("200", page), &[406])
}

fn metrics() -> Value {
    let mut text = answer("Counters that never fall.", &[], None);
    text["content"] = json!({
        "application/openmetrics-text": {"schema": kinds::text(MAX_SENT)},
        "text/plain": {"schema": kinds::text(MAX_SENT)},
    });
    operation("getUsageMetrics", "What was used, as OpenMetrics", "For a scraper.", vec![], ("200", text), &[406])
}

fn notifications(everybody: bool) -> Value {
    let mut parameters = pages();
    parameters.extend(of_consumer(everybody));
    let about = "Notices of thresholds that were reached and of requests that were denied.";
    let answer = ("200", answer("Notices, newest first.", &["Link"], Some("NotificationList")));
    operation("listNotifications", "What was told about limits", about, parameters, answer, &[406])
}

fn audit(model: &Model) -> Value {
    let mut parameters = pages();
    let moment = kinds::moment();
    let entities = model.entities.iter().map(|entity| entity.name.as_str()).chain(OTHER_RESOURCES);
    let resource = kinds::word(&entities.collect::<Vec<_>>());
    let mut action = kinds::text(MAX_ACTION);
    action["pattern"] = json!(r"^[a-z_]+(\.[a-z_]+)*$");
    let filters = [
        ("from", "No older than this; 30 days before the end where nothing is said.", &moment),
        ("to", "Older than this.", &moment),
        ("consumer", "On the account of this consumer only.", &kinds::id()),
        ("entity", "Done to records of this entity only, or to a `consumer` or the `cache`.", &resource),
        ("action", "This only: `order.update`, or `update` for that of any entity.", &action),
    ];
    parameters.extend(
        filters.map(|(name, about, schema)| json!({"name": name, "in": "query", "description": about, "schema": schema})),
    );
    let about = "Every change of a record, every link to a file, every change of a consumer.";
    let answer = ("200", answer("Entries, newest first.", &["Link"], Some("AuditEntryList")));
    operation("listAudit", "Who did what", about, parameters, answer, &[406])
}

fn purge() -> Value {
    let about = "Nothing that was cached before is served from then on: of one record, of an entity, or of all.";
    let gone = ("204", answer("It is forgotten.", &[], None));
    let mut made = operation("purgeCache", "Forget what is cached", about, vec![], gone, &[406, 409, 415]);
    let example = json!({"all": true});
    made["requestBody"] = body(&[(crate::http::JSON, with_example(refer("schemas", "Purge"), Some(example)))]);
    with_idempotency(made)
}

fn list_consumers() -> Value {
    let answer = ("200", answer("A page of them.", &["Link"], Some("ConsumerList")));
    operation("listApiConsumers", "List consumers", "Who may call, in the order of their ids.", pages(), answer, &[406])
}

/// The content of a body about a consumer, with an example.
fn said(schema: &str) -> Value {
    with_example(refer("schemas", schema), Some(json!({"name": "A partner"})))
}

fn create_consumer() -> Value {
    let about = "An id is made where none is given; keys are made afterwards.";
    let created = ("201", answer("It was created.", &["Location", "ETag"], Some("Consumer")));
    let mut made = operation("createApiConsumer", "Create a consumer", about, vec![], created, &[406, 409, 415]);
    made["requestBody"] = body(&[(crate::http::JSON, said("ConsumerCreate"))]);
    with_idempotency(made)
}

fn one_consumer() -> Value {
    let guards = || vec![refer("parameters", "IfMatch"), refer("parameters", "IfNoneMatchNew")];
    let changed = || ("200", answer("It was changed.", &["ETag"], Some("Consumer")));
    let reading = vec![refer("parameters", "IfNoneMatch")];
    let found = ("200", answer("The consumer.", &["ETag"], Some("Consumer")));
    let mut get = operation("getApiConsumer", "Get a consumer", "One consumer, without its keys.", reading, found, &[404, 406]);
    get["responses"]["304"] = refer("responses", "NotModified");
    let errors = [404, 406, 409, 412, 415];
    let about = "Replaces everything that can be set; it takes effect with the next request.";
    let mut put = operation("replaceApiConsumer", "Replace a consumer", about, guards(), changed(), &errors);
    put["responses"]["201"] = answer("It was created.", &["Location", "ETag"], Some("Consumer"));
    put["requestBody"] = body(&[(crate::http::JSON, said("ConsumerReplace"))]);
    let about = "A JSON merge patch (RFC 7396); it takes effect with the next request.";
    let mut patch = operation("patchApiConsumer", "Change a consumer", about, guards(), changed(), &errors);
    patch["requestBody"] =
        body(&[(crate::http::JSON, said("ConsumerPatch")), ("application/merge-patch+json", said("ConsumerPatch"))]);
    let gone = ("204", answer("It was deleted, with its keys.", &[], None));
    let about = "Its keys end with it, from the next request on.";
    let delete = operation("deleteApiConsumer", "Delete a consumer", about, guards(), gone, &[404, 409, 412]);
    let (put, patch, delete) = (with_idempotency(put), with_idempotency(patch), with_idempotency(delete));
    json!({"parameters": [path("id", "Id of the consumer.")], "get": get, "put": put, "patch": patch, "delete": delete})
}

fn list_keys() -> Value {
    let about = "Their names, scopes and times, without what is secret of them.";
    let answer = ("200", answer("All that are not revoked.", &["ETag"], Some("KeyList")));
    operation("listApiConsumerKeys", "List the API keys of a consumer", about, vec![], answer, &[404, 406])
}

fn create_key(model: &Model) -> Value {
    let about = "Keys overlap, so they are exchanged without an interruption: make a new one, use it, revoke the old one.";
    let headers = ["Location", "Referrer-Policy"];
    let created = ("201", answer("The key: only this answer has it.", &headers, Some("Key")));
    let mut made = operation("createApiConsumerKey", "Create an API key", about, vec![], created, &[404, 406, 409, 415]);
    let longest = model.auth.max_key_age.map_or(86_400, |age| age.as_secs().min(86_400));
    let example = json!({"name": "The shop's till", "expires_in": longest});
    made["requestBody"] = body(&[(crate::http::JSON, with_example(refer("schemas", "KeyCreate"), Some(example)))]);
    made["requestBody"]["required"] = json!(false);
    with_idempotency(made)
}

fn delete_key() -> Value {
    let gone = ("204", answer("It is revoked.", &[], None));
    with_idempotency(operation(
        "deleteApiConsumerKey",
        "Revoke an API key",
        "It is refused from the next request on.",
        vec![],
        gone,
        &[404],
    ))
}
