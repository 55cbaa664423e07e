//! The outcome of a verification, and its form in the context that the authorizer hands to the functions: a flat map of texts, since API Gateway would round
//! large numbers, and under 8 KB.

use serde_json::{Map, Value};

use crate::core::caller::Caller;

/// Largest context, bytes of its JSON.
const MAX_CONTEXT: usize = 8 * 1024;

/// The outcome of verifying a credential.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthOutcome {
    /// It is good, and of this caller.
    Ok(Box<Caller>),
    /// It is refused.
    Invalid(AuthRefusal),
    /// It has expired.
    Expired,
    /// It could not be verified; the reason is for the log. A function that gets this verifies by itself.
    Unavailable(String),
}

impl From<AuthRefusal> for AuthOutcome {
    fn from(refusal: AuthRefusal) -> Self {
        if refusal == AuthRefusal::Expired { Self::Expired } else { Self::Invalid(refusal) }
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $message:literal;)*) => {
        /// Why a credential is refused. The message may be shown to its sender: it tells nothing about keys or other callers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuthRefusal { $(#[doc = $message] $name,)* }

        impl AuthRefusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in contexts and logs.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// A sentence for the sender; only characters that RFC 6750, 3 allows in `error_description`.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

refusals! {
    Missing, "missing", "This resource needs credentials: send Authorization: Bearer with a token or an API key.";
    Scheme, "scheme", "The Authorization header must be: Bearer, one blank, then a token or an API key.";
    TooLarge, "too_large", "The token is larger than 8 KB.";
    Malformed, "malformed", "The token is not a JWT in compact serialisation with canonical base64url and unique JSON members.";
    Algorithm, "algorithm", "The token is signed with an algorithm that is not accepted here.";
    HeaderParameter, "header_parameter", "The token's header has a parameter that is not accepted (jwk, jku, x5u, x5c, crit, b64, zip, enc).";
    TokenType, "token_type", "The token is not an access token: its typ is not JWT or at+jwt, or token_use or typ in its payload says what else it is.";
    KeyId, "key_id", "The token's kid is not a text of 1 to 128 visible ASCII characters.";
    UnknownKey, "unknown_key", "The token's kid is not among the keys of its issuer.";
    AmbiguousKey, "ambiguous_key", "The token does not say which of its issuer's keys made it.";
    Signature, "signature", "The token's signature does not fit.";
    Issuer, "issuer", "The token's issuer is not accepted here.";
    Audience, "audience", "The token's audience is not this API.";
    Client, "client", "The token was issued to a client that is not accepted here.";
    Claims, "claims", "A claim of the token is missing or of the wrong type: exp and iat are numbers, roles and scopes are lists of texts or texts with blanks between, a plan is a text.";
    Identity, "identity", "The claim that names the caller is missing, empty, or not a text (RFC 7519 wants StringOrURI for sub).";
    IdentityControl, "identity_control", "The claim that names the caller has control characters.";
    NotYetValid, "not_yet_valid", "The token is not valid yet.";
    Expired, "expired", "The credential has expired.";
    Lifetime, "lifetime", "The token is valid for longer than its issuer's tokens may be here.";
    ContextSize, "context_size", "The token has more roles, scopes and claims than fit into 8 KB.";
    ApiKey, "api_key", "The API key is not one: its form or checksum is wrong.";
    UnknownApiKey, "unknown_api_key", "The API key is unknown or revoked.";
    Disabled, "disabled", "The consumer is disabled.";
}

impl AuthRefusal {
    /// The refusal of this name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
    }

    /// Whether the same credential may be good a moment later, because time, an issuer's keys, the consumer's record or the model
    /// decided as well. API Gateway remembers the authorizer's answer for minutes, so a function looks again at such a refusal.
    ///
    /// The others are final: they follow from the credential alone, or from a key of ours that never comes back. Guesses all end
    /// there, at the cost of no I/O: what passes here is signed, or was refused before anything was read.
    pub fn may_pass(self) -> bool {
        match self {
            Self::UnknownKey
            | Self::AmbiguousKey
            | Self::Issuer
            | Self::Audience
            | Self::Client
            | Self::NotYetValid
            | Self::Lifetime
            | Self::Disabled => true,
            Self::Missing
            | Self::Scheme
            | Self::TooLarge
            | Self::Malformed
            | Self::Algorithm
            | Self::HeaderParameter
            | Self::TokenType
            | Self::KeyId
            | Self::Signature
            | Self::Claims
            | Self::Identity
            | Self::IdentityControl
            | Self::Expired
            | Self::ContextSize
            | Self::ApiKey
            | Self::UnknownApiKey => false,
        }
    }
}

/// Why a map is no authorizer context: a fault of the deployment, never of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextError(pub &'static str);

impl std::fmt::Display for ContextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "authorizer context: {} is missing or of the wrong form", self.0)
    }
}

impl std::error::Error for ContextError {}

impl AuthOutcome {
    /// `ok`, `invalid`, `expired` or `unavailable`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Invalid(_) => "invalid",
            Self::Expired => "expired",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The authorizer's context: every value a text. What does not fit into 8 KB becomes `invalid`. The `reason` of an `invalid`
    /// tells the functions whether it is final ([`AuthRefusal::may_pass`]); one that they do not know they verify again.
    pub fn to_context(&self) -> Map<String, Value> {
        let mut context = Map::new();
        let mut put = |name: &str, value: String| {
            context.insert(name.to_owned(), Value::String(value));
        };
        put("outcome", self.name().to_owned());
        match self {
            Self::Invalid(refusal) => put("reason", refusal.code().to_owned()),
            Self::Expired | Self::Unavailable(_) => {}
            Self::Ok(caller) => put_caller(caller, put),
        }
        if Value::Object(context.clone()).to_string().len() > MAX_CONTEXT {
            return Self::Invalid(AuthRefusal::ContextSize).to_context();
        }
        context
    }

    /// Reads what [`Self::to_context`] wrote, as the function receives it under `requestContext.authorizer.lambda`.
    ///
    /// # Errors
    /// [`ContextError`] where a part is missing or wrong: nobody is let in by a context that is not understood.
    pub fn from_context(context: &Map<String, Value>) -> Result<Self, ContextError> {
        match text(context, "outcome")? {
            Some("ok") => Ok(Self::Ok(Box::new(caller_from(context)?))),
            Some("expired") => Ok(Self::Expired),
            Some("unavailable") => Ok(Self::Unavailable("the authorizer could not decide".to_owned())),
            Some("invalid") => {
                let refusal = text(context, "reason")?.and_then(AuthRefusal::parse);
                Ok(Self::Invalid(refusal.ok_or(ContextError("reason"))?))
            }
            Some(_) | None => Err(ContextError("outcome")),
        }
    }
}

fn put_caller(caller: &Caller, mut put: impl FnMut(&str, String)) {
    put("consumer", caller.consumer.clone());
    put("subject", caller.subject.clone());
    put("roles", json(&caller.roles));
    if let Some(scopes) = &caller.scopes {
        put("scopes", json(scopes));
        // For the gateway's access log, which escapes nothing: as OAuth writes them.
        put("scope", scopes.join(" "));
    }
    let texts = [("key_id", &caller.key_id), ("plan", &caller.plan)];
    for (name, value) in texts {
        if let Some(value) = value {
            put(name, value.clone());
        }
    }
    for (name, value) in [("exp", caller.expires), ("epoch", caller.epoch)] {
        if let Some(value) = value {
            put(name, value.to_string());
        }
    }
    if !caller.claims.is_empty() {
        put("claims", json(&caller.claims));
    }
    if let Some(overrides) = &caller.overrides {
        put("overrides", overrides.to_string());
    }
    if caller.anonymous {
        put("anonymous", "true".to_owned());
    }
}

fn caller_from(context: &Map<String, Value>) -> Result<Caller, ContextError> {
    let owned = |name| text(context, name).map(|text| text.map(str::to_owned));
    Ok(Caller {
        consumer: owned("consumer")?.filter(|id| !id.is_empty()).ok_or(ContextError("consumer"))?,
        subject: owned("subject")?.ok_or(ContextError("subject"))?,
        key_id: owned("key_id")?,
        roles: parse(context, "roles")?.ok_or(ContextError("roles"))?,
        plan: owned("plan")?,
        scopes: parse(context, "scopes")?,
        claims: parse(context, "claims")?.unwrap_or_default(),
        expires: parse(context, "exp")?,
        epoch: parse(context, "epoch")?,
        overrides: parse(context, "overrides")?,
        anonymous: parse(context, "anonymous")?.unwrap_or(false),
    })
}

fn json(value: &impl serde::Serialize) -> String {
    // Strings, and maps of strings to JSON: there is nothing in them that could not be written.
    serde_json::to_string(value).unwrap_or_default()
}

fn text<'c>(context: &'c Map<String, Value>, name: &'static str) -> Result<Option<&'c str>, ContextError> {
    match context.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ContextError(name)),
    }
}

fn parse<T: serde::de::DeserializeOwned>(context: &Map<String, Value>, name: &'static str) -> Result<Option<T>, ContextError> {
    text(context, name)?.map(|text| serde_json::from_str(text).map_err(|_| ContextError(name))).transpose()
}
