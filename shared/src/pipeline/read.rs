//! Reads: a list, one record.

use http::header::LINK;
use http::{HeaderName, StatusCode};
use serde_json::{Map, Value};

use super::context::Context;
use super::embed::{self, ListError};
use super::list::{self, Judge};
use super::scan::{Row, ScanError};
use crate::http::{Reply, header_value};
use crate::model::{Deprecation, Entity, EntityIx};
use crate::plan::{self, Cursor, NoIndex};
use crate::policy::{self, Denied};
use crate::problem::{Code, FieldError, Problem};
use crate::query::{self, BadParameter};
use crate::store::table::TableName;
use crate::store::{items, keys};

/// `GET /v1/{plural}`.
///
/// # Errors
/// Parameters that cannot be accepted, an action that is not allowed, what the table says.
pub async fn list(cx: &Context<'_>, entity: EntityIx) -> Result<Reply, Problem> {
    let (app, model) = (cx.app, &cx.app.model);
    let entity = model.entity(entity);
    let query = query::parse_list(model, entity, &cx.request.query).map_err(|wrong| bad_parameters(&wrong))?;
    let permitted = policy::permit_list(model, cx.principal, query).map_err(|denied| refused(cx, &denied))?;
    let states = app.indexes.states().await?;
    let plan = plan::plan(model, &states, &permitted).map_err(|none| no_index(&none))?;
    embed::check(app, &states, &permitted).map_err(|none| no_index(&none))?;
    let query = permitted.query();
    let secret = app.secrets().await?.cursor;
    let after = match &query.cursor {
        None => None,
        Some(text) => Some(Cursor::open(text, &secret, query, &plan).map_err(|_| bad_cursor())?.position),
    };
    let counted = async { if query.count { list::count(app, &permitted, &plan).await.map(Some) } else { Ok(None) } };
    let (page, counted) = futures::try_join!(list::page(app, &permitted, &plan, after), counted).map_err(scan_failed)?;
    let shown = embed::show(app, &states, &permitted, &page.rows).await.map_err(list_failed)?;
    let mut body = Map::new();
    body.insert("data".into(), shown.into_iter().map(Value::Object).collect());
    let next = page.next.map(|position| Cursor { position }.seal(&secret, &app.env, query, &plan));
    body.insert("next_cursor".into(), next.clone().map_or(Value::Null, Value::String));
    if let Some(counted) = counted {
        body.insert("total".into(), counted.ok_or_else(|| too_many_to_count(entity))?.into());
    }
    // A list has no version of its own; its ETag is the hash of what it shows, under the model that shows it.
    let mut reply = Reply::json(StatusCode::OK, &Value::Object(body)).version(&model.hash);
    if let Some(next) = next {
        reply = reply.also(LINK, header_value(next_link(cx, &next)));
    }
    Ok(deprecated(reply, entity.deprecated.as_ref()))
}

/// `GET /v1/{plural}/{id}`.
///
/// # Errors
/// As [`list`]; 404 for a record that does not exist or may not be seen.
pub async fn get(cx: &Context<'_>, entity: EntityIx, id: &str) -> Result<Reply, Problem> {
    let (app, model) = (cx.app, &cx.app.model);
    let entity = model.entity(entity);
    let query = query::parse_get(model, entity, &cx.request.query).map_err(|wrong| bad_parameters(&wrong))?;
    let permitted = policy::permit_get(model, cx.principal, query).map_err(|denied| refused(cx, &denied))?;
    let place = [(TableName::Data, keys::record(entity, id))];
    let found = app.table.get(&place, true).await?.into_iter().next().flatten();
    let record = found.as_ref().and_then(items::decode).ok_or_else(Problem::not_found)?;
    let row = Row { position: Vec::new(), record };
    let judged = Judge::new(app, &permitted).visible(vec![row]).await.map_err(scan_failed)?;
    let Some((row, Some(mask))) = judged.into_iter().next() else { return Err(Problem::not_found()) };
    let rows = [(row.record, mask)];
    let shown = if permitted.includes().is_empty() {
        vec![crate::shape::record(entity, &rows[0].0, &rows[0].1, permitted.query().fields.as_ref())]
    } else {
        let states = app.indexes.states().await?;
        embed::check(app, &states, &permitted).map_err(|none| no_index(&none))?;
        embed::show(app, &states, &permitted, &rows).await.map_err(list_failed)?
    };
    let body = shown.into_iter().next().map_or(Value::Null, Value::Object);
    let reply = Reply::json(StatusCode::OK, &body).version(&rows[0].0.version);
    Ok(deprecated(reply, entity.deprecated.as_ref()))
}

/// All parameters that are wrong: the first in the detail, each among the errors.
fn bad_parameters(wrong: &[BadParameter]) -> Problem {
    let message = |bad: &BadParameter| format!("{}: {}", bad.name, bad.why);
    let code = Code::InvalidParameter.name();
    let errors = wrong.iter().map(|bad| FieldError::new(format!("/{}", bad.name), code, message(bad))).collect();
    let (name, detail) = wrong.first().map_or((String::new(), String::new()), |bad| (bad.name.clone(), message(bad)));
    Problem::invalid_parameter(&name, detail).with_errors(errors)
}

fn bad_cursor() -> Problem {
    Problem::invalid_parameter("cursor", "is not a cursor that this list gave; filters and sort must be those of the page before")
}

fn too_many_to_count(entity: &Entity) -> Problem {
    Problem::invalid_parameter(
        "count",
        format!(
            "counting would examine more rows of {} than a request may; narrow the filter to the equality of an index",
            entity.name
        ),
    )
}

fn no_index(none: &NoIndex) -> Problem {
    Problem::invalid_parameter(&none.parameter, none.help.clone())
}

/// What the caller may not do.
fn refused(cx: &Context<'_>, denied: &Denied) -> Problem {
    match denied {
        Denied::Action { entity, action } => {
            Problem::forbidden(format!("your roles do not allow to {} {}", action.name(), cx.app.model.entity(*entity).plural))
        }
        // As if it did not exist: whether it does is not the caller's to know.
        Denied::Field { entity, parameter } => {
            let name = parameter.rsplit('=').next().unwrap_or(parameter);
            let parameter = parameter.split('=').next().unwrap_or(parameter);
            let why = format!("{} has no field \"{name}\"", cx.app.model.entity(*entity).name);
            Problem::invalid_parameter(parameter, why)
        }
    }
}

fn scan_failed(error: ScanError) -> Problem {
    match error {
        ScanError::TooManyParents => {
            let why = "a filter over a relation matches too many records on its other side; add a filter that an index serves";
            Problem::new(Code::InvalidParameter, why)
        }
        ScanError::Table(error) => error.into(),
    }
}

fn list_failed(error: ListError) -> Problem {
    match error {
        ListError::NoIndex(none) => no_index(&none),
        ListError::Scan(error) => scan_failed(error),
    }
}

/// `Link: <...>; rel="next"`: the same query with the next cursor.
fn next_link(cx: &Context<'_>, cursor: &str) -> String {
    let kept = cx.request.query.split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<&str> = kept.collect();
    let separator = if query.is_empty() { "" } else { "&" };
    format!("<{}{}?{}{separator}cursor={cursor}>; rel=\"next\"", cx.request.base_url, cx.request.path, query.join("&"))
}

/// `Deprecation` (RFC 9745), `Sunset` (RFC 8594).
fn deprecated(reply: Reply, deprecation: Option<&Deprecation>) -> Reply {
    let Some(deprecation) = deprecation else { return reply };
    let reply = reply.header(HeaderName::from_static("deprecation"), header_value(format!("@{}", deprecation.since)));
    match deprecation.sunset.and_then(http_date) {
        Some(date) => reply.header(HeaderName::from_static("sunset"), header_value(date)),
        None => reply,
    }
}

/// A moment as an HTTP date (RFC 9110, 5.6.7).
fn http_date(seconds: i64) -> Option<String> {
    let format =
        time::macros::format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    time::OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(format).ok()
}
