//! System permissions at the edge: a missing one is a 403.

use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use super::Context;
use super::authenticate::unauthenticated;
use crate::http::header_value;
use crate::http::problem::{Code, Problem};
use crate::identity::auth::{AuthFailure, scopes};
use crate::model::{Action, Entity};
use crate::query::policy::system::{Permission, Usage};
use crate::query::policy::{Lack, SystemPermit, system_name};

/// Refuses an action that the caller may do to no record of an entity, and says why: a role, a scope or a claim. Whoever came without
/// credentials is asked for some.
pub(super) fn lacking(cx: &Context<'_>, entity: &Entity, action: Action) -> Problem {
    let to = format!("{} {}", action.name(), entity.plural);
    if cx.principal.anonymous && cx.principal.key_id.is_none() {
        return unauthenticated(&AuthFailure::Missing);
    }
    match Lack::of(cx.model(), cx.principal, entity, action) {
        Lack::Role => Problem::forbidden(format!("Your roles do not allow to {to}.")),
        Lack::Scope => insufficient_scope(cx, &to, &entity.name, action.name()),
        Lack::Claims(names) => {
            let claims = names.join(", ");
            let detail = format!(
                "Your roles allow to {to} only for rows that a claim tells, and your credentials carry no such claim, or none that fits \
                 the field: {claims}."
            );
            Problem::new(Code::MissingClaim, detail).with_member("claims", json!(names))
        }
    }
}

/// 403 for a credential whose scopes leave out what its roles allow (RFC 6750, 3.1), with the scope that would do.
fn insufficient_scope(cx: &Context<'_>, to: &str, entity: &str, action: &str) -> Problem {
    let scope = scopes::wanted(cx.model(), cx.principal, entity, action);
    let challenge = format!(
        "Bearer realm=\"holdfast\", error=\"insufficient_scope\", error_description=\"The scopes of the credentials do not allow this.\", scope=\"{scope}\""
    );
    let detail = format!("Your roles allow to {to}, and the scopes of your credentials do not: the scope {scope} is missing.");
    Problem::new(Code::InsufficientScope, detail).with_header(WWW_AUTHENTICATE, header_value(challenge))
}

/// Holds a caller to being identified: usage, notices and shares belong to somebody, and a publishable key has nothing of its consumer's.
///
/// # Errors
/// 403.
pub(super) fn identified(cx: &Context<'_>) -> Result<(), Problem> {
    match cx.principal.anonymous {
        false => Ok(()),
        true => Err(Problem::forbidden(
            "This needs a caller who is identified; the holder of a publishable key is treated as anonymous.",
        )),
    }
}

/// The caller's permit.
///
/// # Errors
/// 403 without the permission.
pub(super) fn permit<P: Permission>(cx: &Context<'_>) -> Result<SystemPermit<P>, Problem> {
    identified(cx)?;
    SystemPermit::check(cx.model(), cx.principal).ok_or_else(|| {
        let name = system_name(P::PERMISSION);
        match Lack::of_system(cx.model(), cx.principal, P::PERMISSION) {
            Lack::Scope => insufficient_scope(cx, &format!("use the system permission {name}"), "system", name),
            Lack::Role | Lack::Claims(_) => Problem::forbidden(format!("This needs a role with the system permission {name}.")),
        }
    })
}

/// Account whose usage and notices a caller asks for.
#[derive(Debug, Clone)]
pub(super) enum Account {
    /// Everybody's.
    All(SystemPermit<Usage>),
    /// Another consumer's.
    Other(SystemPermit<Usage>, String),
    /// The caller's own.
    Own(String),
}

impl Account {
    /// The account that `consumer` names; where it names none, everybody's for those who may see that, else the caller's own.
    ///
    /// # Errors
    /// 403 for another's without the permission.
    pub(super) fn of(cx: &Context<'_>, consumer: Option<&str>) -> Result<Self, Problem> {
        let own = || Self::Own(cx.principal.consumer.clone());
        match consumer {
            Some(named) if named == cx.principal.consumer => Ok(own()),
            Some(named) => permit(cx).map(|permit| Self::Other(permit, named.to_owned())),
            None => Ok(SystemPermit::check(cx.model(), cx.principal).map_or_else(own, Self::All)),
        }
    }

    /// The one consumer that it is; `None`: everybody.
    pub(super) fn consumer(&self) -> Option<&str> {
        match self {
            Self::All(_) => None,
            Self::Other(_, consumer) | Self::Own(consumer) => Some(consumer),
        }
    }
}
