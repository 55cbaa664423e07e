//! `GET /v1/_notifications` and `GET /v1/_audit`: what was told, and who did what; newest first.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::parameters::{Parameters, bad_cursor, moment, refuse};
use super::{may, permit};
use crate::core::clock::Micros;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::model::SystemPermission;
use crate::notify;
use crate::pipeline::Context;
use crate::store::audit::{self, AuditError, MAX_ACTION, OTHER_RESOURCES, Wanted};

/// How far the audit trail is read back where nothing is said.
const RECENT: Duration = Duration::from_secs(30 * 86_400);
/// Length of a position in the list of notices.
const POSITION: usize = 16;

/// The caller's own notices; with the permission `usage` those of everybody, or of one `consumer`.
pub(super) async fn notifications(cx: &Context<'_>) -> Result<Reply, Problem> {
    let own = Some(cx.principal.consumer.as_str());
    let parameters = Parameters::read(cx.request, &["limit", "cursor", "consumer"])?;
    let of = match parameters.consumer()? {
        Some(named) if Some(named) == own => own,
        Some(named) => {
            permit(cx, SystemPermission::Usage)?;
            Some(named)
        }
        None if may(cx, SystemPermission::Usage) => None,
        None => own,
    };
    let after = parameters.cursor()?.map(position).transpose()?;
    let (notices, next) = notify::list(&*cx.app.table, of, parameters.limit()?, after, cx.app.env.now()).await?;
    let next = next.map(|after| URL_SAFE_NO_PAD.encode([b"1", after.as_slice()].concat()));
    Ok(parameters.page(cx.request, &documents(&notices)?, next.as_deref()))
}

/// The audit trail, for the permission `audit`; `from`: no older than this, 30 days ago where nothing is said, up to `to`.
pub(super) async fn audit(cx: &Context<'_>) -> Result<Reply, Problem> {
    permit(cx, SystemPermission::Audit)?;
    let parameters = Parameters::read(cx.request, &["limit", "cursor", "consumer", "entity", "action", "from", "to"])?;
    let named = |name: &str, why: &str, fits: &dyn Fn(&str) -> bool| match parameters.get(name) {
        Some(text) if !fits(text) => Err(refuse(name, why)),
        other => Ok(other.map(str::to_owned)),
    };
    let consumer = parameters.consumer()?;
    let of_entity = |text: &str| cx.model().by_name(text).is_some() || OTHER_RESOURCES.contains(&text);
    let resource = named("entity", &format!("must be an entity of the model, or {}", OTHER_RESOURCES.join(" or ")), &of_entity)?;
    let words =
        |text: &str| text.split('.').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let is_action = |text: &str| text.len() <= MAX_ACTION && words(text);
    let action = named("action", "must be an action such as order.update, or update for that of any entity", &is_action)?;
    let now = cx.app.env.now();
    // What happens in this very moment is part of the trail; days to come are not looked through.
    let end = now.plus(Duration::from_micros(1));
    let until = parameters.get("to").map_or(Ok(end), |text| moment("to", text))?.min(end);
    let since = match parameters.get("from") {
        Some(text) => moment("from", text)?,
        None => Micros(until.0.saturating_sub(i64::try_from(RECENT.as_micros()).unwrap_or(i64::MAX))),
    };
    if since >= until {
        return Err(refuse("from", "must be before `to`"));
    }
    let (resource, action) = (resource.as_deref(), action.as_deref());
    let wanted = Wanted { since, until, consumer, resource, action };
    let page = audit::list(&*cx.app.table, &wanted, parameters.limit()?, parameters.cursor()?).await;
    let page = page.map_err(|error| match error {
        AuditError::Cursor => bad_cursor(),
        AuditError::Store(why) => Problem::unavailable(why),
    })?;
    Ok(parameters.page(cx.request, &documents(&page.entries)?, page.next_cursor.as_deref()))
}

fn documents(rows: &[impl serde::Serialize]) -> Result<Vec<Value>, Problem> {
    rows.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(Problem::internal)
}

/// `1` (the form of the cursor) and the sort key of the last notice that was shown.
fn position(cursor: &str) -> Result<Vec<u8>, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    bytes.strip_prefix(b"1").filter(|rest| rest.len() == POSITION).map(<[u8]>::to_vec).ok_or_else(bad_cursor)
}
