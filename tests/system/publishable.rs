//! Publishable keys: the holder of a key that stands in a web page is anonymous, whoever made it.

use std::sync::Arc;

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast_local::Options;
use holdfast_tests::{Actor, System};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "
name: Page
version: 1.0.0
entities:
  note:
    id: string
    fields:
      text: {type: string, max: 50}
      owner: {type: string, max: 60}
    indexes: {by_owner: {equality: owner}}
roles:
  admin: {all: true, system: all}
  site:
    entities: {note: {view: {rows: {or: [{owner: everybody}, {owner: $subject}, {owner: $consumer}]}}, create: true}}
    system: all
plans:
  wide: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}}
  ten: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}, quotas: {day: 10}}
auth: {default_plan: wide}
limits: {per_address: 40}
";

/// What a publishable key must not reach, whatever its role has.
const SYSTEM: [(Method, &str); 12] = [
    (Method::GET, "/v1/_usage"),
    (Method::GET, "/v1/_usage?consumer=acme"),
    (Method::GET, "/v1/_usage?consumer=anonymous"),
    (Method::GET, "/v1/_usage/dashboard"),
    (Method::GET, "/v1/_usage/metrics"),
    (Method::GET, "/v1/_notifications"),
    (Method::GET, "/v1/_notifications?consumer=acme"),
    (Method::GET, "/v1/_audit"),
    (Method::GET, "/v1/_consumers"),
    (Method::GET, "/v1/_consumers/acme/shares"),
    (Method::DELETE, "/v1/_consumers/acme/shares"),
    (Method::DELETE, "/v1/_consumers/acme"),
];

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
    secret: Actor,
    page: Actor,
    /// Id of the page's key.
    id: String,
}

impl World {
    /// A consumer with a secret key and a publishable one.
    async fn start(plan: &str) -> Self {
        let env = Env { clock: Arc::new(Still(Env::system().now())), ..Env::system() };
        let system = System::start_with(Options { env, ..Options::in_memory(MODEL) }).await;
        let admin = system.admin();
        admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["site"], "plan": plan})).await.expect(201);
        let key = async |body: Value| {
            let made = admin.post("/v1/_consumers/acme/keys", body).await.expect(201).body;
            let actor = admin.with_authorization(format!("Bearer {}", made["key"].as_str().unwrap()));
            (made["id"].as_str().unwrap().to_owned(), actor)
        };
        let (_, secret) = key(json!({})).await;
        let (id, page) = key(json!({"publishable": true})).await;
        Self { system, admin, secret, page, id }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_do_with_records_what_its_role_may_and_nothing_as_its_consumer() {
    let world = World::start("wide").await;
    let World { admin, secret, page, .. } = &world;
    for owner in ["everybody", "acme", "key:acme", "anonymous"] {
        admin.post("/v1/notes", json!({"id": format!("of-{}", owner.replace(':', ".")), "owner": owner})).await.expect(201);
    }
    let mut seen: Vec<Value> = page.get("/v1/notes?limit=100").await.expect(200).ids();
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, ["of-anonymous", "of-everybody"]);
    assert!(secret.get("/v1/notes?limit=100").await.expect(200).ids().contains(&json!("of-acme")));
    page.get("/v1/notes/of-acme").await.expect_problem(404, "not_found");
    page.post("/v1/notes", json!({"id": "made", "owner": "everybody"})).await.expect(201);

    for (method, path) in SYSTEM {
        let call = page.call(method.clone(), path).header("accept", "application/json").send().await;
        let problem = call.expect_problem(403, "forbidden");
        assert!(!problem.body["detail"].as_str().unwrap().contains("acme"), "{method} {path}: {}", problem.body);
    }
    page.post("/v1/_cache/purge", json!({"all": true})).await.expect_problem(403, "forbidden");
    page.post("/v1/_consumers/acme/keys", json!({})).await.expect_problem(403, "forbidden");
    page.get("/v1/openapi.json?role=admin").await.expect_problem(403, "forbidden");

    let me = page.get("/v1/_me").await.expect(200).body;
    assert_eq!((&me["consumer"], &me["subject"], &me["anonymous"]), (&json!("anonymous"), &json!("anonymous"), &json!(true)));
    assert_eq!((&me["key_id"], &me["roles"], &me["plan"]), (&json!(world.id), &json!(["site"]), &Value::Null));
    assert_eq!(me["limits"].as_array().unwrap().len(), 1, "its address's alone: {me}");
    assert_eq!(me["limits"][0]["name"], "address");
    assert!(!me.to_string().contains("acme"), "{me}");

    let document = page.get("/v1/openapi.json").await.expect(200).body;
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().filter(|path| path.contains("/_")).collect();
    assert_eq!(paths, ["/v1/notes/_bulk", "/v1/_me"]);

    let trail = admin.get("/v1/_audit?action=note.create").await.expect(200).body;
    let made = trail["data"].as_array().unwrap().iter().find(|entry| entry["id"] == "made").unwrap();
    assert_eq!((&made["consumer"], &made["key_id"]), (&json!("anonymous"), &json!(world.id)), "{made}");
    let usage = admin.get("/v1/_usage").await.expect(200).body;
    let of = |consumer: &str| {
        usage["data"].as_array().unwrap().iter().find(|row| row["consumer"] == consumer).unwrap()["requests"].clone()
    };
    assert_eq!(of("acme"), 1, "the secret key's own: {usage}");
    assert!(of("anonymous").as_u64().unwrap() > 15, "{usage}");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_calls_are_counted_for_it_and_its_clients_and_never_for_its_consumer() {
    let world = World::start("ten").await;
    let World { secret, page, .. } = &world;
    for call in 1..=10 {
        let reply = page.get("/v1/notes").await.expect(200);
        assert_eq!(reply.header("x-ratelimit-limit"), "40", "{:?}", reply.headers);
        assert_eq!(reply.header("x-ratelimit-remaining"), (40 - call).to_string(), "the address's, nothing of the consumer's");
        assert!(!reply.header("ratelimit").contains("day"), "{:?}", reply.headers);
    }
    // The key as a whole has the plan's ten, counted for it alone.
    let denied = page.get("/v1/notes").await.expect_problem(429, "quota_exceeded");
    assert_eq!(denied.body["violated-policies"], json!(["day"]));
    assert!(!denied.header("retry-after").is_empty());
    for call in 1..=10 {
        let reply = secret.get("/v1/notes").await.expect(200);
        assert_eq!(reply.header("x-ratelimit-remaining"), (10 - call).to_string());
    }
    secret.get("/v1/notes").await.expect_problem(429, "quota_exceeded");
    assert_eq!(world.admin.get("/v1/_notifications?consumer=anonymous").await.expect(200).ids().len(), 0);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_clients_are_limited_by_address_also_for_documents() {
    let world = World::start("wide").await;
    // Each function has a bucket of its own for the address.
    for path in ["/v1/notes", "/v1/openapi.json"] {
        for _ in 0..40 {
            world.page.get(path).await.expect(200);
        }
        let denied = world.page.get(path).await.expect_problem(429, "rate_limited");
        assert_eq!(denied.body["violated-policies"], json!(["address"]));
    }
    world.secret.get("/v1/notes").await.expect(200);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_key_and_consumer_holds_at_once_and_is_not_charged_twice() {
    let world = World::start("wide").await;
    let World { admin, page, .. } = &world;
    let left = |reply: &holdfast_tests::Reply| reply.header("x-ratelimit-remaining").parse::<u64>().unwrap();
    let first = page.get("/v1/notes").await.expect(200);
    // The gateway remembers the key as it was; the function looks again.
    admin.patch("/v1/_consumers/acme", json!({"roles": []})).await.expect(200);
    let narrowed = page.get("/v1/notes").await.expect_problem(403, "forbidden");
    assert_eq!(left(&narrowed), left(&first) - 1, "charged once, though it was looked at twice");
    admin.patch("/v1/_consumers/acme", json!({"roles": ["site"], "disabled": true})).await.expect(200);
    page.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    page.post("/v1/notes", json!({"id": "no"})).await.expect_problem(401, "unauthenticated");
    admin.patch("/v1/_consumers/acme", json!({"disabled": false})).await.expect(200);
    page.get("/v1/notes").await.expect(200);
    admin.delete(&format!("/v1/_consumers/acme/keys/{}", world.id)).await.expect(204);
    page.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    admin.get("/v1/notes/no").await.expect_problem(404, "not_found");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_idempotency_keys_cannot_be_guessed_and_are_not_its_consumers() {
    let world = World::start("wide").await;
    let World { secret, page, .. } = &world;
    let create = async |actor: &Actor, key: &str, id: &str| {
        let call = actor.call(Method::POST, "/v1/notes").header("idempotency-key", key);
        call.json(json!({"id": id, "owner": "everybody"})).send().await
    };
    create(page, "short", "a").await.expect_problem(400, "malformed_request");
    let key = "0123456789abcdef0123456789abcdef";
    create(secret, key, "a").await.expect(201);
    // The same key of another: neither a replay nor a reuse of the consumer's.
    create(page, key, "a").await.expect_problem(409, "conflict");
    create(page, key, "b").await.expect(201);
    assert_eq!(create(page, key, "b").await.expect(201).header("idempotency-replayed"), "true");
    assert_eq!(create(secret, key, "a").await.expect(201).header("idempotency-replayed"), "true");
    world.system.stop().await;
}
