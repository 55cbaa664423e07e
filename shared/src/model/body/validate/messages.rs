//! Errors of the validator of JSON Schemas, as codes and sentences.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

/// Whether the error is "neither what the schema of a `json` field accepts nor null".
pub(super) fn is_nullable_json(error: &ValidationError<'_>) -> bool {
    let path = error.schema_path().as_str();
    path.starts_with("/properties/") && path.ends_with("/anyOf") && path.matches('/').count() == 3
}

/// Code and message of an error.
pub(super) fn said(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> (String, String) {
    use ValidationErrorKind as Kind;
    let message = match kind {
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} elements"),
        Kind::MaxItems { limit } => format!("must have at most {limit} elements"),
        Kind::Pattern { pattern } => format!("must match {pattern}"),
        Kind::Enum { options } => format!("must be one of {}", words(options)),
        Kind::Type { .. } => format!("must be {}", types(error)),
        Kind::UniqueItems => "must have no element twice".to_owned(),
        _ => "does not fit the schema".to_owned(),
    };
    (kind.keyword().to_owned(), message)
}

fn words(options: &Value) -> String {
    let Value::Array(options) = options else { return options.to_string() };
    options.iter().map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn types(error: &ValidationError<'_>) -> String {
    let name = |kind: JsonType| match kind {
        JsonType::String => "a text",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::Boolean => "true or false",
        JsonType::Array => "a list",
        JsonType::Object => "an object",
        JsonType::Null => "null",
    };
    match error.kind() {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => name(*kind).to_owned(),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
        _ => "of another type".to_owned(),
    }
}
