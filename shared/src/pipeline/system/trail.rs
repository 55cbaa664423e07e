//! `GET /v1/_notifications` and `GET /v1/_audit`: what was told, and who did what; newest first.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::parameters::{Parameters, bad_cursor, moment, refuse};
use super::{may, permit};
use crate::audit::{self, AuditError};
use crate::clock::Micros;
use crate::http::Reply;
use crate::model::SystemPermission;
use crate::notify;
use crate::pipeline::Context;
use crate::problem::Problem;

/// How far the audit trail is read back where nothing is said.
const RECENT: Duration = Duration::from_secs(30 * 86_400);
/// Length of a position in the list of notices.
const POSITION: usize = 16;

/// The caller's own notices; with the permission `usage` those of everybody, or of one `consumer`.
pub(super) async fn notifications(cx: &Context<'_>) -> Result<Reply, Problem> {
    let own = Some(cx.principal.consumer.as_str());
    let parameters = Parameters::read(cx.request, &["limit", "cursor", "consumer"])?;
    let of = match parameters.get("consumer") {
        Some(named) if Some(named) == own => own,
        Some("") => return Err(refuse("consumer", "must be the id of a consumer")),
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

/// The audit trail, for the permission `audit`; `from`: no older than this, 30 days ago where nothing is said.
pub(super) async fn audit(cx: &Context<'_>) -> Result<Reply, Problem> {
    permit(cx, SystemPermission::Audit)?;
    let parameters = Parameters::read(cx.request, &["limit", "cursor", "from"])?;
    let now = cx.app.env.now();
    let since = match parameters.get("from") {
        Some(text) => moment("from", text)?,
        None => Micros(now.0.saturating_sub(i64::try_from(RECENT.as_micros()).unwrap_or(i64::MAX))),
    };
    let page = audit::list(&*cx.app.table, now, since, parameters.limit()?, parameters.cursor()?).await;
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
