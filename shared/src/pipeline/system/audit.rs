//! `GET /v1/_audit`: who did what, newest first.

use std::time::Duration;

use super::parameters::{Parameters, bad_cursor, moment, refuse, to_values};
use crate::core::clock::Micros;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::pipeline::Context;
use crate::query::policy::SystemPermit;
use crate::query::policy::system::Audit;
use crate::store::audit::{self, AuditError, MAX_ACTION, OTHER_RESOURCES, Wanted};

/// How far the audit trail is read back by default.
const RECENT: Duration = Duration::from_secs(30 * 86_400);

/// The audit trail, for the permission `audit`; `from`: no older than this, 30 days ago by default, up to `to`.
pub(super) async fn audit(cx: &Context<'_>, _: SystemPermit<Audit>) -> Result<Reply, Problem> {
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
    Ok(parameters.page(cx.request, &to_values(&page.entries)?, page.next_cursor.as_deref()))
}
