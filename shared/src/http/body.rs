//! The body of a request as JSON, the same for records and for system resources.

use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::ApiRequest;
use crate::http::problem::Problem;

/// The media type in lower case without parameters; `None` where there is none, or it is in a coding other than UTF-8.
pub fn media_type(request: &ApiRequest) -> Option<String> {
    let mut parts = request.header(CONTENT_TYPE)?.split(';');
    let essence = parts.next()?.trim().to_ascii_lowercase();
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("charset")
            && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return None;
        }
    }
    Some(essence)
}

/// The text of a body as JSON without repeated members.
///
/// # Errors
/// 400 `malformed_request` for what is none.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    crate::core::json::strict(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof if body.is_empty() => "is empty".to_owned(),
            serde_json::error::Category::Eof => format!("ends too early, at line {} column {}", error.line(), error.column()),
            _ => format!("is not JSON: {error}"),
        };
        Problem::malformed(format!("The body {what}."))
    })
}
