//! The system resources: `/v1/_consumers`, `_me`, `_cache/purge`, `_notifications`, `_audit`, `_health`.
//!
//! What they do is decided below this layer; here are permissions, parameters, bodies, and what the answers look like.

pub(super) mod body;
mod consumers;
pub mod dashboard;
mod health;
mod me;
pub(super) mod once;
pub(super) mod parameters;
mod purge;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod usage;

pub use health::{alive, ready};

use crate::http::Reply;
use crate::http::route::Route;
use crate::model::SystemPermission;
use crate::pipeline::Context;
use crate::problem::Problem;

/// Answers a request for a system resource.
///
/// # Errors
/// As the resource says; 403 `forbidden` without its permission; 404 for a route that is none of these.
pub async fn handle(cx: &Context<'_>, route: &Route) -> Result<Reply, Problem> {
    match route {
        Route::Consumers => consumers::list(cx).await,
        Route::CreateConsumer => consumers::create(cx).await,
        Route::Consumer { id } => consumers::get(cx, id).await,
        Route::ReplaceConsumer { id } => consumers::put(cx, id).await,
        Route::PatchConsumer { id } => consumers::patch(cx, id).await,
        Route::DeleteConsumer { id } => consumers::delete(cx, id).await,
        Route::CreateKey { id } => consumers::create_key(cx, id).await,
        Route::DeleteKey { id, key_id } => consumers::delete_key(cx, id, key_id).await,
        Route::Me => me::me(cx).await,
        Route::Purge => purge::purge(cx).await,
        Route::Usage => usage::usage(cx).await,
        Route::UsageDashboard => dashboard::dashboard(cx).await,
        Route::UsageMetrics => dashboard::openmetrics(cx).await,
        Route::Notifications => trail::notifications(cx).await,
        Route::Audit => trail::audit(cx).await,
        Route::Health => Ok(alive()),
        Route::Ready => ready(cx.app).await,
        _ => Err(Problem::not_found()),
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
