//! Black-box tests of a deployed system, run by `tests/deployed.sh`: ignored elsewhere, since they need one. They know nothing of
//! the system but its address, the demo model and a key that its tokens are signed with.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::future::join_all;
use holdfast_tests::System;
use holdfast_tests::upload::{announced, headers};
use reqwest::{Method, Response};
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn health_needs_nobody() {
    let anonymous = System::deployed().anonymous();
    anonymous.get("/v1/_health").await.expect(200);
    anonymous.get("/v1/_health/ready").await.expect(200);
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn callers_are_known_or_refused() {
    let system = System::deployed();
    // Without credentials there is what the model opens; API Gateway refuses the rest by itself.
    let open = system.anonymous().get("/v1/publishers").await.expect(200);
    assert!(open.header("ratelimit-policy").starts_with("\"address\""), "{:?}", open.headers);
    system.anonymous().call(Method::HEAD, "/v1/publishers").send().await.expect(200);
    system.anonymous().get("/v1/orders").await.expect_problem(401, "unauthenticated");
    for path in ["/v1/_me", "/v1/_consumers"] {
        system.anonymous().get(path).await.expect(401);
    }
    system.anonymous().post("/v1/publishers", json!({ "id": "nobody", "name": "Nobody" })).await.expect(401);
    let bad = system.anonymous().with_authorization("Bearer nonsense").get("/v1/publishers").await;
    let bad = bad.expect_problem(401, "unauthenticated");
    assert!(bad.header("www-authenticate").starts_with("Bearer "), "{:?}", bad.headers);
    let me = system.actor("deployed-me", &["admin"]).get("/v1/_me").await.expect(200);
    assert_eq!(me.body["consumer"], "local:deployed-me");
    let nowhere = system.actor("deployed-nowhere", &["admin"]).get("/v1/nowhere").await;
    nowhere.expect_problem(404, "not_found");
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn records_live_their_life() {
    let admin = System::deployed().actor("deployed-crud", &["admin"]);
    let body = json!({ "id": "deployed", "name": "Deployed Press", "founded": 1999 });
    let created = admin.post("/v1/publishers", body.clone()).await.expect(201);
    let tag = created.header("etag").to_owned();
    assert!(created.header("location").ends_with("/v1/publishers/deployed"), "{:?}", created.headers);
    admin.post("/v1/publishers", body).await.expect_problem(409, "conflict");
    let fresh = admin.call(reqwest::Method::GET, "/v1/publishers/deployed").header("if-none-match", &tag).send().await;
    fresh.expect(304);
    let changed = admin.patch("/v1/publishers/deployed", json!({ "founded": 2001 })).await.expect(200);
    assert_eq!(changed.body["founded"], 2001);
    let listed = admin.get("/v1/publishers?limit=100").await.expect(200);
    assert!(listed.ids().contains(&json!("deployed")), "{}", listed.body);
    let stale = admin.call(reqwest::Method::DELETE, "/v1/publishers/deployed").header("if-match", &tag).send().await;
    stale.expect_problem(412, "precondition_failed");
    admin.delete("/v1/publishers/deployed").await.expect(204);
    admin.get("/v1/publishers/deployed").await.expect_problem(404, "not_found");
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn a_write_happens_once_per_key() {
    let admin = System::deployed().actor("deployed-once", &["admin"]);
    let send = || {
        let body = json!({ "id": "once", "name": "Once Press" });
        admin.call(reqwest::Method::POST, "/v1/publishers").header("idempotency-key", "deployed-once").json(body).send()
    };
    let (one, two) = tokio::join!(send(), send());
    assert_eq!((one.status, two.status), (201, 201), "{}\n{}", one.body, two.body);
    let replayed = [&one, &two].iter().filter(|reply| reply.header("idempotency-replayed") == "true").count();
    assert_eq!(replayed, 1);
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn limits_are_shown_on_every_answer() {
    let reply = System::deployed().actor("deployed-limits", &["admin"]).get("/v1/publishers").await.expect(200);
    assert!(!reply.header("ratelimit").is_empty() && !reply.header("ratelimit-policy").is_empty(), "{:?}", reply.headers);
}

/// As many at a time as make several instances, each of which keeps what it answers.
const AT_ONCE: usize = 12;

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn a_write_is_seen_at_once_whichever_instance_answers() {
    let admin = System::deployed().actor_with("deployed-everywhere", &["admin"], &[], Some("wholesale"));
    admin.post("/v1/publishers", json!({ "id": "everywhere", "name": "Everywhere 0" })).await.expect(201);
    let mut hits = 0;
    for round in 1..=10 {
        let name = format!("Everywhere {round}");
        admin.patch("/v1/publishers/everywhere", json!({ "name": name })).await.expect(200);
        for _ in 0..2 {
            let lists = join_all((0..AT_ONCE).map(|_| admin.get("/v1/publishers?limit=100"))).await;
            for list in lists {
                let list = list.expect(200);
                let found = list.body["data"].as_array().unwrap().iter().find(|record| record["id"] == "everywhere").unwrap();
                assert_eq!(found["name"], name, "round {round}: {}", list.header("cache-status"));
                hits += usize::from(list.header("cache-status") == "holdfast; hit");
            }
        }
    }
    assert!(hits > AT_ONCE, "of {} lists only {hits} came from the cache", 20 * AT_ONCE);
    let bypassed = admin.call(Method::GET, "/v1/publishers?limit=100").header("cache-control", "no-cache").send().await;
    assert_eq!(bypassed.expect(200).header("cache-status"), "holdfast; fwd=bypass");
    admin.delete("/v1/publishers/everywhere").await.expect(204);
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn documents_tell_everybody_what_is_open_to_them() {
    let system = System::deployed();
    let (anonymous, admin) = (system.anonymous(), system.actor("deployed-docs", &["admin"]));
    let open = anonymous.get("/v1/openapi.json").await.expect(200);
    let paths = |reply: &holdfast_tests::Reply| reply.body["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (few, all) = (paths(&open), paths(&admin.get("/v1/openapi.json").await.expect(200)));
    assert!(open.body["openapi"].as_str().unwrap().starts_with("3."), "{}", open.body["openapi"]);
    let books = "/v1/books".to_owned();
    assert!(few.contains(&books) && all.contains(&books) && all.len() > few.len(), "{few:?}\n{all:?}");
    assert!(few.iter().all(|path| !path.starts_with("/v1/_consumers")) && all.iter().any(|path| path == "/v1/_consumers"));
    let again = anonymous.call(Method::GET, "/v1/openapi.json").header("if-none-match", open.header("etag")).send().await;
    again.expect(304);
    let yaml = anonymous.get("/v1/openapi.yaml").await.expect(200);
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(String::from_utf8_lossy(&yaml.bytes).starts_with("---\nopenapi: \"3."), "{:?}", yaml.bytes.get(..40));
    let page = anonymous.get("/v1/docs").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html") && !page.header("content-security-policy").is_empty());
    anonymous.get("/v1/docs/llms.txt").await.expect(200);
    let stranger = anonymous.with_authorization("Bearer nonsense").get("/v1/openapi.json").await;
    stranger.expect_problem(401, "unauthenticated");
}

/// Uses a link as a client without any credentials does.
async fn linked(method: Method, url: &str, headers: &[(&str, &str)], content: &[u8]) -> Response {
    let client = holdfast_local::client::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut call = client.request(method, url).body(content.to_vec());
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    call.send().await.unwrap()
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn files_go_up_and_come_down_by_links() {
    let admin = System::deployed().actor("deployed-files", &["admin"]);
    admin.post("/v1/authors", json!({ "id": "filed", "name": "Filed" })).await.expect(201);
    let field = "/v1/authors/filed/portrait";
    let content = b"not really a picture";
    let begun = admin.post(&format!("{field}/upload"), announced("Grüße \"1\".png", "image/png", content)).await.expect(201);
    assert_eq!(begun.header("cache-control"), "no-store");
    let (url, all) = (begun.body["url"].as_str().unwrap(), headers(&begun.body));
    admin.post(&format!("{field}/complete"), json!({})).await.expect_problem(409, "conflict");
    let other: Vec<(&str, &str)> =
        all.iter().map(|(name, value)| (*name, if *name == "content-type" { "text/html" } else { *value })).collect();
    assert_eq!(linked(Method::PUT, url, &other, content).await.status(), 403, "another type");
    assert_eq!(linked(Method::GET, url, &[], b"").await.status(), 403, "another method");
    let sent = linked(Method::PUT, url, &all, content).await;
    assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    let done = admin.post(&format!("{field}/complete"), json!({})).await.expect(200);
    assert_eq!(done.body["portrait"]["size"], content.len());
    let link = admin.get(&format!("{field}/download?disposition=inline")).await.expect(302);
    let location = link.header("location");
    let found = linked(Method::GET, location, &[], b"").await;
    assert_eq!(found.status(), 200);
    let disposition = found.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(disposition, "inline; filename=\"Gr__e '1'.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.png");
    assert_eq!(found.headers()["content-type"], "image/png");
    assert_eq!(found.bytes().await.unwrap().as_ref(), content);
    let part = linked(Method::GET, location, &[("range", "bytes=4-9")], b"").await;
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap().as_ref()), (206, &content[4..10]));
    let longer = location.replace("X-Amz-Expires=300", "X-Amz-Expires=3600");
    assert_ne!(longer, location);
    assert_eq!(linked(Method::GET, &longer, &[], b"").await.status(), 403, "an altered window");
    admin.patch("/v1/authors/filed", json!({ "portrait": null })).await.expect(200);
    admin.get(&format!("{field}/download")).await.expect_problem(404, "not_found");
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn shares_need_no_credentials_and_end() {
    let system = System::deployed();
    let admin = system.actor("deployed-shares", &["admin"]);
    admin.post("/v1/authors", json!({ "id": "shared", "name": "Shared" })).await.expect(201);
    admin.post("/v1/shelves", json!({ "id": "shared", "name": "Shared" })).await.expect(201);
    let book = json!({ "id": "shared", "title": "Shared", "author_id": "shared", "shelf_id": "shared", "price": "1.00" });
    admin.post("/v1/books", book).await.expect(201);
    let (field, content) = ("/v1/books/shared/sample", b"%PDF-1.7 hardly");
    let begun = admin.post(&format!("{field}/upload"), announced("a.pdf", "application/pdf", content)).await.expect(201).body;
    let sent = linked(Method::PUT, begun["url"].as_str().unwrap(), &headers(&begun), content).await;
    assert_eq!(sent.status(), 200);
    admin.post(&format!("{field}/complete"), Value::Null).await.expect(200);
    let share = admin.post(&format!("{field}/shares"), json!({ "max_downloads": 1 })).await.expect(201).body;
    let address = share["url"].as_str().unwrap();
    let path = &address[address.find("/v1/_shares/").unwrap()..];
    let link = system.anonymous().get(path).await.expect(302);
    assert_eq!(linked(Method::GET, link.header("location"), &[], b"").await.bytes().await.unwrap().as_ref(), content);
    system.anonymous().get(path).await.expect_problem(410, "gone");
}

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn the_first_key_of_the_deployment_makes_the_others() {
    let key = std::env::var("HOLDFAST_TEST_KEY").unwrap();
    let operator = System::deployed().anonymous().with_authorization(format!("Bearer {key}"));
    let me = operator.get("/v1/_me").await.expect(200);
    assert_eq!(me.body["consumer"], "deployment");
    operator.call(reqwest::Method::PUT, "/v1/_consumers/shop").json(json!({ "roles": ["customer"] })).send().await;
    let made = operator.post("/v1/_consumers/shop/keys", json!({ "expires_in": 3600 })).await.expect(201);
    let shop = operator.with_authorization(format!("Bearer {}", made.body["key"].as_str().unwrap()));
    shop.get("/v1/_me").await.expect(200);
    let id = made.body["id"].as_str().unwrap();
    operator.delete(&format!("/v1/_consumers/shop/keys/{id}")).await.expect(204);
    shop.get("/v1/_me").await.expect_problem(401, "unauthenticated");
}
