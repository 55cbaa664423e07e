//! Validation of request bodies against the JSON Schemas of the model.

use serde_json::Value;

/// A compiled JSON Schema (2020-12). Regular expressions run in linear time, and nothing is fetched.
///
/// # Errors
/// What is wrong with the schema.
pub(super) fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}
