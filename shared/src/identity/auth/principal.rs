//! The proof that a caller has been let in.

use std::ops::Deref;

use crate::core::caller::{ANONYMOUS, Caller};

/// A verified caller. Its data can be read,
///
/// ```
/// # use holdfast::identity::auth::Principal;
/// fn name(principal: &Principal) -> &str {
///     &principal.consumer
/// }
/// ```
/// but neither changed nor made up: only this room makes one.
///
/// ```compile_fail,E0451
/// # use holdfast::{core::caller::Caller, identity::auth::Principal};
/// let boss = Caller { roles: vec!["admin".to_owned()], ..Caller::default() };
/// let forged = Principal { caller: boss, key_owner: None };
/// ```
/// ```compile_fail,E0594
/// # use holdfast::identity::auth::Principal;
/// fn promote(mut principal: Principal) {
///     principal.anonymous = false;
/// }
/// ```
///
/// A publishable key stands in a page, where anybody reads it. So its holder is treated as anonymous: `consumer` and `subject` are those
/// of every anonymous caller, whatever asks for them (shares, usage, notices, rules, idempotency), and the consumer that made the
/// key is [`Self::key_owner`], for admission alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    caller: Caller,
    key_owner: Option<String>,
}

impl Principal {
    /// The principal of a good credential; `caller.consumer` is the consumer that holds it.
    pub(super) fn verified(mut caller: Caller) -> Self {
        let key_owner = (caller.anonymous && caller.key_id.is_some()).then(|| {
            ANONYMOUS.clone_into(&mut caller.subject);
            std::mem::replace(&mut caller.consumer, ANONYMOUS.to_owned())
        });
        Self { caller, key_owner }
    }

    /// A principal that nobody verified, for tests of what is behind verification.
    #[cfg(any(test, feature = "test-util"))]
    pub fn unverified(caller: Caller) -> Self {
        Self::verified(caller)
    }

    /// The consumer of a publishable key: it decides whether the key is still good and how it is limited, and nothing else.
    pub fn key_owner(&self) -> Option<&str> {
        self.key_owner.as_deref()
    }
}

impl Deref for Principal {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publishable_key_is_anonymous_and_its_consumer_is_for_admission_alone() {
        let of = |anonymous, key_id: Option<&str>| {
            let (consumer, subject) = ("acme".to_owned(), "acme".to_owned());
            let key_id = key_id.map(str::to_owned);
            Principal::verified(Caller { consumer, subject, key_id, anonymous, ..Caller::default() })
        };
        let page = of(true, Some("k"));
        assert_eq!((page.consumer.as_str(), page.subject.as_str(), page.key_owner()), (ANONYMOUS, ANONYMOUS, Some("acme")));
        let secret = of(false, Some("k"));
        assert_eq!((secret.consumer.as_str(), secret.subject.as_str(), secret.key_owner()), ("acme", "acme", None));
    }
}
