//! Admission on an embedded DynamoDB, with a clock that stands still.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{AdmitError, Admitted, admit, headers, named};
use crate::core::caller::Caller;
use crate::http::Reply;
use crate::http::problem::{Code, Problem};
use crate::http::tests::request;
use crate::identity::auth::Principal;
use crate::identity::consumer::{Change, Consumers};
use crate::limit::{Call, WindowState};
use crate::model::Operation;
use crate::notify;
use crate::pipeline::RequestContext;
use crate::pipeline::system::tests::{World, principal};
use crate::store::table::{TableName, Write};
use crate::usage::Finished;

/// Asks for system calls from an address.
async fn ask(
    world: &World,
    who: &Principal,
    address: u8,
    count: u64,
    paid: Option<Vec<WindowState>>,
) -> Result<Vec<WindowState>, AdmitError> {
    let mut request = request(Method::GET, "/v1/_audit", &[]);
    request.address = [192, 0, 2, address].into();
    let calls = [Call { entity: None, operation: Operation::System, count }];
    admit(&RequestContext::new(&world.app, &request), who, &calls, paid).await
}

async fn asked(world: &World, who: &Principal, count: u64) -> Result<Vec<WindowState>, AdmitError> {
    ask(world, who, 1, count, None).await
}

fn refused(result: Result<Vec<WindowState>, AdmitError>) -> Problem {
    match result {
        Err(AdmitError::Refused(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

fn value(headers: &[(HeaderName, HeaderValue)], name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map_or_else(String::new, |(_, value)| value.to_str().unwrap().to_owned())
}

/// A header of an admitted request's answer.
fn shown(windows: &[WindowState], name: &str) -> String {
    value(&named(headers::rate_limit(windows)), name)
}

#[tokio::test]
async fn a_caller_within_and_beyond_its_limits() {
    let (world, who) = (World::new().await, principal("acme", "reader"));
    let windows = asked(&world, &who, 1).await.unwrap();
    assert_eq!(shown(&windows, "ratelimit"), r#""burst";r=3;t=1, "day";r=5;t=86400"#);
    assert_eq!((shown(&windows, "x-ratelimit-limit"), shown(&windows, "x-ratelimit-remaining")), ("4".into(), "3".into()));
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
    let who = Principal::unverified(Caller { consumer: "acme".into(), roles, overrides, ..Caller::default() });
    assert_eq!(shown(&asked(&world, &who, 1).await.unwrap(), "x-ratelimit-limit"), "1");
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
        Principal::unverified(Caller { consumer, key_id, epoch: Some(epoch), ..Caller::default() })
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
    let nobody = Caller { consumer: "anonymous".into(), anonymous: true, ..Caller::default() };
    let nobody = Principal::unverified(nobody);
    assert!(shown(&asked(&world, &nobody, 1).await.unwrap(), "ratelimit").starts_with("\"address\";r=1"));
    asked(&world, &nobody, 1).await.unwrap();
    let denied = refused(asked(&world, &nobody, 1).await);
    assert_eq!((denied.code, &denied.members["violated-policies"]), (Code::RateLimited, &json!(["address"])));
    assert_eq!(value(&denied.headers, "retry-after"), "30");
    assert!(ask(&world, &nobody, 2, 1, None).await.is_ok(), "another address");
}

/// A publishable key of `acme`.
fn page(epoch: i64) -> Principal {
    let (consumer, key_id) = ("acme".to_owned(), Some("k".to_owned()));
    Principal::unverified(Caller { consumer, key_id, anonymous: true, epoch: Some(epoch), ..Caller::default() })
}

async fn from(world: &World, who: &Principal, address: u8) -> Result<Vec<WindowState>, AdmitError> {
    ask(world, who, address, 1, None).await
}

#[tokio::test]
async fn a_publishable_key_pays_by_address_and_by_itself_and_nothing_of_its_consumers() {
    let (world, page, secret) = (World::new().await, page(0), principal("acme", "reader"));
    let windows = from(&world, &page, 1).await.unwrap();
    assert_eq!(shown(&windows, "ratelimit"), r#""address";r=1;t=30"#, "what others have left of the key is not shown");
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
    assert_eq!(shown(&asked(&world, &secret, 1).await.unwrap(), "ratelimit"), r#""burst";r=3;t=1, "day";r=5;t=86400"#);
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
    let again = ask(&world, &page(1), 1, 1, Some(paid.clone())).await.unwrap();
    assert_eq!((shown(&again, "x-ratelimit-remaining"), again), ("1".into(), paid), "the charge of before");
    consumers.patch("acme", &json!({"disabled": true}), None).await.unwrap();
    assert_eq!(refused(from(&world, &page(1), 1).await).code, Code::Unauthenticated);
}

#[tokio::test]
async fn what_is_used_of_the_tightest_limit_is_counted_whether_admitted_or_denied() {
    let (world, who) = (World::new().await, principal("acme", "reader"));
    for (count, used) in [(1, 250), (3, 1000), (1, 1000)] {
        let request = request(Method::GET, "/v1/_audit", &[]);
        let cx = RequestContext::new(&world.app, &request);
        let calls = [Call { entity: None, operation: Operation::System, count }];
        if let Ok(windows) = admit(&cx, &who, &calls, None).await {
            Admitted { windows, result: Ok(Reply::empty(StatusCode::OK)) }.answer(&cx).unwrap();
        }
        let mut finished = Finished::default();
        cx.metrics.fill(&mut finished);
        assert_eq!(finished.limit_used, used, "{count}");
    }
}
