//! Schemas that many places use. Every text, number and list has a maximum.

use serde_json::{Value, json};

use super::parts;
use crate::core::caller::MAX_SUBJECT;
use crate::core::id::MAX_SAFE_INTEGER;
use crate::query::{MAX_CURSOR, MAX_LIMIT};

/// Maximum length of a header or parameter without a limit of its own: what the gateway accepts as request line and headers.
pub(super) const HEAD: usize = 10_240;

/// A text.
pub(super) fn text(most: usize) -> Value {
    json!({"type": "string", "maxLength": most})
}

/// One of some words.
pub(super) fn word<T: serde::Serialize>(words: &[T]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A whole number.
pub(super) fn whole(least: i64, most: i64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least, "maximum": most})
}

/// A count.
pub(super) fn count() -> Value {
    whole(0, MAX_SAFE_INTEGER)
}

/// A status code of HTTP.
pub(super) fn status(least: u16, most: u16) -> Value {
    json!({"type": "integer", "format": "int32", "minimum": least, "maximum": most})
}

/// A timestamp (RFC 3339).
pub(super) fn moment() -> Value {
    json!({"type": "string", "format": "date-time", "maxLength": 64})
}

/// An id that the API makes.
pub(super) fn id() -> Value {
    crate::model::id_schema(&crate::model::IdKind::String)
}

/// Who acts, as rules compare it by `$subject`.
pub(super) fn subject() -> Value {
    let form = "`<issuer alias>:<sub>` of a token, `key:<consumer>` of an API key; `anonymous` without credentials.";
    let mut schema = about(text(MAX_SUBJECT), form);
    schema["examples"] = json!(["shop:u1"]);
    schema
}

/// A list.
pub(super) fn list(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

/// The schema that also accepts null.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema["type"] = json!([schema["type"].take(), "null"]);
    schema
}

/// The schema with a description.
pub(super) fn about(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// An object with these members and no others.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A page of a list.
pub(super) fn page(item: Value, total: Option<Value>) -> Value {
    let cursor = about(or_null(text(MAX_CURSOR)), "Where to go on; null at the end.");
    let properties = parts::object([("data", Some(list(item, MAX_LIMIT))), ("next_cursor", Some(cursor)), ("total", total)]);
    about(object(Value::Object(properties), &["data", "next_cursor"]), "A page.")
}
