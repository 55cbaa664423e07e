//! Authentication: accepted issuers of tokens, API keys and anonymous callers.

use std::time::Duration;

/// Authentication of callers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// Accepted issuers of tokens.
    pub issuers: Vec<Issuer>,
    /// Role of callers without credentials on routes without an authorizer, if there is one.
    pub anonymous_role: Option<String>,
    /// Plan of consumers that name none.
    pub default_plan: Option<String>,
    /// Maximum lifetime of an API key; `None`: unlimited.
    pub max_key_age: Option<Duration>,
    /// Names of all claims that rules may use.
    pub claims: Vec<String>,
    /// Names of all claims that rules use. The context of the authorizer carries only these.
    pub used_claims: Vec<String>,
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Name in ids of consumers and in subjects: `<alias>:<claim>`. Contains no `:`, and is not reserved.
    pub alias: String,
    /// Exact value of `iss`.
    pub issuer: String,
    /// URL of its key set (JWKS).
    pub jwks_uri: String,
    /// Accepted `aud` values, at least one.
    pub audiences: Vec<String>,
    /// Accepted algorithms out of RS256, PS256, ES256, EdDSA.
    pub algorithms: Vec<String>,
    /// Claim that names the consumer (default `sub`).
    pub consumer_claim: String,
    /// Claim that names the subject (default `sub`).
    pub subject_claim: String,
    /// Claim that lists the roles (default `roles`).
    pub roles_claim: String,
    /// Claim that names the plan (default `plan`).
    pub plan_claim: String,
    /// Claim that lists the scopes (default `scope`).
    pub scopes_claim: String,
    /// Maximum accepted `exp - iat`.
    pub max_lifetime: Duration,
    /// Tolerance for clock skew.
    pub leeway: Duration,
    /// Roles of a token that names none.
    pub default_roles: Vec<String>,
}
