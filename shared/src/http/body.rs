//! The body of a request as JSON, the same for records and for system resources.

use std::sync::OnceLock;

use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::{ApiRequest, JSON, negotiate};
use crate::http::problem::Problem;

/// Media type of a merge patch (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// Body of a request: JSON that is parsed when it is first needed, and once. Its cost, its idempotency fingerprint and its handler
/// read the same value.
pub struct Body<'a> {
    request: &'a ApiRequest,
    parsed: OnceLock<Result<Value, Problem>>,
}

impl<'a> Body<'a> {
    /// The body of a request. Nothing is parsed yet.
    pub const fn new(request: &'a ApiRequest) -> Self {
        Self { request, parsed: OnceLock::new() }
    }

    /// The media type in lower case without parameters; `None` where there is none, or it is in a coding other than UTF-8.
    pub fn media_type(&self) -> Option<String> {
        let mut parts = self.request.header(CONTENT_TYPE)?.split(';');
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

    /// The body as JSON without repeated members, whatever its media type.
    ///
    /// # Errors
    /// 400 `malformed_request` for what is none.
    pub fn value(&self) -> Result<&Value, Problem> {
        self.parsed.get_or_init(|| parse(&self.request.body)).as_ref().map_err(Problem::clone)
    }

    /// The body as JSON of one of the media types `accepted`.
    ///
    /// # Errors
    /// 406 where the answer could not be sent, before anything has an effect; 415 for another media type or none, 400
    /// `malformed_request` for what is not JSON.
    pub fn json(&self, accepted: &[&str]) -> Result<&Value, Problem> {
        negotiate::json(&self.request.headers)?;
        match self.media_type() {
            Some(given) if accepted.contains(&given.as_str()) => self.value(),
            _ => Err(Problem::unsupported_media_type(accepted)),
        }
    }

    /// As [`Body::json`] of [`JSON`], where there may be no body at all: `null` then.
    ///
    /// # Errors
    /// As [`Body::json`].
    pub fn optional_json(&self) -> Result<&Value, Problem> {
        static NULL: Value = Value::Null;
        if !self.request.body.is_empty() {
            return self.json(&[JSON]);
        }
        negotiate::json(&self.request.headers).map(|()| &NULL)
    }
}

fn parse(body: &[u8]) -> Result<Value, Problem> {
    crate::core::json::strict(body).map_err(|error| {
        let fault = match error.classify() {
            serde_json::error::Category::Eof if body.is_empty() => "is empty".to_owned(),
            serde_json::error::Category::Eof => format!("ends too early, at line {} column {}", error.line(), error.column()),
            _ => format!("is not JSON: {error}"),
        };
        Problem::malformed(format!("The body {fault}."))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::http::problem::Code;
    use crate::http::tests::request;

    fn sent(media_type: &str, text: &'static [u8]) -> ApiRequest {
        ApiRequest { body: Bytes::from_static(text), ..request(Method::POST, "/v1/books/_bulk", &[("content-type", media_type)]) }
    }

    #[test]
    fn all_readers_of_a_body_share_one_value() {
        let request = sent("application/json; charset=\"UTF-8\"", br#"{"operations": []}"#);
        let body = Body::new(&request);
        let first: *const Value = body.value().unwrap();
        assert!(std::ptr::eq(first, body.json(&[MERGE_PATCH, JSON]).unwrap()));
        assert!(std::ptr::eq(first, body.optional_json().unwrap()));
    }

    #[test]
    fn what_is_no_json_of_an_accepted_type_is_refused_the_same_way_each_time() {
        let cases: [(&str, &'static [u8], Code); 5] = [
            (JSON, b"", Code::MalformedRequest),
            (JSON, br#"{"a": 1"#, Code::MalformedRequest),
            (JSON, br#"{"a": 1, "a": 2}"#, Code::MalformedRequest),
            ("text/plain", b"{}", Code::UnsupportedMediaType),
            ("application/json; charset=latin1", b"{}", Code::UnsupportedMediaType),
        ];
        for (media_type, text, code) in cases {
            let request = sent(media_type, text);
            let body = Body::new(&request);
            let first = body.json(&[JSON]).unwrap_err();
            assert_eq!((first.code, Err(first)), (code, body.json(&[JSON])), "{media_type}");
        }
    }

    #[test]
    fn a_body_that_may_be_missing_is_null_then() {
        let request = request(Method::POST, "/v1/_consumers/acme/keys", &[]);
        assert_eq!(Body::new(&request).optional_json(), Ok(&Value::Null));
        assert_eq!(Body::new(&sent("text/plain", b"x")).optional_json().unwrap_err().code, Code::UnsupportedMediaType);
    }
}
