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
    let limits = match &subject {
        // Of a publishable key what the client's address has left; what others have left of the key is not this caller's.
        None if who.anonymous => {
            let window = cx.app.addresses.standing(cx.request.address, admit::bucket(who), now);
            window.iter().map(|window| limit(window, None, now)).collect()
        }
        None => Vec::new(),
        Some(subject) => limits(&cx.app.limiter.standing(subject, now).await?, now),
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
    Ok(Reply::json(StatusCode::OK, &document))
}

fn limits(standing: &LimitStatus, now: Micros) -> Vec<Value> {
    let forecast = |window: &WindowState| standing.forecasts.iter().find(|one| window.quota && one.name == window.name);
    standing.windows.iter().map(|window| limit(window, forecast(window), now)).collect()
}

/// A rate or quota. `reset_at`: when all of it is there again; `runs_out_at`: when a quota is used up at the present pace, null
/// where it lasts.
fn limit(window: &WindowState, forecast: Option<&Forecast>, now: Micros) -> Value {
    let mut document = json!({
        "name": window.name,
        "type": if window.quota { "quota" } else { "rate" },
        "limit": window.limit,
        "remaining": window.remaining,
        "window_seconds": window.window.as_secs_f64(),
        "reset_at": now.plus(window.reset).rfc3339(),
    });
    if let Some(forecast) = forecast {
        document["used"] = json!(forecast.used);
        document["runs_out_at"] = json!(forecast.runs_out.map(Micros::rfc3339));
    }
    document
}
