//! Authentication: from a request's credentials to its caller.

use super::{RequestContext, admit};
use crate::core::api_key;
use crate::http::header_value;
use crate::http::problem::Problem;
use crate::http::route::{Records, Route};
use crate::identity::auth::{self, AuthFailure, Evidence, Principal};
use crate::limit::address::{AbuseSource, AddressBucket};
use crate::notify::{self, Kind};

/// What is known of the caller's credentials: the authorizer's context, or what this instance remembers where there is none.
pub(super) fn evidence<'a>(cx: &RequestContext<'a>) -> Evidence<'a> {
    cx.request.context.as_ref().map_or(Evidence::Memory, Evidence::Context)
}

/// Whether callers without credentials may come here, in the role that the model gives them: to read records and files.
fn is_open(cx: &RequestContext<'_>) -> bool {
    let route = cx.matched.as_ref().map(|matched| &matched.route);
    matches!(route, Ok(Route::Records(_, Records::List | Records::Get { .. }) | Route::Download(_)))
}

/// The caller of a route, verified here where the `evidence` does not do. Credentials that are not accepted are counted per client
/// address.
///
/// # Errors
/// 401; 429 after many credentials that were not accepted; 503 where they cannot be verified.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "authenticate", skip_all)]
pub(super) async fn authenticate(cx: &RequestContext<'_>, evidence: Evidence<'_>) -> Result<Principal, Problem> {
    let authorization = cx.request.authorization();
    let verified = match authorization.as_deref() {
        // Without credentials API Gateway answers all other routes by itself.
        None if !is_open(cx) => Err(AuthFailure::Missing),
        given => auth::principal(cx.model(), &cx.app.authenticator, evidence, given, cx.app.env.now()).await,
    };
    let failure = match verified {
        Ok(principal) => {
            cx.note(&principal);
            return Ok(principal);
        }
        Err(failure) => failure,
    };
    if matches!(failure, AuthFailure::Invalid(_)) {
        count_invalid_best_effort(cx, authorization.as_deref()).await;
        admit::by_address(cx, AddressBucket::Invalid)?;
    }
    Err(unauthenticated(&failure))
}

/// Counts credentials that are not accepted, and notifies the operator of many from one address or on one key.
async fn count_invalid_best_effort(cx: &RequestContext<'_>, authorization: Option<&str>) {
    let app = cx.app;
    let now = app.env.now();
    let presented = authorization.and_then(|value| value.split_once(' '));
    let key_id = presented.and_then(|(_, credential)| api_key::parse(credential)).map(|key| key.id);
    for (source, count) in app.addresses.suspect(cx.request.address, key_id, now) {
        let (address, key_id) = match source {
            AbuseSource::Address(block) => (Some(block.to_string()), None),
            AbuseSource::Key(id) => (None, Some(id)),
        };
        let kind = Kind::Suspicious { address, key_id, count };
        if let Err(error) = notify::enqueue_for_operator(&*app.table, &app.env, kind, now).await {
            tracing::warn!(%error, "the operator could not be notified of invalid credentials");
        }
    }
}

/// 401, or 503 where the caller is not to blame.
pub(super) fn unauthenticated(failure: &AuthFailure) -> Problem {
    match failure.challenge() {
        Some(challenge) => Problem::unauthenticated(header_value(challenge), failure.message()),
        None => Problem::unavailable(failure.message()).retry_after(1),
    }
}
