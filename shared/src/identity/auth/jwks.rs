//! Key sets (RFC 7517): which keys of an issuer's document may verify, and which of them a token means.
//!
//! A key that cannot be used here (symmetric, too small, for encryption, of another curve) is left out, as RFC 7517, 5 asks; a
//! document without a usable key is an error of the issuer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::AuthRefusal;
use crate::core::json::strict_object;

/// Largest accepted document, bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;
/// Most keys of one issuer.
const MAX_KEYS: usize = 100;
/// RSA moduli, bits: NIST SP 800-131A asks for 2048; above 4096 verification costs more than it gives.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The algorithms that tokens may be signed with, by their exact names (RFC 7518, RFC 8037).
pub fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A public key that may verify signatures.
#[derive(Clone)]
pub(crate) struct Jwk {
    kid: Option<String>,
    kind: Kind,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl Jwk {
    /// Whether the key is made for this algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        let of_kind = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => {
                self.kind == Kind::Rsa
            }
            Algorithm::ES256 => self.kind == Kind::P256,
            Algorithm::ES384 => self.kind == Kind::P384,
            Algorithm::EdDSA => self.kind == Kind::Ed25519,
            _ => false,
        };
        of_kind && self.algorithm.is_none_or(|declared| declared == algorithm)
    }

    pub(crate) fn key(&self) -> &DecodingKey {
        &self.key
    }

    fn parse(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.as_array()?.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        let declared = match jwk.get("alg") {
            None => None,
            Some(name) => Some(algorithm(name.as_str()?)?),
        };
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Kind::Rsa, rsa(text("n")?, text("e")?)?),
            ("EC", Some("P-256")) => (Kind::P256, coordinates(text("x")?, Some(text("y")?), 32)?),
            ("EC", Some("P-384")) => (Kind::P384, coordinates(text("x")?, Some(text("y")?), 48)?),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, coordinates(text("x")?, None, 32)?),
            _ => return None,
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let parsed = Self { kid, kind, algorithm: declared, key };
        // An `alg` that the key's type cannot do makes the key useless, not universal.
        declared.is_none_or(|name| parsed.fits(name)).then_some(parsed)
    }
}

/// Coordinates are exactly as long as the curve's field (RFC 7518, 6.2.1.2); a point off the curve is refused on use.
fn coordinates(x: &str, y: Option<&str>, length: usize) -> Option<DecodingKey> {
    let whole = |part: &str| URL_SAFE_NO_PAD.decode(part).is_ok_and(|bytes| bytes.len() == length);
    match y {
        Some(y) => (whole(x) && whole(y)).then(|| DecodingKey::from_ec_components(x, y).ok())?,
        None => whole(x).then(|| DecodingKey::from_ed_components(x).ok())?,
    }
}

fn rsa(n: &str, e: &str) -> Option<DecodingKey> {
    let (modulus, exponent) = (URL_SAFE_NO_PAD.decode(n).ok()?, URL_SAFE_NO_PAD.decode(e).ok()?);
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let bits = (modulus.len() - first) * 8 - usize::try_from(modulus[first].leading_zeros()).ok()?;
    let exponent = exponent.iter().try_fold(0u64, |sum, byte| sum.checked_mul(256).map(|sum| sum + u64::from(*byte)))?;
    let odd = modulus.last().is_some_and(|byte| byte & 1 == 1);
    // 1 would make every message its own signature; even exponents have no inverse; above 2^32 only cost grows.
    let sound = RSA_BITS.contains(&bits) && odd && exponent >= 3 && exponent & 1 == 1 && exponent <= u64::from(u32::MAX);
    (sound && !has_roca_fingerprint(&modulus)).then(|| DecodingKey::from_rsa_components(n, e).ok())?
}

/// CVE-2017-15361: primes of the flawed generator are powers of 65537 modulo small primes, so their product is too; a sound
/// modulus meets that for all 38 primes with a probability of about 2^-28.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (3..=167u32).filter(is_prime).all(|prime| {
        let residue = modulus.iter().fold(0u32, |sum, byte| (sum * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == residue
        })
    })
}

/// The usable keys of an issuer.
#[derive(Clone, Default)]
pub(crate) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a document `{"keys": [...]}`.
    ///
    /// # Errors
    /// A sentence for the operator: the document is no key set, or has no usable key.
    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        if document.len() > MAX_DOCUMENT {
            return Err(format!("the key set has more than {MAX_DOCUMENT} bytes"));
        }
        let document = strict_object(document.as_bytes()).ok_or("the key set is not a JSON object with unique members")?;
        let Some(Value::Array(keys)) = document.get("keys") else {
            return Err("the key set has no array `keys` (RFC 7517, 5)".to_owned());
        };
        if keys.len() > MAX_KEYS {
            return Err(format!("the key set has more than {MAX_KEYS} keys"));
        }
        let usable: Vec<Jwk> = keys.iter().filter_map(Value::as_object).filter_map(Jwk::parse).collect();
        if usable.is_empty() {
            return Err("the key set has no RSA, P-256, P-384 or Ed25519 key for signatures".to_owned());
        }
        Ok(Self(usable))
    }

    /// The key that a token means.
    ///
    /// # Errors
    /// [`AuthRefusal::UnknownKey`] where there is none of this id; [`AuthRefusal::AmbiguousKey`] where several could be meant, or no id is
    /// given and there is more than one key. Nothing is ever tried out.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Jwk, AuthRefusal> {
        let Some(kid) = kid else {
            return match self.0.as_slice() {
                [only] => Ok(only),
                _ => Err(AuthRefusal::AmbiguousKey),
            };
        };
        let mut of_id = self.0.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
        if of_id.peek().is_none() {
            return Err(AuthRefusal::UnknownKey);
        }
        let mut fitting = of_id.filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(AuthRefusal::Algorithm),
            (Some(_), Some(_)) => Err(AuthRefusal::AmbiguousKey),
        }
    }
}
