//! System permissions at the edge: a missing one is a 403.

use super::Context;
use crate::http::problem::Problem;
use crate::query::policy::system::{Permission, Usage};
use crate::query::policy::{SystemPermit, system_name};

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
        Problem::forbidden(format!("This needs a role with the system permission {}.", system_name(P::PERMISSION)))
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
