//! Responses: headers, and errors from the catalogue.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::kinds;
use super::parts::refer;
use super::system_schemas::limit;
use crate::http::problem::{Code, FieldError, Problem};

/// Statuses of every operation.
const ALWAYS: [u16; 9] = [400, 401, 403, 413, 422, 429, 500, 503, 504];

/// Statuses that the gateway answers itself, before any function is called.
const GATEWAY: [u16; 2] = [414, 431];

/// Errors of an operation: those of every operation, and `more`.
pub(super) fn errors(more: &[u16]) -> Map<String, Value> {
    let mut statuses: Vec<u16> = ALWAYS.iter().chain(more).copied().collect();
    statuses.sort_unstable();
    statuses.dedup();
    let ours = statuses.into_iter().map(|status| (status, name(status)));
    let all = ours.chain(GATEWAY.map(|status| (status, name(status))));
    all.map(|(status, name)| (status.to_string(), refer("responses", &name))).collect()
}

/// Name of the component for a status: `PreconditionFailed`.
fn name(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.unwrap_or("Error").split(' ').collect()
}

/// Headers of every response.
const EVERYWHERE: [&str; 10] = [
    "X-Correlation-Id",
    "Cache-Control",
    "Vary",
    "X-Content-Type-Options",
    "Access-Control-Allow-Origin",
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// Headers of a response: those of every response, and `more`.
pub(super) fn headers(more: &[&str]) -> Map<String, Value> {
    EVERYWHERE.iter().chain(more).map(|name| ((*name).to_owned(), refer("headers", &name.replace('-', "")))).collect()
}

/// `components.headers`.
pub(super) fn all_headers() -> Map<String, Value> {
    let text = |description: &str| json!({"description": description, "schema": kinds::text(kinds::HEAD)});
    let number = |description: &str| json!({"description": description, "schema": kinds::count()});
    let flag = |description: &str| json!({"description": description, "schema": {"type": "boolean"}});
    let all = [
        ("ETag", text("Strong entity tag: for `If-Match` and `If-None-Match`.")),
        ("Location", text("Address of the new resource, or of the file.")),
        ("Link", text("Address of the next page, `rel=\"next\"` (RFC 8288).")),
        ("Allow", text("The methods that the resource has.")),
        ("WWW-Authenticate", text("What credentials are asked for (RFC 6750).")),
        ("Accept", text("The media types that a body may have.")),
        ("Retry-After", number("Whole seconds after which the request may be repeated.")),
        ("RateLimit", text("What is left of each limit: `\"name\";r=units;t=seconds until all is back`.")),
        ("RateLimit-Policy", text("The limits: `\"name\";q=units;w=seconds`.")),
        ("X-RateLimit-Limit", number("Units of the tightest limit.")),
        ("X-RateLimit-Remaining", number("Units left of the tightest limit.")),
        ("X-RateLimit-Reset", number("Seconds until the tightest limit is whole again.")),
        ("X-Correlation-Id", text("Names the request in logs.")),
        (
            "Cache-Control",
            text(
                "`private, no-cache`: a copy may be kept and must be validated; `no-store` where a secret stands in the answer; `public, max-age=60, s-maxage=60` where shared caches may keep what was answered to a request without credentials.",
            ),
        ),
        ("Cache-Status", text("Whether the API's own cache had the answer: `holdfast; hit`, `holdfast; fwd=miss` (RFC 9211).")),
        ("Vary", text("What else of the request the answer depends on.")),
        ("X-Content-Type-Options", text("`nosniff`.")),
        ("Referrer-Policy", text("`no-referrer`, where the answer has a secret.")),
        ("Access-Control-Allow-Origin", text("The page's origin, to requests of pages that the API accepts.")),
        ("Idempotency-Replayed", flag("This is the remembered answer of an earlier request with the same key.")),
        ("Deprecation", text("Since when the resource counts as deprecated: `@` and seconds since 1970 (RFC 9745).")),
        ("Sunset", text("When the resource may be gone (RFC 8594).")),
    ];
    all.into_iter().map(|(name, header)| (name.replace('-', ""), header)).collect()
}

/// `components.responses`: one per status, with an example of each code.
pub(super) fn all(base_url: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for status in Code::ALL.iter().map(|code| code.status().as_u16()) {
        all.entry(name(status)).or_insert_with(|| of_status(base_url, status));
    }
    for status in GATEWAY {
        let message = json!({"type": "object", "properties": {"message": kinds::text(200)}});
        all.insert(
            name(status),
            json!({
                "description": "Request line and headers together have more than 10,240 bytes. The gateway says so by itself, in a body of its own.",
                "content": {crate::http::JSON: {"schema": message}},
            }),
        );
    }
    all.insert(
        "NotModified".to_owned(),
        json!({"description": "The copy that `If-None-Match` names is still the answer.", "headers": headers(&["ETag"])}),
    );
    all
}

fn of_status(base_url: &str, status: u16) -> Value {
    let codes = || Code::ALL.iter().filter(|code| code.status().as_u16() == status);
    let description: Vec<String> = codes().map(|code| format!("- `{}`: {}", code.name(), code.meaning())).collect();
    let examples: Map<String, Value> = codes()
        .map(|code| (code.name().to_owned(), json!({"summary": code.title(), "value": example(base_url, *code)})))
        .collect();
    let more: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        409 | 429 | 503 | 504 => &["Retry-After"],
        415 => &["Accept"],
        _ => &[],
    };
    json!({
        "description": description.join("\n"),
        "headers": headers(more),
        "content": {crate::http::PROBLEM_JSON: {"schema": refer("schemas", "Problem"), "examples": examples}},
    })
}

fn example(base_url: &str, code: Code) -> Value {
    let mut problem = Problem::new(code, code.meaning());
    match code {
        Code::ValidationFailed => {
            problem.errors = vec![FieldError::new("/quantity", "minimum", "must be at least 1")];
        }
        Code::MissingClaim => problem = problem.with_member("claims", json!(["customer_id"])),
        Code::InvalidParameter => problem = problem.with_member("parameter", "limit"),
        Code::RateLimited | Code::QuotaExceeded => problem = problem.with_member("violated-policies", json!(["day"])),
        _ => {}
    }
    problem.document(base_url, "/v1/example", "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10")
}

/// The schema of every error.
pub(super) fn problem() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let place = kinds::object(
        json!({
            "pointer": kinds::about(kinds::text(LONG), "JSON pointer into the body (RFC 6901), or `/` and a parameter."),
            "code": kinds::about(kinds::text(200), "The rule that is broken."),
            "message": kinds::about(kinds::text(LONG), "What would be right."),
        }),
        &["pointer", "code", "message"],
    );
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). Further members may tell more.",
        "properties": {
            "type": {"type": "string", "format": "uri", "maxLength": 2048, "description": "Identifies the kind of error and leads to its documentation."},
            "title": kinds::about(kinds::text(200), "What it is; the same for every error of this code."),
            "status": kinds::about(kinds::status(400, 599), "The answer's status."),
            "detail": kinds::about(kinds::text(LONG), "What is the matter this time and what would be right."),
            "instance": kinds::about(kinds::text(kinds::HEAD * 3), "Path of the request."),
            "code": kinds::about(kinds::word(&codes), "The kind of error, for programs."),
            "correlation_id": kinds::about(kinds::text(128), "Names the request in logs."),
            "errors": kinds::about(kinds::list(place, 100_000), "Every place that is wrong."),
            "claims": kinds::about(kinds::list(kinds::text(200), 100), "The claims that the credentials do not carry."),
            "parameter": kinds::about(kinds::text(kinds::HEAD), "The query parameter that is wrong."),
            "violated-policies": kinds::about(kinds::list(kinds::text(64), 100), "The limits that are used up, by their names in `RateLimit-Policy`."),
            "limits": kinds::about(kinds::list(limit(json!({})), 100), "The limits that are used up, as `/v1/_me` tells of them."),
        },
        "required": ["type", "title", "status", "detail", "instance", "code", "correlation_id"],
    })
}

/// Maximum length of a sentence that quotes the request.
const LONG: usize = 65_536;

/// Catalogue of errors, for the page and the Markdown text.
pub(super) fn catalogue(base_url: &str) -> Vec<Value> {
    let entry = |code: &Code| {
        json!({
            "code": code.name(),
            "status": code.status().as_u16(),
            "title": code.title(),
            "meaning": code.meaning(),
            "type": code.address(base_url),
        })
    };
    Code::ALL.iter().map(entry).collect()
}
