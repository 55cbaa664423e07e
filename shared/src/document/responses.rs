//! Answers: headers, and errors from the catalogue.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::refer;
use crate::problem::{Code, FieldError, Problem};

/// Statuses that any operation may have.
const ALWAYS: [u16; 9] = [400, 401, 403, 413, 422, 429, 500, 503, 504];

/// Errors of an operation: those of all, and `more`.
pub(super) fn errors(more: &[u16]) -> Map<String, Value> {
    let mut statuses: Vec<u16> = ALWAYS.iter().chain(more).copied().collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses.into_iter().map(|status| (status.to_string(), refer("responses", &name(status)))).collect()
}

/// The name of the component for a status: `PreconditionFailed`.
fn name(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.unwrap_or("Error").split(' ').collect()
}

/// The headers that every answer has, by their components, and more of them.
pub(super) fn headers(more: &[&str]) -> Map<String, Value> {
    const ALWAYS: [&str; 6] =
        ["X-Correlation-Id", "RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
    ALWAYS.iter().chain(more).map(|name| ((*name).to_owned(), refer("headers", &name.replace('-', "")))).collect()
}

/// `components.headers`.
pub(super) fn all_headers() -> Map<String, Value> {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    let number = |description: &str| json!({"description": description, "schema": {"type": "integer", "minimum": 0}});
    let all = [
        ("ETag", text("Strong entity tag: for `If-Match` and `If-None-Match`.")),
        (
            "Cache-Status",
            text("What the cache did (RFC 9211): `holdfast; hit`, `holdfast; fwd=miss; stored` or `holdfast; fwd=bypass`."),
        ),
        ("Location", text("Address of the new record.")),
        ("Link", text("Address of the next page, `rel=\"next\"` (RFC 8288).")),
        ("Allow", text("The methods that the resource has.")),
        ("WWW-Authenticate", text("What credentials are asked for (RFC 6750).")),
        ("Retry-After", number("Whole seconds after which the request may be repeated.")),
        ("RateLimit", text("What is left of each limit: `\"name\";r=units;t=seconds until all is back`.")),
        ("RateLimit-Policy", text("The limits: `\"name\";q=units;w=seconds`.")),
        ("X-RateLimit-Limit", number("Units of the tightest limit.")),
        ("X-RateLimit-Remaining", number("Units left of the tightest limit.")),
        ("X-RateLimit-Reset", number("Seconds until the tightest limit is whole again.")),
        ("X-Correlation-Id", text("Names the request in logs.")),
        (
            "Idempotency-Replayed",
            json!({"description": "This is the remembered answer of an earlier request with the same key.",
            "schema": {"type": "boolean"}}),
        ),
        ("Deprecation", text("Since when the resource counts as deprecated: `@` and seconds since 1970 (RFC 9745).")),
        ("Sunset", text("When the resource may be gone (RFC 8594).")),
    ];
    all.into_iter().map(|(name, header)| (name.replace('-', ""), header)).collect()
}

/// `components.responses`: one per status, with an example of each of its codes.
pub(super) fn all(base_url: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for status in Code::ALL.iter().map(|code| code.status().as_u16()) {
        all.entry(name(status)).or_insert_with(|| of_status(base_url, status));
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
        401 => &["WWW-Authenticate"],
        405 => &["Allow"],
        409 | 429 | 503 => &["Retry-After"],
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
        Code::InvalidParameter => problem = problem.with_member("parameter", "limit"),
        Code::RateLimited | Code::QuotaExceeded => problem = problem.with_member("violated-policies", json!(["day"])),
        _ => {}
    }
    problem.document(base_url, "/v1/example", "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10")
}

/// The schema of every error.
pub(super) fn problem() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). Further members may tell more.",
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "Identifies the kind of error and leads to its documentation."},
            "title": {"type": "string", "description": "What it is; the same for every error of this code."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The answer's status."},
            "detail": {"type": "string", "description": "What is the matter this time and what would be right."},
            "instance": {"type": "string", "description": "Path of the request."},
            "code": {"type": "string", "enum": codes, "description": "The kind of error, for programs."},
            "correlation_id": {"type": "string", "description": "Names the request in logs."},
            "errors": {
                "type": "array",
                "description": "Every place that is wrong.",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {"type": "string", "description": "JSON pointer into the body (RFC 6901), or `?` and a parameter."},
                        "code": {"type": "string", "description": "The rule that is broken."},
                        "message": {"type": "string", "description": "What would be right."},
                    },
                    "required": ["pointer", "code", "message"],
                },
            },
        },
        "required": ["type", "title", "status", "detail", "instance", "code", "correlation_id"],
    })
}

/// The catalogue of errors, for the page and the Markdown text.
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
