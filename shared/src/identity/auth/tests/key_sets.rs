//! Documents of issuers: which keys are usable, and which one a token means.

use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::*;
use crate::identity::auth::AuthRefusal;
use crate::identity::auth::jwks::KeySet;

fn set(keys: &[Value]) -> Result<KeySet, String> {
    KeySet::parse(&json!({ "keys": keys }).to_string())
}

fn with(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn keys_that_cannot_verify_are_left_out() {
    let (ed, ec, rsa) = (Signer::ed("k", 1).jwk(), Signer::ec("k", 1).jwk(), Signer::rsa("k", Algorithm::RS256).jwk());
    for good in [
        ed.clone(),
        with(&ed, "use", json!("sig")),
        with(&ed, "key_ops", json!(["verify"])),
        with(&rsa, "x5c", json!(["ignored"])),
        with(&rsa, "e", json!("Aw")),
        with(&rsa, "alg", json!("RS512")),
        with(&rsa, "alg", json!("PS384")),
        Signer::ec_384("k", 1).jwk(),
    ] {
        assert!(set(std::slice::from_ref(&good)).is_ok(), "{good}");
    }
    for bad in [
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256" }),
        with(&ed, "use", json!("enc")),
        with(&ed, "use", json!(1)),
        with(&ed, "key_ops", json!(["sign", "encrypt"])),
        with(&ed, "key_ops", json!("verify")),
        with(&ed, "alg", json!("ES256")),
        with(&ed, "alg", json!("HS256")),
        with(&ed, "alg", json!("none")),
        with(&ed, "alg", json!(1)),
        with(&ed, "kid", json!(7)),
        with(&ed, "crv", json!("X25519")),
        with(&ed, "crv", json!("Ed448")),
        with(&ed, "x", json!("AAAA")),
        with(&ed, "x", json!("")),
        with(&ed, "kty", json!("EC")),
        with(&ec, "crv", json!("P-384")),
        with(&ec, "crv", json!("secp256k1")),
        with(&ec, "y", json!("AAAA")),
        with(&rsa, "alg", json!("ES384")),
        with(&Signer::ec_384("k", 1).jwk(), "crv", json!("P-256")),
        with(&Signer::ec_384("k", 1).jwk(), "crv", json!("P-521")),
        with(&Signer::ec_384("k", 1).jwk(), "alg", json!("ES256")),
        with(&rsa, "alg", json!("RSA-OAEP")),
        with(&rsa, "e", json!("AQ")),
        with(&rsa, "e", json!("AA")),
        with(&rsa, "e", json!("BA")),
        with(&rsa, "e", json!("AQAAAAE")),
        with(&rsa, "e", json!("")),
        with(&rsa, "n", json!("")),
        with(&rsa, "n", json!("A".repeat(344))),
        with(&rsa, "n", json!(format!("{}E", "_".repeat(1000)))),
        Signer::rsa_1024("k").jwk(),
        json!("not an object"),
    ] {
        assert!(set(std::slice::from_ref(&bad)).is_err(), "{bad}");
        assert!(set(&[bad, ed.clone()]).is_ok(), "the others still count");
    }
}

#[test]
fn a_modulus_of_the_flawed_generator_is_left_out() {
    // A product of powers of 65537 modulo every small prime, as CVE-2017-15361 makes them: here 65537^k itself, padded to size by
    // its exponent. It is no product of two primes, which the fingerprint does not look at.
    let mut power = vec![1u8];
    while power.len() < 256 {
        let mut carry = 0u64;
        for byte in power.iter_mut().rev() {
            let sum = u64::from(*byte) * 65_537 + carry;
            *byte = u8::try_from(sum & 255).unwrap();
            carry = sum >> 8;
        }
        while carry > 0 {
            power.insert(0, u8::try_from(carry & 255).unwrap());
            carry >>= 8;
        }
    }
    use base64::Engine as _;
    let flawed = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&power);
    let rsa = Signer::rsa("k", Algorithm::RS256).jwk();
    assert!(set(&[with(&rsa, "n", json!(flawed))]).is_err());
    power[255] = power[255].wrapping_add(2);
    let other = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&power);
    assert!(set(&[with(&rsa, "n", json!(other))]).is_ok());
}

#[test]
fn a_token_means_one_key_or_none() {
    let (ed, ec) = (Signer::ed("a", 1).jwk(), Signer::ec("b", 1).jwk());
    let twins = set(&[ed.clone(), with(&Signer::ed("a", 2).jwk(), "use", json!("sig"))]).unwrap();
    assert_eq!(twins.find(Some("a"), Algorithm::EdDSA).err(), Some(AuthRefusal::AmbiguousKey));
    let both = set(&[ed.clone(), with(&ec, "kid", json!("a"))]).unwrap();
    assert!(both.find(Some("a"), Algorithm::EdDSA).is_ok() && both.find(Some("a"), Algorithm::ES256).is_ok(), "RFC 7517, 4.5");
    assert_eq!(both.find(Some("a"), Algorithm::RS256).err(), Some(AuthRefusal::Algorithm));
    assert_eq!(both.find(None, Algorithm::EdDSA).err(), Some(AuthRefusal::AmbiguousKey));
    assert_eq!(both.find(Some("b"), Algorithm::EdDSA).err(), Some(AuthRefusal::UnknownKey));
}

#[test]
fn documents_are_bounded_and_unambiguous() {
    let ed = Signer::ed("a", 1).jwk();
    assert!(set(&vec![ed.clone(); 101]).is_err());
    let large = json!({ "keys": [ed], "pad": "x".repeat(300 * 1024) }).to_string();
    assert!(KeySet::parse(&large).is_err());
    assert!(KeySet::parse(&format!(r#"{{"keys":[{ed}],"keys":[]}}"#)).is_err());
}

proptest! {
    #[test]
    fn no_document_panics(kty in "RSA|EC|OKP", crv in "P-256|Ed25519", a in "[A-Za-z0-9_-]{0,50}", b in "[A-Za-z0-9_-]{0,400}") {
        let jwk = json!({ "kty": kty, "crv": crv, "x": a, "y": a, "n": b, "e": a, "kid": "k" });
        if let Ok(keys) = set(&[jwk]) {
            let signer = Signer::ed("k", 1);
            for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256] {
                if let Ok(key) = keys.find(Some("k"), algorithm) {
                    let header = json!({ "alg": format!("{algorithm:?}"), "kid": "k" }).to_string();
                    let token = signer.raw(&header, "{}");
                    let parsed = crate::identity::auth::jws::Unverified::parse(&token).ok();
                    prop_assert!(parsed.is_some_and(|token| !token.signed_by(key)));
                }
            }
        }
    }
}
