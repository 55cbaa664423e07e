//! Admission on an embedded DynamoDB, with a clock that stands still.

use serde_json::{Value, json};

use super::{AdmitError, Headers, admit};
use crate::core::principal::{Principal, Verified};
use crate::http::problem::{Code, Problem};
use crate::identity::consumer::{Change, Consumers};
use crate::limit::Call;
use crate::model::Operation;
use crate::notify;
use crate::pipeline::system::tests::{World, principal};
use crate::store::table::{TableName, Write};

async fn asked(world: &World, who: &Principal, count: u64) -> Result<Headers, AdmitError> {
    admit(&world.app, who, [192, 0, 2, 1].into(), &[Call { entity: None, operation: Operation::System, count }], None).await
}

fn refused(result: Result<Headers, AdmitError>) -> Problem {
    match result {
        Err(AdmitError::Refused(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

fn value(headers: &Headers, name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map_or_else(String::new, |(_, value)| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_caller_within_and_beyond_its_limits() {
    let (world, who) = (World::new().await, principal("acme", "reader"));
    let headers = asked(&world, &who, 1).await.unwrap();
    assert_eq!(value(&headers, "ratelimit"), r#""burst";r=3;t=1, "day";r=5;t=86400"#);
    assert_eq!((value(&headers, "x-ratelimit-limit"), value(&headers, "x-ratelimit-remaining")), ("4".into(), "3".into()));
    asked(&world, &who, 3).await.unwrap();

    let rate = refused(asked(&world, &who, 1).await);
    assert_eq!((rate.code, &rate.members["violated-policies"]), (Code::RateLimited, &json!(["burst"])));
    assert_eq!((value(&rate.headers, "retry-after"), value(&rate.headers, "x-ratelimit-remaining")), ("1".into(), "0".into()));
    let excess = refused(asked(&world, &who, 5).await);
    assert_eq!(excess.code, Code::CostExceedsLimit);
    assert!(excess.detail.contains("burst"), "{}", excess.detail);

    world.clock.advance(10);
    asked(&world, &who, 2).await.unwrap();
    let quota = refused(asked(&world, &who, 1).await);
    assert_eq!((quota.code, &quota.members["violated-policies"]), (Code::QuotaExceeded, &json!(["day"])));
    assert_eq!(value(&quota.headers, "retry-after"), "86390");

    let (told, _) = notify::list(&*world.app.table, Some("acme"), 10, None, world.app.env.now()).await.unwrap();
    let mut percents: Vec<Value> = told.iter().map(|one| one.notice.payload()["data"]["percent"].clone()).collect();
    percents.sort_by_key(Value::as_u64);
    assert_eq!(percents, [json!(50), json!(100)], "each threshold once");
}

#[tokio::test]
async fn overrides_hold_instead_of_the_plan() {
    let world = World::new().await;
    let overrides = Some(json!({"burst": {"burst": 1}, "gone": {"limit": 1}}));
    let roles = vec!["reader".to_owned()];
    let who = Principal::verified(Verified { consumer: "acme".into(), roles, overrides, ..Verified::default() });
    assert_eq!(value(&asked(&world, &who, 1).await.unwrap(), "x-ratelimit-limit"), "1");
    assert_eq!(refused(asked(&world, &who, 1).await).code, Code::RateLimited);
}

#[tokio::test]
async fn a_consumer_that_was_changed_is_verified_anew_and_one_that_was_disabled_refused() {
    fn no_riders(_: &Change) -> Vec<(TableName, Write)> {
        Vec::new()
    }
    let world = World::new().await;
    let app = &world.app;
    let consumers = Consumers { table: &*app.table, model: &app.model, env: &app.env, riders: &no_riders };
    consumers.create(&json!({"id": "acme"})).await.unwrap();
    let key = consumers.create_key("acme", "test", &Value::Null).await.unwrap();
    let at = |epoch: i64| {
        let (consumer, key_id) = ("acme".to_owned(), Some(key.view.id.clone()));
        Principal::verified(Verified { consumer, key_id, epoch: Some(epoch), ..Verified::default() })
    };
    assert_eq!(asked(&world, &at(0), 1).await, Err(AdmitError::NewEpoch { current: 1, paid: None }));
    asked(&world, &at(1), 1).await.unwrap();
    consumers.patch("acme", &json!({"disabled": true}), None).await.unwrap();
    let disabled = refused(asked(&world, &at(1), 1).await);
    assert_eq!(disabled.code, Code::Unauthenticated);
    assert!(value(&disabled.headers, "www-authenticate").starts_with("Bearer "));
    consumers.patch("acme", &json!({"disabled": false}), None).await.unwrap();
    asked(&world, &at(3), 1).await.unwrap();
    consumers.delete_key("acme", &key.view.id).await.unwrap();
    assert_eq!(refused(asked(&world, &at(3), 1).await).code, Code::Unauthenticated, "revoked");
}

#[tokio::test]
async fn who_is_nobody_is_limited_by_address() {
    let world = World::new().await;
    let nobody = Verified { consumer: "anonymous".into(), anonymous: true, ..Verified::default() };
    let nobody = Principal::verified(nobody);
    assert!(value(&asked(&world, &nobody, 1).await.unwrap(), "ratelimit").starts_with("\"address\";r=1"));
    asked(&world, &nobody, 1).await.unwrap();
    let denied = refused(asked(&world, &nobody, 1).await);
    assert_eq!((denied.code, &denied.members["violated-policies"]), (Code::RateLimited, &json!(["address"])));
    assert_eq!(value(&denied.headers, "retry-after"), "30");
    let call = Call { entity: None, operation: Operation::System, count: 1 };
    assert!(admit(&world.app, &nobody, [192, 0, 2, 2].into(), &[call], None).await.is_ok(), "another address");
}

/// A publishable key of `acme`.
fn page(epoch: i64) -> Principal {
    let (consumer, key_id) = ("acme".to_owned(), Some("k".to_owned()));
    Principal::verified(Verified { consumer, key_id, anonymous: true, epoch: Some(epoch), ..Verified::default() })
}

async fn from(world: &World, who: &Principal, address: u8) -> Result<Headers, AdmitError> {
    let call = Call { entity: None, operation: Operation::System, count: 1 };
    admit(&world.app, who, [192, 0, 2, address].into(), &[call], None).await
}

#[tokio::test]
async fn a_publishable_key_pays_by_address_and_by_itself_and_nothing_of_its_consumers() {
    let (world, page, secret) = (World::new().await, page(0), principal("acme", "reader"));
    let headers = from(&world, &page, 1).await.unwrap();
    assert_eq!(value(&headers, "ratelimit"), r#""address";r=1;t=30"#, "what others have left of the key is not shown");
    from(&world, &page, 1).await.unwrap();
    let denied = refused(from(&world, &page, 1).await);
    assert_eq!((denied.code, &denied.members["violated-policies"]), (Code::RateLimited, &json!(["address"])));
    // The plan's four at once, from wherever.
    from(&world, &page, 2).await.unwrap();
    from(&world, &page, 2).await.unwrap();
    let denied = refused(from(&world, &page, 3).await);
    assert_eq!((denied.code, &denied.members["violated-policies"]), (Code::RateLimited, &json!(["burst"])));
    assert_eq!(
        (value(&denied.headers, "retry-after"), value(&denied.headers, "ratelimit")),
        ("1".into(), r#""burst";r=0;t=4"#.into())
    );
    assert_eq!(value(&asked(&world, &secret, 1).await.unwrap(), "ratelimit"), r#""burst";r=3;t=1, "day";r=5;t=86400"#);
    for consumer in ["acme", "anonymous"] {
        let (told, _) = notify::list(&*world.app.table, Some(consumer), 10, None, world.app.env.now()).await.unwrap();
        assert!(told.is_empty(), "{consumer} is told of nothing that it did not do: {told:?}");
    }
}

#[tokio::test]
async fn a_publishable_key_ends_with_its_consumers_word_and_is_charged_once() {
    let world = World::new().await;
    let app = &world.app;
    let consumers = Consumers { table: &*app.table, model: &app.model, env: &app.env, riders: &|_| Vec::new() };
    consumers.create(&json!({"id": "acme"})).await.unwrap();
    let Err(AdmitError::NewEpoch { current: 1, paid: Some(paid) }) = from(&world, &page(0), 1).await else {
        panic!("a new epoch")
    };
    let call = Call { entity: None, operation: Operation::System, count: 1 };
    let again = admit(app, &page(1), [192, 0, 2, 1].into(), &[call], Some(paid.clone())).await.unwrap();
    assert_eq!((value(&again, "x-ratelimit-remaining"), again), ("1".into(), paid), "the charge of before");
    consumers.patch("acme", &json!({"disabled": true}), None).await.unwrap();
    assert_eq!(refused(from(&world, &page(1), 1).await).code, Code::Unauthenticated);
}
