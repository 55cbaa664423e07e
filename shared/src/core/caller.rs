//! Callers as plain data: [`Caller`] is what is known of one, from a credential or made up for a document, and proves nothing. Only
//! verification makes the `Principal` of a caller that has been let in (`crate::identity::auth`).

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

/// What is known of a caller. Anybody can make one: it tells what somebody like that may do, and lets nobody in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Caller {
    /// Who pays and is limited: an API consumer's id, or `<issuer alias>:<claim>`; [`ANONYMOUS`] where nobody identified themselves.
    pub consumer: String,
    /// Who acts on behalf of the consumer ([`subject`]): `<issuer alias>:<sub>` of a token, `key:<consumer>` of an API key.
    pub subject: String,
    /// The API key that was used.
    pub key_id: Option<String>,
    /// Roles held; of a principal those that the model has, in the order of its file.
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
}

impl Caller {
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

    fn with_scopes(scopes: Option<&[&str]>) -> Caller {
        let scopes = scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect());
        Caller { scopes, ..Caller::default() }
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
