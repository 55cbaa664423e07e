//! System resources, each where a role of the caller may use it.

use serde_json::{Map, Value, json};

use super::operations::body;
use super::{Source, files, object, refer, responses};
use crate::model::{Model, SystemPermission};
use crate::object as stored;

/// The tag of all of them.
pub(super) const TAG: &str = "_system";

/// Whether a role of the caller has the permission and the token's scopes leave it.
fn may(source: &Source<'_>, permission: SystemPermission) -> bool {
    let name = match permission {
        SystemPermission::Consumers => "consumers",
        SystemPermission::Usage => "usage",
        SystemPermission::Cache => "cache",
        SystemPermission::Audit => "audit",
    };
    let roles = source.principal.roles.iter().filter_map(|role| source.model.role(role));
    roles.into_iter().any(|role| role.system.contains(&permission)) && source.principal.allows_scope("system", name)
}

/// The paths that the caller may use.
pub(super) fn paths(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut put = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    // A document for nobody in particular has no account to tell of.
    if !source.principal.anonymous || source.principal.key_id.is_some() {
        put("/v1/_me", json!({"get": me()}));
        put("/v1/_notifications", json!({"get": notifications(may(source, SystemPermission::Usage))}));
    }
    if may(source, SystemPermission::Consumers) {
        put("/v1/_consumers", json!({"get": list_consumers(), "post": create_consumer()}));
        put("/v1/_consumers/{id}", one_consumer());
        put("/v1/_consumers/{id}/keys", json!({"parameters": [path("id", "Id of the consumer.")], "post": create_key()}));
        put(
            "/v1/_consumers/{id}/keys/{key_id}",
            json!({"parameters": [path("id", "Id of the consumer."), path("key_id", "Id of the key.")], "delete": delete_key()}),
        );
        if shares(source.model) {
            let id = path("id", "Id of the consumer.");
            let item = json!({"parameters": [id], "get": list_shares(), "delete": revoke_shares()});
            put("/v1/_consumers/{id}/shares", item);
        }
    }
    if shares(source.model) {
        let secret = json!({"name": "secret", "in": "path", "required": true, "description": "The address that was shared says it.",
            "schema": {"type": "string"}});
        put("/v1/_shares/{secret}", json!({"parameters": [secret], "get": use_share()}));
    }
    if may(source, SystemPermission::Cache) {
        put("/v1/_cache/purge", json!({"post": purge()}));
    }
    if may(source, SystemPermission::Audit) {
        put("/v1/_audit", json!({"get": audit()}));
    }
    paths
}

/// Whether files of the model may be shared at all.
fn shares(model: &Model) -> bool {
    let mut limits = model.entities.iter().flat_map(stored::fields).filter_map(stored::limits);
    limits.any(|limits| limits.share_expiry.is_some())
}

fn list_shares() -> Value {
    let answer = answer("Shares that live.", &[], Some(files::page()));
    operation("listApiConsumerShares", "List the shares of a consumer", pages(), "200", answer, &[406])
}

fn revoke_shares() -> Value {
    let answer = answer("They are revoked.", &[], None);
    operation("revokeApiConsumerShares", "Revoke the shares of a consumer", vec![], "204", answer, &[])
}

/// Open to everybody, so it stands in every document of a model with shares.
fn use_share() -> Value {
    let mut used = operation(
        "useShare",
        "Get a link to a file that was shared",
        vec![files::disposition()],
        "302",
        files::redirect("A link of one minute."),
        &[404, 410],
    );
    used["security"] = json!([]);
    used
}

fn path(name: &str, description: &str) -> Value {
    let schema = json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"});
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
}

/// An operation with what all have.
fn operation(id: &str, summary: &str, parameters: Vec<Value>, status: &str, answer: Value, errors: &[u16]) -> Value {
    let mut answers = object([(status, Some(answer))]);
    answers.extend(responses::errors(errors));
    let mut parameters = parameters;
    parameters.push(refer("parameters", "CorrelationId"));
    json!({"operationId": id, "summary": summary, "tags": [TAG], "parameters": parameters, "responses": answers})
}

/// The same, done once by its `Idempotency-Key`.
fn once(mut operation: Value) -> Value {
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.push(refer("parameters", "IdempotencyKey"));
    }
    operation
}

fn answer(description: &str, headers: &[&str], schema: Option<Value>) -> Value {
    let mut answer = json!({"description": description, "headers": responses::headers(headers)});
    if let Some(schema) = schema {
        answer["content"] = json!({crate::http::JSON: {"schema": schema}});
    }
    answer
}

fn pages() -> Vec<Value> {
    vec![refer("parameters", "Limit"), refer("parameters", "Cursor")]
}

fn me() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "consumer": {"type": "string"},
            "subject": {"type": "string"},
            "anonymous": {"type": "boolean"},
            "key_id": {"type": ["string", "null"]},
            "roles": {"type": "array", "items": {"type": "string"}},
            "scopes": {"type": ["array", "null"], "items": {"type": "string"}},
            "plan": {"type": ["string", "null"]},
            "expires_at": {"type": ["string", "null"], "format": "date-time", "description": "When the credential ends."},
            "limits": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "type": {"type": "string", "enum": ["rate", "quota"]},
                    "limit": {"type": "integer", "minimum": 0},
                    "remaining": {"type": "integer", "minimum": 0},
                    "window_seconds": {"type": "number"},
                    "reset_at": {"type": "string", "format": "date-time"},
                    "used": {"type": "integer", "description": "Of a quota."},
                    "runs_out_at": {"type": ["string", "null"], "format": "date-time",
                        "description": "When a quota is used up at the present pace; null where it lasts."},
                },
                "required": ["name", "type", "limit", "remaining", "window_seconds", "reset_at"],
            }},
        },
        "required": ["consumer", "subject", "roles", "limits"],
    });
    operation("getMe", "Who am I, and what is left of my limits", vec![], "200", answer("It is you.", &[], Some(schema)), &[406])
}

fn page_of(item: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": item},
            "next_cursor": {"type": ["string", "null"], "description": "Where to go on; null at the end."},
        },
        "required": ["data", "next_cursor"],
    })
}

fn notifications(everybody: bool) -> Value {
    let schema = page_of(&json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "consumer": {"type": ["string", "null"]},
            "type": {"type": "string", "enum": ["quota.threshold", "requests.throttled", "credentials.suspicious"]},
            "data": {"type": "object"},
            "delivery": {"type": "string", "enum": ["pending", "delivered", "undeliverable"],
                "description": "Whether the operator and the consumer's addresses have it, or nothing is tried any more."},
            "undelivered_to": {"type": "array", "items": {"type": "string"}, "description": "Addresses that it never reached."},
        },
        "required": ["id", "at", "type", "delivery"],
    }));
    let mut parameters = pages();
    if everybody {
        let about = "Only those of this consumer.";
        let schema = json!({"type": "string", "minLength": 1});
        parameters.push(json!({"name": "consumer", "in": "query", "description": about, "schema": schema}));
    }
    let answer = answer("Notices, newest first.", &["Link"], Some(schema));
    operation("listNotifications", "What was told about limits", parameters, "200", answer, &[406])
}

fn audit() -> Value {
    let schema = page_of(&json!({
        "type": "object",
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "action": {"type": "string", "examples": ["order.update"]},
            "resource": {"type": "string"},
            "id": {"type": ["string", "null"]},
            "consumer": {"type": "string"},
            "subject": {"type": "string"},
            "key_id": {"type": "string"},
            "correlation_id": {"type": "string"},
            "detail": {},
        },
        "required": ["at", "action", "resource", "consumer", "subject"],
    }));
    let mut parameters = pages();
    parameters.push(json!({
        "name": "from", "in": "query", "description": "No older than this; 30 days ago where nothing is said.",
        "schema": {"type": "string", "format": "date-time"},
    }));
    let answer = answer("Entries, newest first.", &["Link"], Some(schema));
    operation("listAudit", "Who did what", parameters, "200", answer, &[406])
}

fn purge() -> Value {
    let summary = "Forget what is cached";
    let mut made = operation("purgeCache", summary, vec![], "204", answer("It is forgotten.", &[], None), &[406, 415]);
    made["requestBody"] = body(&[(crate::http::JSON, refer("schemas", "Purge"))]);
    made
}

fn consumer() -> Option<Value> {
    Some(refer("schemas", "Consumer"))
}

fn list_consumers() -> Value {
    let answer = answer("A page of them.", &["Link"], Some(refer("schemas", "ConsumerList")));
    operation("listApiConsumers", "List consumers", pages(), "200", answer, &[406])
}

fn create_consumer() -> Value {
    let answer = answer("It was created.", &["Location", "ETag"], consumer());
    let mut made = operation("createApiConsumer", "Create a consumer", vec![], "201", answer, &[406, 409, 415]);
    made["requestBody"] = body(&[(crate::http::JSON, refer("schemas", "ConsumerWrite"))]);
    once(made)
}

fn one_consumer() -> Value {
    let guards = || vec![refer("parameters", "IfMatch")];
    let changed = || answer("It was changed.", &["ETag"], consumer());
    let reading = vec![refer("parameters", "IfNoneMatch")];
    let get = operation(
        "getApiConsumer",
        "Get a consumer",
        reading,
        "200",
        answer("The consumer.", &["ETag"], consumer()),
        &[404, 406],
    );
    let mut replacing = guards();
    replacing.push(refer("parameters", "IfNoneMatchNew"));
    let mut put = operation("replaceApiConsumer", "Replace a consumer", replacing, "200", changed(), &[404, 406, 409, 412, 415]);
    put["responses"]["201"] = answer("It was created.", &["Location", "ETag"], consumer());
    put["requestBody"] = body(&[(crate::http::JSON, refer("schemas", "ConsumerWrite"))]);
    let mut patch = operation("patchApiConsumer", "Change a consumer", guards(), "200", changed(), &[404, 406, 409, 412, 415]);
    let schema = || refer("schemas", "ConsumerWrite");
    patch["requestBody"] = body(&[("application/merge-patch+json", schema()), (crate::http::JSON, schema())]);
    let gone = answer("It was deleted, with its keys.", &[], None);
    let delete = operation("deleteApiConsumer", "Delete a consumer", guards(), "204", gone, &[404, 409, 412]);
    let (put, patch, delete) = (once(put), once(patch), once(delete));
    json!({"parameters": [path("id", "Id of the consumer.")], "get": get, "put": put, "patch": patch, "delete": delete})
}

fn create_key() -> Value {
    let answer = answer("The key: only this answer has it.", &["Location"], Some(refer("schemas", "Key")));
    let mut made = operation("createApiConsumerKey", "Create an API key", vec![], "201", answer, &[404, 406, 409, 415]);
    made["requestBody"] = body(&[(crate::http::JSON, refer("schemas", "KeyCreate"))]);
    made["requestBody"]["required"] = json!(false);
    once(made)
}

fn delete_key() -> Value {
    let answer = answer("It is revoked.", &[], None);
    once(operation("deleteApiConsumerKey", "Revoke an API key", vec![], "204", answer, &[404]))
}

/// Their schemas.
pub(super) fn schemas() -> Map<String, Value> {
    let Value::Object(settings) = json!({
        "name": {"type": ["string", "null"], "minLength": 1, "maxLength": 200, "description": "Name for people."},
        "plan": {"type": ["string", "null"], "description": "A plan of the model; null: the token's, else the default."},
        "roles": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 50, "uniqueItems": true,
            "description": "Roles of the model; null: the token's."},
        "claims": {"type": ["object", "null"], "description": "Claims that rules may use; they go before a token's."},
        "disabled": {"type": ["boolean", "null"], "description": "Whether every call is refused."},
        "notify": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 50, "uniqueItems": true,
            "description": "`mailto:` and `https:` addresses that are told about limits."},
        "overrides": {"type": ["object", "null"], "description": "Limits that differ from the plan's, by the name of a rate or quota.",
            "additionalProperties": {"type": "object", "properties": {
                "rate": {"type": "integer", "minimum": 1},
                "burst": {"type": "integer", "minimum": 1},
                "limit": {"type": "integer", "minimum": 0},
            }}},
        "created_at": {"type": "string", "format": "date-time", "readOnly": true},
        "updated_at": {"type": "string", "format": "date-time", "readOnly": true},
    }) else {
        return Map::new();
    };
    let mut read = Map::from_iter([("id".to_owned(), json!({"type": "string"}))]);
    read.extend(settings.clone());
    let shown_once =
        "The secret that signs what is sent to `https:` addresses: only the answer to the change that made it has it.";
    read.insert("webhook_secret".to_owned(), json!({"type": "string", "readOnly": true, "description": shown_once}));
    let mut write =
        Map::from_iter([("id".to_owned(), json!({"type": ["string", "null"], "description": "Made where it is missing."}))]);
    write.extend(settings);
    let renew = "`new` asks for a new secret of the webhooks; the one before signs beside it for a day.";
    write.insert("webhook_secret".to_owned(), json!({"type": ["string", "null"], "enum": ["new", null], "description": renew}));
    let schema = |properties: Map<String, Value>| json!({"type": "object", "properties": properties});
    object([
        ("Consumer", Some(schema(read))),
        ("ConsumerWrite", Some(schema(write))),
        ("ConsumerList", Some(page_of(&refer("schemas", "Consumer")))),
        (
            "KeyCreate",
            Some(json!({
                "type": ["object", "null"],
                "properties": {
                    "expires_in": {"type": ["integer", "null"], "minimum": 1, "description": "Seconds; as long as the API allows where nothing is said."},
                    "publishable": {"type": ["boolean", "null"], "description": "For use in public: its holder is anonymous and limited by address."},
                },
                "additionalProperties": false,
            })),
        ),
        (
            "Key",
            Some(json!({
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "key": {"type": "string", "description": "The key itself: it cannot be shown again, not even to a repetition by Idempotency-Key."},
                    "created_at": {"type": "string", "format": "date-time"},
                    "expires_at": {"type": ["string", "null"], "format": "date-time"},
                    "publishable": {"type": "boolean"},
                },
                "required": ["id", "created_at", "publishable"],
            })),
        ),
        (
            "Purge",
            Some(json!({
                "type": "object",
                "description": "`{\"all\": true}`, `{\"entity\": \"..\"}` or `{\"entity\": \"..\", \"id\": \"..\"}`.",
                "properties": {
                    "all": {"type": "boolean", "const": true},
                    "entity": {"type": "string", "description": "Name of an entity of the model."},
                    "id": {"type": "string", "description": "Id of a record, as it stands in its address."},
                },
                "additionalProperties": false,
            })),
        ),
    ])
}
