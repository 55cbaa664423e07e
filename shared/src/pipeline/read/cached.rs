//! The cache's stage: an answer that was kept, where it is the very answer that the data would give; else the data's.
//!
//! ```text
//! plan -> look -> hit (a share of them is read anew and compared)
//!              -> miss -> fresh -> kept, if the tags were settled before
//! bypass ---------------> fresh
//! ```

use std::sync::Arc;

use futures::FutureExt as _;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::fresh;
use super::refused::no_index;
use crate::cache::{Answer, EntryDescriptor, Event, Filled, Lookup, Sample};
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::pipeline::Context;
use crate::query::ListQuery;
use crate::query::plan::ReadPlan;
use crate::query::policy::Permitted;
use crate::store::constraints::States;
use crate::usage;

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read<'a> {
    /// A page of a list.
    List,
    /// The record with this id.
    Record(&'a str),
}

/// An answer, how it was planned, and where it comes from.
pub(super) struct Answered<'a> {
    pub(super) answer: Arc<Answer>,
    pub(super) plan: ReadPlan<'a>,
    pub(super) status: Status,
}

/// Part of the cache in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Hit,
    Stored,
    Shared,
    Miss,
    Bypass,
    Hot,
}

impl Status {
    /// The reply with the status, for the count and in its header (RFC 9211).
    pub(super) fn mark(self, reply: Reply) -> Reply {
        let value = match self {
            Self::Hit => "holdfast; hit",
            Self::Stored => "holdfast; fwd=miss; stored",
            Self::Shared => "holdfast; fwd=miss; collapsed",
            Self::Miss => "holdfast; fwd=miss",
            Self::Bypass => "holdfast; fwd=bypass",
            Self::Hot => "holdfast; fwd=bypass; detail=hot",
        };
        let reply = Reply { cache: Some(self.into()), ..reply };
        reply.header(HeaderName::from_static("cache-status"), HeaderValue::from_static(value))
    }
}

/// Answers a permitted query.
///
/// # Errors
/// Those of [`fresh`], or that no index serves it; never one of the cache.
pub(super) async fn answer<'a>(
    cx: &Context<'_>,
    permitted: &'a Permitted<ListQuery>,
    read: Read<'_>,
) -> Result<Answered<'a>, Problem> {
    let app = cx.app;
    let wanted = !is_refused(&cx.request.headers);
    // The states of indexes are guessed from the last time and read at the same time if that is long ago: one wait.
    let guess = app.constraints.last_known();
    let (states, looked) = futures::join!(app.constraints.states(), lookup(cx, permitted, read, &guess, wanted));
    let states = states?;
    let looked = if states == guess { looked } else { lookup(cx, permitted, read, &states, wanted).await };
    let (plan, found) = looked?;
    let (answer, status) = serve(cx, permitted, read, &plan, found).await?;
    Ok(Answered { answer, plan, status })
}

/// What was found, or what the data say.
async fn serve(
    cx: &Context<'_>,
    permitted: &Permitted<ListQuery>,
    read: Read<'_>,
    plan: &ReadPlan<'_>,
    found: Option<(EntryDescriptor, Lookup)>,
) -> Result<(Arc<Answer>, Status), Problem> {
    let cache = &cx.app.cache;
    // Boxed: it is much larger than all that a hit needs.
    let fresh = || {
        let reading = async {
            match read {
                Read::List => fresh::list(cx, permitted, plan).await,
                Read::Record(id) => fresh::record(cx, permitted, &plan.includes, id).await,
            }
        };
        reading.boxed()
    };
    Ok(match found {
        None => {
            cache.counters.add(Event::Bypass);
            (Arc::new(fresh().await?), Status::Bypass)
        }
        Some((_, Lookup::Miss(None))) => (Arc::new(fresh().await?), Status::Miss),
        Some((_, Lookup::Hot)) => (Arc::new(fresh().await?), Status::Hot),
        Some((descriptor, Lookup::Miss(Some(sight)))) => {
            let (answer, filled) = cache.fill(&descriptor, &sight, fresh).await?;
            (answer, Status::of(filled))
        }
        Some((descriptor, Lookup::Hit(answer))) if cache.samples() => match fresh().await {
            Ok(read) => (sampled(cx, &descriptor, answer, read).await, Status::Hit),
            // The hit was right; that it could not be looked at again is no reason to fail.
            Err(_) => (answer, Status::Hit),
        },
        Some((_, Lookup::Hit(answer))) => (answer, Status::Hit),
    })
}

impl From<Status> for usage::Cache {
    /// The status as it is counted.
    fn from(status: Status) -> Self {
        match status {
            Status::Hit => Self::Hit,
            Status::Stored | Status::Shared | Status::Miss => Self::Miss,
            Status::Bypass => Self::Bypass,
            Status::Hot => Self::Hot,
        }
    }
}

impl Status {
    fn of(filled: Filled) -> Self {
        match filled {
            Filled::Stored => Self::Stored,
            Filled::Shared => Self::Shared,
            Filled::TooLarge => Self::Miss,
        }
    }
}

/// The plan under these states, and what the cache has of its answer; `None` where it may have nothing.
async fn lookup<'a>(
    cx: &Context<'_>,
    permitted: &'a Permitted<ListQuery>,
    read: Read<'_>,
    states: &States,
    wanted: bool,
) -> Result<(ReadPlan<'a>, Option<(EntryDescriptor, Lookup)>), Problem> {
    let model = cx.model();
    let plan = match read {
        Read::List => ReadPlan::of_list(model, states, permitted),
        Read::Record(_) => ReadPlan::of_record(model, states, permitted),
    };
    let plan = plan.map_err(|none| no_index(&none))?;
    let descriptor = match read {
        Read::List => EntryDescriptor::of_list(model, states, permitted, &plan.own),
        Read::Record(id) => EntryDescriptor::of_record(model, states, permitted, id),
    };
    let Some(descriptor) = descriptor.filter(|_| wanted) else { return Ok((plan, None)) };
    let found = cx.app.cache.lookup(&descriptor).await;
    Ok((plan, Some((descriptor, found))))
}

/// A hit beside what the data say now. A hit that was wrong is told to the log and to nobody else.
async fn sampled(cx: &Context<'_>, descriptor: &EntryDescriptor, hit: Arc<Answer>, read: Answer) -> Arc<Answer> {
    match cx.app.cache.compare(descriptor, &hit, &read).await {
        Sample::Same => hit,
        Sample::Unclear => Arc::new(read),
        Sample::Stale => {
            cx.metrics.stale();
            tracing::error!(correlation_id = cx.correlation, path = cx.request.path, "the cache held a wrong answer");
            Arc::new(read)
        }
    }
}

/// Whether the request wants an answer from the data themselves.
fn is_refused(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut directives = lines.flat_map(|line| line.split(',')).map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-cache") || directive.eq_ignore_ascii_case("no-store"))
}
