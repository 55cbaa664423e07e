//! HTTP as the functions see it: a request from the gateway, an inner [`Reply`] or [`Problem`](crate::http::problem::Problem), and what
//! [`respond`](respond::respond) makes of that.
//!
//! ```text
//! ApiRequest -> route -> (pipeline) -> Result<Reply, Problem> -> respond -> ApiResponse
//! ```

pub mod body;
pub mod compress;
pub mod conditional;
pub mod cors;
pub(crate) mod idempotency_key;
pub mod links;
pub mod negotiate;
pub(crate) mod path_id;
pub mod problem;
pub mod respond;
pub mod route;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};

use crate::core::clock::{Env, Micros};
pub use crate::http::problem::header_value;
use crate::usage::Cache;

/// An answer as it leaves the function.
pub type ApiResponse = http::Response<Bytes>;

/// Media type of records and lists.
pub const JSON: &str = "application/json";
/// Media type of errors (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most operations of a JSON Patch.
pub const MAX_PATCH_STEPS: usize = 1000;
/// Most operations of a `_bulk`.
pub const MAX_BULK: usize = 100;
/// Carries a request's correlation id in both directions.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Name under which a kept answer remembers its [`Reply::version`] among its headers. No answer ever has a header of this name.
pub const VERSION: &str = "x-holdfast-version";

/// Request as API Gateway hands it on.
#[derive(Clone)]
pub struct ApiRequest {
    /// Its method.
    pub method: Method,
    /// Its path, percent-decoded by API Gateway.
    pub path: String,
    /// The query string as it was sent, without `?`.
    pub query: String,
    /// Its headers; repeated ones are joined by commas.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The client's address as API Gateway saw it.
    pub address: IpAddr,
    /// The authorizer's context, on routes that have one.
    pub context: Option<Map<String, Value>>,
    /// Deadline of the answer.
    pub deadline: Micros,
    /// The API's own address, `https://host`, without a slash at the end.
    pub base_url: String,
}

impl std::fmt::Debug for ApiRequest {
    /// Neither credentials nor content: what it prints may be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiRequest").field("method", &self.method).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl ApiRequest {
    /// A header as text; `None` where it is missing or not visible ASCII.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The credentials: the `Authorization` header, of which there may be one (RFC 9110, 5.3). Several are joined by commas, which is what
    /// API Gateway hands on, and no verifier takes that for credentials.
    pub fn authorization(&self) -> Option<String> {
        let values: Vec<_> = self.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
        (!values.is_empty()).then(|| String::from_utf8_lossy(&values.join(&b","[..])).into_owned())
    }

    /// The correlation id: the client's where it is well-formed, else a new one.
    pub fn correlation(&self, env: &Env) -> String {
        match self.header(CORRELATION_ID) {
            Some(given) if is_correlation_id(given) => given.to_owned(),
            _ => env.uuid_v7().to_string(),
        }
    }
}

/// `[A-Za-z0-9._-]{1,128}`: nothing that could forge a line of a log.
fn is_correlation_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Answer of the pipeline when nothing is wrong; [`respond`](respond::respond) adds what every answer has.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Status, below 400.
    pub status: StatusCode,
    /// Headers of this answer alone, without `Content-Type` and `Vary`.
    pub headers: HeaderMap,
    /// Media type of the body; `None` without one.
    pub media_type: Option<HeaderValue>,
    /// Version that the `ETag` begins with; without one there is no `ETag`.
    pub version: Option<String>,
    /// Outcome of the cache, for the count; `None` where it has no part in the answer.
    pub cache: Option<Cache>,
    /// For how long shared caches may give it to everybody; `None`: it is the caller's alone.
    pub public: Option<Duration>,
    /// Body, not coded.
    pub body: Bytes,
}

impl Reply {
    /// Without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), media_type: None, version: None, cache: None, public: None, body: Bytes::new() }
    }

    /// With a JSON body.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        Self::of(status, HeaderValue::from_static(JSON), value.to_string())
    }

    /// With a body of this media type.
    pub fn of(status: StatusCode, media_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { media_type: Some(media_type), body: body.into(), ..Self::empty(status) }
    }

    /// With a header, in the place of one of this name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a header beside those of this name.
    #[must_use]
    pub fn also(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// As what shared caches may give to everybody for a while; `None`: as the caller's alone.
    #[must_use]
    pub fn public(mut self, age: Option<Duration>) -> Self {
        self.public = age;
        self
    }

    /// With the version that the `ETag` begins with.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request without body and context.
    pub(crate) fn request(method: Method, path: &str, headers: &[(&'static str, &str)]) -> ApiRequest {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), header_value(value))).collect();
        ApiRequest {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers,
            body: Bytes::new(),
            address: IpAddr::from([192, 0, 2, 1]),
            context: None,
            deadline: Micros(0),
            base_url: "https://api.example".to_owned(),
        }
    }

    #[test]
    fn a_correlation_id_is_taken_only_if_it_is_well_formed() {
        let env = Env::system();
        let long = "a".repeat(129);
        let cases =
            [("req-1.a_B", true), ("", false), ("a b", false), ("a\nb", false), (long.as_str(), false), (&long[1..], true)];
        for (given, taken) in cases {
            let id = request(Method::GET, "/", &[("x-correlation-id", given)]).correlation(&env);
            assert_eq!(id == given, taken, "{given:?}");
            assert!(is_correlation_id(&id));
        }
        let without = request(Method::GET, "/", &[]);
        assert_ne!(without.correlation(&env), without.correlation(&env));
    }

    #[test]
    fn a_header_never_breaks_out_of_its_line() {
        assert_eq!(header_value("a\r\nSet-Cookie: ü"), "a??Set-Cookie: ?");
    }

    #[test]
    fn debug_shows_no_credentials() {
        let mut request = request(Method::GET, "/v1/_shares/hush", &[("authorization", "Bearer hush")]);
        request.body = Bytes::from_static(b"hush");
        assert!(!format!("{request:?}").contains("hush"));
    }
}
