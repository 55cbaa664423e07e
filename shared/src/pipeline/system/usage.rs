//! `GET /v1/_usage`: who called how often, with what outcome, how fast and at what cost.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::parameters::{Parameters, moment, refuse};
use crate::http::problem::Problem;
use crate::http::{JSON, Reply, negotiate};
use crate::pipeline::Context;
use crate::pipeline::permission::Account;
use crate::usage::Level;
use crate::usage::query::{self, Dimension};
use crate::usage::read;

/// Media type of CSV (RFC 7111).
const CSV: &str = "text/csv";
/// Most points of time of one answer.
const POINTS: i64 = 1_600;
/// Parameters of it.
const KNOWN: [&str; 5] = ["from", "to", "granularity", "group_by", "consumer"];

/// Requested resource.
struct UsageRequest {
    level: Level,
    /// From this moment, before that one: seconds since 1970.
    range: (i64, i64),
    by: Vec<Dimension>,
    /// Account whose usage is shown.
    account: Account,
}

/// Answers it: JSON, or CSV to those who prefer that.
pub(super) async fn usage(cx: &Context<'_>) -> Result<Reply, Problem> {
    let wanted = read_request(cx)?;
    flush_best_effort(cx).await;
    let of = wanted.account.consumer();
    let sheets = read::series(&*cx.app.table, &cx.app.env, wanted.level, of, wanted.range).await?;
    let rows = query::rows(&sheets, &wanted.by, of);
    let weight = |media_type| negotiate::quality(&cx.request.headers, media_type);
    Ok(if negotiate::names(&cx.request.headers, CSV) && weight(CSV) >= weight(JSON) {
        let body = query::csv(&rows, &wanted.by).map_err(|error| Problem::internal(error.to_string()))?;
        Reply::of(StatusCode::OK, HeaderValue::from_static("text/csv; charset=utf-8; header=present"), body)
    } else {
        let data: Vec<Value> = rows.iter().map(|row| Value::Object(row.document())).collect();
        Reply::json(StatusCode::OK, &json!({ "data": data }))
    })
}

/// Best effort: what this instance has counted is in the answer too. Others have theirs in memory for a few seconds.
pub(super) async fn flush_best_effort(cx: &Context<'_>) {
    if let Err(error) = cx.app.usage.flush().await {
        tracing::warn!(%error, "usage could not be flushed before it was read");
    }
}

fn read_request(cx: &Context<'_>) -> Result<UsageRequest, Problem> {
    let parameters = Parameters::read(cx.request, &KNOWN)?;
    let level = match parameters.get("granularity") {
        None | Some("hour") => Level::Hour,
        Some("minute") => Level::Minute,
        Some("day") => Level::Day,
        Some(_) => return Err(refuse("granularity", "must be minute, hour or day")),
    };
    Ok(UsageRequest {
        level,
        range: range(&parameters, level, cx.app.env.now().seconds())?,
        by: dimensions(parameters.get("group_by"))?,
        account: Account::of(cx, parameters.consumer()?)?,
    })
}

/// What is looked back over where nothing is said.
fn usual(level: Level) -> Duration {
    match level {
        Level::Minute => Duration::from_secs(3_600),
        Level::Hour => Duration::from_secs(86_400),
        Level::Day => Duration::from_secs(30 * 86_400),
    }
}

fn range(parameters: &Parameters, level: Level, now: i64) -> Result<(i64, i64), Problem> {
    let given = |name| parameters.get(name).map(|text| moment(name, text)).transpose();
    // Up to and with the present moment, where nothing is said.
    let to = given("to")?.map_or(now + 1, |to| to.0.div_euclid(1_000_000) + i64::from(to.0.rem_euclid(1_000_000) > 0));
    let back = i64::try_from(usual(level).as_secs()).unwrap_or(0);
    let from = given("from")?.map_or_else(|| to.saturating_sub(back), |from| from.seconds());
    if from >= to {
        return Err(refuse("from", "must be before to"));
    }
    let first = level.start(from);
    if to.saturating_sub(first) > POINTS * level.seconds() {
        let why =
            format!("is too long before to: at most {POINTS} points of time are told at once; choose a coarser granularity");
        return Err(refuse("from", &why));
    }
    if first < 0 {
        return Err(refuse("from", "must not be before 1970"));
    }
    Ok((from, to))
}

fn dimensions(text: Option<&str>) -> Result<Vec<Dimension>, Problem> {
    let Some(text) = text else { return Ok(vec![Dimension::Consumer]) };
    let mut by = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let found = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name);
        match found {
            Some(dimension) if !by.contains(&dimension) => by.push(dimension),
            Some(_) => return Err(refuse("group_by", &format!("names {name} twice"))),
            None => return Err(refuse("group_by", "must be some of consumer, route, status, separated by commas")),
        }
    }
    Ok(by)
}
