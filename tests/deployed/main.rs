//! Black-box tests of a deployed system, run by `tests/deployed.sh`: ignored elsewhere, since they need one. They know nothing of
//! the system but its address, the demo model and a key that its tokens are signed with.
#![allow(clippy::unwrap_used, reason = "tests")]

use holdfast_tests::System;
use serde_json::json;

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
    system.anonymous().get("/v1/publishers").await.expect(401);
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
