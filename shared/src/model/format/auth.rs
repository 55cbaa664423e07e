//! Authentication.

use serde_json::{Value, json};

use super::parts::{Key, by_name, mapping, named, text, texts, word};

/// `auth`.
pub(super) fn auth() -> Value {
    let keys: [Key; 5] = [
        (
            "issuers",
            "Accepted issuers of tokens, by alias: consumers and subjects of its tokens are `<alias>:<claim>`.",
            issuers(),
        ),
        ("claims", "Claims that row conditions may use, as `$claim.x`.", texts(text())),
        ("anonymous_role", "Role of callers without credentials on open routes.", text()),
        ("default_plan", "Plan of consumers without one.", text()),
        ("max_key_age", "Longest validity of an API key.", named("duration")),
    ];
    mapping(&keys, &[])
}

fn issuers() -> Value {
    let keys: [Key; 8] = [
        ("issuer", "The exact `iss`.", text()),
        ("jwks_uri", "Address of its keys: https, or http on this machine.", json!({"type": "string", "pattern": "^https?://"})),
        ("audiences", "Accepted `aud`.", texts(text())),
        ("algorithms", "Accepted algorithms; default RS256 and ES256.", texts(word(&["RS256", "PS256", "ES256", "EdDSA"]))),
        ("claims", "Names of claims.", claims()),
        ("max_lifetime", "Longest accepted `exp - iat`; default 1d.", named("duration")),
        ("leeway", "Tolerated difference of clocks; default 30s, at most 5m.", named("duration")),
        ("default_roles", "Roles of a token that names none.", texts(text())),
    ];
    let mut issuers = by_name(mapping(&keys, &["issuer", "jwks_uri", "audiences"]));
    issuers["propertyNames"] = json!({"allOf": [{"$ref": "#/$defs/name"}, {"not": {"enum": ["key", "local"]}}]});
    issuers
}

fn claims() -> Value {
    let keys: [Key; 5] = [
        ("consumer", "Names the consumer; default `sub`.", text()),
        ("subject", "Names the subject; default `sub`.", text()),
        ("roles", "Lists the roles; default `roles`.", text()),
        ("plan", "Names the plan; default `plan`.", text()),
        ("scopes", "Lists the scopes; default `scope`.", text()),
    ];
    mapping(&keys, &[])
}
