//! Who calls. A [`Principal`] is made from a verified outcome only (`crate::identity::auth`), so whoever holds one has been let in.
//!
//! A publishable key stands in a page, where anybody reads it. So its holder is treated as anonymous: `consumer` and `subject` are those
//! of every anonymous caller, whatever asks for them (shares, usage, notices, rules, idempotency), and the consumer that made the
//! key is [`Principal::key_owner`], for admission alone.

use std::collections::BTreeMap;

use serde_json::Value;

/// The consumer and subject of callers without credentials.
pub const ANONYMOUS: &str = "anonymous";
/// What stands in the place of an issuer's alias in the subject of an API key.
pub const KEY_ALIAS: &str = "key";
/// Alias of the issuer of one machine (`crate::identity::auth::local`): a token's consumer and subject are `local:<sub>`.
pub const LOCAL_ALIAS: &str = "local";
/// Aliases that no issuer of a model may have, because their subjects are others', with whose they are.
pub const RESERVED_ALIASES: [(&str, &str); 2] = [(KEY_ALIAS, "API keys"), (LOCAL_ALIAS, "tokens of `holdfast token`")];

/// Longest subject, bytes: an alias of 63, `:`, and a `sub` of 255 (OpenID Connect Core, 2).
pub const MAX_SUBJECT: usize = 63 + 1 + 255;

/// `<alias>:<name>`: a subject. No alias contains a `:`, so the first one ends it, whatever the name contains: two subjects are
/// equal only if both parts are.
pub fn subject(alias: &str, name: &str) -> String {
    format!("{alias}:{name}")
}

/// A verified caller.
#[expect(clippy::manual_non_exhaustive, reason = "the private field also keeps this crate from making one without a verifier")]
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Who pays and is limited: an API consumer's id, or `<issuer alias>:<claim>`; [`ANONYMOUS`] where nobody identified themselves.
    pub consumer: String,
    /// Who acts on behalf of the consumer ([`subject`]): `<issuer alias>:<sub>` of a token, `key:<consumer>` of an API key.
    pub subject: String,
    /// The API key that was used.
    pub key_id: Option<String>,
    /// Roles held, in the order of the model's file.
    pub roles: Vec<String>,
    /// Plan named by the token or consumer.
    pub plan: Option<String>,
    /// Scopes of the token; `None`: not narrowed. A scope is `entity:action`, `entity:*`, `*:action` or `*`.
    pub scopes: Option<Vec<String>>,
    /// Claims that rules use.
    pub claims: BTreeMap<String, Value>,
    /// Seconds since 1970 when the credential ends.
    pub expires: Option<i64>,
    /// Epoch of the consumer that the credential was checked against.
    pub epoch: Option<i64>,
    /// Limits of this consumer that differ from its plan's, as its record states them.
    pub overrides: Option<Value>,
    /// Whether nobody identified themselves: an anonymous caller (or a publishable key), limited by address.
    pub anonymous: bool,
    /// The consumer of a publishable key: whether the key still holds, and what it is limited to, is asked of it, and nothing else.
    pub key_owner: Option<String>,
    _verified: (),
}

/// What a verifier says of a caller: the arguments of [`Principal::verified`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verified {
    /// Whose credential it is: [`Principal::consumer`], of a publishable key [`Principal::key_owner`].
    pub consumer: String,
    /// See [`Principal::subject`].
    pub subject: String,
    /// See [`Principal::key_id`].
    pub key_id: Option<String>,
    /// See [`Principal::roles`].
    pub roles: Vec<String>,
    /// See [`Principal::plan`].
    pub plan: Option<String>,
    /// See [`Principal::scopes`].
    pub scopes: Option<Vec<String>>,
    /// See [`Principal::claims`].
    pub claims: BTreeMap<String, Value>,
    /// See [`Principal::expires`].
    pub expires: Option<i64>,
    /// See [`Principal::epoch`].
    pub epoch: Option<i64>,
    /// See [`Principal::overrides`].
    pub overrides: Option<Value>,
    /// See [`Principal::anonymous`].
    pub anonymous: bool,
}

impl Principal {
    /// Only a verifier calls this: the authorizer's outcome `ok`, a verification in the function itself, or a test.
    pub fn verified(outcome: Verified) -> Self {
        let Verified { consumer, subject, key_id, roles, plan, scopes, claims, expires, epoch, overrides, anonymous } = outcome;
        let (consumer, subject, key_owner) = match anonymous && key_id.is_some() {
            true => (ANONYMOUS.to_owned(), ANONYMOUS.to_owned(), Some(consumer)),
            false => (consumer, subject, None),
        };
        Self {
            consumer,
            subject,
            key_id,
            roles,
            plan,
            scopes,
            claims,
            expires,
            epoch,
            overrides,
            anonymous,
            key_owner,
            _verified: (),
        }
    }

    /// Whether the token's scopes let the caller do this to records of this entity. Scopes only narrow what roles allow; a token
    /// that has the claim allows nothing else, so a list without a scope of ours allows nothing.
    pub fn allows_scope(&self, entity: &str, action: &str) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        scopes.iter().any(|scope| match scope.split_once(':') {
            None => scope == "*",
            Some((of, to)) => (of == "*" || of == entity) && (to == "*" || to == action),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_scopes(scopes: Option<&[&str]>) -> Principal {
        let scopes = scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect());
        Principal::verified(Verified { scopes, ..Verified::default() })
    }

    #[test]
    fn a_publishable_key_is_nobody_and_its_consumer_is_for_admission_alone() {
        let of = |anonymous, key_id: Option<&str>| {
            let (consumer, subject) = ("acme".to_owned(), "acme".to_owned());
            Principal::verified(Verified {
                consumer,
                subject,
                key_id: key_id.map(str::to_owned),
                anonymous,
                ..Verified::default()
            })
        };
        let page = of(true, Some("k"));
        assert_eq!(
            (page.consumer.as_str(), page.subject.as_str(), page.key_owner.as_deref()),
            (ANONYMOUS, ANONYMOUS, Some("acme"))
        );
        let secret = of(false, Some("k"));
        assert_eq!((secret.consumer.as_str(), secret.subject.as_str(), secret.key_owner), ("acme", "acme", None));
    }

    #[test]
    fn scopes_narrow() {
        assert!(with_scopes(None).allows_scope("order", "read"), "no claim, not narrowed");
        for (scopes, allowed) in [
            (&["*"][..], true),
            (&["order:read"], true),
            (&["order:*"], true),
            (&["*:read"], true),
            (&["*:*"], true),
            (&["x", "order:read"], true),
            (&[], false),
            (&["openid"], false),
            (&["order"], false),
            (&["order:"], false),
            (&["orders:read"], false),
            (&["order:reads"], false),
            (&["order:list"], false),
            (&["customer:*"], false),
            (&["*:list"], false),
            (&["Order:read"], false),
        ] {
            assert_eq!(with_scopes(Some(scopes)).allows_scope("order", "read"), allowed, "{scopes:?}");
        }
    }
}
