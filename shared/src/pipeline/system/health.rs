//! `GET /v1/_health` (the process answers) and `GET /v1/_health/ready` (so do the services that it needs, and the tables are of the
//! protocol that this version speaks).

use http::StatusCode;
use serde_json::json;

use crate::app::App;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::store::keys;
use crate::store::table::TableName;

/// The process answers.
pub fn alive() -> Reply {
    Reply::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// The tables answer, and so they do to the limiter: where they did not when it last asked, it asks again now.
///
/// # Errors
/// 503 `unavailable`, with the names of what does not answer as the member `dependencies`.
pub async fn ready(app: &App) -> Result<Reply, Problem> {
    let place = [(TableName::Data, keys::global_tag()), (TableName::Volatile, keys::global_tag())];
    let limiter = async {
        match app.limiter.health().failing_since {
            Some(since) => app.limiter.probe(app.env.now()).await.map_err(|error| (since, error)),
            None => Ok(()),
        }
    };
    let (data, volatile, limiter) = futures::join!(app.table.get(&place[..1], true), app.table.get(&place[1..], true), limiter);
    let mut failing = Vec::new();
    let mut causes = Vec::new();
    for (name, answer) in [("data_table", data), ("volatile_table", volatile)] {
        if let Err(error) = answer {
            failing.push(name);
            causes.push(format!("{name}: {error}"));
        }
    }
    // Whether the table is of the protocol that this version speaks: an instance must not be given requests before it is.
    if failing.is_empty()
        && let Err(error) = app.constraints.check_protocol().await
    {
        failing.push("protocol");
        causes.push(format!("protocol: {error}"));
    }
    // Whether the stored data is prepared for the model, so that no valid request is refused.
    if failing.is_empty()
        && let Ok(states) = app.constraints.states().await
        && let Some(lack) = states.unprepared_for(&app.model)
    {
        failing.push("model");
        causes.push(format!("model: {lack} is not prepared, run `holdfast migrate --prepare`"));
    }
    if let Err((since, error)) = limiter {
        failing.push("limiter");
        causes.push(format!("limiter: failing since {}: {error}", since.rfc3339()));
    }
    if failing.is_empty() {
        return Ok(Reply::json(StatusCode::OK, &json!({ "status": "ready" })));
    }
    let mut problem = Problem::unavailable(causes.join("; ")).with_member("dependencies", json!(failing));
    problem.detail = match failing[..] {
        ["model"] => "Not ready: the stored data is not prepared for the model; run `holdfast migrate --prepare`.".to_owned(),
        _ => format!("Not ready: {} does not answer.", failing.join(", ")),
    };
    Err(problem)
}
