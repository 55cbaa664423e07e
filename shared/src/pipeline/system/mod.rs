//! The system resources: `/v1/_consumers`, `_me`, `_cache/purge`, `_notifications`, `_audit`, `_health`.
//!
//! What they do is decided below this layer; here are permissions, parameters, bodies, and what the answers look like.

mod audit;
mod consumers;
pub mod dashboard;
mod health;
mod me;
mod notifications;
pub(super) mod parameters;
mod purge;
#[cfg(test)]
pub(crate) mod tests;
mod usage;

pub use health::{alive, ready};

use crate::http::Reply;
use crate::http::problem::Problem;
use crate::http::route::System;
use crate::pipeline::Context;
use crate::pipeline::permission::{identified, permit};

/// Answers a request for a system resource.
///
/// # Errors
/// As the resource says; 403 `forbidden` without its permission, and for callers who are not identified.
pub async fn handle(cx: &Context<'_>, resource: &System) -> Result<Reply, Problem> {
    if *resource != System::Me {
        identified(cx)?;
    }
    match resource {
        System::Consumers => consumers::list(cx, permit(cx)?).await,
        System::CreateConsumer => consumers::create(cx, permit(cx)?).await,
        System::Consumer { id } => consumers::get(cx, permit(cx)?, id).await,
        System::ReplaceConsumer { id } => consumers::put(cx, permit(cx)?, id).await,
        System::PatchConsumer { id } => consumers::patch(cx, permit(cx)?, id).await,
        System::DeleteConsumer { id } => consumers::delete(cx, permit(cx)?, id).await,
        System::Keys { id } => consumers::keys(cx, permit(cx)?, id).await,
        System::CreateKey { id } => consumers::create_key(cx, permit(cx)?, id).await,
        System::DeleteKey { id, key_id } => consumers::delete_key(cx, permit(cx)?, id, key_id).await,
        System::Me => me::me(cx).await,
        System::Purge => purge::purge(cx, permit(cx)?).await,
        System::Usage => usage::usage(cx).await,
        System::UsageDashboard => dashboard::dashboard(cx).await,
        System::UsageMetrics => dashboard::openmetrics(cx).await,
        System::Notifications => notifications::notifications(cx).await,
        System::Audit => audit::audit(cx, permit(cx)?).await,
    }
}
