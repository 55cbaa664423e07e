//! Schemas of one entity: bodies, records in answers, pages, bulk requests.

use serde_json::{Value, json};

use super::parts::{object, refer};
use super::source::Source;
use super::{kinds, names, parameters};
use crate::http::MAX_BULK;
use crate::model::{Action, Entity, IdKind, Purpose, id_schema, json_schema};
use crate::query::MAX_LIMIT;

/// All schemas of an entity, by their names.
pub(super) fn schemas(source: &Source<'_>, entity: &Entity) -> Vec<(String, Value)> {
    let mut schemas = Vec::new();
    let mut put = |suffix: &str, schema: Value| {
        let name =
            if suffix.is_empty() { names::entity(source.model, entity) } else { names::schema(source.model, entity, suffix) };
        schemas.push((name, schema));
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
    schemas
}

/// The schema of a body, the same one that validates it; `None` if the caller may not send one.
pub(super) fn written(source: &Source<'_>, entity: &Entity, suffix: &str) -> Option<Value> {
    let (purpose, action) = match suffix {
        "Create" => (Purpose::Create, Some(Action::Create)),
        "Replace" => (Purpose::Replace, source.replaces(entity)),
        _ => (Purpose::Patch, Some(Action::Update)),
    };
    let action = action.filter(|action| source.allows(entity, *action))?;
    Some(json_schema(source.model, entity, purpose, &source.masks(entity, action)))
}

/// A record in an answer: the fields that the caller may read, and what `include` adds. None is required, since `fields` selects.
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
    kinds::page(refer("schemas", &names::entity(source.model, entity)), Some(total))
}

/// The body of `_bulk`: the operations that the caller may use.
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
        // The data has the id, which is required there; one beside `op` is accepted in its place.
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
