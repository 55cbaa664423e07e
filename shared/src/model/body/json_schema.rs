//! JSON Schemas (2020-12) of an entity: the same schemas validate requests and are published in the OpenAPI document.
//!
//! What a schema cannot express (days that exist, ranges of exact decimals, `immutable`) is announced by `format` and by keywords
//! with the prefix `x-`, and checked by [`super::validate`].

use serde_json::{Map, Value, json};

use super::scalar::decimal_pattern;
use crate::core::id::MAX_SAFE_INTEGER;
use crate::model::schema::{Entity, Field, FieldType, IdKind, Masks, Model, Purpose, TextFormat, TextLimits, UUID, anchored};

/// The JSON Schema of an entity for a purpose, restricted to what the masks allow.
pub fn json_schema(model: &Model, entity: &Entity, purpose: Purpose, masks: &Masks) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    if let Some(id) = id_property(entity, purpose) {
        properties.insert("id".to_owned(), id);
        let chosen = matches!(entity.id, IdKind::String | IdKind::Integer);
        if purpose == Purpose::Read || (purpose == Purpose::Create && chosen) {
            required.push("id");
        }
    }
    for field in &entity.fields {
        let Some(schema) = property(model, entity, field, purpose, masks) else { continue };
        properties.insert(field.name.clone(), schema);
        // The parts of an id stand in the path of a PUT.
        let in_path = purpose == Purpose::Replace && entity.id_parts().contains(&field.ix);
        let needed = field.required && field.default.is_none() && masks.may_write(field) && !in_path;
        if needed && matches!(purpose, Purpose::Create | Purpose::Replace) {
            required.push(&field.name);
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    if let Some(description) = &entity.description {
        schema.insert("description".to_owned(), json!(description));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    if entity.deprecation(None).is_some() {
        schema.insert("deprecated".to_owned(), Value::Bool(true));
    }
    Value::Object(schema)
}

fn id_property(entity: &Entity, purpose: Purpose) -> Option<Value> {
    let chosen = matches!(entity.id, IdKind::String | IdKind::Integer);
    let mut schema = id_schema(&entity.id);
    match purpose {
        Purpose::Create if chosen => {}
        // A composite id follows from its parts; one that is sent along must agree with them.
        Purpose::Create if matches!(entity.id, IdKind::Composite(_)) => insert(&mut schema, "readOnly", true),
        Purpose::Create => return None,
        Purpose::Read | Purpose::Replace | Purpose::Patch => insert(&mut schema, "readOnly", true),
    }
    let parts = entity.id_parts();
    let description = if parts.is_empty() {
        format!("Id of the {}.", entity.name)
    } else {
        let names: Vec<&str> = parts.iter().map(|ix| entity.field(*ix).name.as_str()).collect();
        format!("{}, joined by commas.", names.join(" and "))
    };
    insert(&mut schema, "description", description);
    Some(schema)
}

fn insert(schema: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = schema {
        map.insert(key.to_owned(), value.into());
    }
}

/// The schema of one field; `None` if bodies of this purpose do not have it.
fn property(model: &Model, entity: &Entity, field: &Field, purpose: Purpose, masks: &Masks) -> Option<Value> {
    let (read, write) = (masks.may_read(field), masks.may_write(field));
    let file = matches!(field.kind, FieldType::File(_));
    let shown = match purpose {
        Purpose::Read => read,
        Purpose::Create => write,
        Purpose::Replace | Purpose::Patch => read || write,
    };
    if !shown {
        return None;
    }
    let mut schema = kind_schema(model, entity, field);
    let fixed = purpose != Purpose::Read && (!write || file);
    if fixed && purpose == Purpose::Create {
        schema = json!({"type": "null", "readOnly": true});
    } else if fixed {
        // Accepted if it equals what is stored (or, of a file, is null), so that GET, then PUT works.
        schema = json!({"readOnly": true});
    } else if field.nullable {
        schema = nullable(&field.kind, schema);
    } else if field.kind == (FieldType::Json { schema: None }) {
        schema = json!({"type": ["object", "array", "string", "number", "boolean"]});
    }
    annotate(&mut schema, field, purpose);
    Some(schema)
}

fn annotate(schema: &mut Value, field: &Field, purpose: Purpose) {
    if let Some(description) = &field.description {
        insert(schema, "description", description.as_str());
    }
    if let Some(example) = &field.example {
        insert(schema, "examples", json!([example]));
    }
    if let (Some(default), Purpose::Create | Purpose::Replace) = (&field.default, purpose) {
        insert(schema, "default", default.clone());
    }
    if let Some(deprecation) = &field.deprecated {
        let description = field.description.as_deref().unwrap_or_default();
        insert(schema, "description", format!("{description} {}", deprecation.in_words()).trim_start());
        insert(schema, "deprecated", true);
        deprecation.annotate(schema);
    }
    if field.read_only || (purpose == Purpose::Read && matches!(field.kind, FieldType::File(_))) {
        insert(schema, "readOnly", true);
    }
    if field.write_only {
        insert(schema, "writeOnly", true);
    }
    if field.immutable {
        insert(schema, "x-immutable", true);
    }
    if field.unique {
        insert(schema, "x-unique", true);
    }
}

/// The schema that also accepts null.
fn nullable(kind: &FieldType, mut schema: Value) -> Value {
    match (kind, &mut schema) {
        (FieldType::Json { schema: None }, _) => {}
        (FieldType::Enum(_), Value::Object(map)) => {
            if let Some(Value::Array(words)) = map.get_mut("enum") {
                words.push(Value::Null);
            }
        }
        // A team's own schema stays whole, whatever it says.
        (FieldType::Json { schema: Some(_) }, _) => return json!({"anyOf": [schema, {"type": "null"}]}),
        (_, Value::Object(map)) => {
            if let Some(kind) = map.get("type").cloned() {
                map.insert("type".to_owned(), json!([kind, "null"]));
            }
        }
        _ => {}
    }
    schema
}

/// The schema of a field's values other than null, without annotations.
fn kind_schema(model: &Model, entity: &Entity, field: &Field) -> Value {
    let mut schema = type_schema(model, &field.kind);
    match &field.kind {
        FieldType::String(limits) if limits.pattern.is_none() && entity.id_parts().contains(&field.ix) => {
            insert(&mut schema, "pattern", ID_PATTERN);
            insert(&mut schema, "maxLength", limits.max.unwrap_or(128).min(128));
        }
        FieldType::Json { schema: Some(own) } if has_reference(own) => {
            // A base of its own, so that `#/$defs/..` means this schema and not the entity's.
            insert(&mut schema, "$id", format!("urn:holdfast:{}:{}", entity.name, field.name));
        }
        _ => {}
    }
    schema
}

fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("$ref") || map.contains_key("$dynamicRef") || map.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

/// Maximum length of a decimal: 28 digits and a point or a sign. No value of this length has more digits than are stored.
const MAX_DECIMAL: usize = 29;
/// Maximum length of a timestamp: one with an offset and more digits of a second than any clock has.
const MAX_TIMESTAMP: usize = 64;
const ID_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$";

/// The schema of an entity's ids.
pub fn id_schema(kind: &IdKind) -> Value {
    match kind {
        IdKind::Uuid => format_schema(&UUID),
        IdKind::String => json!({"type": "string", "pattern": ID_PATTERN, "maxLength": 128}),
        IdKind::Integer => json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_SAFE_INTEGER}),
        IdKind::Composite(parts) => {
            let part = "[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}";
            let pattern = format!("^{}$", vec![part; parts.len()].join(","));
            json!({"type": "string", "pattern": pattern, "maxLength": 129 * parts.len() - 1})
        }
    }
}

fn format_schema(format: &TextFormat) -> Value {
    json!({"type": "string", "format": format.json_schema, "maxLength": format.max})
}

fn text_schema(limits: &TextLimits) -> Value {
    let mut schema = json!({"type": "string"});
    if let Some(min) = limits.min {
        insert(&mut schema, "minLength", min);
    }
    if let Some(max) = limits.max {
        insert(&mut schema, "maxLength", max);
    }
    if let Some(pattern) = &limits.pattern {
        insert(&mut schema, "pattern", anchored(pattern));
    }
    schema
}

/// The schema of the values of a type other than null.
pub fn type_schema(model: &Model, kind: &FieldType) -> Value {
    match kind {
        FieldType::String(limits) | FieldType::Text(limits) => text_schema(limits),
        FieldType::Integer { min, max } => json!({"type": "integer", "format": "int64", "minimum": min, "maximum": max}),
        FieldType::Decimal { scale, min, max } => {
            let mut schema = json!({
                "type": "string", "format": "decimal", "pattern": decimal_pattern(*scale), "maxLength": MAX_DECIMAL,
            });
            if let Some(min) = min {
                insert(&mut schema, "x-minimum", min.to_string());
            }
            if let Some(max) = max {
                insert(&mut schema, "x-maximum", max.to_string());
            }
            schema
        }
        FieldType::Number { min, max } => {
            let mut schema = json!({"type": "number", "format": "double"});
            if let Some(min) = min {
                insert(&mut schema, "minimum", *min);
            }
            if let Some(max) = max {
                insert(&mut schema, "maximum", *max);
            }
            schema
        }
        FieldType::Boolean => json!({"type": "boolean"}),
        FieldType::Date => json!({"type": "string", "format": "date", "maxLength": 10}),
        FieldType::Timestamp => json!({"type": "string", "format": "date-time", "maxLength": MAX_TIMESTAMP}),
        FieldType::Enum(words) => json!({"enum": words}),
        FieldType::Formatted(format) => format_schema(format),
        FieldType::Json { schema } => schema.clone().unwrap_or_else(|| json!({})),
        FieldType::Ref { target, .. } => id_schema(&model.entity(*target).id),
        FieldType::File(_) => json!({
            "type": "object",
            "properties": {
                "filename": {"type": "string", "maxLength": 255},
                "content_type": {"type": "string", "maxLength": 255},
                "size": {"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_SAFE_INTEGER},
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64},
                "uploaded_at": {"type": "string", "format": "date-time", "maxLength": MAX_TIMESTAMP},
            },
            "required": ["filename", "content_type", "size", "sha256", "uploaded_at"],
            "additionalProperties": false,
        }),
        FieldType::List { item, max_items } => {
            json!({"type": "array", "items": type_schema(model, item), "maxItems": max_items})
        }
    }
}
