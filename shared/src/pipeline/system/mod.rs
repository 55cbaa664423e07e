//! The system resources: `/v1/_consumers`, `_me`, `_cache/purge`, `_notifications`, `_audit`, `_health`.
//!
//! What they do is decided below this layer; here are permissions, parameters, bodies, and what the answers look like.

pub(super) mod body;
mod consumers;
pub mod dashboard;
mod health;
pub(super) mod idempotent_change;
mod me;
pub(super) mod parameters;
mod purge;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod usage;

pub use health::{alive, ready};

use crate::http::Reply;
use crate::http::problem::Problem;
use crate::http::route::System;
use crate::model::SystemPermission;
use crate::pipeline::Context;
use crate::query::policy::{allows_system, system_name};

/// Answers a request for a system resource.
///
/// # Errors
/// As the resource says; 403 `forbidden` without its permission, and for callers who are not identified.
pub async fn handle(cx: &Context<'_>, resource: &System) -> Result<Reply, Problem> {
    if *resource != System::Me {
        known(cx)?;
    }
    match resource {
        System::Consumers => consumers::list(cx).await,
        System::CreateConsumer => consumers::create(cx).await,
        System::Consumer { id } => consumers::get(cx, id).await,
        System::ReplaceConsumer { id } => consumers::put(cx, id).await,
        System::PatchConsumer { id } => consumers::patch(cx, id).await,
        System::DeleteConsumer { id } => consumers::delete(cx, id).await,
        System::CreateKey { id } => consumers::create_key(cx, id).await,
        System::DeleteKey { id, key_id } => consumers::delete_key(cx, id, key_id).await,
        System::Me => me::me(cx).await,
        System::Purge => purge::purge(cx).await,
        System::Usage => usage::usage(cx).await,
        System::UsageDashboard => dashboard::dashboard(cx).await,
        System::UsageMetrics => dashboard::openmetrics(cx).await,
        System::Notifications => trail::notifications(cx).await,
        System::Audit => trail::audit(cx).await,
    }
}

/// Refuses whoever is nobody in particular what is somebody's: usage, notices, shares. A publishable key has nothing of its
/// consumer's.
///
/// # Errors
/// 403.
pub(super) fn known(cx: &Context<'_>) -> Result<(), Problem> {
    match cx.principal.anonymous {
        false => Ok(()),
        true => Err(Problem::forbidden("This is for callers who are known; a publishable key counts as nobody in particular.")),
    }
}

/// Whether the caller has a permission.
fn may(cx: &Context<'_>, permission: SystemPermission) -> bool {
    allows_system(&cx.app.model, cx.principal, permission)
}

/// Holds the caller to a permission.
pub(super) fn permit(cx: &Context<'_>, permission: SystemPermission) -> Result<(), Problem> {
    if may(cx, permission) {
        return Ok(());
    }
    known(cx)?;
    Err(Problem::forbidden(format!("This needs a role with the system permission {}.", system_name(permission))))
}
