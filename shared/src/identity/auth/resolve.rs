//! From an outcome to a [`Principal`].

use serde_json::{Map, Value};

use super::authenticator::bearer;
use super::{AuthOutcome, AuthRefusal, Authenticator, ContextError, Principal};
use crate::core::caller::{ANONYMOUS, Caller};
use crate::core::clock::Micros;
use crate::model::Model;

/// Reason why there is no principal.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthFailure {
    /// No credential where one is needed.
    Missing,
    /// An invalid one. Counts against the coarse limit of the client's address.
    Invalid(AuthRefusal),
    /// An expired one.
    Expired,
    /// It could not be verified, neither by the authorizer nor here; the reason is for the log.
    Unavailable(String),
}

impl AuthFailure {
    /// The sentence for the caller.
    pub fn message(&self) -> &'static str {
        match self {
            Self::Missing => AuthRefusal::Missing.message(),
            Self::Invalid(refusal) => refusal.message(),
            Self::Expired => AuthRefusal::Expired.message(),
            Self::Unavailable(_) => "The credentials cannot be verified at the moment.",
        }
    }

    /// The challenge of RFC 6750, 3 (`WWW-Authenticate`): an error code only where a credential came. `None` where the caller is
    /// not to blame.
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some("Bearer realm=\"holdfast\"".to_owned()),
            Self::Invalid(_) | Self::Expired => {
                Some(format!("Bearer realm=\"holdfast\", error=\"invalid_token\", error_description=\"{}\"", self.message()))
            }
            Self::Unavailable(_) => None,
        }
    }
}

impl From<ContextError> for AuthFailure {
    fn from(error: ContextError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The caller that the authorizer's context names.
///
/// # Errors
/// [`AuthFailure::Unavailable`], and a refusal that may pass, ask the caller to verify itself ([`principal`] does); anything else
/// is final.
pub fn principal_from_context(model: &Model, context: &Map<String, Value>, now: Micros) -> Result<Principal, AuthFailure> {
    from_outcome(model, AuthOutcome::from_context(context)?, now)
}

/// What is known of a credential before it is verified here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence<'a> {
    /// The authorizer's context.
    Context(&'a Map<String, Value>),
    /// The route has no authorizer: what was verified here a short while ago is good enough.
    Memory,
    /// Nothing: what was known turned out to be old.
    Nothing,
}

/// The caller of a request, by every way in which there can be one: the authorizer's context; verification here, where the
/// authorizer could not decide, refused for a reason that may have passed since, or the route has none; no credential, where the model
/// has a role for anonymous callers.
///
/// # Errors
/// [`AuthFailure`]. A bad credential is never taken for an anonymous caller, and a header that holds several is refused whatever the
/// context says: the gateway may have asked about one of them.
pub async fn principal(
    model: &Model,
    authenticator: &Authenticator,
    evidence: Evidence<'_>,
    authorization: Option<&str>,
    now: Micros,
) -> Result<Principal, AuthFailure> {
    if let Some(header) = authorization {
        bearer(header).map_err(AuthFailure::Invalid)?;
    }
    if let Evidence::Context(context) = evidence {
        match principal_from_context(model, context, now) {
            Err(AuthFailure::Unavailable(_)) => {}
            // The gateway tells for minutes what was so once.
            Err(AuthFailure::Invalid(refusal)) if refusal.may_pass() && authorization.is_some() => {}
            Ok(told) => {
                return Ok(newer(model, authenticator, authorization, now)
                    .filter(|known| known.epoch > told.epoch)
                    .unwrap_or(told));
            }
            decided => return decided,
        }
    }
    let Some(header) = authorization else { return anonymous(model).ok_or(AuthFailure::Missing) };
    let outcome = match evidence {
        Evidence::Memory => authenticator.authenticate_remembered(header).await,
        Evidence::Context(_) | Evidence::Nothing => authenticator.authenticate_anew(header).await,
    };
    from_outcome(model, outcome, now)
}

/// The principal of a credential that was verified here after its consumer had changed, which the gateway does not tell for minutes:
/// every one of its requests would be verified anew.
fn newer(model: &Model, authenticator: &Authenticator, authorization: Option<&str>, now: Micros) -> Option<Principal> {
    let caller = authenticator.remembered(authorization?)?;
    from_outcome(model, AuthOutcome::Ok(caller), now).ok()
}

/// The principal of callers without credentials, in the role that the model gives them; `None` where it gives none.
pub fn anonymous(model: &Model) -> Option<Principal> {
    let role = model.auth.anonymous_role.clone()?;
    Some(resolve(
        model,
        Caller {
            consumer: ANONYMOUS.to_owned(),
            subject: ANONYMOUS.to_owned(),
            roles: vec![role],
            anonymous: true,
            ..Caller::default()
        },
    ))
}

fn from_outcome(model: &Model, outcome: AuthOutcome, now: Micros) -> Result<Principal, AuthFailure> {
    match outcome {
        AuthOutcome::Ok(caller) if caller.expires.is_some_and(|expires| now.seconds() >= expires) => Err(AuthFailure::Expired),
        AuthOutcome::Ok(caller) => Ok(resolve(model, *caller)),
        AuthOutcome::Invalid(AuthRefusal::Missing) => Err(AuthFailure::Missing),
        AuthOutcome::Invalid(refusal) => Err(AuthFailure::Invalid(refusal)),
        AuthOutcome::Expired => Err(AuthFailure::Expired),
        AuthOutcome::Unavailable(why) => Err(AuthFailure::Unavailable(why)),
    }
}

/// Roles and plan by the model that runs here: unknown roles give nothing, an unknown plan is the default one.
pub(super) fn resolve(model: &Model, mut caller: Caller) -> Principal {
    let held = std::mem::take(&mut caller.roles);
    caller.roles = model.roles.iter().map(|role| &role.name).filter(|name| held.contains(name)).cloned().collect();
    caller.plan = caller.plan.filter(|name| model.plan(name).is_some()).or_else(|| model.auth.default_plan.clone());
    Principal::verified(caller)
}
