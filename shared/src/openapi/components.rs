//! What operations refer to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Source, files, kinds, names, object, parameters, refer, responses, system_schemas};
use crate::http::{MAX_BULK, MAX_PATCH_STEPS};
use crate::model::{Action, Entity, IdKind, Purpose, id_schema, json_schema};
use crate::query::{MAX_CURSOR, MAX_LIMIT};

/// Names of schemas that are not an entity's.
pub(super) const OURS: [&str; 20] = [
    "Problem",
    "JsonPatch",
    "Me",
    "UsageList",
    "Notification",
    "NotificationList",
    "AuditEntry",
    "AuditEntryList",
    "Consumer",
    "ConsumerCreate",
    "ConsumerReplace",
    "ConsumerPatch",
    "ConsumerList",
    "Key",
    "KeyCreate",
    "Purge",
    "FileLink",
    "UploadLink",
    "Share",
    "ShareList",
];

/// All components; those that nothing refers to go when the document is [`prune`]d.
pub(super) fn all(source: &Source<'_>) -> Value {
    json!({
        "schemas": schemas(source),
        "parameters": parameters::shared(source.principal.anonymous),
        "headers": responses::all_headers(),
        "responses": responses::all(source.site.url),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token (JWT) of an accepted issuer, checked as RFC8725 asks, or an API key (`hf_...`).",
            },
        },
    })
}

fn schemas(source: &Source<'_>) -> Map<String, Value> {
    let mut schemas = Map::new();
    for entity in source.entities() {
        let mut put = |suffix: &str, schema: Value| {
            let name =
                if suffix.is_empty() { names::entity(source.model, entity) } else { names::schema(source.model, entity, suffix) };
            schemas.insert(name, schema);
        };
        put("", read(source, entity));
        put("List", list(source, entity));
        for suffix in ["Create", "Replace", "Patch"] {
            if let Some(schema) = written(source, entity, suffix) {
                put(suffix, schema);
            }
        }
        put("Bulk", bulk(source, entity));
        put("BulkResults", bulk_results(source, entity));
    }
    schemas.insert("Problem".to_owned(), responses::problem());
    schemas.insert("JsonPatch".to_owned(), json_patch());
    schemas.extend(files::schemas());
    schemas.extend(system_schemas::schemas(source.model));
    schemas
}

/// The schema of a body: the very one that validates it. `None` where the caller may not send one.
pub(super) fn written(source: &Source<'_>, entity: &Entity, suffix: &str) -> Option<Value> {
    let (purpose, action) = match suffix {
        "Create" => (Purpose::Create, Some(Action::Create)),
        "Replace" => (Purpose::Replace, source.replaces(entity)),
        _ => (Purpose::Patch, Some(Action::Update)),
    };
    let action = action.filter(|action| source.allows(entity, *action))?;
    Some(json_schema(source.model, entity, purpose, &source.masks(entity, action)))
}

/// A record in an answer: what the caller may read, and what `include` adds. Nothing is required, since `fields` chooses.
pub(super) fn read(source: &Source<'_>, entity: &Entity) -> Value {
    let mut masks = source.masks(entity, Action::Read);
    masks.readable = source.readable(entity);
    let mut schema = json_schema(source.model, entity, Purpose::Read, &masks);
    if let Value::Object(members) = &mut schema {
        members.remove("required");
    }
    for relation in parameters::relations(source, entity, &source.readable(entity)) {
        let target = refer("schemas", &names::entity(source.model, relation.target));
        let about = format!("Only with `include={}`.", relation.name);
        schema["properties"][relation.name] = match relation.many {
            true => json!({"type": "array", "items": target, "maxItems": MAX_LIMIT, "readOnly": true, "description": about}),
            false => json!({"anyOf": [target, {"type": "null"}], "readOnly": true, "description": about}),
        };
    }
    schema
}

fn list(source: &Source<'_>, entity: &Entity) -> Value {
    let total = kinds::about(kinds::count(), "With `count=true`: how many there are.");
    page(refer("schemas", &names::entity(source.model, entity)), Some(total))
}

/// A page of a list.
pub(super) fn page(item: Value, total: Option<Value>) -> Value {
    let cursor = kinds::about(kinds::or_null(kinds::text(MAX_CURSOR)), "Where to go on; null at the end.");
    let properties = object([("data", Some(kinds::list(item, MAX_LIMIT))), ("next_cursor", Some(cursor)), ("total", total)]);
    kinds::about(kinds::object(Value::Object(properties), &["data", "next_cursor"]), "A page.")
}

/// What `_bulk` takes: the operations that the caller may do.
fn bulk(source: &Source<'_>, entity: &Entity) -> Value {
    let schema = |suffix: &str| refer("schemas", &names::schema(source.model, entity, suffix));
    let chosen = matches!(entity.id, IdKind::String | IdKind::Integer);
    let operation = |op: &str, id: Option<bool>, guard: bool, data: Option<Value>| {
        let mut required = vec!["op"];
        required.extend((id == Some(true)).then_some("id"));
        required.extend(data.as_ref().map(|_| "data"));
        let tag = kinds::about(parameters::tags(), "As the header `If-Match`.");
        let properties = object([
            ("op", Some(json!({"type": "string", "const": op}))),
            ("id", id.map(|_| id_schema(&entity.id))),
            ("if_match", guard.then_some(tag)),
            ("data", data),
        ]);
        kinds::object(Value::Object(properties), &required)
    };
    let mut operations = Vec::new();
    if source.allows(entity, Action::Create) {
        // The id stands in the data, which needs it; one beside `op` is taken in its place.
        operations.push(operation("create", None, false, Some(schema("Create"))));
    }
    if source.replaces(entity).is_some() && (chosen || source.allows(entity, Action::Update)) {
        operations.push(operation("upsert", Some(true), true, Some(schema("Replace"))));
    }
    if source.allows(entity, Action::Update) {
        operations.push(operation("update", Some(true), true, Some(schema("Patch"))));
    }
    if source.allows(entity, Action::Delete) {
        operations.push(operation("delete", Some(true), true, None));
    }
    let items = if operations.len() == 1 { operations.remove(0) } else { json!({ "oneOf": operations }) };
    let atomic = json!({"type": "boolean", "default": false, "description": "All of them or none."});
    kinds::object(json!({"operations": kinds::list(items, MAX_BULK), "atomic": atomic}), &["operations"])
}

fn bulk_results(source: &Source<'_>, entity: &Entity) -> Value {
    let result = kinds::object(
        json!({
            "status": kinds::status(200, 599),
            "data": refer("schemas", &names::entity(source.model, entity)),
            "problem": refer("schemas", "Problem"),
        }),
        &["status"],
    );
    let results = kinds::about(kinds::list(result, MAX_BULK), "One for each operation, in their order.");
    kinds::object(json!({ "results": results }), &["results"])
}

/// RFC 6902. Members that it does not know are ignored, as it asks.
fn json_patch() -> Value {
    const POINTER: &str = "^(/([^~/]|~[01])*)*$";
    let place =
        || json!({"type": "string", "pattern": POINTER, "maxLength": kinds::HEAD, "description": "JSON pointer (RFC 6901)."});
    let step = |ops: &[&str], more: &str| {
        let properties = object([
            ("op", Some(kinds::word(ops))),
            ("path", Some(place())),
            ("value", (more == "value").then(|| json!({"description": "Any JSON."}))),
            ("from", (more == "from").then(place)),
        ]);
        let required: Vec<&str> = ["op", "path", more].into_iter().filter(|name| !name.is_empty()).collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    let steps =
        json!({"oneOf": [step(&["add", "replace", "test"], "value"), step(&["move", "copy"], "from"), step(&["remove"], "")]});
    let about = "Steps, done in order or not at all (RFC 6902); a `test` that fails is a conflict.";
    kinds::about(kinds::list(steps, MAX_PATCH_STEPS), about)
}

/// Removes the components that nothing in the document leads to.
pub(super) fn prune(document: &mut Value) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut found = Vec::new();
    references(&document["paths"], &mut found);
    while let Some(reference) = found.pop() {
        if let Some(target) = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer))
            && used.insert(reference.clone())
        {
            references(target, &mut found);
        }
    }
    let Some(components) = document["components"].as_object_mut() else { return };
    for (kind, members) in components.iter_mut() {
        if let (Value::Object(members), true) = (members, kind != "securitySchemes") {
            members.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
    components.retain(|_, members| members.as_object().is_none_or(|members| !members.is_empty()));
}

/// All references below a value. A schema with an `$id` is a document of its own: what it refers to is in it.
pub(super) fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if members.get("$id").is_some_and(Value::is_string) => {}
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
