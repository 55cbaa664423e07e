//! Authentication: accepted issuers of tokens, API keys and anonymous callers.

use std::collections::BTreeMap;
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

/// A provider of identities, whose usual tokens an issuer takes without further settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// Amazon Cognito: access tokens with `client_id` and without `aud`, roles in `cognito:groups`.
    Cognito,
    /// Auth0: `iss` with a slash at its end, an audience, scopes such as `read:books`.
    Auth0,
    /// Keycloak: roles in `realm_access.roles`, the client in `azp`.
    Keycloak,
    /// Microsoft Entra ID: scopes in `scp`, app roles in `roles`, the client in `azp` or `appid`.
    Entra,
    /// Okta: scopes as a list in `scp`, groups in `groups`, the client in `cid`.
    Okta,
    /// Google: ID tokens, whose audience is the client.
    Google,
    /// Any other.
    #[default]
    Custom,
}

impl Provider {
    /// All of them, with their names in the model.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("cognito", Self::Cognito),
        ("auth0", Self::Auth0),
        ("keycloak", Self::Keycloak),
        ("entra", Self::Entra),
        ("okta", Self::Okta),
        ("google", Self::Google),
        ("custom", Self::Custom),
    ];

    /// Its name in the model.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, provider)| *provider == self).map_or("custom", |(name, _)| name)
    }

    /// Claim that lists the roles.
    pub fn roles_claim(self) -> &'static str {
        match self {
            Self::Cognito => "cognito:groups",
            Self::Keycloak => "realm_access.roles",
            Self::Okta => "groups",
            Self::Auth0 | Self::Entra | Self::Google | Self::Custom => "roles",
        }
    }

    /// Claim that lists the scopes.
    pub fn scopes_claim(self) -> &'static str {
        match self {
            Self::Entra | Self::Okta => "scp",
            Self::Cognito | Self::Auth0 | Self::Keycloak | Self::Google | Self::Custom => "scope",
        }
    }

    /// Claims that name the client; the first that a token has counts.
    pub fn client_claims(self) -> &'static [&'static str] {
        match self {
            Self::Cognito => &["client_id"],
            Self::Entra => &["azp", "appid"],
            Self::Okta => &["cid"],
            Self::Google => &["azp"],
            Self::Auth0 | Self::Keycloak => &["azp", "client_id"],
            Self::Custom => &["client_id", "azp"],
        }
    }

    /// Maximum accepted `exp - iat`: Entra's tokens may live for 28 hours (continuous access evaluation).
    pub fn max_lifetime(self) -> Duration {
        Duration::from_secs(if self == Self::Entra { 29 * 3_600 } else { 86_400 })
    }
}

/// Which scopes of an issuer's tokens narrow what their holder may do, and to what. Others mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    /// What scopes of ours begin with; it is taken off. Others mean nothing.
    pub prefix: String,
    /// Scopes by their name, without the prefix, with what each opens, as `entity:action`.
    pub map: BTreeMap<String, Vec<String>>,
    /// Whether a token without a scope of ours may do nothing; else such a token is not narrowed.
    pub required: bool,
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Name in ids of consumers and in subjects: `<alias>:<claim>`. Contains no `:`, and is not reserved.
    pub alias: String,
    /// Provider, whose usual claims are the defaults.
    pub provider: Provider,
    /// Exact value of `iss`.
    pub issuer: String,
    /// URL of its key set (JWKS); `None`: the one that its discovery document names.
    pub jwks_uri: Option<String>,
    /// Accepted `aud` values; none: any. At least one of this and `clients` is not empty.
    pub audiences: Vec<String>,
    /// Accepted clients; none: any.
    pub clients: Vec<String>,
    /// Accepted algorithms out of [`ALGORITHMS`].
    pub algorithms: Vec<String>,
    /// Claim that names the consumer (default `sub`).
    pub consumer_claim: String,
    /// Claim that names the subject (default `sub`).
    pub subject_claim: String,
    /// Claim that lists the roles.
    pub roles_claim: String,
    /// Claim that names the plan (default `plan`).
    pub plan_claim: String,
    /// Claim that lists the scopes.
    pub scopes_claim: String,
    /// Claims that name the client; the first that a token has counts.
    pub client_claims: Vec<String>,
    /// Where claims that rules use stand in its tokens, by name; those that are not here stand under their name.
    pub rule_claims: BTreeMap<String, String>,
    /// Meaning of its scopes.
    pub scopes: Scopes,
    /// Maximum accepted `exp - iat`.
    pub max_lifetime: Duration,
    /// Tolerance for clock skew.
    pub leeway: Duration,
    /// Roles of a token that names none.
    pub default_roles: Vec<String>,
}

/// Names of the algorithms that tokens may be signed with (RFC 7518, RFC 8037).
pub const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

impl Issuer {
    /// Whether a token's `iss` is this issuer's. Google documents two spellings of its own.
    pub fn is(&self, iss: &str) -> bool {
        self.issuer == iss
            || self.provider == Provider::Google && self.issuer == GOOGLE && GOOGLE.strip_prefix("https://") == Some(iss)
    }

    /// Address of its discovery document (OpenID Connect Discovery, 4).
    pub fn discovery_uri(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'))
    }
}

/// `iss` of Google's ID tokens.
pub const GOOGLE: &str = "https://accounts.google.com";
