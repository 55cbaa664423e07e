//! Heard before it hurts: every threshold is told once and reaches everybody, whatever dies on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::core::clock::{Env, Micros};
use holdfast::limit::{Call, LimitRefusal, LimitSubject, Limiter, LimiterSettings, Overrides, ResolvedPlan};
use holdfast::model::{Operation, Quota, RatePlan, Window};
use holdfast::notify::{self, Addresses, Budget, Channels, Kind, Message, Post, Recipient, Topic};
use holdfast::store::table::{SharedTable, TableError};
use holdfast_local::Options;
use holdfast_tests::System;
use holdfast_tests::crash::{End, crashing};
use holdfast_tests::stack::Stack;
use serde_json::{Value, json};

/// 2027-03-31T12:00:00Z.
const NOW: Micros = Micros(1_806_494_400_000_000);
const HOOK: &str = "https://hooks.example.com/limits";

/// Everything that notices are sent to: ids by what arrived.
#[derive(Default)]
struct World {
    posted: Mutex<Vec<(String, Value)>>,
}

impl Topic for World {
    fn publish<'a>(&'a self, _: Message<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

impl Post for World {
    fn post<'a>(
        &'a self,
        _: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, String>> {
        let id = headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone();
        self.posted.lock().unwrap().push((id, serde_json::from_str(body).unwrap()));
        Box::pin(async { Ok(200) })
    }
}

impl Addresses for World {
    fn of<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Recipient, TableError>> {
        Box::pin(async { Ok(Recipient { addresses: vec![HOOK.to_owned()], secrets: Vec::new() }) })
    }
    fn gone<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(async { Ok(()) })
    }
}

fn subject() -> LimitSubject {
    let plan = RatePlan {
        name: "p".into(),
        description: None,
        rates: vec![],
        quotas: vec![Quota { name: "day".into(), limit: 20, window: Window::Day }],
        costs: vec![],
        thresholds: vec![80, 95, 100],
        fail_open: false,
    };
    let plan = Arc::new(ResolvedPlan::new(&plan, &Overrides::new()).unwrap());
    LimitSubject { consumer: "c".into(), plan, key_id: None, used_key: None, epoch: 0 }
}

/// So many requests that use the quota up, two seconds apart, on an instance of their own, as the pipeline does it: charge, then
/// tell what is crossed.
async fn requests(table: &SharedTable, env: &Env, count: u64) {
    let limiter = Limiter::new(Arc::clone(table), Env::still(NOW), LimiterSettings { hot: None });
    let call = [Call { entity: None, operation: Operation::Read, count: 20 }];
    for number in 0..count {
        let now = NOW.plus(Duration::from_secs(2 * number));
        let due = match limiter.admit(&subject(), &call, now).await {
            Ok(admission) => admission.due,
            Err(LimitRefusal::Denied(denial)) => denial.due,
            Err(other) => panic!("{other:?}"),
        };
        notify::enqueue(table.as_ref(), env, "c", &due, now).await.unwrap();
    }
}

async fn report(table: &SharedTable, env: &Env, world: &Arc<World>, now: Micros) {
    let channels = Channels { topic: world.clone(), post: world.clone(), addresses: world.clone(), breaker: Arc::default() };
    notify::deliver(table.as_ref(), env, &channels, Budget { notices: 10, until: Micros(i64::MAX) }, now).await.unwrap();
}

/// What is listed: thresholds with how often each.
async fn notified(table: &SharedTable) -> BTreeMap<u8, usize> {
    let (listed, _) = notify::list(table.as_ref(), Some("c"), 100, None, NOW).await.unwrap();
    let mut told = BTreeMap::new();
    for one in listed {
        let Kind::Threshold { percent, .. } = one.notice.kind else { panic!("{one:?}") };
        *told.entry(percent).or_default() += 1;
    }
    told
}

/// Each threshold told once, and heard under one id however often it arrived.
async fn assert_heard(table: &SharedTable, world: &World, at: &str) {
    assert_eq!(notified(table).await, BTreeMap::from([(80, 1), (95, 1), (100, 1)]), "{at}");
    let posted = world.posted.lock().unwrap().clone();
    let ids: BTreeSet<(u64, String)> =
        posted.iter().map(|(id, body)| (body["data"]["percent"].as_u64().unwrap(), id.clone())).collect();
    let percents: Vec<u64> = ids.iter().map(|(percent, _)| *percent).collect();
    assert_eq!(percents, [80, 95, 100], "{at}: {ids:?}");
    assert!(posted.len() <= 4, "{at}: only what was sent and not noted is sent again: {posted:?}");
}

/// Runs `work` on a table that ends it at each call in turn, until it ends by itself. Gives the ends that there are.
async fn ends(mut work: impl AsyncFnMut(u32, End) -> bool) -> u32 {
    for call in 1.. {
        for end in [End::Before, End::After] {
            if work(call, end).await {
                return call;
            }
        }
    }
    0
}

/// The request that uses the quota up dies at each of its calls; somebody else's next request, or its own repetition, tells.
#[tokio::test]
async fn a_request_that_dies_between_update_and_outbox_loses_no_notice() {
    let calls = ends(async |call, end| {
        let stack = Stack::start(MODEL).await;
        let (table, env): (SharedTable, Env) = (Arc::new(stack.table.clone()), stack.env.clone());
        let world = Arc::new(World::default());
        let crashing = crashing(Arc::clone(&table), call, end);
        let dying: SharedTable = crashing.clone();
        let done = crashing.until_end(requests(&dying, &env, 1)).await.is_some();
        // The client asks again: admitted if the first was not charged, denied if it was. An instance that merely sees a crossing
        // leaves it to whoever crossed for a second.
        requests(&table, &env, 2).await;
        report(&table, &env, &world, NOW.plus(Duration::from_secs(5))).await;
        assert_heard(&table, &world, &format!("{end:?} call {call}")).await;
        done
    })
    .await;
    assert!(calls > 2, "an update and a transaction at least: {calls}");
}

/// The reporter dies at each of its calls; the next one, when the claim has ended, delivers what is left under the same ids.
#[tokio::test]
async fn a_reporter_that_dies_between_outbox_and_sending_loses_no_notice() {
    let calls = ends(async |call, end| {
        let stack = Stack::start(MODEL).await;
        let (table, env): (SharedTable, Env) = (Arc::new(stack.table.clone()), stack.env.clone());
        let world = Arc::new(World::default());
        requests(&table, &env, 1).await;
        let crashing = crashing(Arc::clone(&table), call, end);
        let dying: SharedTable = crashing.clone();
        let done = crashing.until_end(report(&dying, &env, &world, NOW)).await.is_some();
        report(&table, &env, &world, NOW).await;
        report(&table, &env, &world, NOW.plus(Duration::from_secs(121))).await;
        assert_heard(&table, &world, &format!("{end:?} call {call}")).await;
        done
    })
    .await;
    assert!(calls > 10, "queries, claims, lists and deletes: {calls}");
}

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  shop:
    id: string
    fields: {name: {type: string, max: 50}}
roles:
  admin: {all: true, system: all}
  clerk: {entities: {shop: {read: true}}}
plans:
  tiny:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
    quotas: {day: 10}
  wide:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
auth: {default_plan: wide}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_finds_its_notices_and_the_clock_delivers_them() {
    let system = System::start_with(Options::in_memory(MODEL)).await;
    let admin = system.admin();
    let acme = json!({"id": "local:acme", "plan": "tiny", "roles": ["clerk"], "notify": ["mailto:a@example.com"]});
    admin.post("/v1/_consumers", acme).await.expect(201);
    admin.post("/v1/shops", json!({"id": "s"})).await.expect(201);
    let clerk = system.actor("acme", &["clerk"]);
    for _ in 0..10 {
        clerk.get("/v1/shops/s").await.expect(200);
    }
    clerk.get("/v1/shops/s").await.expect_problem(429, "quota_exceeded");
    let list = async || {
        let reply = admin.get("/v1/_notifications?consumer=local:acme").await.expect(200);
        let notices = reply.body["data"].as_array().unwrap().clone();
        let percent = |one: &Value| (one["data"]["percent"].as_u64().unwrap(), one["delivery"].as_str().unwrap().to_owned());
        notices.iter().map(percent).collect::<BTreeMap<_, _>>()
    };
    let all = |delivery: &str| [80, 95, 100].map(|percent| (percent, delivery.to_owned())).into_iter().collect();
    assert_eq!(list().await, all("pending"));
    system.local().tick().await.unwrap();
    assert_eq!(list().await, all("delivered"));
    system.stop().await;
}
