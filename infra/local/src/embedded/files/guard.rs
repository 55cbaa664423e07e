//! What S3 does and s3s with its file system (0.14) does not, as far as links depend on it.
//!
//! | | s3s-fs alone | here |
//! |---|---|---|
//! | a link's window | by the system's clock | its beginning by the clock of the process, its end by both, so that tests can move it |
//! | content that breaks its SHA-256 | refused after it has replaced the object | refused before |
//! | `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range` of GET and HEAD | ignored | honoured |
//! | what is kept about a deleted object | stays | goes |
//! | tags | not implemented | taking them off is accepted: nothing here depends on them, because no lifecycle runs |
//! | CORS | none | as the model says |
//! | `X-Content-Type-Options: nosniff` | not sent (nor by S3) | sent |

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast::core::clock::Env;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, IF_RANGE,
    ORIGIN, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::service::S3Service;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::answers::{self, Answer};
use super::incoming;

/// Seconds by which the clocks of signer and store may differ.
const SKEW: i64 = 900;
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// The service behind what it lacks.
pub(super) struct Guard {
    service: S3Service,
    directory: PathBuf,
    env: Env,
    origins: Vec<String>,
}

impl Guard {
    pub(super) fn new(service: S3Service, directory: &Path, env: Env, origins: Vec<String>) -> Self {
        Self { service, directory: directory.to_owned(), env, origins }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let origin = self.origin(&request);
        let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut answer = match preflight {
            true => preflighted(&request, origin.is_some()),
            false => self.served(request).await,
        };
        let headers = answer.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag, Content-Disposition"));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        answer
    }

    async fn served(&self, request: Request<Incoming>) -> Answer {
        if let Some(why) = self.out_of_time(request.uri().query().unwrap_or_default()) {
            return answers::error(StatusCode::FORBIDDEN, "AccessDenied", why);
        }
        let (parts, body) = request.into_parts();
        match parts.method {
            Method::DELETE if parts.uri.query().is_some_and(is_tagging) && parts.headers.contains_key(AUTHORIZATION) => {
                answers::empty(StatusCode::NO_CONTENT)
            }
            Method::DELETE => {
                let path = parts.uri.path().to_owned();
                let answer = self.call(parts, body.into()).await;
                if answer.status() == StatusCode::NO_CONTENT {
                    self.forget(&path).await;
                }
                answer
            }
            Method::PUT if parts.headers.contains_key(CHECKSUM) => {
                let expected = parts.headers.get(CHECKSUM).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
                let (body, broken) = incoming::checked(body, expected);
                let answer = self.call(parts, body).await;
                match broken.is_set() {
                    true => answers::error(StatusCode::BAD_REQUEST, "BadDigest", "The content does not have the signed SHA-256."),
                    false => answer,
                }
            }
            Method::GET | Method::HEAD => self.read(parts, body).await,
            _ => self.call(parts, body.into()).await,
        }
    }

    /// A read under its conditions. A range of a representation that the client does not have is asked for again as a whole.
    async fn read(&self, parts: Parts, body: Incoming) -> Answer {
        let conditions = parts.headers.clone();
        let mut whole = parts.clone();
        let mut answer = self.call(parts, body.into()).await;
        if answer.status() == StatusCode::PARTIAL_CONTENT
            && let Some(range) = conditions.get(IF_RANGE)
            && !answers::is_of(range, answer.headers())
        {
            whole.headers.remove(RANGE);
            answer = self.call(whole, s3s::Body::empty()).await;
        }
        if answer.status().is_success() {
            answer.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        answers::conditional(&conditions, answer)
    }

    async fn call(&self, parts: Parts, body: s3s::Body) -> Answer {
        match self.service.call(Request::from_parts(parts, body)).await {
            Ok(answer) => answer,
            Err(error) => {
                let error: s3s::StdError = error.into();
                tracing::error!(%error, "embedded S3");
                answers::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The request failed.")
            }
        }
    }

    /// Why a link does not hold now: it has ended, or has not begun, as far as clocks may differ.
    fn out_of_time(&self, query: &str) -> Option<&'static str> {
        let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let begun = value("X-Amz-Date").and_then(|text| PrimitiveDateTime::parse(text, format).ok());
        let seconds = value("X-Amz-Expires").and_then(|text| text.parse::<i64>().ok());
        let (begun, seconds) = (begun?.assume_utc().unix_timestamp(), seconds?);
        let now = self.env.now().seconds();
        match now {
            now if now >= begun.saturating_add(seconds) => Some("Request has expired"),
            now if now < begun - SKEW => Some("Request is not yet valid"),
            _ => None,
        }
    }

    /// Removes the two files that s3s-fs keeps about an object and leaves behind.
    async fn forget(&self, path: &str) {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let Some((bucket, key)) = decoded.trim_start_matches('/').split_once('/') else { return };
        let name = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for kind in ["metadata", "internal"] {
            let file = self.directory.join(format!(".bucket-{}.object-{}.{kind}.json", name(bucket), name(key)));
            match tokio::fs::remove_file(&file).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %file.display(), "left behind");
                }
                _ => {}
            }
        }
    }

    /// The request's origin, if its pages may use links.
    fn origin(&self, request: &Request<Incoming>) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        let named = |accepted: &str| self.origins.iter().any(|known| known == accepted);
        if named("*") {
            return Some(HeaderValue::from_static("*"));
        }
        origin.to_str().is_ok_and(named).then(|| origin.clone())
    }
}

fn is_tagging(query: &str) -> bool {
    query.split('&').any(|part| part == "tagging" || part == "tagging=")
}

fn preflighted(request: &Request<Incoming>, accepted: bool) -> Answer {
    if !accepted {
        return answers::error(StatusCode::FORBIDDEN, "AccessForbidden", "No CORS rule admits this origin.");
    }
    let mut answer = Response::new(s3s::Body::empty());
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, PUT"));
    if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    answer
}
