//! Authentication.

use serde_json::{Value, json};

use super::parts::{Key, by_name, described, flag, mapping, named, text, texts, word};
use crate::model::schema::{ALGORITHMS, Provider};

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
    let provider = word(&Provider::NAMED.map(|(name, _)| name));
    let keys: [Key; 11] = [
        ("provider", "Whose usual claims are the defaults; `custom` where nothing is said.", provider),
        ("issuer", "The exact `iss`; it may be left out for Google.", text()),
        (
            "jwks_uri",
            "Address of its keys: https, or http on this machine. Without it, they are those that its discovery document names.",
            json!({"type": "string", "pattern": "^https?://"}),
        ),
        ("audiences", "Accepted `aud`.", texts(text())),
        ("clients", "Accepted clients, for tokens without `aud`, or beside it.", texts(text())),
        ("algorithms", "Accepted algorithms; default RS256 and ES256.", texts(word(&ALGORITHMS))),
        ("claims", "Names of claims, or their paths (`realm_access.roles`).", claims()),
        ("scopes", "Which scopes narrow what a token may do; all others mean nothing.", scopes()),
        ("max_lifetime", "Longest accepted `exp - iat`; default 1d.", named("duration")),
        ("leeway", "Tolerated difference of clocks; default 30s, at most 5m.", named("duration")),
        ("default_roles", "Roles of a token that names none.", texts(text())),
    ];
    let mut issuer = mapping(&keys, &[]);
    issuer["anyOf"] = json!([{"required": ["audiences"]}, {"required": ["clients"]}]);
    issuer["if"] = json!({"properties": {"provider": {"const": "google"}}, "required": ["provider"]});
    issuer["else"] = json!({"required": ["issuer"]});
    let mut issuers = by_name(issuer);
    issuers["propertyNames"] = json!({"allOf": [{"$ref": "#/$defs/name"}, {"not": {"enum": ["key", "local"]}}]});
    issuers
}

fn claims() -> Value {
    let keys: [Key; 6] = [
        ("consumer", "Names the consumer; default `sub`.", text()),
        ("subject", "Names the subject; default `sub`.", text()),
        ("roles", "Lists the roles; default by provider, else `roles`.", text()),
        ("plan", "Names the plan; default `plan`.", text()),
        ("scopes", "Lists the scopes; default by provider, else `scope`.", text()),
        ("client", "Names the client; default by provider, else `client_id` or `azp`.", text()),
    ];
    let mut claims = mapping(&keys, &[]);
    claims["additionalProperties"] =
        described(text(), "Where a claim stands that row conditions use, by the name that `auth.claims` declares.");
    claims
}

fn scopes() -> Value {
    let opens = json!({"type": "string", "pattern": r"^([a-z][a-z0-9_]*|\*)(\.([a-z]+|\*))?$"});
    let map = json!({"type": "object", "propertyNames": {"pattern": r"^\S+$"}, "additionalProperties": texts(opens)});
    let keys: [Key; 3] = [
        ("prefix", "What its scopes begin with (`https://api.example.com/`); others mean nothing.", text()),
        ("map", "Its scopes with what each opens: `book.read`, `book.*`, `*.list`, `system.usage`, `*`.", map),
        ("required", "Whether a token without a scope of these may do nothing.", flag(false)),
    ];
    mapping(&keys, &[])
}
