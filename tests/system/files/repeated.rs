//! Files by `Idempotency-Key`: each effect once, by links and addresses that are kept nowhere. And bodies, read as those of records.

use std::collections::BTreeSet;

use futures::future::join_all;
use holdfast_tests::upload::announced;
use holdfast_tests::{Actor, Reply};
use reqwest::Method;
use serde_json::{Value, json};

use super::{World, assert_secret};

const CONTENT: &[u8] = b"not really a picture";
const COVER: &str = "/v1/books/b/cover";
const SHARES: &str = "/v1/books/b/cover/shares";

async fn keyed(actor: &Actor, path: &str, key: &str, body: Value) -> Reply {
    actor.call(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

#[track_caller]
fn assert_replayed(reply: &Reply, replayed: bool) {
    assert_eq!(reply.header("idempotency-replayed"), if replayed { "true" } else { "" });
}

impl World {
    /// How often the trail tells of an action.
    async fn told(&self, action: &str) -> usize {
        let trail = self.admin().get(&format!("/v1/_audit?limit=100&action={action}")).await.expect(200);
        trail.body["data"].as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_begun_again_by_its_key_is_the_same_one() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    world.book("other", "ann").await;
    let (path, file) = (format!("{COVER}/upload"), announced("a.png", "image/png", CONTENT));
    let first = keyed(&admin, &path, "k", file.clone()).await.expect(201);
    assert_replayed(&first, false);
    world.pass(5);
    let again = keyed(&admin, &path, "k", file.clone()).await.expect(201);
    assert_replayed(&again, true);
    assert_secret(&again);
    assert_eq!(again.body, first.body, "for the same object, and no longer than the first");
    let other = announced("b.png", "image/png", CONTENT);
    keyed(&admin, &path, "k", other).await.expect_problem(422, "idempotency_key_reused");
    keyed(&admin, "/v1/books/other/cover/upload", "k", file).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(world.told("book.cover.upload").await, 1);
    world.send(&again.body, CONTENT).await.expect(200);
    admin.post(&format!("{COVER}/complete"), json!({})).await.expect(200);
    assert_eq!(world.download(&admin, COVER).await.expect(200).bytes, CONTENT);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_by_one_key_at_once_are_one() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let path = format!("{COVER}/upload");
    let all = join_all((0..4).map(|_| keyed(&admin, &path, "k", announced("a.png", "image/png", CONTENT)))).await;
    let urls: BTreeSet<String> = all.into_iter().map(|reply| reply.expect(201).body["url"].to_string()).collect();
    assert_eq!((urls.len(), world.told("book.cover.upload").await), (1, 1));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_is_told_again_by_its_key_even_when_the_file_has_changed() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let path = format!("{COVER}/complete");
    let link = admin.post(&format!("{COVER}/upload"), announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    keyed(&admin, &path, "k", json!({})).await.expect_problem(409, "conflict");
    world.send(&link, CONTENT).await.expect(200);
    let first = keyed(&admin, &path, "k", json!({})).await.expect(200);
    assert_replayed(&first, false);
    world.put_up(&admin, COVER, "other.png", "image/png", b"other").await;
    let again = keyed(&admin, &path, "k", json!({})).await.expect(200);
    assert_replayed(&again, true);
    assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
    assert_eq!(world.told("book.cover.complete").await, 2, "the first and that of the other file");
    keyed(&admin, SHARES, "k", json!({})).await.expect_problem(422, "idempotency_key_reused");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_made_again_by_its_key_is_the_first_without_its_address() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let wish = json!({ "expires_in": 600 });
    let all = join_all((0..4).map(|_| keyed(&admin, SHARES, "k", wish.clone()))).await;
    let all: Vec<Reply> = all.into_iter().map(|reply| reply.expect(201)).collect();
    let (made, repeated): (Vec<&Reply>, Vec<&Reply>) = all.iter().partition(|reply| reply.body.get("url").is_some());
    assert_eq!((made.len(), repeated.len()), (1, 3));
    assert_replayed(made[0], false);
    for reply in repeated {
        assert_replayed(reply, true);
        assert_eq!(reply.body, json!({ "id": made[0].body["id"], "expires_at": made[0].body["expires_at"] }));
    }
    assert_eq!(admin.get(SHARES).await.expect(200).ids(), [made[0].body["id"].clone()]);
    keyed(&admin, SHARES, "k", json!({ "expires_in": 601 })).await.expect_problem(422, "idempotency_key_reused");

    let one = format!("{SHARES}/{}", made[0].body["id"].as_str().unwrap());
    let end = || admin.call(Method::DELETE, &one).header("idempotency-key", "end").send();
    assert_replayed(&end().await.expect(204), false);
    assert_replayed(&end().await.expect(204), true);
    admin.delete(&one).await.expect_problem(404, "not_found");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_system_resources_and_files_are_read_as_those_of_records() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    admin.post("/v1/_consumers", json!({ "id": "acme" })).await.expect(201);
    let (upload, complete) = (format!("{COVER}/upload"), format!("{COVER}/complete"));
    for path in [
        "/v1/books",
        "/v1/_consumers",
        "/v1/_consumers/acme/keys",
        "/v1/_cache/purge",
        SHARES,
        upload.as_str(),
        complete.as_str(),
    ] {
        let send = |kind: Option<&'static str>, body: &'static str| {
            let call = admin.call(Method::POST, path).body(body);
            let call = match kind {
                Some(kind) => call.header("content-type", kind),
                None => call,
            };
            call.send()
        };
        send(Some("application/json"), r#"{"a":1,"a":2}"#).await.expect_problem(400, "malformed_request");
        send(Some("application/json"), "{").await.expect_problem(400, "malformed_request");
        for kind in [None, Some("text/plain"), Some("application/json; charset=iso-8859-1")] {
            send(kind, "{}").await.expect_problem(415, "unsupported_media_type");
        }
    }
    admin
        .call(Method::POST, "/v1/_consumers")
        .header("content-type", "Application/JSON; charset=\"UTF-8\"")
        .body("{}")
        .send()
        .await
        .expect(201);
    world.system.stop().await;
}
