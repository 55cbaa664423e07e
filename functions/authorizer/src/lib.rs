//! The REQUEST authorizer of the HTTP API (payload 2.0, simple response): it lets every call through and says in the context what
//! the credential is worth, because only a function can answer with a problem document and `WWW-Authenticate`.

use std::time::Duration;

use holdfast::core::{deadline, telemetry};
use holdfast::identity::auth::{AuthOutcome, Authenticator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Instrument as _;

/// The event, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthorizerEvent {
    /// The values of the identity sources: one, the `Authorization` header.
    pub identity_source: Option<Vec<String>>,
    /// `GET /v1/{proxy+}`, for the log.
    pub route_key: Option<String>,
    /// The headers that matter: names are in small letters in payload 2.0.
    pub headers: Headers,
    /// What API Gateway knows of the request.
    pub request_context: RequestContext,
}

/// The headers of the request that matter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// The credentials that the function will see; several are joined by commas.
    pub authorization: Option<String>,
    /// W3C trace context: which trace the request belongs to.
    pub traceparent: Option<String>,
}

/// What API Gateway knows of the request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestContext {
    /// API Gateway's id of the request, for the log.
    pub request_id: Option<String>,
}

/// The simple response.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerResponse {
    /// Always true: see the head of this module.
    pub is_authorized: bool,
    /// The outcome: [`AuthOutcome::to_context`].
    pub context: Map<String, Value>,
}

/// What must be left of the invocation's time for the answer to be sent.
const RESERVE: Duration = Duration::from_millis(500);

/// Handles one event within `left`, what Lambda leaves of its time. An authorizer that is cut off would be answered by API Gateway
/// with a 500 of its own; one that gives up in time says so, and the functions verify for themselves.
pub async fn handle(authenticator: &Authenticator, event: AuthorizerEvent, left: Duration) -> AuthorizerResponse {
    let header = credentials(event.identity_source.unwrap_or_default(), event.headers.authorization);
    let span = telemetry::authorization(event.headers.traceparent.as_deref());
    let authentication = authenticator.authenticate(header.as_deref()).instrument(span);
    let outcome = deadline::within(left.saturating_sub(RESERVE), authentication).await;
    let outcome = outcome.unwrap_or_else(|_| AuthOutcome::Unavailable("no answer in time".to_owned()));
    log(&outcome, event.route_key.as_deref(), event.request_context.request_id.as_deref());
    AuthorizerResponse { is_authorized: true, context: outcome.to_context() }
}

/// What to verify. Several values mean several credentials; which of them counts is not ours to guess, so their join is refused as
/// such. An identity source that is not the whole header was taken out of several.
fn credentials(mut sources: Vec<String>, header: Option<String>) -> Option<String> {
    if let (Some(header), false) = (header, sources.is_empty()) {
        sources.extend((sources.join(",").trim_ascii() != header.trim_ascii()).then_some(header));
    }
    (!sources.is_empty()).then(|| sources.join(","))
}

/// Who, never with what.
fn log(outcome: &AuthOutcome, route: Option<&str>, request: Option<&str>) {
    match outcome {
        AuthOutcome::Ok(verified) => {
            tracing::info!(outcome = "ok", consumer = verified.consumer, key_id = verified.key_id, route, request);
        }
        AuthOutcome::Invalid(refusal) => tracing::info!(outcome = "invalid", reason = refusal.code(), route, request),
        AuthOutcome::Expired => tracing::info!(outcome = "expired", route, request),
        AuthOutcome::Unavailable(why) => tracing::error!(outcome = "unavailable", why, route, request),
    }
}
