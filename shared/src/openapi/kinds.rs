//! Schemas that stand in many places. Every text, number and list says how large it may be.

use serde_json::{Value, json};

use crate::core::id::MAX_SAFE_INTEGER;

/// Room for a header or a parameter that has no limit of its own: what the gateway takes of a request line and all headers.
pub(super) const HEAD: usize = 10_240;

/// A text.
pub(super) fn text(most: usize) -> Value {
    json!({"type": "string", "maxLength": most})
}

/// One of these words.
pub(super) fn word<T: serde::Serialize>(words: &[T]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A whole number.
pub(super) fn whole(least: i64, most: i64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least, "maximum": most})
}

/// A number of things.
pub(super) fn count() -> Value {
    whole(0, MAX_SAFE_INTEGER)
}

/// A status of HTTP.
pub(super) fn status(least: u16, most: u16) -> Value {
    json!({"type": "integer", "format": "int32", "minimum": least, "maximum": most})
}

/// A timestamp (RFC 3339).
pub(super) fn moment() -> Value {
    json!({"type": "string", "format": "date-time", "maxLength": 64})
}

/// An id of ours.
pub(super) fn id() -> Value {
    crate::model::id_schema(&crate::model::IdKind::String)
}

/// A list.
pub(super) fn list(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

/// The same or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema["type"] = json!([schema["type"].take(), "null"]);
    schema
}

/// The same with a description.
pub(super) fn about(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// An object that has these members and no others.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}
