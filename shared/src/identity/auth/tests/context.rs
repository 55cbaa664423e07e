//! From outcome to context to principal.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::support::*;
use crate::core::caller::Caller;
use crate::core::clock::Micros;
use crate::identity::auth::{AuthFailure, AuthOutcome, AuthRefusal, Evidence, principal, principal_from_context};

fn now() -> Micros {
    Micros(NOW * 1_000_000)
}

fn verified() -> Caller {
    Caller {
        consumer: "acme".into(),
        subject: "u1".into(),
        roles: vec!["admin".into(), "unheard_of".into(), "guest".into()],
        ..Caller::default()
    }
}

fn read(outcome: AuthOutcome) -> Result<crate::identity::auth::Principal, AuthFailure> {
    principal_from_context(&model(), &outcome.to_context(), now())
}

#[test]
fn a_context_is_flat_texts() {
    let full = Caller {
        key_id: Some("k".into()),
        plan: Some("gold".into()),
        scopes: Some(vec!["*".into()]),
        claims: [("tenant".to_owned(), json!({ "any": ["thing", 1.5] }))].into(),
        expires: Some(NOW),
        epoch: Some(9_007_199_254_740_993),
        overrides: Some(json!({ "burst": { "rate": 1 } })),
        anonymous: true,
        ..verified()
    };
    let context = AuthOutcome::Ok(Box::new(full.clone())).to_context();
    assert!(context.values().all(Value::is_string), "{context:?}");
    assert_eq!(context["outcome"], "ok");
    assert_eq!(AuthOutcome::from_context(&context), Ok(AuthOutcome::Ok(Box::new(full))));
    for refusal in AuthRefusal::ALL {
        let outcome = AuthOutcome::Invalid(*refusal);
        assert_eq!(AuthOutcome::from_context(&outcome.to_context()), Ok(outcome));
    }
    assert_eq!(AuthOutcome::from_context(&AuthOutcome::Expired.to_context()), Ok(AuthOutcome::Expired));
    let unavailable = AuthOutcome::Unavailable("table holdfast-data at 10.0.0.1".into()).to_context();
    assert_eq!(Value::Object(unavailable), json!({ "outcome": "unavailable" }), "why is for the log alone");
}

#[test]
fn roles_and_plan_are_those_of_the_model() {
    let principal = read(AuthOutcome::Ok(Box::new(Caller { plan: Some("platinum".into()), ..verified() }))).unwrap();
    assert_eq!(principal.roles, ["guest", "admin"], "known ones, in the order of the file");
    assert_eq!(principal.plan.as_deref(), Some("free"), "an unknown plan is the default one");
    let gold = read(AuthOutcome::Ok(Box::new(Caller { plan: Some("gold".into()), ..verified() }))).unwrap();
    assert_eq!(gold.plan.as_deref(), Some("gold"));
}

#[test]
fn the_end_is_checked_on_every_request() {
    let context = AuthOutcome::Ok(Box::new(Caller { expires: Some(NOW + 5), ..verified() })).to_context();
    let at = |seconds: i64| principal_from_context(&model(), &context, Micros((NOW + seconds) * 1_000_000));
    assert!(at(0).is_ok() && at(4).is_ok());
    assert_eq!(at(5), Err(AuthFailure::Expired), "though the gateway's cache still says ok");
}

#[test]
fn only_ok_makes_a_principal() {
    assert_eq!(read(AuthOutcome::Expired), Err(AuthFailure::Expired));
    for refusal in AuthRefusal::ALL {
        let expected = if *refusal == AuthRefusal::Missing { AuthFailure::Missing } else { AuthFailure::Invalid(*refusal) };
        assert_eq!(read(AuthOutcome::Invalid(*refusal)), Err(expected));
    }
    assert!(matches!(read(AuthOutcome::Unavailable("x".into())), Err(AuthFailure::Unavailable(_))));
}

#[test]
fn a_context_that_is_not_understood_lets_nobody_in() {
    let good = AuthOutcome::Ok(Box::new(Caller { expires: Some(NOW + 5), epoch: Some(1), scopes: Some(vec![]), ..verified() }))
        .to_context();
    assert!(principal_from_context(&model(), &good, now()).is_ok());
    for (name, value) in [
        ("outcome", json!("OK")),
        ("outcome", json!(true)),
        ("consumer", json!("")),
        ("consumer", json!(1)),
        ("subject", json!(null)),
        ("roles", json!("admin")),
        ("roles", json!(["admin"])),
        ("roles", json!(null)),
        ("scopes", json!("*")),
        ("exp", json!("never")),
        ("exp", json!(1)),
        ("exp", json!("")),
        ("epoch", json!("x")),
        ("claims", json!("[]")),
        ("anonymous", json!("maybe")),
    ] {
        let mut context = good.clone();
        context.insert(name.to_owned(), value.clone());
        let result = principal_from_context(&model(), &context, now());
        assert!(matches!(result, Err(AuthFailure::Unavailable(_))), "{name}: {value}: {result:?}");
    }
    assert!(principal_from_context(&model(), &Map::new(), now()).is_err());
}

#[test]
fn what_does_not_fit_is_refused_and_not_cut() {
    let many = Caller { roles: (0..2000).map(|n| format!("role_{n}")).collect(), ..verified() };
    let context = AuthOutcome::Ok(Box::new(many)).to_context();
    assert_eq!(AuthOutcome::from_context(&context), Ok(AuthOutcome::Invalid(AuthRefusal::ContextSize)));
}

#[test]
fn challenges_follow_rfc_6750() {
    assert_eq!(AuthFailure::Missing.challenge().unwrap(), "Bearer realm=\"holdfast\"", "no error where no credential came");
    for refusal in AuthRefusal::ALL {
        let challenge = AuthFailure::Invalid(*refusal).challenge().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""));
        assert!(refusal.message().bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{}", refusal.message());
    }
    assert_eq!(AuthFailure::Unavailable("secret".into()).challenge(), None);
    assert!(!AuthFailure::Unavailable("secret".into()).message().contains("secret"));
}

#[tokio::test]
async fn every_way_to_a_principal() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let mut open = model();
    open.auth.anonymous_role = Some("guest".into());
    let token = format!("Bearer {}", signer.token(&claims()));
    let ask = async |model: &crate::model::Model, context: Option<&Map<String, Value>>, header: Option<&str>| {
        let evidence = context.map_or(Evidence::Nothing, Evidence::Context);
        principal(model, &world.authenticator, evidence, header, now()).await
    };
    let unavailable = AuthOutcome::Unavailable(String::new()).to_context();
    let invalid = AuthOutcome::Invalid(AuthRefusal::Signature).to_context();
    let good = AuthOutcome::Ok(Box::new(verified())).to_context();
    assert_eq!(
        ask(&world.model, Some(&good), Some("Bearer rubbish")).await.unwrap().consumer,
        "acme",
        "the authorizer's word counts"
    );
    let two = format!("{token},{token}");
    for context in [Some(&good), Some(&unavailable), None] {
        assert_eq!(
            ask(&world.model, context, Some(&two)).await,
            Err(AuthFailure::Invalid(AuthRefusal::Scheme)),
            "two credentials"
        );
    }
    assert_eq!(ask(&world.model, Some(&unavailable), Some(&token)).await.unwrap().consumer, "idp:u1", "verified here");
    assert_eq!(ask(&world.model, None, Some(&token)).await.unwrap().consumer, "idp:u1", "a route without authorizer");
    assert_eq!(ask(&world.model, None, None).await, Err(AuthFailure::Missing));
    assert_eq!(ask(&open, Some(&invalid), Some(&token)).await, Err(AuthFailure::Invalid(AuthRefusal::Signature)));
    assert_eq!(
        ask(&open, None, Some("Bearer x")).await,
        Err(AuthFailure::Invalid(AuthRefusal::Malformed)),
        "bad is not anonymous"
    );
    let nobody = ask(&open, None, None).await.unwrap();
    assert!(nobody.anonymous && nobody.roles == ["guest"] && nobody.consumer == "anonymous");
    assert_eq!(nobody.plan.as_deref(), Some("free"));
}

#[tokio::test]
async fn a_good_credential_is_remembered_for_five_minutes_and_a_bad_one_is_not() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = format!("Bearer {}", signer.token(&claims()));
    let told = [None, Some(0), Some(1)]
        .map(|epoch| AuthOutcome::Ok(Box::new(Caller { roles: vec!["reader".into()], epoch, ..verified() })).to_context());
    let ask = async |evidence, header: &str| {
        let now = crate::core::clock::Clock::now(&*world.clock);
        let found = principal(&world.model, &world.authenticator, evidence, Some(header), now).await;
        found.map(|caller| caller.roles.clone())
    };
    let reads = || world.table.reads.swap(0, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(ask(Evidence::Memory, &token).await.unwrap(), ["reader"]);
    assert_eq!(reads(), 1, "its consumer's record");
    world.clock.advance(299);
    assert_eq!(ask(Evidence::Memory, &token).await.unwrap(), ["reader"]);
    assert_eq!(reads(), 0);
    // What was changed meanwhile is found where somebody says that it was, and from then on.
    let consumer = crate::identity::consumer::Consumer { roles: Some(vec!["admin".into()]), ..consumer("idp:u1") };
    let row = crate::identity::consumer::record::Row { epoch: 1, keys: 0, consumer: Some(consumer) };
    world.table.put(row.to_item(crate::store::keys::consumer("idp:u1")).unwrap());
    assert_eq!(ask(Evidence::Memory, &token).await.unwrap(), ["reader"]);
    assert_eq!(ask(Evidence::Nothing, &token).await.unwrap(), ["admin"]);
    assert_eq!(ask(Evidence::Memory, &token).await.unwrap(), ["admin"]);
    assert_eq!(reads(), 1);
    // The gateway says for minutes what was so before: what is known here counts.
    for (context, expected) in told.iter().zip(["admin", "admin", "reader"]) {
        assert_eq!(ask(Evidence::Context(context), &token).await.unwrap(), [expected], "{context:?}");
    }
    assert_eq!(reads(), 0);
    world.clock.advance(300);
    assert_eq!(ask(Evidence::Memory, &token).await.unwrap(), ["admin"]);
    assert_eq!(reads(), 1, "after five minutes it is verified again");
    // Its end counts however well it is remembered.
    world.clock.advance(31);
    assert_eq!(ask(Evidence::Memory, &token).await, Err(AuthFailure::Expired));
    for _ in 0..2 {
        let forged = format!("{}x", &token[..token.len() - 1]);
        assert!(ask(Evidence::Memory, &forged).await.is_err());
    }
}

#[tokio::test]
async fn a_remembered_refusal_ends_with_its_reason_and_a_final_one_does_not() {
    let (signer, new) = (Signer::ed("ed", 1), Signer::ed("new", 2));
    let world = World::new(&[&signer]);
    let remembered = |outcome: AuthOutcome| outcome.to_context();
    let ask = |context: Map<String, Value>, token: String| {
        let world = &world;
        async move {
            let now = crate::core::clock::Clock::now(&*world.clock);
            let header = format!("Bearer {token}");
            principal(&world.model, &world.authenticator, Evidence::Context(&context), Some(&header), now)
                .await
                .map(|caller| caller.consumer.clone())
        }
    };
    let refused = |refusal| Err(AuthFailure::Invalid(refusal));
    let row = |disabled| {
        let consumer = crate::identity::consumer::Consumer { disabled, ..consumer("idp:u1") };
        let row = crate::identity::consumer::record::Row { epoch: 1, keys: 0, consumer: Some(consumer) };
        world.table.put(row.to_item(crate::store::keys::consumer("idp:u1")).unwrap());
    };
    row(true);
    let disabled = remembered(world.bearer(&signer.token(&claims())).await);
    assert_eq!(ask(disabled.clone(), signer.token(&claims())).await, refused(AuthRefusal::Disabled));
    row(false);
    assert_eq!(ask(disabled, signer.token(&claims())).await.unwrap(), "idp:u1");

    let early = signer.token(&claims_with("nbf", json!(NOW + 100)));
    let too_early = remembered(world.bearer(&early).await);
    assert_eq!(ask(too_early.clone(), early.clone()).await, refused(AuthRefusal::NotYetValid));
    world.clock.advance(100);
    assert_eq!(ask(too_early, early).await.unwrap(), "idp:u1");

    let unknown = remembered(world.bearer(&new.token(&claims())).await);
    assert_eq!(ask(unknown.clone(), new.token(&claims())).await, refused(AuthRefusal::UnknownKey));
    world.idp.publish(&[&signer, &new]);
    world.clock.advance(60);
    assert_eq!(ask(unknown, new.token(&claims())).await.unwrap(), "idp:u1");

    for refusal in AuthRefusal::ALL.iter().filter(|refusal| !refusal.may_pass() && **refusal != AuthRefusal::Missing) {
        let context = remembered(AuthOutcome::Invalid(*refusal));
        assert_eq!(ask(context, signer.token(&claims())).await, refused(*refusal), "final: nothing is verified again");
    }
}

proptest! {
    #[test]
    fn a_context_says_what_the_outcome_said(
        consumer in "[a-z:]{1,20}", subject in "\\PC{0,40}", roles in prop::collection::vec("[a-z_]{1,9}", 0..5), epoch: Option<i64>,
        expires: Option<i64>, claim in "\\PC{0,30}", scopes in prop::option::of(prop::collection::vec("\\PC{0,9}", 0..4)), anonymous: bool,
    ) {
        let verified = Caller {
            consumer, subject, roles, epoch, expires, scopes, anonymous,
            claims: [("tenant".to_owned(), json!(claim))].into(),
            ..Caller::default()
        };
        let outcome = AuthOutcome::Ok(Box::new(verified));
        let sent: Map<String, Value> = serde_json::from_str(&Value::Object(outcome.to_context()).to_string()).unwrap();
        prop_assert_eq!(AuthOutcome::from_context(&sent), Ok(outcome));
    }
}
