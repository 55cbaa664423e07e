//! Consumers and keys on an embedded DynamoDB, looked at through the authenticator.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::Env;
use crate::identity::auth::tests::support::{Idp, NOW, Seeded, Set, Signer, claims, model};
use crate::identity::auth::{AuthOutcome, AuthRefusal, Authenticator};
use crate::model::{Model, Quota, Rate, Window};
use crate::store::double::{Double, Fail, TableCall};
use crate::store::keys as place;
use crate::store::table::{Attr, Item, Key, RangeQuery, Returning, Table, TableError, TableName, Write};

struct World {
    db: Embedded,
    model: Model,
    env: Env,
    clock: Arc<Set>,
}

fn no_riders(_: &Change) -> Vec<(TableName, Write)> {
    Vec::new()
}

impl World {
    async fn new() -> Self {
        let mut model = model();
        model.plans[0].rates =
            vec![Rate { name: "burst".into(), rate: 5, per: std::time::Duration::from_secs(1), burst: 9, only: vec![] }];
        model.plans[0].quotas = vec![Quota { name: "day".into(), limit: 100, window: Window::Day }];
        let clock = Arc::new(Set::at(NOW));
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(5)) };
        Self { db: Embedded::start().await, model, env, clock }
    }

    fn consumers(&self) -> Consumers<'_> {
        Consumers { table: &self.db.table, model: &self.model, env: &self.env, riders: &no_riders }
    }

    fn authenticator(&self) -> (Authenticator, Signer) {
        let (idp, signer) = (Idp::default(), Signer::ed("k", 1));
        idp.publish(&[&signer]);
        let table = Arc::new(self.db.table.clone());
        (Authenticator::new(Arc::new(self.model.clone()), table, Arc::new(idp), self.env.clone()), signer)
    }

    async fn item(&self, key: Key) -> Option<Item> {
        self.db.table.get(&[(TableName::Data, key)], true).await.unwrap().remove(0)
    }

    async fn limiter(&self, id: &str) -> Item {
        self.item(place::limiter(id)).await.unwrap()
    }
}

async fn outcome(authenticator: &Authenticator, credential: &str) -> AuthOutcome {
    authenticator.authenticate(Some(&format!("Bearer {credential}"))).await
}

#[track_caller]
fn pointers(result: Result<impl std::fmt::Debug, ConsumerError>) -> Vec<(String, &'static str)> {
    match result {
        Err(ConsumerError::Invalid(violations)) => violations.into_iter().map(|v| (v.pointer, v.code)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_consumers_life() {
    let world = World::new().await;
    let consumers = world.consumers();
    let made =
        consumers.create(&json!({ "id": "acme", "plan": "gold", "roles": ["reader"], "claims": { "tenant": 7 } })).await.unwrap();
    assert_eq!(consumers.get("acme").await.unwrap(), made);
    assert_eq!(consumers.create(&json!({ "id": "acme" })).await, Err(ConsumerError::Exists));
    assert_eq!(world.limiter("acme").await.n("epoch"), Some(1));

    world.clock.advance(60);
    let patched = consumers.patch("acme", &json!({ "disabled": true, "plan": null }), Some(&made.version)).await.unwrap();
    assert_eq!((patched.disabled, &patched.plan, &patched.roles), (true, &None, &made.roles));
    assert_eq!(patched.created_at, made.created_at);
    assert_ne!((&patched.updated_at, &patched.version), (&made.updated_at, &made.version));
    let limiter = world.limiter("acme").await;
    assert_eq!((limiter.n("epoch"), limiter.attrs.get("disabled")), (Some(2), Some(&Attr::Bool(true))));
    assert_eq!(
        consumers.patch("acme", &json!({ "name": "x" }), Some(&made.version)).await,
        Err(ConsumerError::Precondition),
        "somebody changed it since"
    );

    let (put, created) = consumers.put("acme", &patched.to_json(), Some("*")).await.unwrap();
    assert!(!created && put.to_json()["disabled"] == true, "what was got can be put");
    let (put, _) = consumers.put("acme", &json!({ "name": "Acme" }), None).await.unwrap();
    assert_eq!((put.disabled, put.roles, put.claims.len()), (false, None, 0), "a put replaces everything");
    assert_eq!(world.limiter("acme").await.attrs.get("disabled"), None);

    assert_eq!(consumers.delete("acme", Some("other")).await, Err(ConsumerError::Precondition));
    consumers.delete("acme", Some(&put.version)).await.unwrap();
    assert_eq!(consumers.get("acme").await, Err(ConsumerError::NotFound));
    assert_eq!(consumers.delete("acme", None).await, Err(ConsumerError::NotFound));
    assert_eq!(consumers.patch("acme", &json!({}), None).await, Err(ConsumerError::NotFound));
    assert_eq!(consumers.put("acme", &json!({}), Some("*")).await, Err(ConsumerError::Precondition));
    let (_, created) = consumers.put("acme", &json!({}), None).await.unwrap();
    assert!(created);
    assert_eq!(world.limiter("acme").await.n("epoch"), Some(6), "the epoch goes on");
}

#[tokio::test]
async fn a_body_is_told_everything_that_is_wrong_with_it() {
    let world = World::new().await;
    let consumers = world.consumers();
    let wrong = json!({
        "id": "a b", "name": "", "roles": ["reader", "reader", "boss", 1], "disabled": "yes",
        "claims": { "subject": "x", "nested": { "a": 1 }, "fine": [1, "a", null] },
        "notify": ["ftp://x", "mailto:a@b.example", "https://hooks.example/x", "https://a b.example"],
        "overrides": { "burst": { "rate": 0, "limit": 3 }, "day": { "limit": 0 }, "week": {}, "b/c": {} },
        "surprise~/": 1, "created_at": "2020-01-01T00:00:00.000Z",
    });
    let mut found = pointers(consumers.create(&wrong).await);
    found.sort();
    let expected = [
        ("/claims/nested", "type"),
        ("/claims/subject", "unknown"),
        ("/created_at", "read_only"),
        ("/disabled", "type"),
        ("/id", "format"),
        ("/name", "max_length"),
        ("/notify/0", "format"),
        ("/notify/3", "format"),
        ("/overrides/burst/limit", "unknown"),
        ("/overrides/burst/rate", "minimum"),
        ("/overrides/b~1c", "unknown"),
        ("/overrides/week", "unknown"),
        ("/roles/1", "unique_items"),
        ("/roles/2", "enum"),
        ("/roles/3", "type"),
        ("/surprise~0~1", "unknown"),
    ];
    // Elements after a repeated or wrong one keep their own place.
    assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    assert_eq!(pointers(consumers.create(&json!({ "plan": "platinum" })).await), [("/plan".to_owned(), "enum")]);
    let of_another = json!({ "plan": "gold", "overrides": { "day": { "limit": 5 } } });
    assert_eq!(pointers(consumers.create(&of_another).await), [("/overrides/day".to_owned(), "unknown")]);
    for body in [json!(null), json!([]), json!("x")] {
        assert_eq!(pointers(consumers.create(&body).await), [(String::new(), "type")]);
    }
    assert_eq!(pointers(consumers.put("anonymous", &json!({}), None).await), [("/id".to_owned(), "format")]);
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    assert_eq!(pointers(consumers.put("a", &json!({ "id": "b" }), None).await), [("/id".to_owned(), "read_only")]);
    assert_eq!(pointers(consumers.patch("a", &json!([1]), None).await), [(String::new(), "type")]);
    assert!(consumers.patch("a", &json!({ "overrides": { "burst": { "burst": 50 } } }), None).await.is_ok());
    for (body, place) in [
        (json!({ "expires_in": 0 }), "/expires_in"),
        (json!({ "expires_in": "1h" }), "/expires_in"),
        (json!({ "expires_in": 1.5 }), "/expires_in"),
        (json!({ "publishable": 1 }), "/publishable"),
        (json!({ "name": "" }), "/name"),
        (json!({ "scopes": ["book:reed"] }), "/scopes/0"),
        (json!({ "created_by": "x" }), "/created_by"),
    ] {
        assert_eq!(pointers(consumers.create_key("a", "live", &body).await)[0].0, place);
    }
}

#[tokio::test]
async fn lists_are_paged_in_the_order_of_ids() {
    let world = World::new().await;
    let consumers = world.consumers();
    for id in ["c", "a", "e", "b", "idp:u1"] {
        consumers.create(&json!({ "id": id })).await.unwrap();
    }
    consumers.delete("b", None).await.unwrap();
    let (mut ids, mut cursor) = (Vec::new(), None);
    for _ in 0..10 {
        let page = consumers.list(2, cursor.as_deref()).await.unwrap();
        ids.extend(page.consumers.into_iter().map(|consumer| consumer.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["a", "c", "e", "idp:u1"]);
    for cursor in ["", "x", "MQ", "MmE", "MWEgYg"] {
        assert_eq!(consumers.list(2, Some(cursor)).await, Err(ConsumerError::Cursor), "{cursor}");
    }
}

#[tokio::test]
async fn keys_overlap_end_and_are_revoked() {
    let world = World::new().await;
    let (consumers, (authenticator, _)) = (world.consumers(), world.authenticator());
    assert_eq!(consumers.create_key("acme", "live", &Value::Null).await.unwrap_err(), ConsumerError::NotFound);
    consumers
        .create(&json!({ "id": "acme", "plan": "gold", "roles": ["reader"], "claims": { "tenant": 7, "unused": 1 } }))
        .await
        .unwrap();
    let old = consumers.create_key("acme", "live", &Value::Null).await.unwrap();
    let new = consumers.create_key("acme", "live", &json!({ "expires_in": 100 })).await.unwrap();
    assert!(old.key.starts_with("hf_live_") && !format!("{old:?}").contains(&old.key), "never in a log");
    for key in [&old, &new] {
        let AuthOutcome::Ok(verified) = outcome(&authenticator, &key.key).await else { panic!() };
        assert_eq!((verified.consumer.as_str(), verified.subject.as_str()), ("acme", "key:acme"));
        assert_eq!((verified.key_id.as_deref(), verified.plan.as_deref()), (Some(key.view.id.as_str()), Some("gold")));
        assert_eq!((verified.roles, verified.epoch), (vec!["reader".to_owned()], Some(1)));
        assert_eq!(verified.claims, [("tenant".to_owned(), json!(7))].into(), "claims that no rule uses do not travel");
    }
    assert_eq!(consumers.keys("acme").await.unwrap().len(), 2);

    consumers.delete_key("acme", &old.view.id).await.unwrap();
    assert_eq!(outcome(&authenticator, &old.key).await, AuthRefusal::UnknownApiKey.into());
    assert!(matches!(outcome(&authenticator, &new.key).await, AuthOutcome::Ok(_)));
    let limiter = world.limiter("acme").await;
    assert_eq!(limiter.attrs["revoked"].as_ss().unwrap(), std::slice::from_ref(&old.view.id));
    assert_eq!(limiter.n("epoch"), Some(2), "cached answers of the authorizer no longer count");
    assert_eq!(consumers.delete_key("acme", &old.view.id).await, Err(ConsumerError::NotFound), "once is enough");
    assert_eq!(consumers.keys("acme").await.unwrap(), std::slice::from_ref(&new.view));

    world.clock.advance(99);
    assert!(matches!(outcome(&authenticator, &new.key).await, AuthOutcome::Ok(_)));
    world.clock.advance(1);
    assert_eq!(outcome(&authenticator, &new.key).await, AuthOutcome::Expired);
}

#[tokio::test]
async fn another_consumers_key_cannot_be_revoked() {
    let world = World::new().await;
    let (consumers, (authenticator, _)) = (world.consumers(), world.authenticator());
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    consumers.create(&json!({ "id": "b" })).await.unwrap();
    let key = consumers.create_key("a", "live", &Value::Null).await.unwrap();
    assert_eq!(consumers.delete_key("b", &key.view.id).await, Err(ConsumerError::NotFound));
    assert!(matches!(outcome(&authenticator, &key.key).await, AuthOutcome::Ok(_)));
}

#[tokio::test]
async fn disabled_and_deleted_consumers_are_refused_at_once() {
    let world = World::new().await;
    let (consumers, (authenticator, signer)) = (world.consumers(), world.authenticator());
    consumers.create(&json!({ "id": "acme" })).await.unwrap();
    let key = consumers.create_key("acme", "live", &Value::Null).await.unwrap().key;
    consumers.patch("acme", &json!({ "disabled": true }), None).await.unwrap();
    assert_eq!(outcome(&authenticator, &key).await, AuthRefusal::Disabled.into());
    consumers.patch("acme", &json!({ "disabled": false }), None).await.unwrap();
    assert!(matches!(outcome(&authenticator, &key).await, AuthOutcome::Ok(_)));
    consumers.delete("acme", None).await.unwrap();
    assert_eq!(outcome(&authenticator, &key).await, AuthRefusal::UnknownApiKey.into());
    consumers.create(&json!({ "id": "acme" })).await.unwrap();
    assert_eq!(outcome(&authenticator, &key).await, AuthRefusal::UnknownApiKey.into(), "keys do not come back with the name");

    let token = signer.token(&claims());
    consumers.create(&json!({ "id": "idp:u1", "disabled": true })).await.unwrap();
    assert_eq!(outcome(&authenticator, &token).await, AuthRefusal::Disabled.into());
    consumers.delete("idp:u1", None).await.unwrap();
    let AuthOutcome::Ok(verified) = outcome(&authenticator, &token).await else { panic!("a token needs no record") };
    assert_eq!(verified.epoch, world.limiter("idp:u1").await.n("epoch"), "or the limiter would refuse it for ever");
}

#[tokio::test]
async fn publishable_keys_are_anonymous_and_cannot_pose_as_secret_ones() {
    let world = World::new().await;
    let (consumers, (authenticator, _)) = (world.consumers(), world.authenticator());
    consumers.create(&json!({ "id": "site", "roles": ["guest"] })).await.unwrap();
    let key = consumers.create_key("site", "live", &json!({ "publishable": true })).await.unwrap();
    assert!(key.key.starts_with("hf_pub_"));
    let AuthOutcome::Ok(verified) = outcome(&authenticator, &key.key).await else { panic!() };
    assert!(verified.anonymous && verified.key_id.as_ref() == Some(&key.view.id) && verified.roles == ["guest"]);
}

#[tokio::test]
async fn what_a_publishable_key_has_used_up_goes_with_it() {
    let world = World::new().await;
    let consumers = world.consumers();
    consumers.create(&json!({ "id": "site" })).await.unwrap();
    let mut accounts = Vec::new();
    for _ in 0..2 {
        let key = consumers.create_key("site", "live", &json!({ "publishable": true })).await.unwrap().view.id;
        let account = place::limiter(&place::account_of_key(&key));
        let write = Write::Put { item: Item::new(account.clone()).with("q:day:0", Attr::N(1)), condition: None };
        world.db.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
        accounts.push((key, account));
    }
    consumers.delete_key("site", &accounts[0].0).await.unwrap();
    assert_eq!(world.item(accounts[0].1.clone()).await, None);
    assert!(world.item(accounts[1].1.clone()).await.is_some(), "the other key's");
    consumers.delete("site", None).await.unwrap();
    assert_eq!(world.item(accounts[1].1.clone()).await, None);
}

#[tokio::test]
async fn the_models_longest_age_holds() {
    let mut world = World::new().await;
    world.model.auth.max_key_age = Some(std::time::Duration::from_secs(1000));
    let consumers = world.consumers();
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    let key = consumers.create_key("a", "live", &Value::Null).await.unwrap();
    assert_eq!(key.view.expires_at, Some(crate::core::clock::Micros((NOW + 1000) * 1_000_000).rfc3339()));
    assert_eq!(
        pointers(consumers.create_key("a", "live", &json!({ "expires_in": 1001 })).await),
        [("/expires_in".into(), "maximum")]
    );
}

#[tokio::test]
async fn concurrent_changes_lose_nothing() {
    let world = World::new().await;
    let consumers = world.consumers();
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    let patches = (0..4).map(|n| async move { consumers.patch("a", &json!({ "claims": { format!("c{n}"): n } }), None).await });
    let done = join_all(patches).await.into_iter().filter(Result::is_ok).count();
    let consumer = consumers.get("a").await.unwrap();
    assert_eq!(consumer.claims.len(), done, "each acknowledged change is there");
    assert_eq!(world.limiter("a").await.n("epoch"), Some(1 + i64::try_from(done).unwrap()));
    assert!(done >= 1);

    for _ in 0..18 {
        consumers.create_key("a", "live", &Value::Null).await.unwrap();
    }
    let results = join_all((0..5).map(|_| async move { consumers.create_key("a", "live", &Value::Null).await })).await;
    let kept = consumers.keys("a").await.unwrap().len();
    assert_eq!(kept, 18 + results.iter().filter(|result| result.is_ok()).count());
    assert!(kept <= 20, "{kept}");
    while consumers.create_key("a", "live", &Value::Null).await.is_ok() {}
    assert_eq!(consumers.create_key("a", "live", &Value::Null).await.unwrap_err(), ConsumerError::TooManyKeys);
    assert_eq!(consumers.keys("a").await.unwrap().len(), 20);
    consumers.delete("a", None).await.unwrap();
    assert_eq!(consumers.keys("a").await.unwrap(), []);
}

#[tokio::test]
async fn the_limiter_forgets_keys_that_no_cache_can_know() {
    let world = World::new().await;
    let consumers = world.consumers();
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    let mut last = String::new();
    for _ in 0..30 {
        last = consumers.create_key("a", "live", &Value::Null).await.unwrap().view.id;
        consumers.delete_key("a", &last).await.unwrap();
        world.clock.advance(1);
    }
    let limiter = world.limiter("a").await;
    let revoked = limiter.attrs["revoked"].as_ss().unwrap();
    assert!(revoked.len() == 25 && revoked.contains(&last), "{revoked:?}");
    world.clock.advance(3 * 3600);
    let key = consumers.create_key("a", "live", &Value::Null).await.unwrap().view.id;
    consumers.delete_key("a", &key).await.unwrap();
    assert_eq!(world.limiter("a").await.attrs["revoked"].as_ss().unwrap(), [key]);
}

#[tokio::test]
async fn riders_commit_with_the_change_or_not_at_all() {
    let world = World::new().await;
    let rider = |change: &Change| {
        let text = format!("{} {} {:?}", change.kind.name(), change.consumer, change.key_id.is_some());
        assert!(!format!("{change:?}").contains("hf_live"), "no secret in the audit trail");
        vec![(TableName::Data, Write::Put { item: Item::new(Key::new("a#test", text.into_bytes())), condition: None })]
    };
    let consumers = Consumers { riders: &rider, ..world.consumers() };
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    assert!(consumers.create(&json!({ "id": "a" })).await.is_err());
    assert!(consumers.patch("a", &json!({ "plan": "none" }), None).await.is_err());
    consumers.patch("a", &json!({ "plan": "free" }), None).await.unwrap();
    let key = consumers.create_key("a", "live", &Value::Null).await.unwrap();
    consumers.delete_key("a", &key.view.id).await.unwrap();
    consumers.delete("a", None).await.unwrap();
    let query = RangeQuery::partition(TableName::Data, "a#test");
    let told: Vec<String> = world
        .db
        .table
        .query(query)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|item| String::from_utf8(item.key.sk).unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "consumer.create a false",
            "consumer.delete a false",
            "consumer.key.create a true",
            "consumer.key.delete a true",
            "consumer.update a false",
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_does_not_change_a_consumer_twice() {
    let world = World::new().await;
    let reset = TableError::Unknown("reset".into());
    let table = Double::new(Arc::new(world.db.table.clone()), Fail::after(&[TableCall::Transact], reset).times(1));
    let consumers = Consumers { table: &table, ..world.consumers() };
    consumers.create(&json!({ "id": "a" })).await.unwrap();
    assert_eq!(world.limiter("a").await.n("epoch"), Some(1));
    table.next(2);
    let key = consumers.create_key("a", "live", &Value::Null).await.unwrap();
    assert_eq!(world.consumers().keys("a").await.unwrap(), [key.view]);
}

#[tokio::test]
async fn a_file_becomes_what_is_there() {
    let world = World::new().await;
    let consumers = world.consumers();
    consumers.create(&json!({ "id": "old" })).await.unwrap();
    consumers.create(&json!({ "id": "acme", "plan": "free" })).await.unwrap();
    let text = "prune: true\nconsumers: {acme: {plan: gold, roles: [reader]}, idp:u1: {claims: {tenant: 7, region: [a, b]}}}";
    let desired = apply::read(&world.model, "c.yaml", text).unwrap();
    let steps = apply::diff(&desired, &consumers.all().await.unwrap());
    assert_eq!(steps.iter().map(apply::Step::id).collect::<Vec<_>>(), ["acme", "idp:u1", "old"]);
    // Somebody changes one of them between the plan and its execution.
    consumers.patch("acme", &json!({ "disabled": true }), None).await.unwrap();
    assert_eq!(consumers.take(&steps[0]).await, Err(ConsumerError::Precondition));
    for step in apply::diff(&desired, &consumers.all().await.unwrap()) {
        consumers.take(&step).await.unwrap();
    }
    assert_eq!(apply::diff(&desired, &consumers.all().await.unwrap()), []);
    assert_eq!(consumers.get("acme").await.unwrap().roles, Some(vec!["reader".to_owned()]));
}

#[tokio::test]
async fn an_epoch_that_only_the_limiter_remembers_is_not_used_again() {
    let world = World::new().await;
    let item = Item::new(place::limiter("a")).with("epoch", Attr::N(9));
    let write = Write::Put { item, condition: None };
    world.db.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
    world.consumers().create(&json!({ "id": "a" })).await.unwrap();
    assert_eq!(world.limiter("a").await.n("epoch"), Some(10));
    let row = record::Row::from_item(&world.item(place::consumer("a")).await.unwrap()).unwrap();
    assert_eq!(row.epoch, 10, "or the authorizer would name one that the limiter refuses");
}
