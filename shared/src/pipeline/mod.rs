//! From a request to an answer: the stages in order, on one screen.
//!
//! ```text
//! route -> authenticate -> admit
//!                        | parse -> permit -> plan -> read -> shape               -> respond
//!                        | parse -> read -> permit -> prepare -> (admitted) write -> respond
//! ```

pub mod admit;
mod authenticate;
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
mod unit_of_work;
pub mod write;

use std::pin::pin;
use std::time::Duration;

pub use context::{Context, Gate, RequestContext};

use futures::future::{self, BoxFuture, Either};
use tracing::Instrument as _;

use crate::app::App;
use crate::core::deadline;
use crate::core::telemetry::{self, Traces};
use crate::http::problem::Problem;
use crate::http::route::endpoint::Effect;
use crate::http::route::{ConsumerShares, Document, FileRef, Files, Matched, Records, Route, System};
use crate::http::{ApiRequest, ApiResponse, Reply, cors, respond};
use crate::identity::auth::{Evidence, Principal};
use crate::limit::address::AddressBucket;
use crate::limit::{Call, WindowState};
use crate::model::EntityIx;
use crate::store::meter::measured;

use admit::{AdmitError, Admitted};
use authenticate::{authenticate, evidence};
use permission::permit;

/// What a request must leave of its time for the answer to be sent.
const RESERVE: Duration = Duration::from_millis(500);

/// How often a request is verified anew because its consumer changes meanwhile.
const MOST_CHANGES: usize = 5;

/// Answers a request, and counts it. It never fails: whatever is wrong becomes a problem document.
pub async fn handle(app: &App, request: ApiRequest) -> ApiResponse {
    let cx = RequestContext::new(app, &request);
    app.usage.flush_beside();
    app.traces.iter().for_each(Traces::flush_beside);
    let span = telemetry::request(&request.headers, request.method.as_str(), &cx.route);
    // Boxed, because the future of a request is large: what passes it on would copy it from stack to stack.
    let (response, consumed) = measured(Box::pin(respond_to(&cx).instrument(span.clone()))).await;
    telemetry::answered(&span, response.status().as_u16(), &cx.correlation, &cx.metrics.who());
    count::count(cx, &response, consumed, telemetry::trace_id(&span).as_deref());
    response
}

async fn respond_to(cx: &RequestContext<'_>) -> ApiResponse {
    let left = cx.request.deadline.0.saturating_sub(cx.app.env.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).saturating_sub(RESERVE);
    let result = match deadline::within(left, answer(cx)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::timeout()),
    };
    // A read that the limits refuse after all was not answered by the cache.
    if let Ok(Reply { cache: Some(outcome), .. }) = &result {
        cx.metrics.cache(*outcome);
    }
    respond::respond(cx.request, cx.model(), &cx.correlation, result)
}

async fn answer(cx: &RequestContext<'_>) -> Result<Reply, Problem> {
    let matched = match &cx.matched {
        Ok(matched) => matched,
        Err(problem) => {
            admit::by_address(cx, AddressBucket::Unknown)?;
            return Err(problem.clone());
        }
    };
    match &matched.route {
        Route::Preflight { allow } => Ok(cors::preflight(cx.request, &cx.model().cors, allow)),
        Route::Health => admit::by_address(cx, AddressBucket::Health).map(|_| system::alive()),
        Route::Ready => {
            admit::by_address(cx, AddressBucket::Health)?;
            system::ready(cx.app).await
        }
        Route::Document(document) => documents(cx, matched, *document).await,
        Route::Share { secret } => Box::pin(files::shared(cx, secret)).await,
        Route::System(System::UsageDashboard) if system::dashboard::is_page_alone(cx.request) => {
            admit::by_address(cx, AddressBucket::Open)?;
            Ok(system::dashboard::page(cx.model()))
        }
        Route::ConsumerShares(consumer, operation) => protected(cx, matched, Work::ConsumerShares(consumer, *operation)).await,
        Route::System(resource) => protected(cx, matched, Work::System(resource)).await,
        Route::Records(entity, operation) => protected(cx, matched, Work::Records(*entity, operation)).await,
        Route::Download(file) => protected(cx, matched, Work::Download(file)).await,
        Route::Files(file, operation) => protected(cx, matched, Work::Files(file, operation)).await,
    }
}

/// Work for a caller who is known.
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
async fn documents(cx: &RequestContext<'_>, matched: &Matched, document: Document) -> Result<Reply, Problem> {
    if !cx.request.headers.contains_key(http::header::AUTHORIZATION) {
        admit::by_address(cx, AddressBucket::Open)?;
        return docs::handle(cx.app, cx.request, None, document);
    }
    let calls = cost::calls(matched, &cx.body);
    let mut caller = authenticate(cx, evidence(cx)).await?;
    let mut changes = 0..MOST_CHANGES;
    let mut paid = None;
    let windows = loop {
        match admit::admit(cx, &caller, &calls, paid).await {
            Err(AdmitError::NewEpoch { paid: already, .. }) if changes.next().is_some() => {
                caller = authenticate(cx, Evidence::Nothing).await?;
                paid = already;
            }
            decided => break decided?,
        }
    };
    cx.metrics.consumer(&caller.consumer);
    Admitted { windows, result: docs::handle(cx.app, cx.request, Some(&caller), document) }.answer(cx)
}

/// Whatever needs a caller: it is admitted, and done. A caller whose consumer was changed since it was verified is verified anew.
async fn protected(cx: &RequestContext<'_>, matched: &Matched, work: Work<'_>) -> Result<Reply, Problem> {
    let calls = cost::calls(matched, &cx.body);
    let mut principal = authenticate(cx, evidence(cx)).await?;
    cx.metrics.consumer(&principal.consumer);
    cost::deprecated(cx.model(), &calls).into_iter().for_each(|name| cx.metrics.deprecated(name));
    let mut changes = 0..MOST_CHANGES;
    let mut paid = None;
    let admitted = loop {
        match perform(cx, &principal, work, matched.effect, &calls, paid).await {
            Err(AdmitError::NewEpoch { paid: already, .. }) if changes.next().is_some() => {
                principal = authenticate(cx, Evidence::Nothing).await?;
                paid = already;
            }
            decided => break decided?,
        }
    };
    admitted.answer(cx).map(|reply| deprecated::of_file(cx, reply, &calls))
}

/// Performs the work beside its admission, for which it waits before its first effect ([`Gate`]). A refusal ends the work at once;
/// one that needs no call comes before the work's first.
async fn perform(
    cx: &RequestContext<'_>,
    principal: &Principal,
    work: Work<'_>,
    effect: Effect,
    calls: &[Call],
    paid: Option<Vec<WindowState>>,
) -> Result<Admitted, AdmitError> {
    let gate = Gate::closed(admit::is_sure(cx.app, principal, calls));
    let admission = admit::admit(cx, principal, calls, paid);
    let cx = Context { inner: cx, principal, gate: &gate };
    let work: BoxFuture<'_, _> = match work {
        Work::Download(file) => return Box::pin(files::download(&cx, admission, file)).await,
        Work::Records(entity, operation) => records(&cx, entity, operation),
        Work::Files(file, operation) => Box::pin(files::handle(&cx, file, operation)),
        Work::ConsumerShares(consumer, ConsumerShares::List) => {
            Box::pin(async { files::list_of_consumer(&cx, permit(&cx)?, consumer).await })
        }
        Work::ConsumerShares(consumer, ConsumerShares::Revoke) => {
            Box::pin(async { files::revoke_of_consumer(&cx, permit(&cx)?, consumer).await })
        }
        Work::System(resource) => Box::pin(system_resource(&cx, resource, effect)),
    };
    Ok(match future::select(pin!(admission), work).await {
        Either::Left((windows, work)) => {
            let windows = windows?;
            gate.admit();
            Admitted { windows, result: work.await }
        }
        Either::Right((result, admission)) => Admitted { windows: admission.await?, result },
    })
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
fn records<'a>(cx: &'a Context<'a>, entity: EntityIx, operation: &'a Records) -> BoxFuture<'a, Result<Reply, Problem>> {
    match operation {
        Records::List => Box::pin(read::list(cx, entity)),
        Records::Get { id } => Box::pin(read::get(cx, entity, id)),
        Records::Create => Box::pin(write::create(cx, entity)),
        Records::Replace { id } => Box::pin(write::replace(cx, entity, id)),
        Records::Patch { id } => Box::pin(write::patch(cx, entity, id)),
        Records::Delete { id } => Box::pin(write::delete(cx, entity, id)),
        Records::Bulk => Box::pin(write::bulk(cx, entity)),
    }
}
