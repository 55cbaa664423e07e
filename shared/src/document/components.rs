//! What operations refer to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Source, names, object, parameters, refer, responses, system};
use crate::model::{Action, Entity, Purpose, json_schema};

/// Names of schemas that are not an entity's.
pub(super) const OURS: [&str; 9] =
    ["Problem", "JsonPatch", "BulkResults", "Consumer", "ConsumerWrite", "ConsumerList", "Key", "KeyCreate", "Purge"];

/// All components; those that nothing refers to go when the document is [`prune`]d.
pub(super) fn all(source: &Source<'_>) -> Value {
    json!({
        "schemas": schemas(source),
        "parameters": parameters::shared(),
        "headers": responses::all_headers(),
        "responses": responses::all(source.base_url),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token of an accepted issuer, or an API key (`hf_...`).",
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
        if source.allows(entity, Action::Create) {
            put("Create", json_schema(source.model, entity, Purpose::Create, &source.masks(entity, Action::Create)));
        }
        if source.allows(entity, Action::Update) {
            let masks = source.masks(entity, Action::Update);
            put("Replace", json_schema(source.model, entity, Purpose::Replace, &masks));
            put("Patch", json_schema(source.model, entity, Purpose::Patch, &masks));
        }
        put("Bulk", bulk(source, entity));
        put("BulkResults", bulk_results(source, entity));
    }
    schemas.insert("Problem".to_owned(), responses::problem());
    schemas.insert("JsonPatch".to_owned(), json_patch());
    schemas.extend(system::schemas());
    schemas
}

/// A record in an answer: what the caller may read, and what `include` adds. Nothing is required, since `fields` chooses.
fn read(source: &Source<'_>, entity: &Entity) -> Value {
    let mut masks = source.masks(entity, Action::Read);
    masks.readable = source.readable(entity);
    let mut schema = json_schema(source.model, entity, Purpose::Read, &masks);
    if let Value::Object(members) = &mut schema {
        members.remove("required");
    }
    for relation in parameters::relations(source, entity) {
        let target = refer("schemas", &names::entity(source.model, relation.target));
        let about = format!("Only with `include={}`.", relation.name);
        schema["properties"][relation.name] = match relation.many {
            true => json!({"type": "array", "items": target, "readOnly": true, "description": about}),
            false => json!({"anyOf": [target, {"type": "null"}], "readOnly": true, "description": about}),
        };
    }
    schema
}

fn list(source: &Source<'_>, entity: &Entity) -> Value {
    json!({
        "type": "object",
        "description": "A page.",
        "properties": {
            "data": {"type": "array", "items": refer("schemas", &names::entity(source.model, entity))},
            "next_cursor": {"type": ["string", "null"], "description": "Where to go on; null at the end."},
            "total": {"type": "integer", "minimum": 0, "description": "With `count=true`: how many there are."},
        },
        "required": ["data", "next_cursor"],
        "additionalProperties": false,
    })
}

/// What `_bulk` takes: the operations that the caller may do.
fn bulk(source: &Source<'_>, entity: &Entity) -> Value {
    let (create, update) = (source.allows(entity, Action::Create), source.allows(entity, Action::Update));
    let delete = source.allows(entity, Action::Delete);
    let schema = |suffix: &str| refer("schemas", &names::schema(source.model, entity, suffix));
    let operation = |op: &str, id: bool, data: Option<Value>| {
        let mut required = vec!["op"];
        required.extend(id.then_some("id"));
        required.extend(data.as_ref().map(|_| "data"));
        let properties = object([
            ("op", Some(json!({"type": "string", "const": op}))),
            ("id", id.then(|| json!({"type": ["string", "integer"]}))),
            ("data", data),
        ]);
        json!({"type": "object", "properties": properties, "required": required})
    };
    let mut operations = Vec::new();
    if create {
        operations.push(operation("create", false, Some(schema("Create"))));
    }
    if update {
        operations.push(operation("upsert", true, Some(schema("Replace"))));
        operations.push(operation("update", true, Some(schema("Patch"))));
    }
    if delete {
        operations.push(operation("delete", true, None));
    }
    json!({
        "type": "object",
        "properties": {
            "operations": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"oneOf": operations}},
            "atomic": {"type": "boolean", "default": false, "description": "All of them or none."},
        },
        "required": ["operations"],
        "additionalProperties": false,
    })
}

fn bulk_results(source: &Source<'_>, entity: &Entity) -> Value {
    json!({
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "One for each operation, in their order.",
                "items": {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer", "minimum": 200, "maximum": 599},
                        "data": refer("schemas", &names::entity(source.model, entity)),
                        "problem": refer("schemas", "Problem"),
                    },
                    "required": ["status"],
                },
            },
        },
        "required": ["results"],
    })
}

/// RFC 6902.
fn json_patch() -> Value {
    let step = |ops: &[&str], more: &str| {
        let properties = object([
            ("op", Some(json!({"type": "string", "enum": ops}))),
            ("path", Some(json!({"type": "string", "description": "JSON pointer (RFC 6901)."}))),
            ("value", (more == "value").then(|| json!({}))),
            ("from", (more == "from").then(|| json!({"type": "string"}))),
        ]);
        let required: Vec<&str> = ["op", "path", more].into_iter().filter(|name| !name.is_empty()).collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    json!({
        "type": "array",
        "description": "Steps, done in order or not at all (RFC 6902); a `test` that fails is a conflict.",
        "items": {"oneOf": [step(&["add", "replace", "test"], "value"), step(&["move", "copy"], "from"), step(&["remove"], "")]},
    })
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
