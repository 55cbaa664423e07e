//! Who calls: keys and consumers that end, tokens that are not valid now, scopes, guesses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::identity::auth::local::{AUDIENCE, ISSUER};
use holdfast_local::Options;
use holdfast_tests::{Actor, Reply, System};
use serde_json::{Map, Value, json};

/// `default_plan` or nothing: a consumer without a plan is refused as fast as one that has one.
fn model(default_plan: &str) -> String {
    format!(
        "
name: Callers
version: 1.0.0
entities:
  note:
    id: string
    deprecated: {{since: 2025-06-01, operations: [delete]}}
    fields:
      text: {{type: string, max: 50, required: true}}
      owner: {{type: string, max: 60}}
      old: {{type: string, max: 20, deprecated: {{since: 2026-01-01, sunset: 2027-06-30}}}}
    indexes:
      by_owner: {{equality: owner}}
  relic:
    id: string
    deprecated: {{since: 2025-01-01, sunset: 2027-12-31, replacement: notes}}
    fields: {{text: {{type: string, max: 50}}, note: {{ref: note, inverse: relics}}}}
roles:
  admin: {{all: true, system: all}}
  reader: {{entities: {{note: {{view: {{fields: {{except: [old]}}}}}}}}}}
  writer: {{entities: {{note: {{all: {{rows: {{owner: $consumer}}}}}}}}}}
plans:
  small: {{rates: {{burst: {{rate: 100, per: 1s, burst: 100}}}}}}
  tiny: {{rates: {{burst: {{rate: 1, per: 1h, burst: 2}}}}}}
auth: {{{default_plan}}}
limits: {{per_address: 1000}}
"
    )
}

/// The clock of a system, which a test sets forward.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

impl Ahead {
    fn go_on(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

async fn timed(model: String) -> (System, Arc<Ahead>) {
    let clock = Arc::new(Ahead(AtomicI64::new(Env::system().now().0)));
    let env = Env { clock: clock.clone(), ..Env::system() };
    (System::start_with(Options { env, ..Options::in_memory(model) }).await, clock)
}

async fn key(admin: &Actor, consumer: &str, body: Value) -> (String, Actor) {
    let made = admin.post(&format!("/v1/_consumers/{consumer}/keys"), body).await.expect(201).body;
    let key = made["key"].as_str().unwrap();
    (made["id"].as_str().unwrap().to_owned(), admin.with_authorization(format!("Bearer {key}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_and_a_disabled_consumer_are_refused_on_the_next_request_with_a_plan_and_without() {
    for default_plan in ["default_plan: small", ""] {
        let system = System::start(&model(default_plan)).await;
        let admin = system.admin();
        admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["writer"]})).await.expect(201);
        let (first, acme) = key(&admin, "acme", json!({})).await;
        let (_, beside) = key(&admin, "acme", json!({"expires_in": 3600})).await;
        let note = json!({"id": "n1", "text": "a", "owner": "acme"});
        acme.post("/v1/notes", note).await.expect(201);
        // Both keys work while they overlap.
        beside.get("/v1/notes/n1").await.expect(200);
        admin.delete(&format!("/v1/_consumers/acme/keys/{first}")).await.expect(204);
        let refused = acme.get("/v1/notes/n1").await.expect_problem(401, "unauthenticated");
        assert!(refused.header("www-authenticate").starts_with("Bearer "), "{default_plan}");
        acme.patch("/v1/notes/n1", json!({"text": "b"})).await.expect_problem(401, "unauthenticated");
        beside.get("/v1/notes/n1").await.expect(200);

        admin.patch("/v1/_consumers/acme", json!({"disabled": true})).await.expect(200);
        beside.get("/v1/notes").await.expect_problem(401, "unauthenticated");
        beside.delete("/v1/notes/n1").await.expect_problem(401, "unauthenticated");
        assert_eq!(admin.get("/v1/notes/n1").await.expect(200).body["text"], "a", "no refused write had an effect");
        admin.patch("/v1/_consumers/acme", json!({"disabled": false})).await.expect(200);
        beside.get("/v1/notes/n1").await.expect(200);

        // Other roles hold at once, whatever the authorizer remembers.
        admin.patch("/v1/_consumers/acme", json!({"roles": ["reader"]})).await.expect(200);
        beside.delete("/v1/notes/n1").await.expect_problem(403, "forbidden");
        admin.delete("/v1/_consumers/acme").await.expect(204);
        beside.get("/v1/notes/n1").await.expect_problem(401, "unauthenticated");
        system.stop().await;
    }
}

/// Two headers are two credentials; neither counts, whichever stands first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_authorization_headers_are_no_credentials() {
    let system = System::start(&model("default_plan: small")).await;
    let (admin, nobody) = (system.admin(), system.anonymous());
    admin.post("/v1/notes", json!({"id": "n1", "text": "a"})).await.expect(201);
    let good = format!("Bearer {}", admin.token().unwrap());
    let other = format!("Bearer {}", system.actor("bob", &["reader"]).token().unwrap());
    for headers in [[good.as_str(), "Bearer x"], ["Bearer x", &good], [&good, &good], [&good, &other], [&good, ""], ["", &good]] {
        for (method, path) in [
            (reqwest::Method::GET, "/v1/notes"),
            (reqwest::Method::GET, "/v1/notes/n1"),
            (reqwest::Method::HEAD, "/v1/notes/n1"),
            (reqwest::Method::DELETE, "/v1/notes/n1"),
            (reqwest::Method::GET, "/v1/_me"),
            (reqwest::Method::GET, "/v1/_usage/dashboard"),
            (reqwest::Method::GET, "/v1/openapi.json"),
            (reqwest::Method::GET, "/v1/docs/llms.txt"),
        ] {
            let call = nobody.call(method.clone(), path);
            let call = headers.iter().fold(call, |call, value| call.header("authorization", value));
            let refused = call.send().await.expect(401);
            assert!(refused.header("www-authenticate").contains("invalid_token"), "{method} {path} {headers:?}");
        }
        // The gateway has not learnt to let one of them through.
        admin.get("/v1/notes/n1").await.expect(200);
    }
    system.stop().await;
}

/// The gateway remembers the authorizer's word for five minutes; whatever can pass is looked at again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_enabled_again_is_let_in_though_the_gateway_remembers_a_refusal() {
    let system = System::start(&model("")).await;
    let (admin, bob) = (system.admin(), system.actor("bob", &["reader"]));
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["reader"], "disabled": true})).await.expect(201);
    admin.put("/v1/_consumers/local:bob", json!({"disabled": true})).await.expect(201);
    let (id, acme) = key(&admin, "acme", json!({})).await;
    for caller in [&acme, &bob] {
        caller.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    }
    admin.patch("/v1/_consumers/acme", json!({"disabled": false})).await.expect(200);
    admin.patch("/v1/_consumers/local:bob", json!({"disabled": false})).await.expect(200);
    for caller in [&acme, &bob, &acme, &bob] {
        caller.get("/v1/notes").await.expect(200);
    }
    // What was verified again is none the less held to what ends it.
    admin.delete(&format!("/v1/_consumers/acme/keys/{id}")).await.expect(204);
    acme.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_consumer_disables_overrides_and_limits_tokens_from_the_next_request_on() {
    let system = System::start(&model("")).await;
    let admin = system.admin();
    let bob = system.actor("bob", &["reader"]);
    bob.get("/v1/notes").await.expect(200);
    // The consumer of a local token is `local:<sub>`; the authorizer has remembered it without a record.
    admin.put("/v1/_consumers/local:bob", json!({"plan": "tiny"})).await.expect(201);
    assert_eq!(bob.get("/v1/notes").await.expect(200).header("x-ratelimit-limit"), "2");
    bob.get("/v1/notes").await.expect(200);
    bob.get("/v1/notes").await.expect_problem(429, "rate_limited");
    let overrides = json!({"plan": "small", "overrides": {"burst": {"burst": 7, "rate": 7}}});
    admin.patch("/v1/_consumers/local:bob", overrides).await.expect(200);
    // A denial is remembered for a second at most.
    let admitted = within_a_second(|| bob.get("/v1/notes")).await;
    assert_eq!(admitted.expect(200).header("x-ratelimit-limit"), "7");
    admin.patch("/v1/_consumers/local:bob", json!({"disabled": true})).await.expect(200);
    bob.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    bob.get("/v1/_me").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

/// Asks until something else than 429 is answered, for as long as a denial may be repeated from memory.
async fn within_a_second<F: Future<Output = Reply>>(ask: impl Fn() -> F) -> Reply {
    let begun = std::time::Instant::now();
    loop {
        let reply = ask().await;
        if reply.status != 429 || begun.elapsed() > std::time::Duration::from_millis(1500) {
            return reply;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_shows_its_keys_and_never_what_is_secret_of_them() {
    let system = System::start(&model("default_plan: small")).await;
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["reader"]})).await.expect(201);
    assert_eq!(admin.get("/v1/_consumers/acme").await.expect(200).body["keys"], json!([]));
    let (first, acme) = key(&admin, "acme", json!({})).await;
    let (second, _) = key(&admin, "acme", json!({"expires_in": 60, "publishable": true})).await;
    let shown = admin.get("/v1/_consumers/acme").await.expect(200);
    let keys = shown.body["keys"].as_array().unwrap();
    let mut ids: Vec<&str> = keys.iter().map(|key| key["id"].as_str().unwrap()).collect();
    let mut expected = vec![first.as_str(), second.as_str()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    for one in keys {
        let names: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(names, ["id", "name", "scopes", "created_at", "created_by", "last_used_at", "expires_at", "publishable"]);
        assert_eq!(one["expires_at"].is_string(), one["publishable"] == true);
    }
    let secret = acme.token().unwrap().rsplit('_').next().unwrap().to_owned();
    assert!(!String::from_utf8_lossy(&shown.bytes).contains(&secret));
    // GET, then PUT changes nothing; keys are not made this way.
    admin.put("/v1/_consumers/acme", shown.body.clone()).await.expect(200);
    acme.get("/v1/notes").await.expect(200);
    let mut other = shown.body.clone();
    other["keys"] = json!([]);
    admin.put("/v1/_consumers/acme", other).await.expect_problem(422, "validation_failed");
    admin.delete(&format!("/v1/_consumers/acme/keys/{first}")).await.expect(204);
    assert_eq!(admin.get("/v1/_consumers/acme").await.expect(200).body["keys"].as_array().unwrap().len(), 1);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_end_in_time_also_while_their_authorization_is_remembered() {
    let (system, clock) = timed(model("default_plan: small")).await;
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["reader"]})).await.expect(201);
    let (_, acme) = key(&admin, "acme", json!({"expires_in": 60})).await;
    let now = system.local().issuer.clone();
    let token = |from: i64, nbf: i64, to: i64| {
        let at = clock.now().seconds();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "bob", "roles": ["reader"],
            "iat": at + from, "nbf": at + nbf, "exp": at + to,
        });
        let claims: Map<String, Value> = claims.as_object().unwrap().clone();
        admin.with_authorization(format!("Bearer {}", now.sign(&claims).unwrap()))
    };
    let (short, later, gone) = (token(0, 0, 60), token(0, 120, 600), token(-600, -600, 0));
    acme.get("/v1/notes").await.expect(200);
    short.get("/v1/notes").await.expect(200);
    for refused in [&later, &gone, &token(300, 0, 600)] {
        let refused = refused.get("/v1/notes").await.expect_problem(401, "unauthenticated");
        assert!(refused.header("www-authenticate").contains("invalid_token"));
    }
    clock.go_on(59);
    acme.get("/v1/notes").await.expect(200);
    clock.go_on(1);
    acme.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    short.get("/v1/notes").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_narrow_roles_and_never_widen_them() {
    let system = System::start(&model("default_plan: small")).await;
    let admin = system.admin();
    admin.post("/v1/notes", json!({"id": "n1", "text": "a"})).await.expect(201);
    let with = |roles: &[&str], scope: &str| system.actor_with("bob", roles, &[("scope", json!(scope))], None);
    let listing = with(&["admin"], "note:list relic:*");
    listing.get("/v1/notes").await.expect(200);
    listing.get("/v1/notes/n1").await.expect_problem(403, "insufficient_scope");
    listing.delete("/v1/notes/n1").await.expect_problem(403, "insufficient_scope");
    listing.get("/v1/_consumers").await.expect_problem(403, "insufficient_scope");
    with(&["admin"], "system:consumers").get("/v1/_consumers").await.expect(200);
    with(&["reader"], "*").delete("/v1/notes/n1").await.expect_problem(403, "forbidden");
    for nothing_of_ours in ["", "openid profile", "read:notes"] {
        with(&["admin"], nothing_of_ours).get("/v1/notes").await.expect(200);
    }
    // What is embedded is a list of its own.
    with(&["admin"], "note:list").get("/v1/notes?include=relics").await.expect_problem(403, "insufficient_scope");
    listing.get("/v1/notes?include=relics").await.expect(200);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_hears_of_a_burst_of_guesses_once() {
    let system = System::start(&model("default_plan: small")).await;
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["reader"]})).await.expect(201);
    let (id, acme) = key(&admin, "acme", json!({})).await;
    admin.delete(&format!("/v1/_consumers/acme/keys/{id}")).await.expect(204);
    for _ in 0..30 {
        acme.get("/v1/notes").await.expect(401);
    }
    let notices = admin.get("/v1/_notifications").await.expect(200).body;
    let suspicious: Vec<&Value> =
        notices["data"].as_array().unwrap().iter().filter(|one| one["type"] == "credentials.suspicious").collect();
    assert_eq!(suspicious.len(), 2, "one of the address, one of the key: {notices}");
    assert!(suspicious.iter().any(|one| one["data"]["key_id"] == id.as_str()));
    assert!(suspicious.iter().any(|one| one["data"]["address"] == "127.0.0.1"));
    assert!(!notices.to_string().contains(acme.token().unwrap()));
    // An expired token is no guess, and nobody but the operator hears of it.
    assert_eq!(system.actor("bob", &["reader"]).get("/v1/_notifications").await.expect(200).body["data"], json!([]));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_filtered_by_who_what_and_when() {
    let (system, clock) = timed(model("default_plan: small")).await;
    let (admin, bob) = (system.admin(), system.actor("bob", &["admin"]));
    admin.post("/v1/notes", json!({"id": "n1", "text": "a"})).await.expect(201);
    clock.go_on(10);
    let between = clock.now().rfc3339();
    clock.go_on(10);
    bob.patch("/v1/notes/n1", json!({"text": "b"})).await.expect(200);
    clock.go_on(1);
    bob.post("/v1/relics", json!({"id": "r1"})).await.expect(201);
    clock.go_on(1);
    admin.post("/v1/_consumers", json!({"id": "acme"})).await.expect(201);
    let found = async |query: &str| -> Vec<String> {
        let page = admin.get(&format!("/v1/_audit?{query}")).await.expect(200);
        page.body["data"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("").await, ["consumer.create", "relic.create", "note.update", "note.create"]);
    assert_eq!(found("consumer=local:bob").await, ["relic.create", "note.update"]);
    assert_eq!(found("entity=note").await, ["note.update", "note.create"]);
    assert_eq!(found("entity=consumer").await, ["consumer.create"]);
    assert_eq!(found("action=create&entity=note").await, ["note.create"]);
    assert_eq!(found("action=note.update").await, ["note.update"]);
    assert_eq!(found(&format!("to={between}")).await, ["note.create"]);
    assert_eq!(found(&format!("from={between}&consumer=local:root")).await, ["consumer.create"]);
    let first = admin.get("/v1/_audit?limit=1&action=create").await.expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(found(&format!("limit=1&action=create&cursor={cursor}")).await, ["relic.create"]);
    for wrong in ["entity=notes", "action=UPDATE", "consumer=", "from=now", "to=1", "who=me", "entity=note&entity=relic"] {
        let problem = admin.get(&format!("/v1/_audit?{wrong}")).await.expect_problem(400, "invalid_parameter");
        assert_eq!(problem.body["parameter"], wrong.split('=').next().unwrap());
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deprecated_says_so_to_those_who_see_it() {
    let system = System::start(&model("default_plan: small")).await;
    let admin = system.admin();
    let told = |reply: &Reply| {
        let links: Vec<&str> = reply.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect();
        let about = links.iter().any(|link| link.contains("/v1/docs>; rel=\"deprecation\""));
        assert_eq!(about, !reply.header("deprecation").is_empty());
        (reply.header("deprecation").to_owned(), reply.header("sunset").to_owned())
    };
    let of = |since: &str, sunset: &str| (since.to_owned(), sunset.to_owned());
    let field = of("@1767225600", "Wed, 30 Jun 2027 00:00:00 GMT");
    let entity = of("@1735689600", "Fri, 31 Dec 2027 00:00:00 GMT");
    let nothing = of("", "");
    assert_eq!(told(&admin.post("/v1/notes", json!({"id": "n1", "text": "a"})).await.expect(201)), field);
    assert_eq!(told(&admin.post("/v1/relics", json!({"id": "r1", "note_id": "n1"})).await.expect(201)), entity);
    assert_eq!(told(&admin.get("/v1/notes").await.expect(200)), field);
    assert_eq!(told(&admin.get("/v1/notes/n1?fields=text").await.expect(200)), nothing);
    assert_eq!(told(&admin.get("/v1/notes?fields=text&limit=1").await.expect(200)), nothing);
    assert_eq!(told(&admin.get("/v1/relics/r1").await.expect(200)), entity);
    // The earliest moments of all that is in the answer.
    let both = of("@1735689600", "Wed, 30 Jun 2027 00:00:00 GMT");
    assert_eq!(told(&admin.get("/v1/notes?include=relics").await.expect(200)), both);
    // Who cannot see the field is not told of it.
    let reader = system.actor("bob", &["reader"]);
    assert_eq!(told(&reader.get("/v1/notes/n1").await.expect(200)), nothing);
    assert_eq!(told(&admin.delete("/v1/relics/r1").await.expect(204)), entity);
    // An operation alone.
    assert_eq!(told(&admin.delete("/v1/notes/n1").await.expect(204)), of("@1748736000", ""));
    system.stop().await;
}
