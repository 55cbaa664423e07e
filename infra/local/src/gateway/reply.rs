//! From a function's answer to an HTTP response, and the few answers that an HTTP API makes by itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;

/// What the gateway sends.
pub type Reply = Response<Full<Bytes>>;

/// Largest payload that Lambda takes or gives in one synchronous call: 6 MB.
pub const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// Answers of the gateway itself: it has no problem+json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayRefusal {
    /// The path is no UTF-8 once decoded.
    BadRequest,
    /// The authorizer denied the call.
    Forbidden,
    /// No route, not even `$default`.
    NotFound,
    /// Over 10 MB, or over what Lambda takes.
    TooLarge,
    /// Request line and headers over 10,240 bytes.
    HeadersTooLarge,
    /// The function failed or gave an answer that is none.
    Failed,
    /// The function took too long.
    TimedOut,
}

impl GatewayRefusal {
    /// The response.
    pub fn reply(self) -> Reply {
        let (status, message) = match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut reply = Response::new(Full::from(format!("{{\"message\":\"{message}\"}}")));
        *reply.status_mut() = status;
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }
}

/// A function's answer in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Reads what a function returned.
///
/// # Errors
/// [`GatewayRefusal::Failed`] when it is over 6 MB or no answer in the format.
pub fn from_function(payload: &[u8]) -> Result<Reply, GatewayRefusal> {
    if payload.len() > MAX_PAYLOAD {
        tracing::error!(bytes = payload.len(), "a function's answer is over 6 MB");
        return Err(GatewayRefusal::Failed);
    }
    let answer: Answer = serde_json::from_slice(payload).map_err(|error| {
        tracing::error!(%error, "a function's answer is not in payload format 2.0");
        GatewayRefusal::Failed
    })?;
    let body = match (answer.body, answer.is_base64_encoded) {
        (None, _) => Bytes::new(),
        (Some(text), false) => Bytes::from(text),
        (Some(text), true) => Bytes::from(STANDARD.decode(text).map_err(|_| GatewayRefusal::Failed)?),
    };
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = StatusCode::from_u16(answer.status_code).map_err(|_| GatewayRefusal::Failed)?;
    copy_headers(answer.headers, reply.headers_mut()).ok_or(GatewayRefusal::Failed)?;
    for cookie in answer.cookies {
        reply.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie).map_err(|_| GatewayRefusal::Failed)?);
    }
    Ok(reply)
}

/// Copies what the function set, without what belongs to the connection.
fn copy_headers(from: serde_json::Map<String, Value>, to: &mut HeaderMap) -> Option<()> {
    for (name, value) in from {
        let name = HeaderName::try_from(name).ok()?;
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            continue;
        }
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        to.insert(name, HeaderValue::try_from(value).ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_becomes_a_response() {
        let payload = br#"{"statusCode":201,"headers":{"etag":"\"a\"","connection":"close","x-n":3},"multiValueHeaders":{},
            "cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true}"#;
        let reply = from_function(payload).unwrap();
        assert_eq!(reply.status(), 201);
        assert_eq!(reply.headers()["etag"], "\"a\"");
        assert_eq!(reply.headers()["x-n"], "3");
        assert!(!reply.headers().contains_key("connection"));
        assert_eq!(reply.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), "hi");
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        let huge = format!(r#"{{"statusCode":200,"body":"{}"}}"#, "x".repeat(MAX_PAYLOAD));
        for payload in ["", "{}", "[]", r#"{"statusCode":200,"body":"*","isBase64Encoded":true}"#, r#"{"statusCode":7}"#, &huge] {
            assert_eq!(from_function(payload.as_bytes()).unwrap_err(), GatewayRefusal::Failed);
        }
    }
}
