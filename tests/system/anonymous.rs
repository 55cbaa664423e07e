//! Reading without credentials: what the model opens, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast_local::Options;
use holdfast_tests::{System, root};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "
name: Shop
version: 1.0.0
entities:
  book:
    id: string
    fields:
      title: {type: string, max: 50}
      cost: integer
      hidden: {type: boolean, default: false, filter: scan}
      cover: file
  order: {id: string, fields: {note: {type: string, max: 50}}}
roles:
  admin: {all: true, system: all}
  everybody: {entities: {book: {view: {rows: {hidden: false}, fields: {except: [cost]}}, create: true, delete: true}}, system: all}
plans: {wide: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}}}
auth: {default_plan: wide, anonymous_role: everybody}
limits: {per_address: 200}
";

/// A clock that a test sets forward.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

async fn furnished() -> (System, Arc<Ahead>) {
    let clock = Arc::new(Ahead(AtomicI64::new(Env::system().now().0)));
    let env = Env { clock: clock.clone(), ..Env::system() };
    let system = System::start_with(Options { env, ..Options::in_memory(MODEL) }).await;
    let admin = system.admin();
    admin.post("/v1/books", json!({"id": "open", "title": "a", "cost": 3})).await.expect(201);
    admin.post("/v1/books", json!({"id": "shut", "title": "b", "hidden": true})).await.expect(201);
    admin.post("/v1/orders", json!({"id": "o"})).await.expect(201);
    (system, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_credentials_reads_what_the_model_opens() {
    let (system, _) = furnished().await;
    let nobody = system.anonymous();
    let list = nobody.get("/v1/books").await.expect(200);
    assert_eq!(list.ids(), ["open"]);
    assert!(list.body["data"][0].get("cost").is_none());
    assert!(list.header("ratelimit-policy").starts_with("\"address\""), "{:?}", list.headers);
    assert_eq!(list.header("cache-control"), "private, no-cache", "the model makes nothing public");
    nobody.get("/v1/books/open").await.expect(200);
    nobody.call(Method::HEAD, "/v1/books/open").send().await.expect(200);
    nobody.call(Method::HEAD, "/v1/books").send().await.expect(200);
    nobody.get("/v1/books/shut").await.expect_problem(404, "not_found");
    nobody.get("/v1/books?sort=cost").await.expect_problem(400, "invalid_parameter");
    nobody.get("/v1/books/open/cover/download").await.expect_problem(404, "not_found");
    // What the role does not open asks for credentials, and so does whatever is no reading, whatever the role says.
    for path in ["/v1/orders", "/v1/orders/o"] {
        let refused = nobody.get(path).await.expect_problem(401, "unauthenticated");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"holdfast\"");
    }
    for (method, path) in [
        (Method::POST, "/v1/books"),
        (Method::PUT, "/v1/books/open"),
        (Method::PATCH, "/v1/books/open"),
        (Method::DELETE, "/v1/books/open"),
        (Method::POST, "/v1/books/_bulk"),
        (Method::POST, "/v1/books/open/cover/upload"),
        (Method::GET, "/v1/_me"),
        (Method::GET, "/v1/_consumers"),
        (Method::GET, "/v1/_usage"),
        (Method::GET, "/v1/_audit"),
    ] {
        let call = nobody.call(method.clone(), path);
        let call = if method == Method::GET { call } else { call.json(json!({})) };
        let refused = call.send().await;
        assert_eq!(refused.status, 401, "{method} {path}: {}", refused.body);
    }
    // Bad credentials are not taken for none.
    nobody.with_authorization("Bearer junk").get("/v1/books").await.expect_problem(401, "unauthenticated");
    nobody.with_authorization("").get("/v1/books").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_document_of_nobody_answers_nobody() {
    let (system, _) = furnished().await;
    let nobody = system.anonymous();
    let document = nobody.get("/v1/openapi.json").await.expect(200).body;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            let optional = operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| *way == json!({})));
            assert_eq!((method.as_str(), optional), ("get", true), "{path}: {operation}");
            let answer = nobody.get(&path.replace("{id}", "open")).await;
            assert!(
                [200, 302, 404].contains(&answer.status) && answer.body["code"] != "unauthenticated",
                "{path}: {}",
                answer.body
            );
            operations += 1;
        }
    }
    assert_eq!(operations, 3, "list, read, download: {document}");
    // Whoever has credentials is told that these need none, and others do.
    let all = system.admin().get("/v1/openapi.json").await.expect(200).body;
    assert_eq!(all["paths"]["/v1/books"]["get"]["security"], json!([{"bearer": []}, {}]));
    assert_eq!(all["paths"]["/v1/orders"]["get"]["security"], Value::Null);
    assert_eq!(all["paths"]["/v1/books"]["post"]["security"], Value::Null);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_credentials_is_limited_by_itself() {
    let (system, _) = furnished().await;
    let nobody = system.anonymous();
    let mut admitted = 0;
    let denied = loop {
        let answer = nobody.get("/v1/books?limit=1").await;
        match answer.status {
            200 => admitted += 1,
            _ => break answer,
        }
    };
    assert_eq!(admitted, 200);
    assert!(denied.expect_problem(429, "rate_limited").header("retry-after").parse::<u64>().unwrap() > 0);
    nobody.get("/v1/books/open").await.expect_problem(429, "rate_limited");
    system.admin().get("/v1/books").await.expect(200);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_of_a_credential_ends_with_it() {
    let (system, clock) = furnished().await;
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["everybody"]})).await.expect(201);
    let made = admin.post("/v1/_consumers/acme/keys", json!({"expires_in": 200})).await.expect(201).body;
    let other = admin.post("/v1/_consumers/acme/keys", json!({})).await.expect(201).body;
    let by = |key: &Value| admin.with_authorization(format!("Bearer {}", key["key"].as_str().unwrap()));
    let (short, long) = (by(&made), by(&other));
    for caller in [&short, &long] {
        assert_eq!(caller.get("/v1/books").await.expect(200).ids(), ["open"]);
    }
    // Its consumer gets another role: the next read has it, though the credential was remembered.
    admin.patch("/v1/_consumers/acme", json!({"roles": ["admin"]})).await.expect(200);
    assert_eq!(long.get("/v1/books").await.expect(200).ids(), ["open", "shut"]);
    admin.patch("/v1/_consumers/acme", json!({"disabled": true})).await.expect(200);
    long.get("/v1/books").await.expect_problem(401, "unauthenticated");
    admin.patch("/v1/_consumers/acme", json!({"disabled": false})).await.expect(200);
    long.get("/v1/books/shut").await.expect(200);
    short.get("/v1/books/shut").await.expect(200);
    clock.0.fetch_add(200_000_000, Ordering::SeqCst);
    short.get("/v1/books/shut").await.expect_problem(401, "unauthenticated");
    long.get("/v1/books/shut").await.expect(200);
    admin.delete(&format!("/v1/_consumers/acme/keys/{}", other["id"].as_str().unwrap())).await.expect(204);
    long.get("/v1/books/shut").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_catalogue_is_there_for_plain_curl() {
    let model = std::fs::read_to_string(root().join("model.yaml")).unwrap();
    let system = System::start(&model).await;
    system.admin().post("/v1/authors", json!({"id": "a", "name": "A"})).await.expect(201);
    assert_eq!(system.anonymous().get("/v1/authors").await.expect(200).ids(), ["a"]);
    system.anonymous().get("/v1/books?limit=3&include=author").await.expect(200);
    system.anonymous().get("/v1/orders").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}
