//! Files: links for uploads and downloads, and shares.
//!
//! ```text
//! upload    announced -> permit -> rows (uploads, pending deletion, audit: one batch) -> signed PUT
//! complete  what arrived is held against what was announced -> the record's transaction
//! download  record || limits || audit -> permit -> signed GET          one wait
//! shares    made, listed, revoked by somebody known; used by anybody: see `shared`
//! ```
//! Permission is that to read the field of the row (and to `download` or `upload`), evaluated at the moment of each call. A link is
//! bound to one object, one method and one window, and holds nothing of the caller's credentials.

mod announce;
mod complete;
mod download;
mod share_redemption;
mod shares;
mod target;
mod upload;

pub use download::download;
pub use share_redemption::shared;
pub use shares::{list_of_consumer, revoke_of_consumer};

use super::Context;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::http::route::{FileRef, Files};

/// Answers a request about the content of a file field, links for downloads apart.
///
/// # Errors
/// The [`Problem`] for the client.
pub async fn handle(cx: &Context<'_>, file: &FileRef, operation: &Files) -> Result<Reply, Problem> {
    match operation {
        Files::Upload => upload::upload(cx, file).await,
        Files::Complete => complete::complete(cx, file).await,
        Files::CreateShare => shares::create(cx, file).await,
        Files::ListShares => shares::list(cx, file).await,
        Files::DeleteShares => shares::revoke_all(cx, file).await,
        Files::DeleteShare { share } => shares::revoke(cx, file, share).await,
    }
}
