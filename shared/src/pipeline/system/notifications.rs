//! `GET /v1/_notifications`: notices of 90 days, newest first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::parameters::{Parameters, bad_cursor, to_values};
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::notify;
use crate::pipeline::Context;
use crate::pipeline::permission::Account;

/// Length of a position in the list of notices.
const POSITION: usize = 16;

/// The caller's own notices; with the permission `usage` those of everybody, or of one `consumer`.
pub(super) async fn notifications(cx: &Context<'_>) -> Result<Reply, Problem> {
    let parameters = Parameters::read(cx.request, &["limit", "cursor", "consumer"])?;
    let account = Account::of(cx, parameters.consumer()?)?;
    let after = parameters.cursor()?.map(position).transpose()?;
    let (notices, next) = notify::list(&*cx.app.table, account.consumer(), parameters.limit()?, after, cx.app.env.now()).await?;
    let next = next.map(|after| URL_SAFE_NO_PAD.encode([b"1", after.as_slice()].concat()));
    Ok(parameters.page(cx.request, &to_values(&notices)?, next.as_deref()))
}

/// `1` (the form of the cursor) and the sort key of the last notice that was shown.
fn position(cursor: &str) -> Result<Vec<u8>, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    bytes.strip_prefix(b"1").filter(|rest| rest.len() == POSITION).map(<[u8]>::to_vec).ok_or_else(bad_cursor)
}
