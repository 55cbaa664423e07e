//! Shares: an address for somebody without an account, as long as whoever made it may read the file.

use holdfast::store::table::TableName;
use holdfast_tests::{Actor, Reply};
use reqwest::Method;
use serde_json::{Value, json};

use super::{World, assert_secret};

const CONTENT: &[u8] = b"not really a picture";
const SHARES: &str = "/v1/books/b/cover/shares";

impl World {
    async fn share(&self, actor: &Actor, body: Value) -> Value {
        let made = actor.post(SHARES, body).await.expect(201);
        assert_secret(&made);
        assert_eq!(made.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "url", "expires_at"]);
        made.body
    }

    /// Uses a share without credentials.
    async fn used(&self, share: &Value) -> Reply {
        self.asked(Method::GET, share).await
    }

    async fn asked(&self, method: Method, share: &Value) -> Reply {
        let path = share["url"].as_str().unwrap().strip_prefix(self.system.url()).unwrap();
        self.system.anonymous().call(method, path).send().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_needs_nothing_but_its_address() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let share = world.share(&admin, json!({ "expires_in": 600 })).await;
    let link = world.used(&share).await.expect(302);
    assert_secret(&link);
    assert!(link.header("location").contains("X-Amz-Expires=60&"), "a link of one minute");
    assert_eq!(world.fetch(link.header("location")).await.expect(200).bytes, CONTENT);
    world.pass(61);
    world.fetch(link.header("location")).await.expect(403);
    world.used(&share).await.expect(302);
    let secret = share["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let altered = format!("/v1/_shares/{}x", &secret[..secret.len() - 1]);
    world.system.anonymous().get(&altered).await.expect_problem(404, "not_found");
    let listed = admin.get(SHARES).await.expect(200);
    assert_eq!((&listed.body["data"][0]["id"], &listed.body["data"][0]["downloads"]), (&share["id"], &json!(2)));
    let trail = admin.get("/v1/_audit?limit=100").await.expect(200);
    let text = String::from_utf8(trail.bytes).unwrap() + &String::from_utf8(listed.bytes).unwrap();
    assert!(!text.contains(&secret), "the secret is shown once");
    assert_eq!(text.matches("book.cover.share.download").count(), 2);
    let (items, more) = world.app().table.scan(TableName::Data, None, (0, 1)).await.unwrap();
    assert!(items.len() > 10 && more.is_none());
    assert!(!format!("{items:?}").contains(&secret), "and kept nowhere");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_ends_with_its_window_or_its_count() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let short = world.share(&admin, json!({ "expires_in": 60 })).await;
    let long = world.share(&admin, json!({ "expires_in": 99_999_999 })).await;
    let twice = world.share(&admin, json!({ "max_downloads": 2 })).await;
    for _ in 0..2 {
        world.used(&twice).await.expect(302);
    }
    world.used(&twice).await.expect_problem(410, "gone");
    world.pass(60);
    world.used(&short).await.expect_problem(410, "gone");
    world.used(&long).await.expect(302);
    world.pass(86_400);
    world.used(&long).await.expect_problem(410, "gone");
    for body in [
        json!({ "expires_in": 0 }),
        json!({ "expires_in": "1h" }),
        json!({ "max_downloads": 0 }),
        json!({ "max_downloads": 1.5 }),
        json!({ "for": "ever" }),
        json!([]),
    ] {
        world.admin().post(SHARES, body).await.expect_problem(422, "validation_failed");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_ask_for_the_head_of_a_share_is_no_use_of_it() {
    let world = World::start().await;
    world.covered("b", "ann", CONTENT).await;
    let once = world.share(&world.admin(), json!({ "max_downloads": 1 })).await;
    for _ in 0..2 {
        let head = world.asked(Method::HEAD, &once).await.expect(302);
        assert_secret(&head);
        assert_eq!(head.header("location"), "", "a link that is not counted would be a way around the count");
    }
    let link = world.used(&once).await.expect(302);
    assert_eq!(world.fetch(link.header("location")).await.expect(200).bytes, CONTENT);
    world.asked(Method::HEAD, &once).await.expect(410);
    let trail = world.admin().get("/v1/_audit?limit=100&action=book.cover.share.download").await.expect(200);
    assert_eq!(trail.body["data"].as_array().unwrap().len(), 1);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_never_used_more_often_than_it_may_be() {
    let world = World::start().await;
    world.covered("b", "ann", CONTENT).await;
    let share = world.share(&world.admin(), json!({ "max_downloads": 3 })).await;
    let outcomes = futures::future::join_all((0..10).map(|_| world.used(&share))).await;
    let mut statuses: Vec<u16> = outcomes.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [302, 302, 302, 410, 410, 410, 410, 410, 410, 410]);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_revoked_singly_per_file_and_per_consumer() {
    let world = World::start().await;
    let admin = world.admin();
    let (ann, eve) = (world.system.actor("ann", &["reader"]), world.system.actor("eve", &["looker"]));
    world.covered("b", "ann", CONTENT).await;
    let hers = [world.share(&ann, json!({})).await, world.share(&ann, json!({})).await];
    let admins = world.share(&admin, json!({})).await;
    assert_eq!(ann.get(SHARES).await.expect(200).ids(), [hers[0]["id"].clone(), hers[1]["id"].clone()]);
    assert_eq!(admin.get(SHARES).await.expect(200).ids().len(), 3);
    eve.get(SHARES).await.expect_problem(403, "forbidden");
    eve.post(SHARES, json!({})).await.expect_problem(403, "forbidden");
    let one = |share: &Value| format!("{SHARES}/{}", share["id"].as_str().unwrap());
    ann.delete(&one(&admins)).await.expect_problem(404, "not_found");
    ann.delete(&one(&hers[0])).await.expect(204);
    ann.delete(&one(&hers[0])).await.expect_problem(404, "not_found");
    world.used(&hers[0]).await.expect_problem(410, "gone");
    world.used(&hers[1]).await.expect(302);
    // By consumer: only those of ann.
    let of_ann = "/v1/_consumers/local:ann/shares";
    ann.get(of_ann).await.expect_problem(403, "forbidden");
    assert_eq!(admin.get(of_ann).await.expect(200).ids(), [hers[1]["id"].clone()]);
    admin.delete(of_ann).await.expect(204);
    world.used(&hers[1]).await.expect_problem(410, "gone");
    world.used(&admins).await.expect(302);
    // By file: all of them.
    let more = world.share(&ann, json!({})).await;
    admin.delete(SHARES).await.expect(204);
    world.used(&more).await.expect_problem(410, "gone");
    world.used(&admins).await.expect_problem(410, "gone");
    assert_eq!(admin.get(SHARES).await.expect(200).ids(), [] as [Value; 0]);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_lives_by_the_right_of_who_made_it() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let share = world.share(&world.system.actor("ann", &["reader"]), json!({})).await;
    world.used(&share).await.expect(302);
    // The row is not theirs any more.
    admin.patch("/v1/books/b", json!({ "owner": "local:bob" })).await.expect(200);
    world.used(&share).await.expect_problem(404, "not_found");
    admin.patch("/v1/books/b", json!({ "owner": "local:ann" })).await.expect(200);
    world.used(&share).await.expect(302);
    // The consumer's record takes the role, the consumer is disabled, deleted.
    let consumer = "/v1/_consumers/local:ann";
    admin.put(consumer, json!({ "roles": ["titles"] })).await.expect(201);
    world.used(&share).await.expect_problem(404, "not_found");
    admin.put(consumer, json!({ "roles": ["reader"] })).await.expect(200);
    world.used(&share).await.expect(302);
    admin.patch(consumer, json!({ "disabled": true })).await.expect(200);
    world.used(&share).await.expect_problem(404, "not_found");
    admin.patch(consumer, json!({ "disabled": false })).await.expect(200);
    world.used(&share).await.expect(302);
    admin.delete(consumer).await.expect(204);
    world.used(&share).await.expect_problem(404, "not_found");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_of_one_file() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let share = world.share(&admin, json!({})).await;
    world.put_up(&admin, "/v1/books/b/cover", "other.png", "image/png", b"other").await;
    world.used(&share).await.expect_problem(410, "gone");
    let second = world.share(&admin, json!({})).await;
    world.used(&second).await.expect(302);
    admin.patch("/v1/books/b", json!({ "cover": null })).await.expect(200);
    world.used(&second).await.expect_problem(410, "gone");
    admin.post(SHARES, json!({})).await.expect_problem(404, "not_found");
    // A field whose model says nothing of shares has none.
    world.put_up(&admin, "/v1/books/b/notes", "a", "text/plain", CONTENT).await;
    admin.post("/v1/books/b/notes/shares", json!({})).await.expect_problem(404, "not_found");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_charged_to_who_made_it() {
    let world = World::start().await;
    world.covered("b", "ann", CONTENT).await;
    let dear = world.system.actor_with("dear", &["admin"], &[], Some("dear"));
    let share = world.share(&dear, json!({ "max_downloads": 9 })).await;
    for _ in 0..2 {
        world.used(&share).await.expect(302);
    }
    let denied = world.used(&share).await.expect_problem(429, "quota_exceeded");
    assert!(!denied.header("retry-after").is_empty());
    assert_eq!(
        world.admin().get(SHARES).await.expect(200).body["data"][0]["downloads"],
        2,
        "a use that was denied is not counted"
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_uses_shares_and_neither_sees_nor_makes_nor_ends_them() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    admin.post("/v1/_consumers", json!({"id": "acme", "roles": ["filler"]})).await.expect(201);
    let mut actors = Vec::new();
    for publishable in [false, true] {
        let made = admin.post("/v1/_consumers/acme/keys", json!({ "publishable": publishable })).await.expect(201);
        actors.push(admin.with_authorization(format!("Bearer {}", made.body["key"].as_str().unwrap())));
    }
    let [secret, page] = &actors[..] else { panic!() };
    let share = world.share(secret, json!({})).await;
    let one = format!("{SHARES}/{}", share["id"].as_str().unwrap());
    page.get("/v1/books/b").await.expect(200);
    page.get(SHARES).await.expect_problem(403, "forbidden");
    page.post(SHARES, json!({})).await.expect_problem(403, "forbidden");
    page.delete(&one).await.expect_problem(403, "forbidden");
    page.delete(SHARES).await.expect_problem(403, "forbidden");
    let documents = page.get("/v1/openapi.json").await.expect(200);
    let paths: Vec<&String> = documents.body["paths"].as_object().unwrap().keys().collect();
    assert!(paths.iter().all(|path| !path.ends_with("/shares") && !path.contains("{share_id}")), "{paths:?}");
    assert!(paths.iter().any(|path| path.ends_with("/cover/upload")), "{paths:?}");
    let path = share["url"].as_str().unwrap().strip_prefix(world.system.url()).unwrap();
    page.get(path).await.expect(302);
    secret.delete(&one).await.expect(204);
    world.used(&share).await.expect_problem(410, "gone");
    world.system.stop().await;
}
