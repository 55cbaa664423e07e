//! Uploads: what is announced is what arrives, or nothing.

use holdfast_tests::upload::{announced, headers, sha256};
use reqwest::Method;
use serde_json::{Value, json};

use super::{World, assert_secret};

const CONTENT: &[u8] = b"not really a picture";

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_up_is_shown_and_comes_down() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let link = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201);
    assert_secret(&link);
    let mut members: Vec<&String> = link.body.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["expires_at", "headers", "method", "url"]);
    assert_eq!(link.body["method"], "PUT");
    let sent = &link.body["headers"];
    assert_eq!((&sent["content-type"], &sent["content-length"]), (&json!("image/png"), &json!("20")));
    assert!(sent["x-amz-checksum-sha256"].is_string(), "{sent}");
    let signed = link.body["url"].as_str().unwrap();
    for bound in ["content-length", "content-type", "host", "if-none-match", "x-amz-checksum-sha256", "x-amz-tagging"] {
        let named = signed.split("X-Amz-SignedHeaders=").nth(1).unwrap().split('&').next().unwrap();
        assert!(named.split("%3B").any(|name| name == bound), "{bound} in {named}");
    }
    // The record shows nothing before it is complete.
    assert_eq!(admin.get("/v1/books/b").await.expect(200).body["cover"], Value::Null);
    admin.get("/v1/books/b/cover/download").await.expect_problem(404, "not_found");
    admin.post("/v1/books/b/cover/complete", json!({})).await.expect_problem(409, "conflict");
    world.send(&link.body, CONTENT).await.expect(200);
    let done = admin.post("/v1/books/b/cover/complete", json!({})).await.expect(200);
    let cover = done.body["cover"].as_object().unwrap();
    assert_eq!(cover.keys().collect::<Vec<_>>(), ["filename", "content_type", "size", "sha256", "uploaded_at"]);
    assert_eq!((&cover["filename"], &cover["size"], &cover["sha256"]), (&json!("a.png"), &json!(20), &json!(sha256(CONTENT))));
    assert!(!done.header("etag").is_empty());
    for answer in [admin.get("/v1/books/b").await, admin.get("/v1/books").await] {
        let text = String::from_utf8(answer.bytes).unwrap();
        assert!(!text.contains("f/") && !text.contains("cover#") && !text.contains("http"), "{text}");
    }
    // To complete it twice is to complete it once.
    let again = admin.call(Method::POST, "/v1/books/b/cover/complete").send().await.expect(200);
    assert_eq!((again.body, again.headers["etag"].clone()), (done.body, done.headers["etag"].clone()));
    assert_eq!(world.download(&admin, "/v1/books/b/cover").await.expect(200).bytes, CONTENT);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_admits_exactly_what_was_announced() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let link = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    let url = link["url"].as_str().unwrap();
    // Without the length: whoever sends the content says its length.
    let all: Vec<(&str, &str)> = headers(&link).into_iter().filter(|(name, _)| *name != "content-length").collect();
    let without = |left: &str| all.iter().copied().filter(|(name, _)| *name != left).collect::<Vec<_>>();
    let with = |name: &'static str, value: &'static str| [without(name), vec![(name, value)]].concat();
    let longer = [CONTENT, b"!"].concat();
    let swapped = CONTENT.iter().rev().copied().collect::<Vec<_>>();
    let cases: [(&str, Vec<(&str, &str)>, &[u8], u16); 7] = [
        ("other content of the same size", all.clone(), &swapped, 400),
        ("more content", all.clone(), &longer, 403),
        ("less content", all.clone(), &CONTENT[1..], 403),
        ("another type", with("content-type", "text/html"), CONTENT, 403),
        ("no type", without("content-type"), CONTENT, 403),
        ("another checksum", with("x-amz-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="), CONTENT, 403),
        ("no checksum", without("x-amz-checksum-sha256"), CONTENT, 403),
    ];
    for (what, headers, content, status) in cases {
        let answer = world.call(Method::PUT, url, &headers, content).await;
        assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.bytes));
        admin.post("/v1/books/b/cover/complete", json!({})).await.expect_problem(409, "conflict");
    }
    for method in [Method::GET, Method::DELETE, Method::POST] {
        let answer = world.call(method.clone(), url, &all, &[]).await;
        assert!(matches!(answer.status, 400 | 403), "{method}: {}", answer.status);
    }
    // Once, and then never again, so that nothing changes behind a file that is complete.
    world.send(&link, CONTENT).await.expect(200);
    world.send(&link, CONTENT).await.expect(412);
    let second = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    world.pass(121);
    world.send(&second, CONTENT).await.expect(403);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_held_to_its_field_and_its_caller() {
    let world = World::start().await;
    world.book("hers", "ann").await;
    world.book("his", "bob").await;
    let upload = "/v1/books/hers/cover/upload";
    let good = announced("a.png", "image/png", CONTENT);
    let admin = world.admin();
    for (member, value) in [
        ("filename", json!("")),
        ("filename", json!("a".repeat(256))),
        ("content_type", json!("application/pdf")),
        ("content_type", json!("image")),
        ("size", json!(-1)),
        ("size", json!((1 << 20) + 1)),
        ("sha256", json!("abc")),
        ("unknown", json!(1)),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refused = admin.post(upload, body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.body["errors"][0]["pointer"], format!("/{member}"));
    }
    admin.post("/v1/books/nobody/cover/upload", good.clone()).await.expect_problem(404, "not_found");
    admin.post("/v1/books/hers/title/upload", good.clone()).await.expect_problem(404, "not_found");
    let writer = world.system.actor("ann", &["writer"]);
    writer.post(upload, good.clone()).await.expect(201);
    writer.post("/v1/books/his/cover/upload", good.clone()).await.expect_problem(403, "forbidden");
    writer.post("/v1/books/hers/notes/upload", good.clone()).await.expect_problem(403, "forbidden");
    let reader = world.system.actor("ann", &["reader"]);
    reader.post(upload, good.clone()).await.expect_problem(403, "forbidden");
    reader.post("/v1/books/hers/cover/complete", json!({})).await.expect_problem(403, "forbidden");
    // One caller's upload is not another's to complete.
    let link = writer.post(upload, good).await.expect(201).body;
    world.send(&link, CONTENT).await.expect(200);
    admin.post("/v1/books/hers/cover/complete", json!({})).await.expect_problem(409, "conflict");
    let done = writer.post("/v1/books/hers/cover/complete", json!({})).await.expect(200);
    assert_eq!(done.body["cover"]["filename"], "a.png");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_takes_no_file_but_by_upload() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let record = admin.get("/v1/books/b").await.expect(200).body;
    let mut forged = record["cover"].clone();
    forged["filename"] = json!("b.png");
    admin.patch("/v1/books/b", json!({ "cover": forged })).await.expect_problem(422, "validation_failed");
    admin.post("/v1/books", json!({ "id": "c", "cover": record["cover"] })).await.expect_problem(422, "validation_failed");
    admin.patch("/v1/books/b", json!({ "cover#": "f/x" })).await.expect_problem(422, "validation_failed");
    // What was read can be sent back, and other changes leave the file alone.
    admin.put("/v1/books/b", record.clone()).await.expect(200);
    admin.patch("/v1/books/b", json!({ "title": "other" })).await.expect(200);
    assert_eq!(world.download(&admin, "/v1/books/b/cover").await.expect(200).bytes, CONTENT);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_keeps_conditions_and_says_what_is_in_its_way() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let link = admin.post("/v1/books/b/cover/upload", announced("a.png", "image/png", CONTENT)).await.expect(201).body;
    world.send(&link, CONTENT).await.expect(200);
    let stale = admin.call(Method::POST, "/v1/books/b/cover/complete").header("if-match", "\"old.x\"").send().await;
    stale.expect_problem(412, "precondition_failed");
    let tag = admin.get("/v1/books/b").await.expect(200).header("etag").to_owned();
    admin.call(Method::POST, "/v1/books/b/cover/complete").header("if-match", &tag).send().await.expect(200);
    // Replaced by another upload, the first cannot be completed again.
    let second = world.system.actor("second", &["admin"]);
    world.put_up(&second, "/v1/books/b/cover", "b.png", "image/png", b"other").await;
    admin.post("/v1/books/b/cover/complete", json!({})).await.expect_problem(409, "conflict");
    assert_eq!(world.download(&admin, "/v1/books/b/cover").await.expect(200).bytes, b"other");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_and_one_of_many_parts_arrive_whole() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let large: Vec<u8> = (0..3_000_000u32).map(|at| at.to_le_bytes()[at as usize % 4]).collect();
    for content in [&b""[..], &large] {
        let done = world.put_up(&admin, "/v1/books/b/notes", "notes", "application/octet-stream", content).await;
        assert_eq!(done["notes"]["size"], content.len());
        assert_eq!(world.download(&admin, "/v1/books/b/notes").await.expect(200).bytes, content);
    }
    world.system.stop().await;
}
