//! The last stage: an inner reply or a problem becomes the answer, with the headers that every answer of ours has.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::compress::{Coding, WORTH_PACKING};
use super::conditional::{Condition, etag};
use super::{ApiRequest, ApiResponse, CORRELATION_ID, JSON, PROBLEM_JSON, Reply, cors, header_value, negotiate};
use crate::http::problem::{Code, Problem};
use crate::model::Model;

/// Most bytes of a body as it is sent: Lambda takes 6 MB, a third of which base64 may need.
pub const MAX_SENT: usize = 4 << 20;

/// Headers that are true of one request alone.
const OF_ONE_REQUEST: [HeaderName; 6] = [
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("cache-status"),
];

/// What may stand in a path as it is (RFC 3986, 3.3).
const PATH: AsciiSet =
    NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':').remove(b'@');

/// Makes the answer. What a problem has for the log goes there, whichever stage it comes from, this one included.
///
/// - `ETag`: from [`Reply::version`] and the body; a matching `If-None-Match` turns `GET` and `HEAD` into 304.
/// - 406 to `GET` and `HEAD` that do not admit JSON. Other methods have had their effect already, so they must have called
///   [`negotiate::json`] before it.
/// - 413 `response_too_large` where the coded body is over [`MAX_SENT`].
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "respond", skip_all)]
pub fn respond(request: &ApiRequest, model: &Model, correlation: &str, result: Result<Reply, Problem>) -> ApiResponse {
    let result = result.and_then(|reply| finish(request, reply));
    let reply = result.unwrap_or_else(|problem| {
        problem.log(correlation);
        refuse(request, correlation, &problem)
    });
    let mut headers = reply.headers;
    match reply.public {
        Some(age) => share(&mut headers, age),
        None => _ = headers.insert(CORRELATION_ID, header_value(correlation)),
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(reply.media_type.map(|media_type| (CONTENT_TYPE, media_type)));
    headers.insert(VARY, vary(cors::varies(&model.cors)));
    cors::admit(request, &model.cors, &mut headers);
    let body = if request.method == Method::HEAD { Bytes::new() } else { reply.body };
    let mut response = ApiResponse::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = headers;
    response
}

/// Headers of an answer to nobody in particular, which shared caches keep: without what is of this request or its caller.
fn share(headers: &mut HeaderMap, age: Duration) {
    OF_ONE_REQUEST.iter().for_each(|name| _ = headers.remove(name));
    let seconds = age.as_secs();
    headers.insert(CACHE_CONTROL, header_value(format!("public, max-age={seconds}, s-maxage={seconds}")));
}

/// Whether nothing has happened that a refusal would deny.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Negotiation, validator and coding of a reply.
fn finish(request: &ApiRequest, mut reply: Reply) -> Result<Reply, Problem> {
    if is_bodiless(reply.status) {
        return Ok(bare(reply));
    }
    let is_json = reply.media_type.as_ref().is_some_and(|media_type| media_type == JSON);
    if is_safe(&request.method) && reply.status.is_success() && is_json {
        negotiate::json(&request.headers)?;
    }
    let coding = coding_of(request, &reply);
    let tag = reply.version.as_deref().map(|version| etag(version, &reply.body, coding));
    reply.headers.extend(tag.iter().map(|tag| (ETAG, tag.clone())));
    if reply.status == StatusCode::OK && tag.is_some_and(|tag| is_fresh(request, &tag)) {
        reply.status = StatusCode::NOT_MODIFIED;
        return Ok(bare(reply));
    }
    pack(reply, coding)
}

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Without body and without what describes one (RFC 9110, 15.4.5). The validator stays.
fn bare(reply: Reply) -> Reply {
    Reply { body: Bytes::new(), media_type: None, ..reply }
}

/// Whether the client has the representation with this tag. A malformed condition counts as none: the answer is right without it.
fn is_fresh(request: &ApiRequest, tag: &HeaderValue) -> bool {
    let condition = || Condition::if_none_match(&request.headers).ok().flatten();
    is_safe(&request.method) && condition().is_some_and(|condition| condition.matches_representation(tag))
}

/// Bytes that a JSON body of this request's answer has as it is sent.
///
/// # Errors
/// 500 where it cannot be coded.
pub fn sent_bytes(request: &ApiRequest, body: &[u8]) -> Result<usize, Problem> {
    if body.len() <= MAX_SENT {
        return Ok(body.len());
    }
    let coding = negotiate::coding(&request.headers, true);
    coding
        .encode(&Bytes::copy_from_slice(body))
        .map(|coded| coded.len())
        .map_err(|error| Problem::internal(format!("{}: {error}", coding.name())))
}

fn coding_of(request: &ApiRequest, reply: &Reply) -> Coding {
    match reply.body.is_empty() {
        true => Coding::Identity,
        false => negotiate::coding(&request.headers, reply.body.len() > WORTH_PACKING),
    }
}

fn pack(mut reply: Reply, coding: Coding) -> Result<Reply, Problem> {
    reply.body = coding.encode(&reply.body).map_err(|error| Problem::internal(format!("{}: {error}", coding.name())))?;
    if coding != Coding::Identity {
        reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    if reply.body.len() > MAX_SENT {
        return Err(too_large(reply.body.len(), coding));
    }
    Ok(reply)
}

fn too_large(bytes: usize, coding: Coding) -> Problem {
    let hint = match coding {
        Coding::Identity => "ask for less with limit, fields or include, page on with cursor, or send Accept-Encoding: br, gzip",
        _ => "ask for less with limit, fields or include, and page on with cursor",
    };
    Problem::new(Code::ResponseTooLarge, format!("The answer has {bytes} bytes, at most {MAX_SENT} can be sent: {hint}."))
        .with_member("bytes", bytes)
        .with_member("limit", MAX_SENT)
}

/// The answer of a problem. It is sent whatever `Accept` says: an error that cannot be read helps nobody.
fn refuse(request: &ApiRequest, correlation: &str, problem: &Problem) -> Reply {
    let instance = utf8_percent_encode(&request.path, &PATH).to_string();
    let document = problem.document(&request.base_url, &instance, correlation).to_string();
    let mut reply = Reply::of(problem.code.status(), HeaderValue::from_static(PROBLEM_JSON), document);
    reply.headers.extend(problem.headers.iter().cloned());
    let coding = coding_of(request, &reply);
    match pack(reply.clone(), coding) {
        Ok(packed) => packed,
        // Only a validation of a huge body gets here: its errors are as many as fit.
        Err(_) => reply,
    }
}

/// What every answer depends on, and the origin where pages of some may use the API.
fn vary(by_origin: bool) -> HeaderValue {
    match by_origin {
        true => header_value(format!("{}, Origin", negotiate::VARY)),
        false => HeaderValue::from_static(negotiate::VARY),
    }
}

#[cfg(test)]
#[path = "respond_tests.rs"]
mod tests;
