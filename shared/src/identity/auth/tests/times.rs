//! Claims: whom a token is for, when it holds, whom it names.

use proptest::prelude::*;
use serde_json::json;

use super::support::*;
use crate::identity::auth::{AuthOutcome, AuthRefusal, consumer_id};

fn world() -> (World, Signer) {
    let signer = Signer::ed("ed", 1);
    (World::new(&[&signer]), signer)
}

#[tokio::test]
async fn issuer_and_audience_are_exact() {
    let (world, signer) = world();
    for issuer in [
        json!("https://idp.example/"),
        json!("https://IDP.example"),
        json!("https://evil.example"),
        json!([ISS]),
        json!(1),
        json!(null),
    ] {
        world.refused(&signer.token(&claims_with("iss", issuer)), AuthRefusal::Issuer).await;
    }
    for audience in [json!("API"), json!(""), json!("api other"), json!([]), json!(["x"]), json!(null)] {
        world.refused(&signer.token(&claims_with("aud", audience)), AuthRefusal::Audience).await;
    }
    for audience in [json!(1), json!({ "api": 1 }), json!(["api", 1])] {
        world.refused(&signer.token(&claims_with("aud", audience)), AuthRefusal::Claims).await;
    }
    for audience in [json!("other"), json!(["x", "api"])] {
        world.accepted(&signer.token(&claims_with("aud", audience))).await;
    }
}

/// Leeway 30 s, longest life 3600 s.
#[tokio::test]
async fn a_token_holds_from_its_start_to_its_end() {
    let (world, signer) = world();
    let cases = [
        ("exp", NOW + 1, Ok(())),
        ("exp", NOW, Ok(())),
        ("exp", NOW - 29, Ok(())),
        ("exp", NOW - 30, Err(AuthRefusal::Expired)),
        ("exp", NOW - 1000, Err(AuthRefusal::Expired)),
        ("exp", NOW - 10 + 3600, Ok(())),
        ("exp", NOW - 10 + 3601, Err(AuthRefusal::Lifetime)),
        ("exp", i64::MAX, Err(AuthRefusal::Lifetime)),
        ("exp", i64::MIN, Err(AuthRefusal::Expired)),
        ("nbf", NOW + 30, Ok(())),
        ("nbf", NOW + 31, Err(AuthRefusal::NotYetValid)),
        ("iat", NOW + 30, Ok(())),
        ("iat", NOW + 31, Err(AuthRefusal::NotYetValid)),
        ("iat", NOW + 600 - 3601, Err(AuthRefusal::Lifetime)),
        ("iat", i64::MIN, Err(AuthRefusal::Lifetime)),
    ];
    for (name, value, expected) in cases {
        let token = signer.token(&claims_with(name, json!(value)));
        match expected {
            Ok(()) => drop(world.accepted(&token).await),
            Err(refusal) => world.refused(&token, refusal).await,
        }
    }
    let token = signer.token(&claims());
    world.clock.advance(629);
    world.accepted(&token).await;
    world.clock.advance(1);
    world.refused(&token, AuthRefusal::Expired).await;
}

#[tokio::test]
async fn moments_are_numbers_and_there() {
    let (world, signer) = world();
    for name in ["exp", "iat"] {
        world.refused(&signer.token(&claims_with(name, json!(null))), AuthRefusal::Claims).await;
    }
    for name in ["exp", "iat", "nbf"] {
        for value in [json!("1795219800"), json!(true), json!([1]), json!(1e300), json!(-1e300), json!(u64::MAX)] {
            world.refused(&signer.token(&claims_with(name, value)), AuthRefusal::Claims).await;
        }
    }
    assert_eq!(world.accepted(&signer.token(&claims_with("exp", json!(NOW as f64 + 99.9)))).await.expires, Some(NOW + 99 + 30));
}

#[tokio::test]
async fn the_payload_is_an_object() {
    let (world, signer) = world();
    for payload in ["", "[]", "\"x\"", "null", "{", "{}{}", "\u{feff}{}"] {
        world.refused(&signer.raw(&signer.header().to_string(), payload), AuthRefusal::Malformed).await;
    }
}

#[tokio::test]
async fn the_callers_name_is_a_text() {
    let (world, signer) = world();
    use AuthRefusal::{Identity, IdentityControl};
    for (subject, refusal) in [
        (json!(""), Identity),
        (json!(true), Identity),
        (json!({}), Identity),
        (json!(42), Identity),
        (json!(1.5), Identity),
        (json!(null), Identity),
        (json!("a\u{0}"), IdentityControl),
        (json!("a\nb"), IdentityControl),
    ] {
        world.refused(&signer.token(&claims_with("sub", subject)), refusal).await;
    }
    let verified = world.accepted(&signer.token(&claims_with("sub", json!("é".repeat(20))))).await;
    assert_eq!(
        (verified.consumer.len(), verified.subject.as_str()),
        (124, format!("idp:{}", "é".repeat(20)).as_str()),
        "é itself is none of it"
    );
    let verified = world.accepted(&signer.token(&claims_with("sub", json!("auth0|7")))).await;
    assert_eq!((verified.consumer.as_str(), verified.subject.as_str()), ("idp:auth0:7c7", "idp:auth0|7"));
}

#[tokio::test]
async fn a_long_name_is_hashed_and_stays_its_own() {
    let (world, signer) = world();
    let caller = async |name: &str| world.accepted(&signer.token(&claims_with("sub", json!(name)))).await;
    let (long, other) = ("x".repeat(101), "x".repeat(125));
    assert_eq!(caller(&long).await.consumer, format!("idp:{long}"), "what fits stays readable");
    for name in [&other, &"é".repeat(21), &"auth0|".repeat(20), &"y".repeat(255)] {
        let caller = caller(name).await;
        assert!(caller.consumer.starts_with("idp:sha256-") && caller.consumer.len() == 54, "{}", caller.consumer);
        assert_eq!(caller.subject, format!("idp:{name}"), "255 bytes are a subject as they are (OpenID Connect Core, 2)");
    }
    let (one, two) = (caller(&"z".repeat(256)).await, caller(&"z".repeat(257)).await);
    assert!(one.subject.starts_with("idp:sha256-") && one.subject.len() == 54, "{}", one.subject);
    assert!(one.subject != two.subject && one.consumer != two.consumer);
    // Nobody takes another's hash for a name.
    let forged = one.subject.strip_prefix("idp:").unwrap();
    let forger = caller(forged).await;
    assert!(forger.subject != one.subject && forger.consumer != one.consumer);
}

#[tokio::test]
async fn null_of_an_optional_claim_is_as_good_as_none() {
    let signer = Signer::ed("ed", 1);
    let mut model = model();
    model.auth.issuers[0].scopes_claim = "a.scope".into();
    model.auth.issuers[0].clients = vec!["c".into()];
    model.auth.issuers[0].client_claims = vec!["client_id".into(), "azp".into()];
    let world = World::with_model(&[&signer], model);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = claims();
        claims["azp"] = json!("c");
        claims[name] = value;
        signer.token(&claims)
    };
    for name in ["roles", "plan", "scope", "a", "nbf", "tenant", "client_id", "jti"] {
        let caller = world.accepted(&with(name, json!(null))).await;
        assert_eq!((caller.plan, caller.scopes, caller.claims.len()), (None, None, 0), "{name}");
        assert_eq!(caller.roles, if name == "roles" { ["guest"] } else { ["reader"] });
    }
    assert_eq!(world.accepted(&with("a", json!({"scope": null}))).await.scopes, None);
    for (name, refusal) in [
        ("exp", AuthRefusal::Claims),
        ("iat", AuthRefusal::Claims),
        ("sub", AuthRefusal::Identity),
        ("aud", AuthRefusal::Audience),
        ("iss", AuthRefusal::Issuer),
        ("azp", AuthRefusal::Client),
    ] {
        world.refused(&with(name, json!(null)), refusal).await;
    }
    for wrong in [json!(5), json!(true), json!(["gold"]), json!({})] {
        world.refused(&with("plan", wrong), AuthRefusal::Claims).await;
    }
}

#[tokio::test]
async fn an_issuers_own_claim_may_name_the_caller_by_a_number() {
    let signer = Signer::ed("ed", 1);
    let mut model = model();
    model.auth.issuers[0].consumer_claim = "account".into();
    let world = World::with_model(&[&signer], model);
    assert_eq!(world.accepted(&signer.token(&claims_with("account", json!(42)))).await.consumer, "idp:42");
    world.refused(&signer.token(&claims_with("account", json!(4.2))), AuthRefusal::Identity).await;
}

#[tokio::test]
async fn claims_are_found_by_name_or_path_and_travel_if_used() {
    let signer = Signer::ed("ed", 1);
    let mut model = model();
    let issuer = &mut model.auth.issuers[0];
    issuer.consumer_claim = "org.id".into();
    issuer.roles_claim = "realm_access.roles".into();
    issuer.scopes_claim = "https://x.example/scopes".into();
    let world = World::with_model(&[&signer], model);
    let mut claims = claims();
    claims["org"] = json!({ "id": "o1" });
    claims["realm_access"] = json!({ "roles": ["admin", "reader"] });
    claims["https://x.example/scopes"] = json!("order:read  *:list openid");
    claims["plan"] = json!("gold");
    claims["tenant"] = json!([1, 2]);
    claims["subject"] = json!("somebody else");
    claims["secret"] = json!("not used by any rule");
    let verified = world.accepted(&signer.token(&claims)).await;
    assert_eq!((verified.consumer.as_str(), verified.subject.as_str()), ("idp:o1", "idp:u1"));
    assert_eq!(verified.roles, ["admin", "reader"]);
    assert_eq!(verified.scopes, Some(vec!["*:list".into()]), "the model has no orders");
    assert_eq!(verified.plan.as_deref(), Some("gold"));
    assert_eq!(verified.claims, [("tenant".to_owned(), json!([1, 2]))].into(), "what the caller is by nature no token sets");
}

#[tokio::test]
async fn names_on_the_way_to_a_claim_may_have_dots() {
    let signer = Signer::ed("ed", 1);
    for (path, claim) in [
        ("https://shop.example/app.roles", json!({"https://shop.example/app": {"roles": ["admin"]}})),
        ("resource_access.my.api.roles", json!({"resource_access": {"my.api": {"roles": ["admin"]}}})),
        ("https://shop.example/roles", json!({"https://shop.example/roles": ["admin"]})),
    ] {
        let mut model = model();
        model.auth.issuers[0].roles_claim = path.into();
        let world = World::with_model(&[&signer], model);
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(claim.as_object().unwrap().clone());
        assert_eq!(world.accepted(&signer.token(&claims)).await.roles, ["admin"], "{path}");
    }
}

#[tokio::test]
async fn roles_default_only_where_the_claim_is_absent() {
    let (world, signer) = world();
    for (roles, expected) in [
        (json!(null), vec!["guest"]),
        (json!([]), vec![]),
        (json!(""), vec![]),
        (json!("admin reader"), vec!["admin", "reader"]),
        (json!(["admin"]), vec!["admin"]),
    ] {
        assert_eq!(world.accepted(&signer.token(&claims_with("roles", roles))).await.roles, expected);
    }
    for name in ["roles", "scope"] {
        for wrong in [json!(1), json!({ "admin": true }), json!(["admin", 1]), json!([["admin"]])] {
            world.refused(&signer.token(&claims_with(name, wrong)), AuthRefusal::Claims).await;
        }
    }
    for nothing in [json!(""), json!([]), json!("openid profile email"), json!(["read:books"])] {
        assert_eq!(world.accepted(&signer.token(&claims_with("scope", nothing))).await.scopes, None, "no scope of ours");
    }
}

#[test]
fn consumers_of_issuers_read_well() {
    for (claim, id) in [
        ("u1", Some("a:u1")),
        ("me@x.example", Some("a:me@x.example")),
        ("urn:user:1", Some("a:urn:user:1")),
        ("urn:ab:1", Some("a:urn:3aab:3a1")),
        ("auth0|7", Some("a:auth0:7c7")),
        ("a b", Some("a:a:20b")),
        ("é", Some("a::c3:a9")),
        ("sha256-x", Some("a:sha256-5gZlTNy2YA18i8RU9Pv-4KI_RqRlPw88lE1Sv5wa1aI")),
        ("", None),
    ] {
        assert_eq!(consumer_id("a", claim).as_deref(), id);
    }
}

proptest! {
    #[test]
    fn different_claims_never_meet_in_one_consumer(a in "[ab7:c|#. é]{1,6}", b in "[ab7:c|#. é]{1,6}") {
        prop_assert_eq!(a == b, consumer_id("i", &a) == consumer_id("i", &b));
        prop_assert!(consumer_id("i", &a).is_none_or(|id| crate::core::id::is_id_part(&id)));
    }

    #[test]
    fn no_claims_panic(name in "iss|aud|sub|exp|iat|nbf|roles|scope|plan|tenant", value in any::<f64>(), text in "\\PC{0,20}", whole: i64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (world, signer) = world();
        for value in [json!(value), json!(text), json!(whole), json!([text, whole]), json!({ "a": value })] {
            if let AuthOutcome::Ok(verified) = runtime.block_on(world.bearer(&signer.token(&claims_with(&name, value.clone())))) {
                let harmless = ["nbf", "roles", "scope", "plan", "tenant", "sub", "exp", "iat"];
                prop_assert!(harmless.contains(&name.as_str()) && verified.consumer.starts_with("idp:"), "{name}: {value}");
                prop_assert!(verified.expires.is_some_and(|end| end > NOW));
                prop_assert!(crate::core::id::is_id_part(&verified.consumer));
            }
        }
    }
}
