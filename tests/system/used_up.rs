//! Limits that are used up: what is told then, and what a consumer and its administrators can still do.

use std::sync::Arc;

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast_local::Options;
use holdfast_tests::{Actor, Reply, System};
use serde_json::{Value, json};

const MODEL: &str = "
name: Used up
version: 1.0.0
entities: {note: {id: string, fields: {text: {type: string, max: 50}}}}
roles:
  admin: {all: true, system: all}
plans:
  wide: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}}
  small: {rates: {burst: {rate: 4, per: 1s, burst: 4}}, quotas: {day: 6}}
auth: {default_plan: wide}
limits: {per_address: 40}
";

/// A clock that stands still, so that nothing is refilled.
struct Still(Micros);

impl Clock for Still {
    fn now(&self) -> Micros {
        self.0
    }
}

struct World {
    system: System,
    admin: Actor,
    acme: Actor,
}

impl World {
    /// A consumer with all rights and these settings.
    async fn start(settings: Value) -> Self {
        let env = Env { clock: Arc::new(Still(Env::system().now())), ..Env::system() };
        let system = System::start_with(Options { env, ..Options::in_memory(MODEL) }).await;
        let admin = system.admin();
        let mut consumer = json!({"id": "acme", "roles": ["admin"], "plan": "small"});
        consumer.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        admin.post("/v1/_consumers", consumer).await.expect(201);
        let made = admin.post("/v1/_consumers/acme/keys", json!({})).await.expect(201).body;
        let acme = admin.with_authorization(format!("Bearer {}", made["key"].as_str().unwrap()));
        Self { system, admin, acme }
    }
}

/// What is left by the headers of an answer: of the rate, and of the quota.
fn left(reply: &Reply) -> (u64, u64) {
    let limits = reply.header("ratelimit").to_owned();
    let of = |name: &str| {
        let rest = limits.split_once(&format!("\"{name}\";r=")).unwrap().1;
        rest.split(';').next().unwrap().parse().unwrap()
    };
    (of("burst"), of("day"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_used_up_quota_a_consumer_sees_its_limits_and_an_administrator_changes_them() {
    let world = World::start(json!({"overrides": {"burst": {"rate": 100, "burst": 100}}})).await;
    let World { admin, acme, .. } = &world;
    for n in (0..6).rev() {
        assert_eq!(left(&acme.get("/v1/notes").await.expect(200)).1, n);
    }
    let denied = acme.get("/v1/notes").await.expect_problem(429, "quota_exceeded");
    let limit = &denied.body["limits"][0];
    assert_eq!(
        (&limit["name"], &limit["type"], &limit["used"], &limit["limit"]),
        (&json!("day"), &json!("quota"), &json!(6), &json!(6))
    );
    assert_eq!(limit["window_seconds"], 86400.0);
    let detail = denied.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("`day`: 6 of 6 units are used until ") && detail.contains(limit["reset_at"].as_str().unwrap()),
        "{detail}"
    );

    for path in [
        "/v1/_me",
        "/v1/_usage",
        "/v1/_usage/metrics",
        "/v1/_usage/dashboard",
        "/v1/_notifications",
        "/v1/_consumers",
        "/v1/openapi.json",
    ] {
        let reply = acme.get(path).await.expect(200);
        assert_eq!(left(&reply), (94, 0), "{path}: nothing is charged for it, and it tells of the plan");
    }
    acme.get("/v1/_audit").await.expect_problem(429, "quota_exceeded");
    acme.patch("/v1/_consumers/acme", json!({"overrides": {"day": {"limit": 8}}})).await.expect(200);
    assert_eq!(left(&acme.get("/v1/notes").await.expect(200)).1, 1);
    // A consumer that is disabled is not let in by the allowance either.
    admin.patch("/v1/_consumers/acme", json!({"disabled": true})).await.expect(200);
    acme.get("/v1/_me").await.expect_problem(401, "unauthenticated");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_allowance_is_limited_and_beyond_it_the_plan_pays() {
    let world = World::start(json!({})).await;
    for look in 1..=60 {
        assert_eq!(left(&world.acme.get("/v1/_me").await.expect(200)), (4, 6), "look {look}");
    }
    for n in (2..6).rev() {
        assert_eq!(left(&world.acme.get("/v1/_me").await.expect(200)), (n - 2, n));
    }
    let denied = world.acme.get("/v1/_me").await.expect_problem(429, "rate_limited");
    assert_eq!((&denied.body["limits"][0]["name"], &denied.body["limits"][0]["used"]), (&json!("burst"), &json!(4)));
    assert!(denied.body["detail"].as_str().unwrap().contains("Rate `burst`: 4 of 4 units are used"), "{}", denied.body);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn me_and_its_headers_are_one() {
    let world = World::start(json!({})).await;
    for spent in 0..4 {
        let me = world.acme.get("/v1/_me").await.expect(200);
        let told = |n: usize| me.body["limits"][n]["remaining"].as_u64().unwrap();
        assert_eq!((told(0), told(1)), left(&me));
        assert_eq!(left(&me), (4 - spent, 6 - spent));
        world.acme.get("/v1/notes").await.expect(200);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_nothing_is_used_up_and_says_so() {
    let world = World::start(json!({"overrides": {"day": {"limit": 0}}})).await;
    let denied = world.acme.get("/v1/notes").await.expect_problem(429, "quota_exceeded");
    assert!(denied.body["detail"].as_str().unwrap().starts_with("Quota `day` is 0 and admits nothing"), "{}", denied.body);
    assert_eq!(left(&denied), (4, 0));
    world.acme.get("/v1/_me").await.expect(200);
    world.system.stop().await;
}

/// The gateway remembers a credential as it was before its consumer changed. No request in flight pays for that, and none after it but the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_changed_all_the_time_is_answered() {
    let world = World::start(json!({"plan": "wide"})).await;
    let World { admin, acme, .. } = &world;
    acme.get("/v1/notes").await.expect(200);
    let changes = async {
        for n in 0..20u32 {
            admin.patch("/v1/_consumers/acme", json!({"overrides": {"burst": {"burst": 900 + n}}})).await.expect(200);
        }
    };
    let reads = async {
        for _ in 0..100 {
            acme.get("/v1/notes").await.expect(200);
        }
    };
    let writes = async {
        for n in 0..50 {
            acme.post("/v1/notes", json!({"id": format!("n{n}")})).await.expect(201);
        }
    };
    futures::join!(changes, reads, writes);
    assert_eq!(acme.get("/v1/notes?limit=100").await.expect(200).ids().len(), 50);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_health_and_unknown_paths_are_limited_too() {
    let world = World::start(json!({})).await;
    let nobody = world.system.anonymous();
    // Sixty by the allowance, four by the plan.
    for _ in 0..64 {
        world.acme.get("/v1/openapi.json").await.expect(200);
    }
    world.acme.get("/v1/openapi.json").await.expect_problem(429, "rate_limited");
    for path in ["/v1/_health/ready", "/v1/nothing/of/this"] {
        let mut refused = None;
        for asked in 0..60 {
            let reply = nobody.get(path).await;
            if reply.status == 429 && refused.is_none() {
                refused = Some(asked);
            }
        }
        assert_eq!(refused, Some(40), "{path}");
    }
    // Each has a bucket of its own: who asked for what does not exist still learns of the health.
    nobody.get("/v1/_health").await.expect_problem(429, "rate_limited");
    world.acme.get("/v1/notes").await.expect_problem(429, "rate_limited");
    world.admin.get("/v1/notes").await.expect(200);
    world.system.stop().await;
}
