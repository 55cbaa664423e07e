//! Bodies of the system resources.

use serde_json::Value;

use crate::http::body::{media_type, parse};
use crate::http::problem::Problem;
use crate::http::{ApiRequest, JSON, negotiate};

/// Media type of a merge patch (RFC 7396).
pub(in crate::pipeline) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The body as JSON. `accepted` are the media types that it may have.
///
/// # Errors
/// 406 where the answer could not be sent, before anything has an effect; 415 for another media type or none, 400
/// `malformed_request` for what is not JSON.
pub(in crate::pipeline) fn json(request: &ApiRequest, accepted: &[&str]) -> Result<Value, Problem> {
    negotiate::json(&request.headers)?;
    match media_type(request) {
        Some(kind) if accepted.contains(&kind.as_str()) => parse(&request.body),
        _ => Err(Problem::unsupported_media_type(accepted)),
    }
}

/// As [`json`], where there may be no body at all: `null` then.
///
/// # Errors
/// As [`json`].
pub(in crate::pipeline) fn optional(request: &ApiRequest) -> Result<Value, Problem> {
    if !request.body.is_empty() {
        return json(request, &[JSON]);
    }
    negotiate::json(&request.headers)?;
    Ok(Value::Null)
}
