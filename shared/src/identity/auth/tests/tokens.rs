//! Form and signature: every known trick, each with a token that is right in all other respects.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::*;
use crate::identity::auth::{AuthOutcome, AuthRefusal};

fn all() -> [Signer; 9] {
    [
        Signer::ed("ed", 1),
        Signer::ec("ec", 1),
        Signer::ec_384("ec3", 1),
        Signer::rsa("rs", Algorithm::RS256),
        Signer::rsa("rs3", Algorithm::RS384),
        Signer::rsa("rs5", Algorithm::RS512),
        Signer::rsa("ps", Algorithm::PS256),
        Signer::rsa("ps3", Algorithm::PS384),
        Signer::rsa("ps5", Algorithm::PS512),
    ]
}

fn world() -> (World, [Signer; 9]) {
    let signers = all();
    (World::new(&signers.each_ref()), signers)
}

#[tokio::test]
async fn each_algorithm_is_accepted_with_its_own_key() {
    let (world, signers) = world();
    for signer in &signers {
        let verified = world.accepted(&signer.token(&claims())).await;
        assert_eq!((verified.consumer.as_str(), verified.subject.as_str()), ("idp:u1", "idp:u1"));
        assert_eq!(verified.roles, ["reader"]);
        assert_eq!(verified.expires, Some(NOW + 600 + 30), "the leeway is part of it");
        assert!(!verified.anonymous && verified.key_id.is_none() && verified.scopes.is_none());
    }
    assert_eq!(world.idp.asked(), 1, "one fetch for all");
}

#[tokio::test]
async fn a_key_of_another_algorithm_is_never_used() {
    let (world, signers) = world();
    for signer in &signers {
        for other in signers.iter().filter(|other| other.kid != signer.kid) {
            let mut header = signer.header();
            header["kid"] = json!(other.kid);
            world.refused(&signer.raw(&header.to_string(), &claims().to_string()), AuthRefusal::Algorithm).await;
        }
    }
}

#[tokio::test]
async fn algorithms_outside_the_list_are_refused() {
    let (world, [ed, ..]) = world();
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "rs256", "RS1", "RSA-OAEP", "ES512", "ES256K", "EDDSA",
        "eddsa", "Ed25519",
    ] {
        let token = ed.raw(&json!({ "alg": name, "kid": "ed" }).to_string(), &claims().to_string());
        world.refused(&token, AuthRefusal::Algorithm).await;
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        world.refused(&unsigned, AuthRefusal::Algorithm).await;
    }
    for alg in [json!(null), json!(["EdDSA"]), json!({ "EdDSA": 1 }), json!(1)] {
        world
            .refused(&ed.raw(&json!({ "alg": alg, "kid": "ed" }).to_string(), &claims().to_string()), AuthRefusal::Malformed)
            .await;
    }
    world.refused(&ed.raw(&json!({ "kid": "ed" }).to_string(), &claims().to_string()), AuthRefusal::Malformed).await;
    assert_eq!(world.idp.asked(), 0, "none of them is worth a fetch");
}

#[tokio::test]
async fn the_issuers_own_list_counts() {
    let signers = all();
    let mut model = model();
    model.auth.issuers[0].algorithms = vec!["ES256".into(), "HS256".into(), "none".into()];
    let world = World::with_model(&signers.each_ref(), model);
    for signer in &signers {
        match signer.algorithm {
            Algorithm::ES256 => drop(world.accepted(&signer.token(&claims())).await),
            _ => world.refused(&signer.token(&claims()), AuthRefusal::Algorithm).await,
        }
    }
}

/// The public key used as an HMAC secret, in each form in which a library might hand it out.
#[tokio::test]
async fn public_keys_are_no_secrets() {
    let (world, signers) = world();
    for signer in &signers {
        let jwk = signer.jwk();
        let part = |name: &str| jwk.get(name).and_then(Value::as_str).map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
        let secrets = [part("n"), part("x"), part("y"), Some(jwk.to_string().into_bytes()), Some(Vec::new())];
        for secret in secrets.into_iter().flatten() {
            let header = json!({ "alg": "HS256", "kid": signer.kid });
            let signed =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims().to_string()));
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
            mac.update(signed.as_bytes());
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
            world.refused(&token, AuthRefusal::Algorithm).await;
        }
    }
}

/// A key that the sender brings along or points at: refused before anything is fetched, even where the token is otherwise right.
#[tokio::test]
async fn header_parameters_that_bring_keys_or_change_the_rules_are_refused() {
    let (world, [ed, ..]) = world();
    let attacker = Signer::ed("ed", 99);
    let tricks = [
        ("jwk", attacker.jwk()),
        ("jwk", json!(null)),
        ("jku", json!("https://evil.example/jwks")),
        ("jku", json!(JWKS)),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ];
    for (name, value) in tricks {
        for signer in [&ed, &attacker] {
            let mut header = signer.header();
            header[name] = value.clone();
            world.refused(&signer.raw(&header.to_string(), &claims().to_string()), AuthRefusal::HeaderParameter).await;
        }
    }
    assert_eq!(world.idp.asked(), 0);
    let mut header = ed.header();
    header["x5t"] = json!("thumbprint");
    header["cty"] = json!("something");
    world.accepted(&ed.raw(&header.to_string(), &claims().to_string())).await;
}

#[tokio::test]
async fn a_kid_is_a_short_visible_text() {
    let (world, [ed, ..]) = world();
    for kid in [
        json!(""),
        json!("x".repeat(129)),
        json!("a b"),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("é"),
        json!(1),
        json!(null),
        json!(["ed"]),
        json!({ "ed": 1 }),
    ] {
        let token = ed.raw(&json!({ "alg": "EdDSA", "kid": kid }).to_string(), &claims().to_string());
        world.refused(&token, AuthRefusal::KeyId).await;
    }
    assert_eq!(world.idp.asked(), 0);
    // What would be an attack on a file system or database is only an id that nobody knows.
    for kid in ["../../../dev/null", "'||'1'='1", "ed'", "ED", "ed%00", "https://evil.example/", &"x".repeat(128)] {
        let token = ed.raw(&json!({ "alg": "EdDSA", "kid": kid }).to_string(), &claims().to_string());
        world.refused(&token, AuthRefusal::UnknownKey).await;
    }
}

#[tokio::test]
async fn without_a_kid_there_must_be_one_key() {
    let (world, [ed, ec, ..]) = world();
    let bare = ed.raw(r#"{"alg":"EdDSA"}"#, &claims().to_string());
    world.refused(&bare, AuthRefusal::AmbiguousKey).await;
    World::new(&[&ed]).accepted(&bare).await;
    World::new(&[&ec]).refused(&bare, AuthRefusal::Signature).await;
}

#[tokio::test]
async fn repeated_members_are_refused() {
    let (world, [ed, ..]) = world();
    let good = claims().to_string();
    for header in [
        r#"{"alg":"EdDSA","kid":"ed","alg":"none"}"#,
        r#"{"alg":"none","kid":"ed","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"x","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","x":{"a":1,"a":1}}"#,
    ] {
        world.refused(&ed.raw(header, &good), AuthRefusal::Malformed).await;
    }
    let inner = good.trim_start_matches('{').trim_end_matches('}');
    for extra in
        [r#""roles":["admin"]"#, r#""sub":"root""#, r#""\u0073ub":"root""#, r#""exp":9999999999"#, r#""x":[{"y":1,"y":2}]"#]
    {
        let twice = if extra.starts_with(r#""x""#) { extra.to_owned() } else { format!("{extra},{extra}") };
        world.refused(&ed.raw(&ed.header().to_string(), &format!("{{{inner},{twice}}}")), AuthRefusal::Malformed).await;
    }
}

#[tokio::test]
async fn base64_has_one_spelling() {
    let (world, [ed, ..]) = world();
    let token = ed.token(&claims());
    let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // 64 bytes end in a digit with four unused bits: sixteen spellings decode alike in a lenient reader.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    assert_eq!(at % 16, 0, "the canonical one has zeros there");
    for bits in 1..16 {
        let other = format!("{}{}", &signature[..signature.len() - 1], &alphabet[at + bits..=at + bits]);
        world.refused(&format!("{header}.{payload}.{other}"), AuthRefusal::Malformed).await;
    }
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for other in [
        URL_SAFE.encode(&raw),
        STANDARD.encode(&raw),
        format!("{signature}="),
        format!("{signature}\u{e9}"),
        format!("{signature}%"),
    ] {
        world.refused(&format!("{header}.{payload}.{other}"), AuthRefusal::Malformed).await;
    }
    for other in [
        format!("{header}=.{payload}"),
        format!("{header}.{payload}="),
        format!("{header}+.{payload}"),
        format!("{header}.\n{payload}"),
    ] {
        world.refused(&format!("{other}.{signature}"), AuthRefusal::Malformed).await;
    }
}

#[tokio::test]
async fn three_parts_and_no_other_form() {
    let (world, [ed, ..]) = world();
    let token = ed.token(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let json_form = json!({ "payload": parts[1], "protected": parts[0], "signature": parts[2] }).to_string();
    for form in [
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}."),
        format!("{token}.{}", parts[2]),
        format!("{token}.."),
        format!(".{}.{}", parts[1], parts[2]),
        format!("{}..{}", parts[0], parts[2]),
        "x".to_owned(),
        "..".to_owned(),
        ".....".to_owned(),
        json_form,
    ] {
        let outcome = world.bearer(&form).await;
        assert!(
            matches!(outcome, AuthOutcome::Invalid(AuthRefusal::Malformed | AuthRefusal::Scheme | AuthRefusal::Signature)),
            "{form}: {outcome:?}"
        );
    }
    world.refused(&format!("{}.{}.", parts[0], parts[1]), AuthRefusal::Signature).await;
}

#[tokio::test]
async fn huge_tokens_are_refused_unread() {
    let (world, [ed, ..]) = world();
    let fitting = ed.token(&claims_with("pad", json!("x".repeat(5_500))));
    assert!(fitting.len() <= 8 * 1024);
    world.accepted(&fitting).await;
    let huge = ed.token(&claims_with("pad", json!("x".repeat(6_500))));
    assert!(huge.len() > 8 * 1024);
    world.refused(&huge, AuthRefusal::TooLarge).await;
    world.refused(&"a".repeat(1 << 20), AuthRefusal::TooLarge).await;
}

#[tokio::test]
async fn other_kinds_of_token_are_refused() {
    let (world, [ed, ..]) = world();
    for (kind, accepted) in [
        (json!("JWT"), true),
        (json!("jwt"), true),
        (json!("at+jwt"), true),
        (json!("application/at+jwt"), true),
        (json!("dpop+jwt"), false),
        (json!("logout+jwt"), false),
        (json!("secevent+jwt"), false),
        (json!(""), false),
    ] {
        let token = ed.raw(&json!({ "alg": "EdDSA", "kid": "ed", "typ": kind }).to_string(), &claims().to_string());
        if accepted {
            world.accepted(&token).await;
        } else {
            world.refused(&token, AuthRefusal::TokenType).await;
        }
    }
    world.accepted(&ed.raw(r#"{"alg":"EdDSA","kid":"ed"}"#, &claims().to_string())).await;
}

#[tokio::test]
async fn signatures_of_others_are_refused() {
    let (world, signers) = world();
    for other in [Signer::ed("ed", 2), Signer::ec("ec", 2)] {
        world.refused(&other.token(&claims()), AuthRefusal::Signature).await;
    }
    for signer in &signers {
        let (one, two) = (signer.token(&claims()), signer.token(&claims_with("roles", json!(["admin"]))));
        let (signed, _) = two.rsplit_once('.').unwrap();
        let (_, signature) = one.rsplit_once('.').unwrap();
        world.refused(&format!("{signed}.{signature}"), AuthRefusal::Signature).await;
        for length in [0, 1, 63, 64, 65, 255, 256, 257, 512] {
            for byte in [0u8, 1, 255] {
                let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(vec![byte; length]));
                world.refused(&forged, AuthRefusal::Signature).await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any single changed character of a token makes it invalid.
    #[test]
    fn no_changed_token_passes(at in 0usize..400, to in 0usize..64) {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let signer = Signer::ed("ed", 1);
        let token = signer.token(&claims());
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != alphabet[to]);
        bytes[at] = alphabet[to];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let outcome = runtime.block_on(World::new(&[&signer]).bearer(&String::from_utf8(bytes).unwrap()));
        prop_assert!(matches!(outcome, AuthOutcome::Invalid(_)), "{outcome:?}");
    }

    #[test]
    fn no_junk_passes_or_panics(text in "\\PC{0,200}", shaped in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let world = World::new(&[&Signer::ed("ed", 1)]);
        for header in [text.clone(), format!("Bearer {text}"), format!("Bearer {shaped}")] {
            let outcome = runtime.block_on(world.authenticator.authenticate(Some(&header)));
            prop_assert!(matches!(outcome, AuthOutcome::Invalid(_)), "{outcome:?}");
        }
    }
}
