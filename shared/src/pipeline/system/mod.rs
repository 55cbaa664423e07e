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

/// Answers a request for a system resource.
///
/// # Errors
/// As the resource says; 403 `forbidden` without its permission.
pub async fn handle(cx: &Context<'_>, resource: &System) -> Result<Reply, Problem> {
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

/// The name of a permission, as the model and scopes (`system:consumers`) write it.
fn name(permission: SystemPermission) -> &'static str {
    match permission {
        SystemPermission::Consumers => "consumers",
        SystemPermission::Usage => "usage",
        SystemPermission::Cache => "cache",
        SystemPermission::Audit => "audit",
    }
}

/// Whether a role of the caller has a permission and the token's scopes leave it (`system:<permission>`).
fn may(cx: &Context<'_>, permission: SystemPermission) -> bool {
    let model = &cx.app.model;
    let held = cx.principal.roles.iter().filter_map(|role| model.role(role)).any(|role| role.system.contains(&permission));
    held && cx.principal.allows_scope("system", name(permission))
}

/// Holds the caller to a permission.
pub(super) fn permit(cx: &Context<'_>, permission: SystemPermission) -> Result<(), Problem> {
    if may(cx, permission) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("This needs a role with the system permission {}.", name(permission))))
}
