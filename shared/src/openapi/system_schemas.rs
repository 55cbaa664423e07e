//! Schemas of the system resources.

use serde_json::{Map, Value, json};

use super::kinds::{self, page};
use super::parts::{object, refer};
use crate::core::id::MAX_SAFE_INTEGER;
use crate::identity::auth::scopes;
use crate::model::Model;

/// Maximum length of the id of a consumer.
const NAME: usize = 512;

/// All schemas of system resources.
pub(super) fn schemas(model: &Model) -> Map<String, Value> {
    object([
        ("Me", Some(me())),
        ("UsageList", Some(usage())),
        ("Notification", Some(notification())),
        ("NotificationList", Some(page(refer("schemas", "Notification"), None))),
        ("AuditEntry", Some(audit())),
        ("AuditEntryList", Some(page(refer("schemas", "AuditEntry"), None))),
        ("Consumer", Some(consumer(model))),
        ("ConsumerCreate", Some(written(model, Some(json!({"id": kinds::or_null(consumer_id())}))))),
        ("ConsumerReplace", Some(written(model, None))),
        ("ConsumerPatch", Some(patched(written(model, None)))),
        ("ConsumerList", Some(page(refer("schemas", "Consumer"), None))),
        ("KeyCreate", Some(key_create(model))),
        ("Key", Some(key())),
        ("KeyList", Some(page(refer("schemas", "Key"), None))),
        ("Purge", Some(purge(model))),
    ])
}

/// A rate or quota of the caller, with the `further` properties that only some answers have.
pub(super) fn limit(further: Value) -> Value {
    let mut properties = json!({
        "name": kinds::text(64),
        "type": kinds::word(&["rate", "quota"]),
        "limit": kinds::about(kinds::count(), "Units at once, or in the window."),
        "remaining": kinds::about(kinds::count(), "Units that are left."),
        "used": kinds::about(kinds::count(), "Units that are used."),
        "window_seconds": kinds::about(json!({"type": "number"}), "Length of a quota's window; the time in which all of a rate refills."),
        "reset_at": kinds::about(kinds::moment(), "When all of it is there again."),
    });
    if let (Some(properties), Value::Object(further)) = (properties.as_object_mut(), further) {
        properties.extend(further);
    }
    kinds::object(properties, &["name", "type", "limit", "remaining", "used", "window_seconds", "reset_at"])
}

fn me() -> Value {
    let limit = limit(json!({
        "runs_out_at": kinds::about(
            kinds::or_null(kinds::moment()), "Of a quota: when it is used up at the present pace; null where it lasts."),
    }));
    kinds::object(
        json!({
            "consumer": kinds::text(NAME),
            "subject": kinds::subject(),
            "anonymous": {"type": "boolean"},
            "key_id": kinds::or_null(kinds::text(NAME)),
            "roles": kinds::list(kinds::text(64), 1000),
            "scopes": kinds::or_null(kinds::list(kinds::text(1024), 1000)),
            "plan": kinds::or_null(kinds::text(64)),
            "expires_at": kinds::about(kinds::or_null(kinds::moment()), "When the credential ends."),
            "limits": kinds::list(limit, 100),
        }),
        &["consumer", "subject", "anonymous", "key_id", "roles", "scopes", "plan", "expires_at", "limits"],
    )
}

fn usage() -> Value {
    let number = || json!({"type": "number", "minimum": 0});
    let latency = || kinds::or_null(number());
    let row = kinds::object(
        json!({
            "start": kinds::moment(),
            "consumer": kinds::about(kinds::or_null(kinds::text(NAME)), "null where a row sums over several."),
            "route": kinds::text(256),
            "status": kinds::or_null(kinds::text(16)),
            "requests": kinds::count(),
            "denied": kinds::count(),
            "errors": kinds::count(),
            "cache_hits": kinds::count(),
            "p50_ms": latency(),
            "p90_ms": latency(),
            "p95_ms": latency(),
            "p99_ms": latency(),
            "units": number(),
        }),
        &["start", "consumer", "requests", "denied", "errors", "cache_hits", "units"],
    );
    kinds::object(json!({"data": kinds::list(row, 1_000_000)}), &["data"])
}

fn notification() -> Value {
    kinds::object(
        json!({
            "id": kinds::text(64),
            "at": kinds::moment(),
            "consumer": kinds::or_null(kinds::text(NAME)),
            "type": kinds::word(&["quota.threshold", "requests.throttled", "rate.sustained", "usage.anomaly", "key.expiring", "credentials.suspicious"]),
            "data": {"type": "object", "description": "What there is to tell of a notice of this type.", "additionalProperties": true},
            "delivery": kinds::about(
                kinds::word(&["pending", "delivered", "undeliverable"]),
                "Whether the operator and the consumer's addresses have it, or nothing is tried any more.",
            ),
            "undelivered_to": kinds::about(kinds::list(kinds::text(500), 100), "Addresses that it never reached."),
        }),
        &["id", "at", "type", "delivery"],
    )
}

fn audit() -> Value {
    let mut action = kinds::text(256);
    action["examples"] = json!(["order.update"]);
    kinds::object(
        json!({
            "at": kinds::moment(),
            "action": action,
            "resource": kinds::text(64),
            "id": kinds::or_null(kinds::text(1024)),
            "consumer": kinds::text(NAME),
            "subject": kinds::subject(),
            "roles": kinds::list(kinds::text(64), 1000),
            "key_id": kinds::text(NAME),
            "correlation_id": kinds::text(128),
            "detail": {"description": "More, by action."},
        }),
        &["at", "action", "resource", "id", "consumer", "subject"],
    )
}

fn consumer_id() -> Value {
    kinds::about(kinds::id(), "Made where it is missing.")
}

/// Members of a consumer that a body may set.
fn settings(model: &Model) -> Map<String, Value> {
    let names = |names: Vec<&str>| if names.is_empty() { kinds::text(64) } else { kinds::word(&names) };
    let plans = names(model.plans.iter().map(|plan| plan.name.as_str()).collect());
    let roles = names(model.roles.iter().map(|role| role.name.as_str()).collect());
    let mut name = kinds::or_null(kinds::text(200));
    name["minLength"] = json!(1);
    let distinct = |items: Value| {
        let mut list = kinds::list(items, 50);
        list["uniqueItems"] = json!(true);
        kinds::or_null(list)
    };
    let address = json!({"type": "string", "maxLength": 500,
        "pattern": "^(mailto:[!-?A-~]+@[!-~]*[.][!-~]*|https://[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(/[A-Za-z0-9._~/-]*)?)$"});
    let scalar = json!({"type": ["string", "number", "boolean", "null"], "maxLength": 4096});
    let claim = json!({"anyOf": [scalar, kinds::list(json!({"type": ["string", "number", "boolean", "null"], "maxLength": 4096}), 1000)]});
    object([
        ("name", Some(kinds::about(name, "Name for people."))),
        ("plan", Some(kinds::about(kinds::or_null(plans), "A plan of the model; null: the token's, else the default."))),
        ("roles", Some(kinds::about(distinct(roles), "Roles of the model; null: the token's."))),
        (
            "claims",
            Some(json!({
                "type": ["object", "null"],
                "description": "Claims that rules may use; they go before a token's. At most 4 KB; not `subject` and `consumer`.",
                "additionalProperties": claim,
            })),
        ),
        ("disabled", Some(json!({"type": ["boolean", "null"], "description": "Whether every call is refused."}))),
        ("notify", Some(kinds::about(distinct(address), "`mailto:` and `https:` addresses that are told about limits."))),
        ("overrides", Some(overrides(model))),
    ])
}

/// Overrides of limits. The members are the names of all rates and quotas of the plans.
fn overrides(model: &Model) -> Value {
    let units = |least| kinds::whole(least, MAX_SAFE_INTEGER);
    let mut limits = Map::new();
    for plan in &model.plans {
        for rate in &plan.rates {
            let all = limits.entry(rate.name.clone()).or_insert_with(|| kinds::object(json!({}), &[]));
            all["properties"]["rate"] = units(1);
            all["properties"]["burst"] = units(1);
        }
        for quota in &plan.quotas {
            let all = limits.entry(quota.name.clone()).or_insert_with(|| kinds::object(json!({}), &[]));
            all["properties"]["limit"] = units(0);
        }
    }
    let about = "Limits that differ from the plan's, by the name of a rate or quota of that plan.";
    kinds::or_null(kinds::about(kinds::object(Value::Object(limits), &[]), about))
}

fn consumer(model: &Model) -> Value {
    let mut properties = Map::from_iter([("id".to_owned(), kinds::id())]);
    properties.extend(settings(model));
    // A stored consumer may be older than the model, and is shown as it is.
    properties.insert("plan".to_owned(), kinds::or_null(kinds::text(64)));
    properties.insert("roles".to_owned(), kinds::or_null(kinds::list(kinds::text(64), 50)));
    properties.insert("overrides".to_owned(), json!({"type": ["object", "null"], "additionalProperties": true}));
    for name in ["created_at", "updated_at"] {
        properties.insert(name.to_owned(), kinds::moment());
    }
    let about = "The secret that signs what is sent to `https:` addresses: only the answer to the change that made it has it.";
    properties.insert("webhook_secret".to_owned(), kinds::about(kinds::text(256), about));
    let mut shown = key();
    if let Some(members) = shown["properties"].as_object_mut() {
        members.shift_remove("key");
    }
    let about = "Its API keys, in the answer for one consumer.";
    properties.insert("keys".to_owned(), kinds::about(kinds::list(shown, 20), about));
    kinds::object(Value::Object(properties), &["id", "disabled", "created_at", "updated_at"])
}

/// A body about a consumer. Members that the API sets are accepted unchanged, so that what was read can be sent back.
fn written(model: &Model, id: Option<Value>) -> Value {
    let mut properties = Map::new();
    let unchanged = || json!({"readOnly": true, "description": "Accepted if it is unchanged."});
    properties.insert("id".to_owned(), id.map_or_else(unchanged, |id| id["id"].clone()));
    properties.extend(settings(model));
    let about = "`new` asks for a new secret of the webhooks; the one before signs beside it for a day.";
    properties.insert("webhook_secret".to_owned(), kinds::about(kinds::or_null(kinds::word(&["new"])), about));
    for name in ["created_at", "updated_at", "keys"] {
        properties.insert(name.to_owned(), unchanged());
    }
    kinds::object(Value::Object(properties), &[])
}

/// The schema of a merge patch, in which null removes an override.
fn patched(mut schema: Value) -> Value {
    let limits = schema["properties"]["overrides"]["properties"].as_object_mut();
    for limit in limits.into_iter().flat_map(|limits| limits.values_mut()) {
        for (_, units) in limit["properties"].as_object_mut().into_iter().flatten() {
            *units = kinds::or_null(units.take());
        }
        *limit = kinds::or_null(limit.take());
    }
    schema
}

fn key_create(model: &Model) -> Value {
    let longest = model.auth.max_key_age.and_then(|age| i64::try_from(age.as_secs()).ok()).unwrap_or(100 * 366 * 86_400);
    let about = "Seconds; as long as the API allows where nothing is said.";
    let mut name = kinds::or_null(kinds::text(200));
    name["minLength"] = json!(1);
    let mut scope = kinds::text(200);
    scope["pattern"] = json!(scopes::pattern(model));
    scope["examples"] =
        json!(model.entities.first().map(|entity| format!("{}:read", entity.name)).into_iter().collect::<Vec<_>>());
    let mut scopes = kinds::list(scope, 50);
    (scopes["minItems"], scopes["uniqueItems"]) = (json!(1), json!(true));
    let mut schema = kinds::object(
        json!({
            "name": kinds::about(name, "Name for people: where the key is used."),
            "scopes": kinds::about(
                kinds::or_null(scopes),
                "What the key may do of what its consumer's roles allow: `entity:action`, `entity:*`, `*:action`, `system:permission`, `*`; null: all of it."),
            "expires_in": kinds::about(kinds::or_null(kinds::whole(1, longest)), about),
            "publishable": {"type": ["boolean", "null"],
                "description": "For use in public: its holder is treated as anonymous and limited by address."},
        }),
        &[],
    );
    schema["type"] = json!(["object", "null"]);
    schema
}

fn key() -> Value {
    kinds::object(
        json!({
            "id": kinds::id(),
            "key": kinds::about(kinds::text(256), "The key itself: it cannot be shown again, not even to a repetition by Idempotency-Key."),
            "name": kinds::or_null(kinds::text(200)),
            "scopes": kinds::about(kinds::or_null(kinds::list(kinds::text(200), 50)), "What narrows it; null: nothing."),
            "created_at": kinds::moment(),
            "created_by": kinds::about(kinds::or_null(kinds::subject()), "Subject that made it."),
            "last_used_at": kinds::about(kinds::or_null(kinds::moment()), "Minute of its last use; null: never."),
            "expires_at": kinds::or_null(kinds::moment()),
            "publishable": {"type": "boolean"},
        }),
        &["id", "name", "scopes", "created_at", "created_by", "last_used_at", "publishable"],
    )
}

fn purge(model: &Model) -> Value {
    let entities: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_str()).collect();
    let all = kinds::object(json!({"all": {"type": "boolean", "const": true}}), &["all"]);
    let id = json!({"type": "string", "maxLength": 1024, "description": "Id of a record, as it stands in its address."});
    let one = kinds::object(json!({"entity": kinds::word(&entities), "id": id}), &["entity"]);
    json!({"description": "All, an entity, or one record.", "oneOf": [all, one]})
}
