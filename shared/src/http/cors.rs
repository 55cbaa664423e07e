//! Cross-origin requests (Fetch Standard, 3.2). The gateway's own configuration stays off: it would drop our headers.
//!
//! Credentials are sent in `Authorization`, never in cookies, so `Access-Control-Allow-Credentials` is never needed.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderName, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{ApiRequest, Reply, header_value};
use crate::model::Cors;

/// Headers that a page may send. `*` would not stand for `Authorization`.
const ALLOWED: &str =
    "Accept, Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Correlation-Id";

/// Headers that a page may read.
const EXPOSED: &str = "ETag, Link, Location, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, \
    X-RateLimit-Reset, X-Correlation-Id, Idempotency-Replayed, Cache-Status, Deprecation, Sunset";

/// Media types that a `PATCH` takes: on `OPTIONS` (RFC 5789, 3.1) and where another came (2.2).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Media types of a `PATCH`.
pub const PATCHES: &str = "application/merge-patch+json, application/json, application/json-patch+json";

/// The answer to `OPTIONS` of an address that has these methods: to a browser's preflight if it is one.
pub fn preflight(request: &ApiRequest, cors: &Cors, allow: &[Method]) -> Reply {
    let methods = header_value(allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", "));
    let mut reply = Reply::empty(StatusCode::NO_CONTENT).header(ALLOW, methods.clone());
    if allow.contains(&Method::PATCH) {
        reply = reply.header(ACCEPT_PATCH, HeaderValue::from_static(PATCHES));
    }
    if origin(request, cors).is_none() || !request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return reply;
    }
    reply
        .header(ACCESS_CONTROL_ALLOW_METHODS, methods)
        .header(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED))
        .header(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()))
}

/// Adds what lets a page of an accepted origin read the answer.
pub fn admit(request: &ApiRequest, cors: &Cors, headers: &mut HeaderMap) {
    if let Some(origin) = origin(request, cors) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if request.method != Method::OPTIONS {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// Whether answers differ by `Origin`.
pub fn varies(cors: &Cors) -> bool {
    !cors.origins.is_empty()
}

/// The accepted origin of the request; `*` where any is accepted. None for requests that come from no page.
fn origin(request: &ApiRequest, cors: &Cors) -> Option<HeaderValue> {
    let origin = request.headers.get(ORIGIN)?;
    let named = |accepted: &str| cors.origins.iter().any(|known| known == accepted);
    if named("*") {
        return Some(HeaderValue::from_static("*"));
    }
    origin.to_str().is_ok_and(named).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::request;
    use std::time::Duration;

    fn cors(origins: &[&str]) -> Cors {
        Cors { origins: origins.iter().map(|origin| (*origin).to_owned()).collect(), max_age: Duration::from_secs(600) }
    }

    #[test]
    fn an_accepted_origin_is_named_and_no_other() {
        let cases: [(&[&str], Option<&str>, Option<&str>); 6] = [
            (&["https://a.example"], Some("https://a.example"), Some("https://a.example")),
            (&["https://a.example"], Some("https://a.example.evil"), None),
            (&["https://a.example"], Some("null"), None),
            (&["*"], Some("https://b.example"), Some("*")),
            (&["*"], None, None),
            (&[], Some("https://a.example"), None),
        ];
        for (origins, sent, expected) in cases {
            let sent: Vec<_> = sent.map(|origin| ("origin", origin)).into_iter().collect();
            let mut headers = HeaderMap::new();
            admit(&request(Method::GET, "/", &sent), &cors(origins), &mut headers);
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap()), expected, "{sent:?}");
            assert_eq!(headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS), expected.is_some());
        }
    }

    #[test]
    fn a_preflight_learns_methods_headers_and_age() {
        let asked = [("origin", "https://a.example"), ("access-control-request-method", "PATCH")];
        let allow = [Method::GET, Method::PATCH];
        let reply = preflight(&request(Method::OPTIONS, "/v1/books/1", &asked), &cors(&["https://a.example"]), &allow);
        let found = |name| reply.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        assert_eq!((found(ACCESS_CONTROL_ALLOW_METHODS), found(ACCESS_CONTROL_MAX_AGE)), (Some("GET, PATCH"), Some("600")));
        assert!(found(ACCESS_CONTROL_ALLOW_HEADERS).unwrap().contains("Authorization"));
        assert_eq!((found(ALLOW), found(ACCEPT_PATCH)), (Some("GET, PATCH"), Some(PATCHES)));
    }

    #[test]
    fn other_options_learn_the_methods_alone() {
        for (headers, origins) in [
            (vec![], &["*"][..]),
            (vec![("origin", "https://a.example")], &["*"]),
            (vec![("origin", "https://a.example"), ("access-control-request-method", "GET")], &[]),
        ] {
            let reply = preflight(&request(Method::OPTIONS, "/", &headers), &cors(origins), &[Method::GET]);
            assert_eq!(reply.headers.keys().collect::<Vec<_>>(), [&ALLOW], "{headers:?}");
        }
    }
}
