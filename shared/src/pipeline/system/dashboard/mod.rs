//! `GET /v1/_usage/dashboard`: the page with charts, and as JSON what it shows. `GET /v1/_usage/metrics`: OpenMetrics.
//!
//! The page holds no secret, and a browser cannot send `Authorization` when it opens an address, so whoever asks for HTML gets it
//! without credentials; its data need them (infra/adr/0012).

mod page;

use std::sync::Arc;

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::parameters::{Parameters, refuse};
use super::usage::flush_best_effort;
use crate::core::clock::Micros;
use crate::http::problem::Problem;
use crate::http::{ApiRequest, JSON, Reply, header_value, negotiate};
use crate::identity::consumer::Consumers;
use crate::limit::{LimitSubject, ResolvedPlan};
use crate::model::Model;
use crate::notify;
use crate::pipeline::permission::Account;
use crate::pipeline::{Context, admit};
use crate::query::policy::SystemPermit;
use crate::query::policy::system::Usage;
use crate::usage::{Level, dashboard, metrics, read};

const HTML: &str = "text/html";
const OPENMETRICS: &str = "application/openmetrics-text";
const PLAIN: &str = "text/plain";
/// Most anomalies that are shown.
const ANOMALIES: usize = 100;

/// The times that the page offers: name, how coarse, how many points.
const RANGES: [(&str, Level, i64); 6] = [
    ("1h", Level::Minute, 60),
    ("6h", Level::Minute, 360),
    ("24h", Level::Hour, 24),
    ("7d", Level::Hour, 168),
    ("30d", Level::Hour, 720),
    ("90d", Level::Day, 90),
];

/// Whether somebody without credentials asks for the page itself: a browser that opens its address.
pub fn is_page_alone(request: &ApiRequest) -> bool {
    !request.headers.contains_key(http::header::AUTHORIZATION) && negotiate::names(&request.headers, HTML)
}

/// The page.
pub fn page(model: &Model) -> Reply {
    let page = page::page(&model.name);
    Reply::of(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), page.html)
        .header(CONTENT_SECURITY_POLICY, header_value(page.policy))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .version(&model.hash)
}

/// The page, or its data for those who prefer JSON.
pub(super) async fn dashboard(cx: &Context<'_>) -> Result<Reply, Problem> {
    let wanted = DashboardRequest::read(cx.request)?;
    let headers = &cx.request.headers;
    if negotiate::names(headers, JSON) && negotiate::quality(headers, JSON) >= negotiate::quality(headers, HTML) {
        return Ok(Reply::json(StatusCode::OK, &data(cx, wanted).await?));
    }
    Ok(page(cx.model()))
}

/// `GET /v1/_usage/metrics`: of everybody with the permission, else the caller's own. OpenMetrics, or the older text format of
/// Prometheus to those who name it and do not prefer the newer one.
pub(super) async fn openmetrics(cx: &Context<'_>) -> Result<Reply, Problem> {
    Parameters::read(cx.request, &[])?;
    flush_best_effort(cx).await;
    let account = Account::of(cx, None)?;
    let total = read::totals(&*cx.app.table, &cx.app.env).await?;
    let text = metrics::text(total, account.consumer()).map_err(|error| Problem::internal(error.to_string()))?;
    let headers = &cx.request.headers;
    let weight = |media_type| negotiate::quality(headers, media_type);
    let newer = negotiate::names(headers, OPENMETRICS) && weight(OPENMETRICS) >= weight(PLAIN);
    let (media_type, text) = match negotiate::names(headers, PLAIN) && !newer {
        true => (metrics::CLASSIC_MEDIA_TYPE, metrics::classic(&text)),
        false => (metrics::MEDIA_TYPE, text),
    };
    Ok(Reply::of(StatusCode::OK, HeaderValue::from_static(media_type), text))
}

/// Parameters of the page and of its data.
struct DashboardRequest {
    /// Of [`RANGES`].
    range: (&'static str, Level, i64),
    consumer: Option<String>,
}

impl DashboardRequest {
    fn read(request: &ApiRequest) -> Result<Self, Problem> {
        let parameters = Parameters::read(request, &["range", "consumer"])?;
        let name = parameters.get("range").unwrap_or("24h");
        let range = RANGES.into_iter().find(|(known, ..)| *known == name).ok_or_else(|| {
            let names = RANGES.map(|(name, ..)| name).join(", ");
            refuse("range", &format!("must be one of {names}"))
        })?;
        Ok(Self { range, consumer: parameters.consumer()?.map(str::to_owned) })
    }
}

async fn data(cx: &Context<'_>, wanted: DashboardRequest) -> Result<Value, Problem> {
    let (name, level, points) = wanted.range;
    let account = Account::of(cx, wanted.consumer.as_deref())?;
    flush_best_effort(cx).await;
    let now = cx.app.env.now().seconds();
    let from = level.start(now) - (points - 1) * level.seconds();
    let of = account.consumer();
    let read = read::series(&*cx.app.table, &cx.app.env, level, of, (from, now + 1));
    let (sheets, anomalies, limits) = futures::join!(read, anomalies(cx, of, from), limits(cx, of, level));
    let sheets = sheets?;
    let moment = |seconds: i64| Micros(seconds.saturating_mul(1_000_000)).rfc3339();
    let mut document = dashboard::summary(&sheets);
    document["range"] =
        json!({"name": name, "from": moment(from), "to": moment(now), "step_seconds": level.seconds(), "points": points});
    document["consumer"] = json!(of);
    document["everybody"] = json!(SystemPermit::<Usage>::check(cx.model(), cx.principal).is_some());
    document["series"] = json!(dashboard::series(&sheets));
    document["anomalies"] = json!(anomalies?);
    document["limits"] = json!(limits?);
    Ok(document)
}

/// Anomalies with a notice since a moment, newest first.
async fn anomalies(cx: &Context<'_>, of: Option<&str>, from: i64) -> Result<Vec<Value>, Problem> {
    let (notices, _) = notify::list(&*cx.app.table, of, ANOMALIES, None, cx.app.env.now()).await?;
    let first = Micros(from.saturating_mul(1_000_000)).rfc3339();
    let anomalies = notices.into_iter().filter_map(|notice| match &notice.notice.kind {
        notify::Kind::Anomaly { hour, sign, seen, usual, evidence } if *hour >= first => Some(json!({
            "hour": hour, "consumer": notice.notice.consumer, "sign": sign, "seen": seen, "usual": usual, "evidence": evidence,
        })),
        _ => None,
    });
    Ok(anomalies.collect())
}

/// The limits of one consumer as they stand, with the units of one step of the chart (null for a rate of some operations); none for all
/// together, or where they cannot be known: a plan may stand in a token that only the consumer has.
async fn limits(cx: &Context<'_>, of: Option<&str>, level: Level) -> Result<Vec<Value>, Problem> {
    let Some(subject) = subject(cx, of).await? else { return Ok(Vec::new()) };
    let now = cx.app.env.now();
    let standing = cx.app.limiter.standing(&subject, now).await?;
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
    let per_step = |units: u64, seconds: f64| units as f64 * level.seconds() as f64 / seconds;
    let rates = subject
        .plan
        .rates
        .iter()
        .map(|rate| (&rate.name, false, rate.only.is_empty().then(|| per_step(rate.rate, rate.per.as_secs_f64()))));
    let quotas = subject.plan.quotas.iter().map(|quota| {
        let seconds = match quota.window {
            crate::model::Window::Hour => 3_600.0,
            crate::model::Window::Day => 86_400.0,
            crate::model::Window::Month => 30.0 * 86_400.0,
        };
        (&quota.name, true, Some(per_step(quota.limit, seconds)))
    });
    let limits = rates.chain(quotas).filter_map(|(name, quota, per_step)| {
        let window = standing.windows.iter().find(|window| window.quota == quota && window.name == *name)?;
        let mut limit = admit::limit(window, now);
        limit["per_step"] = json!(per_step);
        Some(limit)
    });
    Ok(limits.collect())
}

async fn subject(cx: &Context<'_>, of: Option<&str>) -> Result<Option<LimitSubject>, Problem> {
    let Some(of) = of else { return Ok(None) };
    if of == cx.principal.consumer {
        return admit::subject(cx.app, cx.principal);
    }
    let consumers = Consumers { table: &*cx.app.table, model: &cx.app.model, env: &cx.app.env, riders: &|_| Vec::new() };
    let Ok(record) = consumers.get(of).await else { return Ok(None) };
    let Some(plan) = record.plan.as_deref().and_then(|name| cx.app.model.plan(name)) else { return Ok(None) };
    let plan = ResolvedPlan::of(plan, record.overrides.as_ref()).ok().map(Arc::new);
    Ok(plan.map(|plan| LimitSubject { consumer: of.to_owned(), plan, key_id: None, used_key: None, epoch: 0 }))
}
