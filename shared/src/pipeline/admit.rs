//! Admission: whether the caller's limits leave room for a request.
//!
//! ```text
//! nobody identified   -> the bucket of the client's address, in memory
//! publishable key     -> the bucket of key and address, in memory; the plan, counted for the key by itself
//!                        beside that a check whether the key and its consumer may still call
//! anybody else        -> the consumer's plan; without one a check whether the consumer may still call
//! ```

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::app::App;
use crate::core::clock::Micros;
use crate::http::problem::{Code, Problem};
use crate::http::route::endpoint::Charge;
use crate::http::{Reply, header_value};
use crate::identity::auth::Principal;
use crate::identity::auth::{AuthFailure, AuthRefusal};
use crate::limit::address::{AddressBucket, AddressLimited};
use crate::limit::{Call, Crossing, Denial, LimitRefusal, LimitSubject, ResolvedPlan, WindowState, headers};
use crate::notify;
use crate::pipeline::RequestContext;
use crate::store::keys;
use crate::store::table::TableError;

/// Reason why a request is not admitted.
#[derive(Debug, Clone, PartialEq)]
pub enum AdmitError {
    /// The consumer was changed after its credential was verified: verify again (without the authorizer's context) and ask again.
    NewEpoch {
        /// Epoch of the consumer now.
        current: i64,
        /// Windows of the charge, where the request was charged already: pass them on.
        paid: Option<Vec<WindowState>>,
    },
    /// This problem is the answer.
    Refused(Box<Problem>),
}

impl From<Problem> for AdmitError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<AdmitError> for Problem {
    /// For whoever has verified again already: a consumer that changes faster than it can be read.
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::NewEpoch { current, .. } => {
                Self::unavailable(format!("the consumer changes all the time (epoch {current})"))
            }
            AdmitError::Refused(problem) => *problem,
        }
    }
}

/// Outcome of a request that was admitted, with its caller's limits.
pub struct Admitted {
    /// Windows of the limits after the charge; none where nothing limits the caller.
    pub windows: Vec<WindowState>,
    /// Outcome of its work.
    pub result: Result<Reply, Problem>,
}

impl Admitted {
    /// The answer with the caller's limits in its headers, whatever it is.
    ///
    /// # Errors
    /// That of the work.
    pub fn answer(self, cx: &RequestContext<'_>) -> Result<Reply, Problem> {
        let mut result = self.result;
        note_limits(cx, &self.windows);
        match &mut result {
            Ok(reply) if reply.headers.contains_key(headers::RATE_LIMIT) => {}
            Ok(reply) => reply.headers.extend(told(&self.windows)),
            Err(problem) => problem.headers.extend(told(&self.windows)),
        }
        result
    }
}

/// The headers that tell of these windows.
pub(super) fn told(windows: &[WindowState]) -> Vec<(HeaderName, HeaderValue)> {
    named(headers::rate_limit(windows))
}

/// A rate or quota as documents tell of it. `reset_at`: when all of it is there again.
pub(super) fn limit(window: &WindowState, now: Micros) -> Value {
    json!({
        "name": window.name,
        "type": if window.quota { "quota" } else { "rate" },
        "limit": window.limit,
        "remaining": window.remaining,
        "used": window.limit.saturating_sub(window.remaining),
        "window_seconds": window.window.as_secs_f64(),
        "reset_at": now.plus(window.reset).rfc3339(),
    })
}

/// Charges a request that makes these calls to its caller, unless it has `paid`. The windows are for its answer, whatever that is.
///
/// # Errors
/// 429 `rate_limited` or `quota_exceeded`, 422 `cost_exceeds_limit`, 401 for a consumer that is disabled or a key that is revoked
/// by now, 503 where the store cannot be reached and the plan fails closed; or [`AdmitError::NewEpoch`].
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "admit", skip_all)]
pub async fn admit(
    cx: &RequestContext<'_>,
    principal: &Principal,
    calls: &[Call],
    paid: Option<Vec<WindowState>>,
) -> Result<Vec<WindowState>, AdmitError> {
    match principal.key_owner() {
        Some(owner) => by_key(cx, principal, owner, calls, paid).await,
        None if principal.anonymous => Ok(by_address(cx, bucket(principal))?),
        None => by_consumer(cx, principal, calls).await,
    }
}

/// Whether this instance has just seen that the caller has ample room, so that its admission is as good as certain.
pub fn is_sure(app: &App, principal: &Principal, calls: &[Call]) -> bool {
    let subject = if principal.key_owner().is_some() { Ok(None) } else { subject(app, principal) };
    matches!(subject, Ok(Some(subject)) if app.limiter.has_ample_room(&subject, calls, app.env.now()))
}

/// The bucket that an anonymous caller is limited by at its address.
pub fn bucket(principal: &Principal) -> AddressBucket {
    principal.key_id.clone().map_or(AddressBucket::Open, AddressBucket::Publishable)
}

/// Charges a bucket of the client's address; the window is `None` where addresses are not limited.
///
/// # Errors
/// 429.
pub fn by_address(cx: &RequestContext<'_>, bucket: AddressBucket) -> Result<Vec<WindowState>, Problem> {
    let window = cx.app.addresses.admit(cx.request.address, bucket, cx.app.env.now());
    window.map(|window| window.into_iter().collect()).map_err(|limited| address_limited(cx, &limited))
}

/// A publishable key pays by itself, and nothing of its consumer's limits; the consumer's item is only read, for whether the key holds.
async fn by_key(
    cx: &RequestContext<'_>,
    principal: &Principal,
    owner: &str,
    calls: &[Call],
    paid: Option<Vec<WindowState>>,
) -> Result<Vec<WindowState>, AdmitError> {
    let app = cx.app;
    let account = account_of_key(app, principal)?;
    let charge = async {
        match paid {
            Some(windows) => Ok(windows),
            None => charge_key(cx, principal, account.as_ref(), calls).await,
        }
    };
    // Not an error here: a charge that is under way has to come to its end.
    let check = async { Ok(app.limiter.check(owner, principal.key_id.as_deref(), principal.epoch.unwrap_or(0)).await) };
    let (windows, checked) = future::try_join(charge, check).await?;
    match checked {
        Ok(()) => Ok(windows),
        Err(LimitRefusal::NewEpoch { current }) => Err(AdmitError::NewEpoch { current, paid: Some(windows) }),
        // The store is away: the charge was let through because the plan says so.
        Err(LimitRefusal::Unavailable) if account.is_some_and(|account| account.plan.fail_open) => Ok(windows),
        Err(other) => Err(refused(cx, other)),
    }
}

async fn charge_key(
    cx: &RequestContext<'_>,
    principal: &Principal,
    account: Option<&LimitSubject>,
    calls: &[Call],
) -> Result<Vec<WindowState>, AdmitError> {
    let windows = by_address(cx, bucket(principal))?;
    let Some(account) = account else { return Ok(windows) };
    match cx.app.limiter.admit(account, calls, cx.app.env.now()).await {
        Ok(_) => Ok(windows),
        Err(LimitRefusal::Denied(mut denial)) => {
            // What others have left of the key's limits is shown only where nothing is left.
            denial.windows.retain(|window| denial.violated.iter().any(|violation| violation.name == window.name));
            Err(denied(cx, &denial).into())
        }
        Err(other) => Err(refused(cx, other)),
    }
}

async fn by_consumer(cx: &RequestContext<'_>, principal: &Principal, calls: &[Call]) -> Result<Vec<WindowState>, AdmitError> {
    let (app, now) = (cx.app, cx.app.env.now());
    let Some(subject) = subject(app, principal)? else {
        let epoch = principal.epoch.unwrap_or(0);
        let checked = app.limiter.check(&principal.consumer, principal.key_id.as_deref(), epoch).await;
        return checked.map(|()| Vec::new()).map_err(|refusal| refused(cx, refusal));
    };
    let is_allowed = matches!(&cx.matched, Ok(matched) if matched.charge == Charge::Allowance);
    let admission = match is_allowed {
        true => app.limiter.admit_by_allowance(&subject, calls, now).await,
        false => app.limiter.admit(&subject, calls, now).await,
    };
    match admission {
        Ok(admission) => {
            notify_best_effort(app, &subject, &admission.due, now).await;
            note_best_effort(&subject, notify::watch::note_near(&*app.table, &subject, &admission.near, now)).await;
            Ok(admission.windows)
        }
        Err(LimitRefusal::Denied(denial)) => {
            notify_best_effort(app, &subject, &denial.due, now).await;
            if denial.first_of_minute {
                note_denied_best_effort(app, &subject, &denial, now).await;
            }
            Err(denied(cx, &denial).into())
        }
        Err(other) => Err(refused(cx, other)),
    }
}

fn refused(cx: &RequestContext<'_>, refusal: LimitRefusal) -> AdmitError {
    match refusal {
        LimitRefusal::NewEpoch { current } => AdmitError::NewEpoch { current, paid: None },
        LimitRefusal::Denied(denial) => denied(cx, &denial).into(),
        LimitRefusal::CostExceeds(excess) => {
            let detail = format!(
                "The request costs {} units, and limit {} admits at most {} at once; ask for less in one request.",
                excess.cost, excess.name, excess.limit
            );
            Problem::new(Code::CostExceedsLimit, detail).with_member("violated-policies", json!([excess.name])).into()
        }
        LimitRefusal::Disabled => no_longer(AuthRefusal::Disabled).into(),
        LimitRefusal::Revoked => no_longer(AuthRefusal::UnknownApiKey).into(),
        LimitRefusal::Unavailable => Problem::unavailable("the limiter cannot reach its table").into(),
    }
}

/// Whom a caller's requests are charged to; `None` where nothing limits it: no plan, or nobody whose plan it could be.
///
/// # Errors
/// 500: the model's plan cannot be had, which loading the model would have found.
pub fn subject(app: &App, principal: &Principal) -> Result<Option<LimitSubject>, Problem> {
    if principal.anonymous {
        return Ok(None);
    }
    let (consumer, key_id) = (principal.consumer.clone(), principal.key_id.clone());
    let subject = |plan| LimitSubject { consumer, plan, used_key: key_id.clone(), key_id, epoch: principal.epoch.unwrap_or(0) };
    Ok(plan(app, principal)?.map(subject))
}

/// What a publishable key is charged to as a whole: its consumer's plan, counted for the key alone. Whether the key holds stands in the
/// consumer's item, so this one has neither epoch nor revocations.
fn account_of_key(app: &App, principal: &Principal) -> Result<Option<LimitSubject>, Problem> {
    let Some(key_id) = &principal.key_id else { return Ok(None) };
    let subject = |plan| {
        let (consumer, used_key) = (keys::account_of_key(key_id), Some(key_id.clone()));
        LimitSubject { consumer, plan, key_id: None, used_key, epoch: 0 }
    };
    Ok(plan(app, principal)?.map(subject))
}

fn plan(app: &App, principal: &Principal) -> Result<Option<Arc<ResolvedPlan>>, Problem> {
    let name = principal.plan.as_deref().or(app.model.auth.default_plan.as_deref());
    let Some(plan) = name.and_then(|name| app.model.plan(name)) else { return Ok(None) };
    let resolved = ResolvedPlan::of(plan, principal.overrides.as_ref());
    resolved.map(|plan| Some(Arc::new(plan))).map_err(|faults| Problem::internal(format!("plan {}: {faults:?}", plan.name)))
}

async fn note_denied_best_effort(app: &App, subject: &LimitSubject, denial: &Denial, now: Micros) {
    let limits: Vec<&str> = denial.violated.iter().map(|limit| limit.name.as_str()).collect();
    note_best_effort(subject, notify::watch::note_denied(&*app.table, subject, &limits, now)).await;
}

/// Best effort: a minute that is not noted delays the notice of what lasts.
async fn note_best_effort(subject: &LimitSubject, note: impl Future<Output = Result<(), TableError>>) {
    if let Err(error) = note.await {
        tracing::warn!(consumer = subject.consumer, %error, "a minute with denials, or near the bound of a rate, could not be noted");
    }
}

/// Best effort: a crossing without its notice is found again by a later request, or by the reporter, which watches the consumer from
/// now on.
async fn notify_best_effort(app: &App, subject: &LimitSubject, due: &[Crossing], now: Micros) {
    if due.is_empty() {
        return;
    }
    if let Err(error) = notify::enqueue(&*app.table, &app.env, &subject.consumer, due, now).await {
        tracing::warn!(consumer = subject.consumer, %error, "the notice of a threshold could not be enqueued yet");
        // Whatever it is noted for, the reporter looks at a consumer that is noted.
        note_best_effort(subject, notify::watch::note_denied(&*app.table, subject, &[""], now)).await;
    }
}

/// Notes for the count how much of the caller's limits is used, as the answer's headers show it.
fn note_limits(cx: &RequestContext<'_>, windows: &[WindowState]) {
    if let Some(window) = headers::tightest(windows) {
        cx.metrics.limit_used(window.used());
    }
}

/// 429 with everything that the caller needs to come back in time.
fn denied(cx: &RequestContext<'_>, denial: &Denial) -> Problem {
    note_limits(cx, &denial.windows);
    let now = cx.app.env.now();
    let is_violated =
        |window: &&WindowState| denial.violated.iter().any(|limit| (limit.quota, &limit.name) == (window.quota, &window.name));
    let used_up: Vec<&WindowState> = denial.windows.iter().filter(is_violated).collect();
    let code = if denial.is_quota() { Code::QuotaExceeded } else { Code::RateLimited };
    let reasons: Vec<String> = used_up.iter().map(|window| reason(window, denial.cost, now)).collect();
    let mut problem = Problem::new(code, format!("{}. Wait as Retry-After says.", reasons.join("; ")))
        .with_member("violated-policies", json!(headers::violated_policies(denial)))
        .with_member("limits", used_up.iter().map(|window| limit(window, now)).collect::<Value>());
    problem.headers.extend(named(headers::denied(denial)));
    problem
}

/// What a limit that refuses a request is, how much of it is used, and when it ends.
fn reason(window: &WindowState, cost: u64, now: Micros) -> String {
    let WindowState { name, limit, remaining, .. } = window;
    let used = limit.saturating_sub(*remaining);
    let until = now.plus(window.reset).rfc3339();
    match window.quota {
        true if *limit == 0 => format!("Quota `{name}` is 0 and admits nothing"),
        true => format!("Quota `{name}`: {used} of {limit} units are used until {until}, and the request costs {cost}"),
        false => {
            let seconds = window.window.as_secs_f64();
            format!(
                "Rate `{name}`: {used} of {limit} units are used, which refill within {seconds} s, and the request costs {cost}"
            )
        }
    }
}

/// 429 for a client address; also for the coarse limit of credentials that are not accepted.
fn address_limited(cx: &RequestContext<'_>, limited: &AddressLimited) -> Problem {
    let windows = std::slice::from_ref(&limited.window);
    note_limits(cx, windows);
    let detail = "Too many requests from this address; wait as Retry-After says.";
    let mut problem = Problem::new(Code::RateLimited, detail).with_member("violated-policies", json!([limited.window.name]));
    problem.headers.extend(named(headers::rate_limit(windows)));
    problem.headers.extend(named(vec![headers::retry_after(limited.wait)]));
    problem
}

/// The answer that verification gives from now on, given at once.
fn no_longer(refusal: AuthRefusal) -> Problem {
    let failure = AuthFailure::Invalid(refusal);
    Problem::unauthenticated(header_value(failure.challenge().unwrap_or_default()), failure.message())
}

fn named(headers: Vec<headers::Header>) -> Vec<(HeaderName, HeaderValue)> {
    headers.into_iter().map(|(name, value)| (HeaderName::from_static(name), header_value(value))).collect()
}
