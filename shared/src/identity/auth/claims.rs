//! The claims of a verified token (RFC 7519, 4.1): whether it is meant for us and now, and whom it names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{AuthRefusal, scopes};
use crate::core::caller::{self, Caller};
use crate::core::clock::Micros;
use crate::model::{Auth, Issuer, Model, Provider};

/// Longest id of a consumer, characters: as ids in paths.
pub(crate) const MAX_CONSUMER: usize = 128;
/// Longest name of a subject without its issuer's alias, bytes (OpenID Connect Core, 2, allows 255); a longer one is hashed.
const MAX_NAME: usize = 255;
/// Beginning of a name that is hashed. One that begins so itself is hashed too, so that no name can be taken for another's hash.
const HASHED: &str = "sha256-";
/// The registered claim of a subject, a StringOrURI.
const SUBJECT: &str = "sub";
/// Claims that every caller has; a token does not set them.
const GIVEN: [&str; 2] = ["subject", "consumer"];

/// The caller that a token names, with roles and plan not yet compared with the model.
///
/// # Errors
/// [`AuthRefusal::Expired`] or the refusal of another claim.
pub(crate) fn verify(model: &Model, issuer: &Issuer, claims: &Map<String, Value>, now: Micros) -> Result<Caller, AuthRefusal> {
    if !claims.get("iss").and_then(Value::as_str).is_some_and(|iss| issuer.is(iss)) {
        return Err(AuthRefusal::Issuer);
    }
    check_kind(issuer, claims)?;
    check_receiver(issuer, claims)?;
    let expires = check_times(issuer, claims, now)?;
    let name = identity(claims, &issuer.consumer_claim)?;
    let subject = identity(claims, &issuer.subject_claim)?;
    let scopes = look_up(claims, &issuer.scopes_claim).map_or(Some(Vec::new()), words).ok_or(AuthRefusal::Claims)?;
    Ok(Caller {
        consumer: consumer_id(&issuer.alias, &name).ok_or(AuthRefusal::Identity)?,
        subject: caller::subject(
            &issuer.alias,
            &if is_long(&subject, subject.len(), MAX_NAME) { hashed(&subject) } else { subject },
        ),
        key_id: None,
        roles: match look_up(claims, &issuer.roles_claim) {
            Some(roles) => words(roles).ok_or(AuthRefusal::Claims)?,
            None => issuer.default_roles.clone(),
        },
        plan: match look_up(claims, &issuer.plan_claim) {
            Some(plan) => Some(plan.as_str().ok_or(AuthRefusal::Claims)?.to_owned()),
            None => None,
        },
        scopes: scopes::of_token(model, issuer, &scopes),
        claims: used(&model.auth, |name| look_up(claims, issuer.rule_claims.get(name).map_or(name, String::as_str))),
        expires: Some(expires),
        ..Caller::default()
    })
}

/// The claims that the model's rules use.
pub(crate) fn used<'c>(auth: &Auth, claim: impl Fn(&str) -> Option<&'c Value>) -> BTreeMap<String, Value> {
    let names = auth.used_claims.iter().filter(|name| !GIVEN.contains(&name.as_str()));
    names.filter_map(|name| Some((name.clone(), claim(name).filter(|value| !value.is_null())?.clone()))).collect()
}

/// Whether a name has to be hashed: it is too long as it is spelled, or looks like a hash.
fn is_long(name: &str, spelled: usize, most: usize) -> bool {
    spelled > most || name.starts_with(HASHED)
}

fn hashed(name: &str) -> String {
    format!("{HASHED}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(name)))
}

/// `<alias>:<claim>` as an id that can stand in a path; `None` for an empty claim.
///
/// Characters that an id cannot have become `:` and two hexadecimal digits per byte (`auth0|7` -> `idp:auth0:7c7`), as does `:` in a
/// claim that needs it or already looks so; what is too long then is hashed (`idp:sha256-...`). Different claims therefore never meet
/// in one id.
pub fn consumer_id(alias: &str, claim: &str) -> Option<String> {
    let id = spelled(alias, claim);
    let id = if is_long(claim, id.len(), MAX_CONSUMER) { format!("{alias}:{}", hashed(claim)) } else { id };
    (!claim.is_empty()).then_some(id)
}

fn spelled(alias: &str, claim: &str) -> String {
    use std::fmt::Write as _;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let looks_escaped = claim.as_bytes().windows(3).any(|w| w[0] == b':' && hex(w[1]) && hex(w[2]));
    let verbatim = !looks_escaped && claim.bytes().all(|b| plain(b) || b == b':');
    let mut id = format!("{alias}:");
    for byte in claim.bytes() {
        if plain(byte) || verbatim {
            id.push(char::from(byte));
        } else {
            let _infallible = write!(id, ":{byte:02x}");
        }
    }
    id
}

/// RFC 8725, 3.11: an ID token says to a client who signed in, and is no key to an API. Providers whose ID tokens could pass for access
/// tokens say in a claim which of them a token is.
fn check_kind(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), AuthRefusal> {
    let says = |name: &str, kind: &str| look_up(claims, name).is_none_or(|value| value == kind);
    let right = match issuer.provider {
        // Whoever names audiences wants Cognito's ID tokens: its access tokens have none.
        Provider::Cognito => !issuer.audiences.is_empty() || says("token_use", "access"),
        Provider::Keycloak => says("typ", "Bearer"),
        Provider::Auth0 | Provider::Entra | Provider::Okta | Provider::Google | Provider::Custom => true,
    };
    if right { Ok(()) } else { Err(AuthRefusal::TokenType) }
}

/// Whether the token is meant for this API (`aud`), and issued to a client that may use it, each where the model says.
fn check_receiver(issuer: &Issuer, claims: &Map<String, Value>) -> Result<(), AuthRefusal> {
    if !issuer.audiences.is_empty()
        && !audiences(claims)?.iter().any(|audience| issuer.audiences.iter().any(|own| own == audience))
    {
        return Err(AuthRefusal::Audience);
    }
    let client = || issuer.client_claims.iter().find_map(|name| look_up(claims, name)).and_then(Value::as_str);
    let accepted = issuer.clients.is_empty() || client().is_some_and(|client| issuer.clients.iter().any(|own| own == client));
    if accepted { Ok(()) } else { Err(AuthRefusal::Client) }
}

/// `exp`, `nbf`, `iat`, each with the issuer's leeway; the moment at which the token ends for us, leeway included.
fn check_times(issuer: &Issuer, claims: &Map<String, Value>, now: Micros) -> Result<i64, AuthRefusal> {
    let (exp, iat) = (date(claims, "exp")?.ok_or(AuthRefusal::Claims)?, date(claims, "iat")?.ok_or(AuthRefusal::Claims)?);
    let leeway = i64::try_from(issuer.leeway.as_secs()).map_err(|_| AuthRefusal::Claims)?;
    let longest = i64::try_from(issuer.max_lifetime.as_secs()).unwrap_or(i64::MAX);
    let now = now.seconds();
    if now >= exp.saturating_add(leeway) {
        return Err(AuthRefusal::Expired);
    }
    if iat > now.saturating_add(leeway) || date(claims, "nbf")?.is_some_and(|nbf| nbf > now.saturating_add(leeway)) {
        return Err(AuthRefusal::NotYetValid);
    }
    if exp.saturating_sub(iat) > longest {
        return Err(AuthRefusal::Lifetime);
    }
    Ok(exp.saturating_add(leeway))
}

/// A NumericDate in whole seconds; fractions are cut. Beyond 2^53 a number of JSON means nothing certain.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, AuthRefusal> {
    const CERTAIN: f64 = 9_007_199_254_740_992.0;
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            #[expect(clippy::cast_possible_truncation, reason = "cut to whole seconds, bounded above")]
            (None, Some(fraction)) if fraction.abs() < CERTAIN => Ok(Some(fraction.floor() as i64)),
            _ => Err(AuthRefusal::Claims),
        },
        Some(_) => Err(AuthRefusal::Claims),
    }
}

/// `aud` is one text or a list of them (RFC 7519, 4.1.3).
fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, AuthRefusal> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(several)) => several.iter().map(|value| value.as_str().ok_or(AuthRefusal::Claims)).collect(),
        None | Some(Value::Null) => Err(AuthRefusal::Audience),
        Some(_) => Err(AuthRefusal::Claims),
    }
}

/// A claim by its name, or else by the path that its dots make (`realm_access.roles`); names on the way may have dots themselves
/// (`https://example.com/app.roles`). A null is as good as none.
fn look_up<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let below = || name.match_indices('.').find_map(|(at, _)| look_up(claims.get(&name[..at])?.as_object()?, &name[at + 1..]));
    claims.get(name).filter(|value| !value.is_null()).or_else(below)
}

/// The claim that names somebody: a text. An issuer's own claim may be a whole number too; `sub` may not (RFC 7519, 4.1.2).
fn identity(claims: &Map<String, Value>, name: &str) -> Result<String, AuthRefusal> {
    let text = match look_up(claims, name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if name != SUBJECT => number.as_i64().ok_or(AuthRefusal::Identity)?.to_string(),
        _ => return Err(AuthRefusal::Identity),
    };
    match text.as_str() {
        "" => Err(AuthRefusal::Identity),
        odd if odd.chars().any(char::is_control) => Err(AuthRefusal::IdentityControl),
        _ => Ok(text),
    }
}

/// A list of texts, or one text with blanks between (RFC 8693, 4.2).
fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Value::Array(elements) => elements.iter().map(|element| element.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}
