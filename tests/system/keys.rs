//! API keys: their names and scopes, who made them, when they were used.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast_local::Options;
use holdfast_tests::{Actor, System};
use serde_json::{Value, json};

fn model(default_plan: &str) -> String {
    format!(
        "
name: Keys
version: 1.0.0
entities:
  note: {{id: string, fields: {{text: {{type: string, max: 50}}}}}}
roles:
  admin: {{all: true, system: all}}
plans:
  wide: {{rates: {{burst: {{rate: 1000, per: 1s, burst: 1000}}}}}}
auth: {{{default_plan}}}
limits: {{per_address: 1000}}
"
    )
}

/// A clock that a test sets forward.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

async fn started(default_plan: &str) -> (System, Arc<Ahead>, Actor) {
    // A minute begins.
    let clock = Arc::new(Ahead(AtomicI64::new(1_800_000_000_000_000)));
    let env = Env { clock: clock.clone(), ..Env::system() };
    let system = System::start_with(Options { env, ..Options::in_memory(model(default_plan)) }).await;
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["admin"]})).await.expect(201);
    (system, clock, admin)
}

async fn made(admin: &Actor, body: Value) -> (String, Actor) {
    let made = admin.post("/v1/_consumers/acme/keys", body).await.expect(201).body;
    let actor = admin.with_authorization(format!("Bearer {}", made["key"].as_str().unwrap()));
    (made["id"].as_str().unwrap().to_owned(), actor)
}

/// When a key was last used, as the list of keys says.
async fn last_used(admin: &Actor, id: &str) -> Value {
    let keys = admin.get("/v1/_consumers/acme/keys").await.expect(200).body;
    keys["data"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap()["last_used_at"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_a_name_and_scopes_and_is_listed() {
    let (system, _, admin) = started("default_plan: wide").await;
    let (till, key) = made(&admin, json!({"name": "Till 3", "scopes": ["note:list", "note:create"]})).await;
    let (bare, all) = made(&admin, json!({"name": null, "scopes": null})).await;
    let page = admin.get("/v1/_consumers/acme/keys").await.expect(200).body;
    let of = |id: &str| page["data"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap().clone();
    assert_eq!((&of(&till)["name"], &of(&till)["scopes"]), (&json!("Till 3"), &json!(["note:list", "note:create"])));
    assert_eq!((&of(&bare)["name"], &of(&bare)["scopes"]), (&Value::Null, &Value::Null));
    assert_eq!((&of(&till)["created_by"], &of(&till)["last_used_at"]), (&json!("local:root"), &Value::Null));
    assert!(page["data"].as_array().unwrap().iter().all(|key| key.get("key").is_none() && key.get("hash").is_none()));
    assert_eq!(page["next_cursor"], Value::Null);

    key.post("/v1/notes", json!({"id": "n"})).await.expect(201);
    key.get("/v1/notes").await.expect(200);
    let refused = key.get("/v1/notes/n").await.expect_problem(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("scope=\"note:read\""));
    key.get("/v1/_consumers").await.expect_problem(403, "insufficient_scope");
    all.delete("/v1/notes/n").await.expect(204);
    assert_eq!(key.get("/v1/_me").await.expect(200).body["scopes"], json!(["note:list", "note:create"]));

    for (body, pointer) in [
        (json!({"scopes": []}), "/scopes"),
        (json!({"scopes": "note:list"}), "/scopes"),
        (json!({"scopes": ["note:list", "note:reed"]}), "/scopes/1"),
        (json!({"scopes": ["openid"]}), "/scopes/0"),
        (json!({"scopes": ["system:all"]}), "/scopes/0"),
        (json!({"scopes": [1]}), "/scopes/0"),
        (json!({"scopes": ["*", "*"]}), "/scopes/1"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "x".repeat(201)}), "/name"),
        (json!({"name": 1}), "/name"),
        (json!({"created_by": "me"}), "/created_by"),
    ] {
        let refused = admin.post("/v1/_consumers/acme/keys", body.clone()).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}: {}", refused.body);
    }
    admin.get("/v1/_consumers/none/keys").await.expect_problem(404, "not_found");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_of_a_key_is_known_to_the_minute() {
    for plan in ["default_plan: wide", ""] {
        let (system, clock, admin) = started(plan).await;
        let (id, key) = made(&admin, json!({})).await;
        let (page, public) = made(&admin, json!({"publishable": true})).await;
        assert_eq!(last_used(&admin, &id).await, Value::Null);
        key.get("/v1/notes").await.expect(200);
        public.get("/v1/notes").await.expect(200);
        assert_eq!(last_used(&admin, &id).await, "2027-01-15T08:00:00.000Z", "{plan}");
        assert_eq!(last_used(&admin, &page).await, "2027-01-15T08:00:00.000Z", "{plan}");
        clock.0.fetch_add(59_000_000, Ordering::SeqCst);
        key.get("/v1/notes").await.expect(200);
        assert_eq!(last_used(&admin, &id).await, "2027-01-15T08:00:00.000Z", "{plan}");
        clock.0.fetch_add(61_000_000, Ordering::SeqCst);
        key.post("/v1/notes", json!({"id": "n"})).await.expect(201);
        assert_eq!(last_used(&admin, &id).await, "2027-01-15T08:02:00.000Z", "{plan}");
        assert_eq!(last_used(&admin, &page).await, "2027-01-15T08:00:00.000Z", "{plan}");
        // GET, then PUT works though the key was used in between.
        let shown = admin.get("/v1/_consumers/acme").await.expect(200).body;
        clock.0.fetch_add(60_000_000, Ordering::SeqCst);
        key.get("/v1/notes").await.expect(200);
        admin.put("/v1/_consumers/acme", shown).await.expect(200);
        system.stop().await;
    }
}
