//! Reads: a list, one record.
//!
//! ```text
//! parse -> permit -> (plan -> cache -> fresh) -> reply
//! ```

mod cached;
mod fresh;
mod public;
mod refused;

use http::StatusCode;
use http::header::LINK;
use serde_json::Value;

use super::context::Context;
use super::deprecated;
use super::plan_stats;
use crate::cache::{self, Answer};
use crate::http::problem::Problem;
use crate::http::{JSON, Reply, header_value};
use crate::identity::secret::CursorKeys;
use crate::model::{Action, EntityIx, Operation};
use crate::query::plan::{Cursor, QueryPlan};
use crate::query::policy;
use crate::query::{self, ListQuery};

use cached::{Answered, Read};
use refused::{bad_parameters, refused};

/// `GET /v1/{plural}`.
///
/// # Errors
/// Parameters that cannot be accepted, an action that is not allowed, what the table says.
pub async fn list(cx: &Context<'_>, entity: EntityIx) -> Result<Reply, Problem> {
    let (app, model) = (cx.app, &cx.app.model);
    let entity = model.entity(entity);
    let view = policy::view(model, cx.principal, entity.ix, Action::List).map_err(|denied| refused(cx, &denied))?;
    let query = query::parse_list(model, entity, &view, &cx.request.query).map_err(|wrong| bad_parameters(&wrong))?;
    let permitted = policy::permit_list(model, cx.principal, query).map_err(|denied| refused(cx, &denied))?;
    plan_stats::deprecated(model, permitted.query()).into_iter().for_each(|name| cx.metrics.deprecated(name));
    // Side by side, so that a new instance waits once for both.
    let secrets = app.secrets_for(permitted.query().cursor.as_deref());
    let (secrets, answered) = futures::join!(secrets, cached::answer(cx, &permitted, Read::List));
    let Answered { answer, plan, status } = answered?;
    let next = next_cursor(&answer, &secrets?.cursor, permitted.query(), &plan.own);
    // A list has no version of its own; its ETag is the hash of what it shows, under the model that shows it.
    let body = list_body(&answer, next.as_deref());
    let mut reply = Reply::of(StatusCode::OK, header_value(JSON), body).version(&answer.version);
    reply = status.mark(reply);
    if let Some(next) = next {
        reply = reply.also(LINK, header_value(next_link(cx, &next)));
    }
    let reply = reply.public(public::age(model, cx.request, cx.principal, &permitted));
    Ok(deprecated::of_read(cx, reply, &permitted, Operation::List))
}

/// `GET /v1/{plural}/{id}`. What one read gives by itself goes past the cache, which could not be faster.
///
/// # Errors
/// As [`list`]; 404 for a record that does not exist or may not be seen.
pub async fn get(cx: &Context<'_>, entity: EntityIx, id: &str) -> Result<Reply, Problem> {
    let model = &cx.app.model;
    let entity = model.entity(entity);
    let view = policy::view(model, cx.principal, entity.ix, Action::Read).map_err(|denied| refused(cx, &denied))?;
    let query = query::parse_get(model, entity, &view, &cx.request.query).map_err(|wrong| bad_parameters(&wrong))?;
    let permitted = policy::permit_get(model, cx.principal, query).map_err(|denied| refused(cx, &denied))?;
    let record = |answer: &Answer| Reply::of(StatusCode::OK, header_value(JSON), answer.body.clone()).version(&answer.version);
    let reply = if cache::reads_others(model, &permitted) {
        let Answered { answer, status, .. } = cached::answer(cx, &permitted, Read::Record(id)).await?;
        status.mark(record(&answer))
    } else {
        // Nothing is embedded, so nothing has to be planned.
        record(&fresh::record(cx, &permitted, &[], id).await?)
    };
    let reply = reply.public(public::age(model, cx.request, cx.principal, &permitted));
    Ok(deprecated::of_read(cx, reply, &permitted, Operation::Read))
}

/// The cursor behind this page.
fn next_cursor(answer: &Answer, keys: &CursorKeys, query: &ListQuery, plan: &QueryPlan) -> Option<String> {
    let position = answer.next.clone()?;
    Some(Cursor { position }.seal(keys, query, plan))
}

/// The document of a list around its records.
fn list_body(answer: &Answer, next: Option<&str>) -> Vec<u8> {
    let next = next.map_or(Value::Null, Value::from).to_string();
    let total = answer.total.map_or_else(String::new, |total| format!(",\"total\":{total}"));
    [b"{\"data\":", &answer.body[..], b",\"next_cursor\":", next.as_bytes(), total.as_bytes(), b"}"].concat()
}

/// `Link: <...>; rel="next"`: the same query with the next cursor.
fn next_link(cx: &Context<'_>, cursor: &str) -> String {
    let kept = cx.request.query.split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<&str> = kept.collect();
    let separator = if query.is_empty() { "" } else { "&" };
    format!("<{}{}?{}{separator}cursor={cursor}>; rel=\"next\"", cx.request.base_url, cx.request.path, query.join("&"))
}
