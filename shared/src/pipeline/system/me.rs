//! `GET /v1/_me`: who the caller is, and what its limits leave.

use http::StatusCode;
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::core::clock::Micros;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::limit::{Forecast, LimitStatus, WindowState};
use crate::pipeline::Context;
use crate::pipeline::admit;

/// Answers it. The limits are read with the store's strongest consistency and charged nothing here.
pub(super) async fn me(cx: &Context<'_>) -> Result<Reply, Problem> {
    Parameters::read(cx.request, &[])?;
    // What this request itself costs is part of the answer, as it is of the headers.
    cx.gate.passed().await;
    let (who, now) = (cx.principal, cx.app.env.now());
    let subject = admit::subject(cx.app, who)?;
    let mut told = Vec::new();
    let limits = match &subject {
        // Of a publishable key what the client's address has left; what others have left of the key is not this caller's.
        None if who.anonymous => {
            let window = cx.app.addresses.standing(cx.request.address, admit::bucket(who), now);
            window.iter().map(|window| admit::limit(window, now)).collect()
        }
        None => Vec::new(),
        Some(subject) => {
            let standing = cx.app.limiter.standing(subject, now).await?;
            // The headers of this answer tell the same: others may have been admitted since this request was.
            let is_general = |window: &&WindowState| {
                window.quota || subject.plan.rates.iter().any(|rate| rate.name == window.name && rate.only.is_empty())
            };
            told = admit::told(&standing.windows.iter().filter(is_general).cloned().collect::<Vec<_>>());
            limits(&standing, now)
        }
    };
    let expires = who.expires.map(|seconds| Micros(seconds.saturating_mul(1_000_000)).rfc3339());
    let document = json!({
        "consumer": who.consumer,
        "subject": who.subject,
        "anonymous": who.anonymous,
        "key_id": who.key_id,
        "roles": who.roles,
        "scopes": who.scopes,
        "plan": subject.map(|subject| subject.plan.name.clone()),
        "expires_at": expires,
        "limits": limits,
    });
    let mut reply = Reply::json(StatusCode::OK, &document);
    reply.headers.extend(told);
    Ok(reply)
}

fn limits(standing: &LimitStatus, now: Micros) -> Vec<Value> {
    let forecast = |window: &WindowState| standing.forecasts.iter().find(|one| window.quota && one.name == window.name);
    standing.windows.iter().map(|window| with_forecast(admit::limit(window, now), forecast(window))).collect()
}

/// `runs_out_at`: when a quota is used up at the present pace, null where it lasts.
fn with_forecast(mut limit: Value, forecast: Option<&Forecast>) -> Value {
    if let Some(forecast) = forecast {
        limit["runs_out_at"] = json!(forecast.runs_out.map(Micros::rfc3339));
    }
    limit
}
