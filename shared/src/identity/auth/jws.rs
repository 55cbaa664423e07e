//! The compact serialisation of a signed token (RFC 7515, 3.1), read strictly and without I/O: what deviates from the RFC
//! is refused before any key is used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::AuthRefusal;
use super::jwks::Jwk;
use crate::core::json::strict_object;

/// Largest accepted token, bytes: API Gateway takes 10,240 for request line and headers together.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;
/// Longest accepted `kid`, bytes.
pub(crate) const MAX_KID: usize = 128;

/// Header parameters that name a key or change how the rest is read: their sender is not known yet, so none is followed.
/// (`jwk`, `jku`, `x5u`, `x5c`: RFC 7515, 4.1; `crit`, and `b64` of RFC 7797; `zip`, `enc`, `epk` belong to encrypted tokens.)
const REFUSED_PARAMETERS: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// A token whose form is right and whose signature nobody has checked.
pub(crate) struct Unverified<'t> {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// The payload, not verified: it only selects the issuer.
    pub payload: Vec<u8>,
    signed: &'t str,
    signature: &'t str,
}

impl<'t> Unverified<'t> {
    /// The parts of a token.
    ///
    /// # Errors
    /// The refusal of its form.
    pub(crate) fn parse(token: &'t str) -> Result<Self, AuthRefusal> {
        if token.len() > MAX_TOKEN {
            return Err(AuthRefusal::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AuthRefusal::Malformed);
        };
        let decoded = strict_object(&decode(header)?).ok_or(AuthRefusal::Malformed)?;
        let algorithm = algorithm(&decoded)?;
        let kid = check_parameters(&decoded)?;
        let payload = decode(payload)?;
        // Decoded once to insist on the canonical form: two spellings of one signature would be two tokens.
        if decode(signature)?.is_empty() {
            return Err(AuthRefusal::Signature);
        }
        let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self { algorithm, kid, payload, signed, signature })
    }

    /// Whether `key` made the signature. The key's own `alg`, type and curve have to fit, so an RSA key never verifies an
    /// HMAC, and a key for PS256 never an RS256.
    pub(crate) fn signed_by(&self, key: &Jwk) -> bool {
        key.fits(self.algorithm)
            && jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key.key(), self.algorithm).unwrap_or(false)
    }
}

/// Base64url without padding (RFC 4648, 5), canonical: unused bits are zero, no other character.
fn decode(part: &str) -> Result<Vec<u8>, AuthRefusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthRefusal::Malformed)
}

/// Exact names only: `none`, `None`, `HS256` and unknown ones end here.
fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, AuthRefusal> {
    match header.get("alg").and_then(Value::as_str) {
        Some(name) => super::jwks::algorithm(name).ok_or(AuthRefusal::Algorithm),
        None => Err(AuthRefusal::Malformed),
    }
}

fn check_parameters(header: &Map<String, Value>) -> Result<Option<String>, AuthRefusal> {
    if REFUSED_PARAMETERS.iter().any(|name| header.contains_key(*name)) {
        return Err(AuthRefusal::HeaderParameter);
    }
    // RFC 8725, 3.11: a logout token or a proof of possession is not an access token, whoever signed it.
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_str().ok_or(AuthRefusal::Malformed)?.to_ascii_lowercase();
        if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt") {
            return Err(AuthRefusal::TokenType);
        }
    }
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= MAX_KID && kid.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(kid.clone()))
        }
        Some(_) => Err(AuthRefusal::KeyId),
    }
}
