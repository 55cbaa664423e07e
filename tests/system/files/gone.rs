//! What nothing refers to any more vanishes in the end, and nothing else does.

use holdfast_tests::upload::announced;
use serde_json::json;

use super::World;

const CONTENT: &[u8] = b"not really a picture";
const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn replaced_cleared_and_deleted_files_vanish() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", b"first").await;
    let url = async |path: &str| admin.get(&format!("{path}/cover/download")).await.expect(302).header("location").to_owned();
    assert_eq!(world.sweep().await.deleted, 0, "nothing is due while it is in use");
    let first = url("/v1/books/b").await;
    world.put_up(&admin, "/v1/books/b/cover", "b.png", "image/png", b"second").await;
    let second = url("/v1/books/b").await;
    assert_eq!(world.sweep().await.deleted, 1);
    world.fetch(&first).await.expect(404);
    assert_eq!(world.fetch(&second).await.expect(200).bytes, b"second");
    admin.patch("/v1/books/b", json!({ "cover": null })).await.expect(200);
    assert_eq!(world.sweep().await.deleted, 1);
    world.fetch(&second).await.expect(404);
    world.put_up(&admin, "/v1/books/b/cover", "c.png", "image/png", b"third").await;
    let third = url("/v1/books/b").await;
    admin.delete("/v1/books/b").await.expect(204);
    assert_eq!(world.sweep().await.deleted, 1);
    world.fetch(&third).await.expect(404);
    assert_eq!(world.sweep().await, holdfast::files::Swept::default(), "and that is all");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cascade_takes_the_files_of_all_it_takes() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    // More children than one transaction can hold.
    for number in 0..60 {
        admin.post("/v1/pages", json!({ "id": format!("p{number}"), "book_id": "b" })).await.expect(201);
    }
    for number in [0, 7, 59] {
        world.put_up(&admin, &format!("/v1/pages/p{number}/scan"), "s.png", "image/png", CONTENT).await;
    }
    admin.delete("/v1/books/b").await.expect(204);
    admin.get("/v1/pages/p59").await.expect_problem(404, "not_found");
    assert_eq!(world.sweep().await.deleted, 4);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_not_completed_vanishes() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let link = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    world.send(&link, CONTENT).await.expect(200);
    // Another upload of the same caller takes its place; the first object is not forgotten.
    world.put_up(&admin, "/v1/books/b/cover", "b.png", "image/png", b"second").await;
    world.pass(DAY - 60);
    assert_eq!(world.sweep().await.deleted, 0);
    world.pass(DAY);
    let swept = world.sweep().await;
    assert_eq!((swept.deleted, swept.ended, swept.failed), (1, 1, 0));
    assert_eq!(world.download(&world.admin(), "/v1/books/b/cover").await.expect(200).bytes, b"second");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_comes_too_late_is_not_completed() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let link = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    world.send(&link, CONTENT).await.expect(200);
    world.pass(2 * DAY);
    let swept = world.sweep().await;
    assert_eq!((swept.deleted, swept.ended), (1, 0));
    world.admin().post("/v1/books/b/cover/complete", json!({})).await.expect_problem(409, "conflict");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_forgotten_some_time_after_its_end() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let share = admin.post("/v1/books/b/cover/shares", json!({ "expires_in": 60 })).await.expect(201).body;
    let path = share["url"].as_str().unwrap().strip_prefix(world.system.url()).unwrap().to_owned();
    world.pass(2 * DAY);
    world.sweep().await;
    world.system.anonymous().get(&path).await.expect_problem(410, "gone");
    world.pass(7 * DAY);
    world.sweep().await;
    world.system.anonymous().get(&path).await.expect_problem(404, "not_found");
    assert_eq!(world.download(&world.admin(), "/v1/books/b/cover").await.expect(200).bytes, CONTENT);
    world.system.stop().await;
}
