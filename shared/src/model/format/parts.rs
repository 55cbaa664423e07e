//! Parts that the schema is made of.

use serde_json::{Map, Value, json};

use crate::core::id::MAX_SAFE_INTEGER;

/// A key of a mapping, its description, and the schema of its value.
pub(super) type Key = (&'static str, &'static str, Value);

/// A mapping with these keys and no others.
pub(super) fn mapping(keys: &[Key], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|(key, meaning, value)| ((*key).to_owned(), described(value.clone(), meaning))).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// A schema with a description. Beside a `$ref` it stands as well, since 2019-09.
pub(super) fn described(mut schema: Value, meaning: &str) -> Value {
    schema["description"] = meaning.into();
    schema
}

/// The part of this name.
pub(super) fn named(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// One of these words.
pub(super) fn word(words: &[&str]) -> Value {
    json!({"enum": words})
}

/// `true` or `false`; `otherwise` is the default.
pub(super) fn flag(otherwise: bool) -> Value {
    json!({"type": "boolean", "default": otherwise})
}

/// A list, or one value in its place.
pub(super) fn texts(item: Value) -> Value {
    json!({"anyOf": [item.clone(), {"type": "array", "items": item}]})
}

/// A name that the file gives.
pub(super) fn name() -> Value {
    json!({
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "description": "Lower case letters, digits and `_`; begins with a letter; at most 63 characters.",
    })
}

/// A mapping from names that the file gives.
pub(super) fn by_name(value: Value) -> Value {
    json!({"type": "object", "propertyNames": named("name"), "additionalProperties": value})
}

/// A whole number within limits. `20_000` is a text for YAML, and a number here.
pub(super) fn whole(min: i64, max: i64) -> Value {
    json!({"anyOf": [
        {"type": "integer", "minimum": min, "maximum": max},
        {"type": "string", "pattern": "^-?[0-9][0-9_]*$"},
    ]})
}

/// A whole number that JSON keeps exactly.
pub(super) fn safe() -> Value {
    whole(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
}

/// `500ms`, `30s`, `15m`, `1h`, `7d`.
pub(super) fn duration() -> Value {
    json!({"type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$", "examples": ["500ms", "30s", "15m", "1h", "7d"]})
}

/// `64 KB`, `5 MB`, `2 GB`, or a number of bytes.
pub(super) fn size() -> Value {
    json!({"anyOf": [
        {"type": "string", "pattern": "^[0-9]+ *(B|KB|MB|GB)?$", "examples": ["64 KB", "5 MB", "2 GB"]},
        {"type": "integer", "minimum": 1},
    ]})
}
