//! The body of a PATCH.

use std::borrow::Cow;

use serde_json::Value;

use super::change::ChangeKind;
use crate::http::body::{Body, MERGE_PATCH};
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::{JSON, MAX_PATCH_STEPS, cors, header_value};

/// Media type of a JSON Patch (RFC 6902).
const JSON_PATCH: &str = "application/json-patch+json";

/// The body of a PATCH, as it came and as what it asks for.
///
/// # Errors
/// As [`Body::json`]; 422 for JSON that is not a JSON Patch.
pub(super) fn patch<'a>(body: &'a Body<'_>) -> Result<(&'a Value, ChangeKind<'a>), Problem> {
    let value = body.json(&[MERGE_PATCH, JSON_PATCH, JSON]).map_err(with_accepted)?;
    let change = match body.media_type().as_deref() {
        Some(JSON_PATCH) => ChangeKind::JsonPatch(json_patch(value)?),
        _ => ChangeKind::Merge(Cow::Borrowed(value)),
    };
    Ok((value, change))
}

/// A refusal of the media type names those that would be right (RFC 5789, 2.2).
fn with_accepted(problem: Problem) -> Problem {
    match problem.code {
        Code::UnsupportedMediaType => problem.with_header(cors::ACCEPT_PATCH, header_value(cors::PATCHES)),
        _ => problem,
    }
}

/// Reads a JSON Patch. All operations that are none are named.
fn json_patch(body: &Value) -> Result<json_patch::Patch, Problem> {
    let Some(operations) = body.as_array() else {
        return Err(invalid_patch(vec![FieldError::new("", "type", "must be a list of operations (RFC 6902)")]));
    };
    if operations.len() > MAX_PATCH_STEPS {
        let message = format!("has {} operations, at most {MAX_PATCH_STEPS} are taken", operations.len());
        return Err(invalid_patch(vec![FieldError::new("", "maxItems", message)]));
    }
    let (mut read, mut errors) = (Vec::with_capacity(operations.len()), Vec::new());
    for (at, operation) in operations.iter().enumerate() {
        match serde_json::from_value::<json_patch::PatchOperation>(operation.clone()) {
            Ok(operation) => read.push(operation),
            Err(error) => errors.push(FieldError::new(format!("/{at}"), "json_patch", error.to_string())),
        }
    }
    if errors.is_empty() { Ok(json_patch::Patch(read)) } else { Err(invalid_patch(errors)) }
}

fn invalid_patch(errors: Vec<FieldError>) -> Problem {
    Problem::new(Code::ValidationFailed, "The body is not a JSON Patch; `errors` says where.").with_errors(errors)
}
