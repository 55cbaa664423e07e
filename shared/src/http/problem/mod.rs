//! What went wrong, as a client may know it (RFC 9457), with what the log should know beside it.
//!
//! Domain errors know no HTTP: they become problems here and in the modules of this layer, each by an exhaustive match. There is
//! no conversion from just any error.

mod code;
mod table;

use http::{HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value, json};

pub use code::Code;

use crate::model::validate::FieldViolation;

/// One place of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body; empty for the body as a whole.
    pub pointer: String,
    /// What kind of rule is broken: a keyword of JSON Schema, or one of ours.
    pub code: String,
    /// Correction.
    pub message: String,
}

impl FieldError {
    /// At a place, of a kind, with what would be right.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into() }
    }

    /// The same, below `prefix`: for an operation of many (`/operations/3`).
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }

    fn json(&self) -> Value {
        json!({"pointer": self.pointer, "code": self.code, "message": self.message})
    }
}

impl From<FieldViolation> for FieldError {
    fn from(violation: FieldViolation) -> Self {
        Self { pointer: violation.pointer, code: violation.code, message: violation.message }
    }
}

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Code.
    pub code: Code,
    /// What is the matter this time and what would be right, for the client. Nothing internal.
    pub detail: String,
    /// All places that are wrong.
    pub errors: Vec<FieldError>,
    /// Further members of the document.
    pub members: Map<String, Value>,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The cause, for the log alone: it is never part of an answer.
    pub log: Option<String>,
}

impl std::fmt::Display for Problem {
    /// For logs: it shows the cause too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)?;
        match &self.log {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// A problem with this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (errors, members, headers) = (Vec::new(), Map::new(), Vec::new());
        Self { code, detail: detail.into(), errors, members, headers, log: None }
    }

    /// With the places that are wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// With a further member of the document. The members that RFC 9457 and the contract define cannot be replaced.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// With a header of the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With the cause, for the log alone.
    #[must_use]
    pub fn logged(mut self, cause: impl std::fmt::Display) -> Self {
        self.log = Some(cause.to_string());
        self
    }

    /// With `Retry-After` in whole seconds, in the place of one that is there.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.retain(|(name, _)| name != header::RETRY_AFTER);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 400: the body or a header does not follow its syntax.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, detail)
    }

    /// 400: the query parameter `name`; `detail` says what would be accepted. The name is also a member, `parameter`.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, detail).with_member("parameter", name)
    }

    /// 401: `challenge` is the value of `WWW-Authenticate` (RFC 6750, 3).
    pub fn unauthenticated(challenge: HeaderValue, detail: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, detail).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// 404, the same whether it does not exist or may not be seen.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here, or nothing that you may see.")
    }

    /// 405 with `Allow` (RFC 9110, 15.5.6).
    pub fn method_not_allowed(allow: &[Method]) -> Self {
        let list = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Self::new(Code::MethodNotAllowed, format!("This resource has the methods {list}."))
            .with_header(header::ALLOW, header_value(list))
    }

    /// 409: the state of the resource forbids it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Code::Conflict, detail)
    }

    /// 412.
    pub fn precondition_failed() -> Self {
        Self::new(Code::PreconditionFailed, "The record is not in the state that the request's condition names; read it again.")
    }

    /// 428.
    pub fn precondition_required() -> Self {
        Self::new(Code::PreconditionRequired, "Send If-Match with the ETag of the record that you want to change.")
    }

    /// 415: `accepted` lists the media types that are taken.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        Self::new(Code::UnsupportedMediaType, format!("Send the body as {}.", accepted.join(" or ")))
            .with_header(header::ACCEPT, header_value(accepted.join(", ")))
    }

    /// 422 with all violations.
    pub fn validation(violations: Vec<FieldViolation>) -> Self {
        let detail = match violations.len() {
            1 => "One value breaks a rule of the model; `errors` says which.".to_owned(),
            many => format!("{many} values break rules of the model; `errors` lists all of them."),
        };
        Self::new(Code::ValidationFailed, detail).with_errors(violations.into_iter().map(FieldError::from).collect())
    }

    /// 500: the cause goes to the log, the client gets the correlation id.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, "The request failed for a reason on our side; it is recorded under the correlation id.")
            .logged(cause)
    }

    /// 503 with `Retry-After: 1`: the cause goes to the log.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, "A service that the request needs does not answer at the moment; repeat the request.")
            .retry_after(1)
            .logged(cause)
    }

    /// 504: the deadline has passed.
    pub fn timeout() -> Self {
        Self::new(Code::Timeout, "The request could not be finished in time; repeat a write with its Idempotency-Key.")
            .retry_after(1)
            .logged("no answer before the deadline")
    }

    /// Writes to the log what the answer does not say. Every 5xx is the line `request failed`, which the filters of `template.yaml`
    /// count and the alarm `ReleaseErrors` measures a release by; a client's mistake never is.
    pub fn log(&self, correlation: &str) {
        let (code, cause) = (self.code.name(), self.log.as_deref());
        if self.code.status().is_server_error() {
            tracing::error!(correlation_id = correlation, code, cause, "request failed");
        } else if cause.is_some() {
            tracing::warn!(correlation_id = correlation, code, cause, "request refused");
        }
    }

    /// The document of RFC 9457. `instance` is the path of the request, `base_url` the API's own address (`https://host`).
    pub fn document(&self, base_url: &str, instance: &str, correlation: &str) -> Value {
        let mut document = Map::new();
        let mut set = |name: &str, value: Value| {
            document.insert(name.to_owned(), value);
        };
        set("type", self.code.address(base_url).into());
        set("title", self.code.title().into());
        set("status", self.code.status().as_u16().into());
        set("detail", self.detail.clone().into());
        set("instance", instance.into());
        set("code", self.code.name().into());
        set("correlation_id", correlation.into());
        if !self.errors.is_empty() {
            set("errors", self.errors.iter().map(FieldError::json).collect());
        }
        for (name, value) in &self.members {
            document.entry(name).or_insert_with(|| value.clone());
        }
        Value::Object(document)
    }
}

/// A text as a header's value. What a header cannot carry (control characters, anything beyond ASCII) becomes `?`, so that no
/// text can end a header early.
pub fn header_value(text: impl AsRef<str>) -> HeaderValue {
    let visible = |symbol: char| if (' '..='~').contains(&symbol) { symbol } else { '?' };
    let text: String = text.as_ref().chars().map(visible).collect();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_contracts_members_and_nothing_of_the_log() {
        let problem = Problem::internal("table orders-prod: AccessDenied").with_member("status", 200).with_member("hint", "x");
        let document = problem.document("https://api.example", "/v1/books/1", "c-1");
        assert_eq!(document["type"], "https://api.example/v1/docs#internal");
        assert_eq!((&document["status"], &document["code"]), (&json!(500), &json!("internal")));
        assert_eq!((&document["instance"], &document["correlation_id"]), (&json!("/v1/books/1"), &json!("c-1")));
        assert_eq!(document["hint"], "x");
        assert!(document.get("errors").is_none());
        assert!(!document.to_string().contains("AccessDenied"));
        assert!(problem.to_string().contains("AccessDenied"), "the log's form has the cause");
    }

    #[test]
    fn violations_become_errors_in_their_order() {
        let violation =
            |pointer: &str| FieldViolation { pointer: pointer.into(), code: "minimum".into(), message: "more".into() };
        let problem = Problem::validation(vec![violation("/a"), violation("/b")]);
        let document = problem.document("", "/", "c");
        assert_eq!(document["errors"][1], json!({"pointer": "/b", "code": "minimum", "message": "more"}));
        assert!(problem.detail.starts_with('2'));
        assert_eq!(FieldError::from(violation("/qty")).below("/operations/3").pointer, "/operations/3/qty");
    }

    #[test]
    fn short_constructors_bring_their_headers() {
        let header = |problem: &Problem| problem.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        let cases: [(Problem, Vec<String>); 6] = [
            (Problem::method_not_allowed(&[Method::GET, Method::POST]), vec!["allow: GET, POST".into()]),
            (Problem::unavailable("x"), vec!["retry-after: 1".into()]),
            (Problem::unavailable("x").retry_after(2), vec!["retry-after: 2".into()]),
            (Problem::unsupported_media_type(&["application/json"]), vec!["accept: application/json".into()]),
            (Problem::timeout(), vec!["retry-after: 1".into()]),
            (Problem::not_found(), vec![]),
        ];
        for (problem, expected) in cases {
            let found: Vec<String> = header(&problem);
            assert_eq!(found, expected);
        }
    }
}
