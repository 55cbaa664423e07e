//! From a request to an answer: the stages in order, on one screen.
//!
//! ```text
//! route -> authenticate -> (admit | read) -> parse -> permit -> plan -> store -> shape -> respond
//!                          (admit, then write)
//! ```

pub mod admit;
mod context;
mod embed;
pub mod list;
mod read;
pub mod related;
pub mod scan;
pub mod system;
pub mod write;

use std::time::Duration;

pub use context::Context;

use crate::app::App;
use crate::auth::{self, AuthFailure};
use crate::http::route::{Route, route};
use crate::http::{ApiRequest, ApiResponse, Reply, header_value, respond};
use crate::principal::Principal;
use crate::problem::Problem;

/// What a request must leave of its time for the answer to be sent.
const RESERVE: Duration = Duration::from_millis(500);

/// Answers a request. It never fails: whatever is wrong becomes a problem document.
pub async fn handle(app: &App, request: ApiRequest) -> ApiResponse {
    let correlation = request.correlation(&app.env);
    let left = request.deadline.0.saturating_sub(app.env.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).saturating_sub(RESERVE);
    let result = match tokio::time::timeout(left, answer(app, &request, &correlation)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::timeout()),
    };
    if let Err(problem) = &result
        && problem.log.is_some()
    {
        tracing::error!(correlation_id = correlation, code = problem.code.name(), cause = problem.log, "request failed");
    }
    respond::respond(&request, &app.model, &correlation, result)
}

async fn answer(app: &App, request: &ApiRequest, correlation: &str) -> Result<Reply, Problem> {
    let route = route(&app.model, &request.method, &request.path)?;
    let principal = authenticate(app, request).await?;
    let cx = Context { app, request, principal: &principal, correlation };
    dispatch(&cx, &route).await
}

/// The caller of a route that needs one.
async fn authenticate(app: &App, request: &ApiRequest) -> Result<Principal, Problem> {
    let authorization = request.header(http::header::AUTHORIZATION);
    let found = match authorization {
        None => Err(AuthFailure::Missing),
        Some(_) => {
            let now = app.env.now();
            auth::principal(&app.model, &app.authenticator, request.context.as_ref(), authorization, now).await
        }
    };
    found.map_err(|failure| unauthenticated(&failure))
}

fn unauthenticated(failure: &AuthFailure) -> Problem {
    match failure.challenge() {
        Some(challenge) => Problem::unauthenticated(header_value(challenge), failure.message()),
        None => Problem::unavailable(failure.message()).retry_after(1),
    }
}

async fn dispatch(cx: &Context<'_>, route: &Route) -> Result<Reply, Problem> {
    match route {
        Route::List(entity) => read::list(cx, *entity).await,
        Route::Get { entity, id } => read::get(cx, *entity, id).await,
        _ => Err(Problem::not_found()),
    }
}
