//! From a request to an answer: the stages in order, on one screen.
//!
//! ```text
//! route -> authenticate -> admit
//!                        | parse -> permit -> plan -> read -> shape               -> respond
//!                        | parse -> read -> permit -> prepare -> (admitted) write -> respond
//! ```

pub mod admit;
mod context;
mod cost;
mod count;
mod deprecated;
pub mod docs;
mod embed;
pub mod files;
mod form;
pub mod list;
mod read;
pub mod related;
pub mod scan;
pub mod system;
pub mod write;

use std::pin::pin;
use std::time::Duration;

pub use context::{Context, Gate};

use futures::future::{self, BoxFuture, Either};
use serde_json::{Map, Value};
use tracing::Instrument as _;

use crate::api_key;
use crate::app::App;
use crate::auth::{self, AuthFailure};
use crate::clock::Micros;
use crate::deadline;
use crate::dynamodb;
use crate::http::route::{Route, route, template};
use crate::http::{ApiRequest, ApiResponse, Reply, cors, header_value, respond};
use crate::limit::Call;
use crate::limit::address::{Door, Suspect};
use crate::notify::{self, Kind};
use crate::principal::Principal;
use crate::problem::Problem;
use crate::telemetry::{self, Traces};
use crate::usage::Notes;

use admit::AdmitError;

/// What a request must leave of its time for the answer to be sent.
const RESERVE: Duration = Duration::from_millis(500);

/// Answers a request, and counts it. It never fails: whatever is wrong becomes a problem document.
pub async fn handle(app: &App, request: ApiRequest) -> ApiResponse {
    let (begun, notes) = (app.env.now(), Notes::default());
    app.usage.flush_beside();
    app.traces.iter().for_each(Traces::flush_beside);
    let correlation = request.correlation(&app.env);
    let span =
        telemetry::request(&request.headers, request.method.as_str(), || template(&app.model, &request.method, &request.path));
    // Boxed, because the future of a request is large: what passes it on would copy it from stack to stack.
    let (response, cost) =
        dynamodb::measured(Box::pin(respond_to(app, &request, &correlation, &notes).instrument(span.clone()))).await;
    telemetry::answered(&span, response.status().as_u16(), &correlation, &notes.who());
    let spent = count::Spent { begun, cost, trace: telemetry::trace_id(&span) };
    count::count(app, &request, &correlation, &response, spent, notes);
    response
}

async fn respond_to(app: &App, request: &ApiRequest, correlation: &str, notes: &Notes) -> ApiResponse {
    let left = request.deadline.0.saturating_sub(app.env.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).saturating_sub(RESERVE);
    let result = match deadline::within(left, answer(app, request, correlation, notes)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::timeout()),
    };
    if let Err(problem) = &result
        && problem.log.is_some()
    {
        tracing::error!(correlation_id = correlation, code = problem.code.name(), cause = problem.log, "request failed");
    }
    respond::respond(request, &app.model, correlation, result)
}

async fn answer(app: &App, request: &ApiRequest, correlation: &str, notes: &Notes) -> Result<Reply, Problem> {
    let route = route(&app.model, &request.method, &request.path)?;
    match &route {
        Route::Preflight { allow } => Ok(cors::preflight(request, &app.model.cors, allow)),
        Route::Health => Ok(system::alive()),
        Route::Ready => system::ready(app).await,
        Route::OpenApiJson | Route::OpenApiYaml | Route::Docs | Route::Llms => documents(app, request, notes, &route).await,
        Route::Share { secret } => Box::pin(files::shared(app, request, correlation, notes, secret)).await,
        Route::UsageDashboard if system::dashboard::is_page_alone(request) => {
            app.addresses.admit(request.address, Door::Open, app.env.now()).map_err(|denied| admit::too_often(&denied))?;
            Ok(system::dashboard::page(&app.model))
        }
        _ => protected(app, request, correlation, notes, &route).await,
    }
}

/// Documents are open: credentials decide what stands in them. Without any they are limited by the client's address.
async fn documents(app: &App, request: &ApiRequest, notes: &Notes, route: &Route) -> Result<Reply, Problem> {
    let known = request.headers.contains_key(http::header::AUTHORIZATION);
    let caller = if known { Some(authenticate(app, request, request.context.as_ref()).await?) } else { None };
    if let Some(caller) = &caller {
        notes.consumer(&caller.consumer);
    } else {
        app.addresses.admit(request.address, Door::Open, app.env.now()).map_err(|denied| admit::too_often(&denied))?;
    }
    docs::handle(app, request, caller.as_ref(), route)
}

/// Whatever needs a caller: it is admitted, and done. A caller whose consumer was changed since the authorizer answered is
/// verified anew, once.
async fn protected(app: &App, request: &ApiRequest, correlation: &str, notes: &Notes, route: &Route) -> Result<Reply, Problem> {
    let calls = cost::calls(route, request);
    let principal = authenticate(app, request, request.context.as_ref()).await?;
    notes.consumer(&principal.consumer);
    cost::deprecated(&app.model, &calls).into_iter().for_each(|name| notes.deprecated(name));
    match admitted(app, request, &principal, correlation, notes, route, &calls).await {
        Err(AdmitError::NewEpoch { .. }) => {
            let principal = authenticate(app, request, None).await?;
            Ok(admitted(app, request, &principal, correlation, notes, route, &calls).await??)
        }
        decided => decided?,
    }
}

/// Work begins while its admission is under way, and waits for it before its first effect ([`Gate`]). A refusal ends the work
/// at once; one that needs no call comes before the work's first. The limits stand on every answer.
async fn admitted(
    app: &App,
    request: &ApiRequest,
    principal: &Principal,
    correlation: &str,
    notes: &Notes,
    route: &Route,
    calls: &[Call],
) -> Result<Result<Reply, Problem>, AdmitError> {
    let gate = Gate::closed();
    let cx = Context { app, request, principal, correlation, gate: &gate, notes };
    let admission = admit::admit(app, principal, request.address, calls);
    let (limits, mut result) = match route {
        Route::Download { entity, id, field } => Box::pin(files::download(&cx, admission, *entity, id, *field)).await?,
        route => {
            let (admission, work) = (pin!(admission), dispatch(&cx, route));
            match future::select(admission, work).await {
                Either::Left((limits, work)) => {
                    let limits = limits?;
                    gate.admit();
                    (limits, work.await)
                }
                Either::Right((result, admission)) => (admission.await?, result),
            }
        }
    };
    result = result.map(|reply| deprecated::of_file(&cx, reply, calls));
    match &mut result {
        Ok(reply) => reply.headers.extend(limits),
        Err(problem) => problem.headers.extend(limits),
    }
    Ok(result)
}

/// The caller of a route that needs one. Credentials that are not accepted are counted per client address.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "authenticate", skip_all)]
async fn authenticate(app: &App, request: &ApiRequest, context: Option<&Map<String, Value>>) -> Result<Principal, Problem> {
    let authorization = request.header(http::header::AUTHORIZATION);
    let now = app.env.now();
    let found = match authorization {
        // Without credentials API Gateway answers by itself; nobody is anonymous here.
        None => Err(AuthFailure::Missing),
        Some(_) => auth::principal(&app.model, &app.authenticator, context, authorization, now).await,
    };
    let failure = match found {
        Ok(principal) => return Ok(principal),
        Err(failure) => failure,
    };
    if matches!(failure, AuthFailure::Invalid(_)) {
        suspect(app, request, now).await;
        app.addresses.admit(request.address, Door::Invalid, now).map_err(|denied| admit::too_often(&denied))?;
    }
    Err(unauthenticated(&failure))
}

/// Counts credentials that are not accepted; the operator hears of many from one address or on one key. Best effort.
async fn suspect(app: &App, request: &ApiRequest, now: Micros) {
    let presented = request.header(http::header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    let key_id = presented.and_then(|(_, credential)| api_key::parse(credential)).map(|key| key.id);
    for (who, count) in app.addresses.suspect(request.address, key_id, now) {
        let (address, key_id) = match who {
            Suspect::Address(block) => (Some(block.to_string()), None),
            Suspect::Key(id) => (None, Some(id)),
        };
        let kind = Kind::Suspicious { address, key_id, count };
        if let Err(error) = notify::tell_operator(&*app.table, &app.env, kind, now).await {
            tracing::warn!(%error, "the operator could not be told of invalid credentials");
        }
    }
}

fn unauthenticated(failure: &AuthFailure) -> Problem {
    match failure.challenge() {
        Some(challenge) => Problem::unauthenticated(header_value(challenge), failure.message()),
        None => Problem::unavailable(failure.message()).retry_after(1),
    }
}

/// The work of a route, on the heap: all of them inline would make every future around them as large as the largest, which debug
/// builds copy about on small stacks.
fn dispatch<'a>(cx: &'a Context<'a>, route: &'a Route) -> BoxFuture<'a, Result<Reply, Problem>> {
    match route {
        Route::List(entity) => Box::pin(read::list(cx, *entity)),
        Route::Get { entity, id } => Box::pin(read::get(cx, *entity, id)),
        Route::Create(entity) => Box::pin(write::create(cx, *entity)),
        Route::Replace { entity, id } => Box::pin(write::replace(cx, *entity, id)),
        Route::Patch { entity, id } => Box::pin(write::patch(cx, *entity, id)),
        Route::Delete { entity, id } => Box::pin(write::delete(cx, *entity, id)),
        Route::Bulk(entity) => Box::pin(write::bulk(cx, *entity)),
        Route::Upload { entity, id, field } => Box::pin(files::upload(cx, *entity, id, *field)),
        Route::Complete { entity, id, field } => Box::pin(files::complete(cx, *entity, id, *field)),
        Route::CreateShare { entity, id, field } => Box::pin(files::create(cx, *entity, id, *field)),
        Route::ListShares { entity, id, field } => Box::pin(files::list(cx, *entity, id, *field)),
        Route::DeleteShares { entity, id, field } => Box::pin(files::revoke_all(cx, *entity, id, *field)),
        Route::DeleteShare { entity, id, field, share } => Box::pin(files::revoke(cx, *entity, id, *field, share)),
        Route::ConsumerShares { id } => Box::pin(files::list_of_consumer(cx, id)),
        Route::DeleteConsumerShares { id } => Box::pin(files::revoke_of_consumer(cx, id)),
        _ => Box::pin(async move {
            if !cost::is_read(route) {
                cx.gate.passed().await;
            }
            system::handle(cx, route).await
        }),
    }
}
