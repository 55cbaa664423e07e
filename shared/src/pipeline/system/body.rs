//! Bodies of the system resources.

use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::http::{ApiRequest, JSON, negotiate};
use crate::problem::Problem;

/// Media type of a merge patch (RFC 7396).
pub(in crate::pipeline) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The body as JSON. `accepted` are the media types that it may have; a body without one is taken for JSON.
///
/// # Errors
/// 406 where the answer could not be sent, before anything has an effect; 415 for another media type, 400 `malformed_request` for what is not JSON.
pub(in crate::pipeline) fn json(request: &ApiRequest, accepted: &[&str]) -> Result<Value, Problem> {
    negotiate::json(&request.headers)?;
    let kind = match request.headers.get(CONTENT_TYPE) {
        None => JSON.to_owned(),
        Some(value) => {
            let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            essence.trim().to_ascii_lowercase()
        }
    };
    if !accepted.contains(&kind.as_str()) {
        return Err(Problem::unsupported_media_type(accepted));
    }
    serde_json::from_slice(&request.body).map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))
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
