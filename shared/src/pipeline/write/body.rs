//! The body of a write.

use serde_json::Value;

use super::change::What;
use crate::http::body::{media_type, parse};
use crate::http::problem::{FieldError, Problem};
use crate::http::{ApiRequest, JSON, MAX_PATCH_STEPS, cors, header_value, negotiate};

/// Media type of a merge patch (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";
/// Media type of a JSON Patch (RFC 6902).
const JSON_PATCH: &str = "application/json-patch+json";

/// A JSON body.
///
/// # Errors
/// 406 where the answer could not be sent, before anything has an effect; 415 for another content type, 400 for what is not JSON.
pub(super) fn json(request: &ApiRequest) -> Result<Value, Problem> {
    negotiate::json(&request.headers)?;
    match media_type(request).as_deref() {
        Some(JSON) => parse(&request.body),
        _ => Err(Problem::unsupported_media_type(&[JSON])),
    }
}

/// The body of a PATCH, as it came and as what it asks for.
///
/// # Errors
/// As [`json`]; 422 for JSON that is not a JSON Patch.
pub(super) fn patch(request: &ApiRequest) -> Result<(Value, What), Problem> {
    negotiate::json(&request.headers)?;
    match media_type(request).as_deref() {
        Some(JSON | MERGE_PATCH) => {
            let body = parse(&request.body)?;
            Ok((body.clone(), What::Merge(body)))
        }
        Some(JSON_PATCH) => {
            let body = parse(&request.body)?;
            let patch = json_patch(&body)?;
            Ok((body, What::JsonPatch(patch)))
        }
        _ => Err(Problem::unsupported_media_type(&[MERGE_PATCH, JSON_PATCH, JSON])
            .with_header(cors::ACCEPT_PATCH, header_value(cors::PATCHES))),
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
    Problem::new(crate::http::problem::Code::ValidationFailed, "The body is not a JSON Patch; `errors` says where.")
        .with_errors(errors)
}
