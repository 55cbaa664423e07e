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
pub mod list;
mod permission;
mod plan_stats;
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

use crate::app::App;
use crate::core::api_key;
use crate::core::clock::Micros;
use crate::core::deadline;
use crate::core::principal::Principal;
use crate::core::telemetry::{self, Traces};
use crate::http::problem::Problem;
use crate::http::route::endpoint::Effect;
use crate::http::route::{self, ConsumerShares, Document, FileRef, Files, Matched, Records, Route, System};
use crate::http::{ApiRequest, ApiResponse, Reply, cors, header_value, respond};
use crate::identity::auth::{self, AuthFailure};
use crate::limit::Call;
use crate::limit::address::{AbuseSource, AddressBucket};
use crate::model::EntityIx;
use crate::notify::{self, Kind};
use crate::store::meter::measured;
use crate::usage::RequestMetrics;

use admit::{AdmitError, Headers};
use permission::permit;

/// What a request must leave of its time for the answer to be sent.
const RESERVE: Duration = Duration::from_millis(500);

/// Answers a request, and counts it. It never fails: whatever is wrong becomes a problem document.
pub async fn handle(app: &App, request: ApiRequest) -> ApiResponse {
    let (begun, metrics) = (app.env.now(), RequestMetrics::default());
    app.usage.flush_beside();
    app.traces.iter().for_each(Traces::flush_beside);
    let correlation = request.correlation(&app.env);
    let (name, matched) = route::find(&app.model, &request.method, &request.path);
    let span = telemetry::request(&request.headers, request.method.as_str(), &name);
    // Boxed, because the future of a request is large: what passes it on would copy it from stack to stack.
    let (response, cost) =
        measured(Box::pin(respond_to(app, &request, matched, &correlation, &metrics).instrument(span.clone()))).await;
    telemetry::answered(&span, response.status().as_u16(), &correlation, &metrics.who());
    let spent = count::Spent { begun, route: name, cost, trace: telemetry::trace_id(&span) };
    count::count(app, &request, &correlation, &response, spent, metrics);
    response
}

async fn respond_to(
    app: &App,
    request: &ApiRequest,
    matched: Result<Matched, Problem>,
    correlation: &str,
    metrics: &RequestMetrics,
) -> ApiResponse {
    let left = request.deadline.0.saturating_sub(app.env.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).saturating_sub(RESERVE);
    let result = match deadline::within(left, answer(app, request, matched, correlation, metrics)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::timeout()),
    };
    respond::respond(request, &app.model, correlation, result)
}

async fn answer(
    app: &App,
    request: &ApiRequest,
    matched: Result<Matched, Problem>,
    correlation: &str,
    metrics: &RequestMetrics,
) -> Result<Reply, Problem> {
    let matched = matched?;
    match &matched.route {
        Route::Preflight { allow } => Ok(cors::preflight(request, &app.model.cors, allow)),
        Route::Health => Ok(system::alive()),
        Route::Ready => system::ready(app).await,
        Route::Document(document) => documents(app, request, metrics, *document).await,
        Route::Share { secret } => Box::pin(files::shared(app, request, correlation, metrics, secret)).await,
        Route::System(System::UsageDashboard) if system::dashboard::is_page_alone(request) => {
            app.addresses
                .admit(request.address, AddressBucket::Open, app.env.now())
                .map_err(|denied| admit::too_often(&denied))?;
            Ok(system::dashboard::page(&app.model))
        }
        Route::ConsumerShares(consumer, what) => {
            let work = Work::ConsumerShares(consumer, *what);
            protected(app, request, correlation, metrics, &matched, work).await
        }
        Route::System(resource) => {
            let work = Work::System(resource);
            protected(app, request, correlation, metrics, &matched, work).await
        }
        Route::Records(entity, what) => {
            let work = Work::Records(*entity, what);
            protected(app, request, correlation, metrics, &matched, work).await
        }
        Route::Download(file) => {
            let work = Work::Download(file);
            protected(app, request, correlation, metrics, &matched, work).await
        }
        Route::Files(file, what) => {
            let work = Work::Files(file, what);
            protected(app, request, correlation, metrics, &matched, work).await
        }
    }
}

/// Work of a caller who is known.
#[derive(Clone, Copy)]
enum Work<'a> {
    Records(EntityIx, &'a Records),
    /// It waits for its admission itself, beside its own calls.
    Download(&'a FileRef),
    Files(&'a FileRef, &'a Files),
    ConsumerShares(&'a str, ConsumerShares),
    System(&'a System),
}

/// Documents are open: credentials decide what stands in them. A caller who is not identified is limited by the client's address.
async fn documents(app: &App, request: &ApiRequest, metrics: &RequestMetrics, document: Document) -> Result<Reply, Problem> {
    let known = request.headers.contains_key(http::header::AUTHORIZATION);
    let caller = if known { Some(authenticate(app, request, request.context.as_ref()).await?) } else { None };
    if let Some(caller) = &caller {
        metrics.consumer(&caller.consumer);
    }
    if caller.as_ref().is_none_or(|caller| caller.anonymous) {
        let door = caller.as_ref().map_or(AddressBucket::Open, admit::door);
        app.addresses.admit(request.address, door, app.env.now()).map_err(|denied| admit::too_often(&denied))?;
    }
    docs::handle(app, request, caller.as_ref(), document)
}

/// Whatever needs a caller: it is admitted, and done. A caller whose consumer was changed since the authorizer answered is
/// verified anew, once.
async fn protected(
    app: &App,
    request: &ApiRequest,
    correlation: &str,
    metrics: &RequestMetrics,
    matched: &Matched,
    work: Work<'_>,
) -> Result<Reply, Problem> {
    let calls = cost::calls(matched, request);
    let principal = authenticate(app, request, request.context.as_ref()).await?;
    metrics.consumer(&principal.consumer);
    cost::deprecated(&app.model, &calls).into_iter().for_each(|name| metrics.deprecated(name));
    match admitted(app, request, &principal, correlation, metrics, (work, matched.effect), (&calls, None)).await {
        Err(AdmitError::NewEpoch { paid, .. }) => {
            let principal = authenticate(app, request, None).await?;
            Ok(admitted(app, request, &principal, correlation, metrics, (work, matched.effect), (&calls, paid)).await??)
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
    metrics: &RequestMetrics,
    (work, effect): (Work<'_>, Effect),
    (calls, paid): (&[Call], Option<Headers>),
) -> Result<Result<Reply, Problem>, AdmitError> {
    let gate = Gate::closed();
    let cx = Context { app, request, principal, correlation, gate: &gate, metrics };
    let admission = admit::admit(app, principal, request.address, calls, paid);
    let work: BoxFuture<'_, _> = match work {
        Work::Download(file) => return with_limits(&cx, calls, Box::pin(files::download(&cx, admission, file)).await?),
        Work::Records(entity, what) => records(&cx, entity, what),
        Work::Files(file, what) => Box::pin(files::handle(&cx, file, what)),
        Work::ConsumerShares(consumer, ConsumerShares::List) => {
            Box::pin(async { files::list_of_consumer(&cx, permit(&cx)?, consumer).await })
        }
        Work::ConsumerShares(consumer, ConsumerShares::Revoke) => {
            Box::pin(async { files::revoke_of_consumer(&cx, permit(&cx)?, consumer).await })
        }
        Work::System(resource) => Box::pin(system_resource(&cx, resource, effect)),
    };
    let outcome = match future::select(pin!(admission), work).await {
        Either::Left((limits, work)) => {
            let limits = limits?;
            gate.admit();
            (limits, work.await)
        }
        Either::Right((result, admission)) => (admission.await?, result),
    };
    with_limits(&cx, calls, outcome)
}

/// The answer with the caller's limits, whatever it is.
fn with_limits(
    cx: &Context<'_>,
    calls: &[Call],
    (limits, result): (Headers, Result<Reply, Problem>),
) -> Result<Result<Reply, Problem>, AdmitError> {
    let mut result = result.map(|reply| deprecated::of_file(cx, reply, calls));
    match &mut result {
        Ok(reply) => reply.headers.extend(limits),
        Err(problem) => problem.headers.extend(limits),
    }
    Ok(result)
}

/// The caller of a route that needs one. Credentials that are not accepted are counted per client address.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "authenticate", skip_all)]
async fn authenticate(app: &App, request: &ApiRequest, context: Option<&Map<String, Value>>) -> Result<Principal, Problem> {
    let authorization = request.authorization();
    let now = app.env.now();
    let found = match authorization.as_deref() {
        // Without credentials API Gateway answers by itself; nobody is anonymous here.
        None => Err(AuthFailure::Missing),
        given => auth::principal(&app.model, &app.authenticator, context, given, now).await,
    };
    let failure = match found {
        Ok(principal) => return Ok(principal),
        Err(failure) => failure,
    };
    if matches!(failure, AuthFailure::Invalid(_)) {
        suspect(app, request, now).await;
        app.addresses.admit(request.address, AddressBucket::Invalid, now).map_err(|denied| admit::too_often(&denied))?;
    }
    Err(unauthenticated(&failure))
}

/// Counts credentials that are not accepted; the operator hears of many from one address or on one key. Best effort.
async fn suspect(app: &App, request: &ApiRequest, now: Micros) {
    let authorization = request.authorization();
    let presented = authorization.as_deref().and_then(|value| value.split_once(' '));
    let key_id = presented.and_then(|(_, credential)| api_key::parse(credential)).map(|key| key.id);
    for (who, count) in app.addresses.suspect(request.address, key_id, now) {
        let (address, key_id) = match who {
            AbuseSource::Address(block) => (Some(block.to_string()), None),
            AbuseSource::Key(id) => (None, Some(id)),
        };
        let kind = Kind::Suspicious { address, key_id, count };
        if let Err(error) = notify::enqueue_for_operator(&*app.table, &app.env, kind, now).await {
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

/// A system resource. Writes of records and files wait for admission by themselves, as late as they can; these do not.
async fn system_resource(cx: &Context<'_>, resource: &System, effect: Effect) -> Result<Reply, Problem> {
    if effect == Effect::Write {
        cx.gate.passed().await;
    }
    system::handle(cx, resource).await
}

/// The work on records, on the heap: all of it inline would make every future around it as large as the largest, which debug
/// builds copy about on small stacks.
fn records<'a>(cx: &'a Context<'a>, entity: EntityIx, what: &'a Records) -> BoxFuture<'a, Result<Reply, Problem>> {
    match what {
        Records::List => Box::pin(read::list(cx, entity)),
        Records::Get { id } => Box::pin(read::get(cx, entity, id)),
        Records::Create => Box::pin(write::create(cx, entity)),
        Records::Replace { id } => Box::pin(write::replace(cx, entity, id)),
        Records::Patch { id } => Box::pin(write::patch(cx, entity, id)),
        Records::Delete { id } => Box::pin(write::delete(cx, entity, id)),
        Records::Bulk => Box::pin(write::bulk(cx, entity)),
    }
}
