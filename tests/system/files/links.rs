//! Links for downloads: to one object, for one window, with one name; given to whom may read that field of that row.

use holdfast_tests::Actor;
use percent_encoding::percent_decode_str;
use reqwest::Method;
use serde_json::{Value, json};

use super::{World, altered, assert_secret};

const CONTENT: &[u8] = b"not really a picture";

async fn link(actor: &Actor, path: &str) -> Value {
    let reply = actor.call(Method::GET, path).header("accept", "application/json").send().await.expect(200);
    assert_secret(&reply);
    reply.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_a_redirect_or_a_document() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let redirect = admin.get("/v1/books/b/cover/download").await.expect(302);
    assert_secret(&redirect);
    assert!(redirect.bytes.is_empty());
    let found = world.fetch(redirect.header("location")).await.expect(200);
    assert_eq!(
        (found.header("content-type"), found.header("content-disposition")),
        ("image/png", "attachment; filename=\"a.png\"")
    );
    assert_eq!(found.header("x-content-type-options"), "nosniff");
    assert_eq!(found.bytes, CONTENT);
    let document = link(&admin, "/v1/books/b/cover/download").await;
    assert_eq!(
        document.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["url", "expires_at", "filename", "content_type", "size"]
    );
    assert_eq!((&document["filename"], &document["size"]), (&json!("a.png"), &json!(CONTENT.len())));
    assert_eq!(world.fetch(document["url"].as_str().unwrap()).await.expect(200).bytes, CONTENT);
    for text in [document["url"].as_str().unwrap(), redirect.header("location")] {
        assert!(!text.contains(admin.token().unwrap()), "nothing of the caller's credentials");
    }
    admin.call(Method::HEAD, "/v1/books/b/cover/download").send().await.expect(302);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_when_it_says_and_only_sooner_by_wish() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let seconds = |link: &Value| {
        let url = link["url"].as_str().unwrap();
        url.split("X-Amz-Expires=").nth(1).unwrap().split('&').next().unwrap().parse::<u64>().unwrap()
    };
    let path = "/v1/books/b/cover/download";
    for (query, window) in [("", 120), ("?expires_in=30", 30), ("?expires_in=121", 120), ("?expires_in=9007199254740991", 120)] {
        assert_eq!(seconds(&link(&admin, &format!("{path}{query}")).await), window, "{query}");
    }
    let seconds = ["0", "-1", "1.5", "x", "", "9007199254740992", "99999999999999999999999"];
    for query in seconds.map(|text| format!("expires_in={text}")).into_iter().chain(["disposition=show".into(), "x=1".into()]) {
        admin.get(&format!("{path}?{query}")).await.expect_problem(400, "invalid_parameter");
    }
    let short = link(&admin, &format!("{path}?expires_in=30")).await["url"].as_str().unwrap().to_owned();
    let long = link(&admin, path).await["url"].as_str().unwrap().to_owned();
    world.pass(31);
    world.fetch(&short).await.expect(403);
    world.fetch(&long).await.expect(200);
    world.pass(90);
    world.fetch(&long).await.expect(403);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_link_opens_nothing() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    world.covered("c", "ann", b"another picture").await;
    let one = link(&admin, "/v1/books/b/cover/download").await["url"].as_str().unwrap().to_owned();
    let other = link(&admin, "/v1/books/c/cover/download").await["url"].as_str().unwrap().to_owned();
    let (path, _) = other.split_once('?').unwrap();
    let (_, query) = one.split_once('?').unwrap();
    let cases = [
        ("another object", format!("{path}?{query}")),
        ("a longer window", altered(&one, "X-Amz-Expires", "3600")),
        ("another beginning", altered(&one, "X-Amz-Date", "20260101T000000Z")),
        ("another disposition", altered(&one, "response-content-disposition", "inline")),
        ("another type", altered(&one, "response-content-type", "text%2Fhtml")),
        ("another signature", altered(&one, "X-Amz-Signature", &"0".repeat(64))),
        ("a parameter more", format!("{one}&response-expires=x")),
        ("no signature", one.split('?').next().unwrap().to_owned()),
        ("the bucket", one.split("/f/").next().unwrap().to_owned()),
    ];
    for (what, url) in cases {
        let answer = world.fetch(&url).await;
        assert!(matches!(answer.status, 400 | 403), "{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes));
    }
    for method in [Method::PUT, Method::DELETE, Method::HEAD, Method::POST] {
        let answer = world.call(method.clone(), &one, &[], b"x").await;
        assert!(matches!(answer.status, 400 | 403), "{method}: {}", answer.status);
    }
    assert_eq!(world.fetch(&one).await.expect(200).bytes, CONTENT);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_for_who_may_read_that_field_of_that_row() {
    let world = World::start().await;
    world.covered("hers", "ann", CONTENT).await;
    world.covered("his", "bob", CONTENT).await;
    let (hers, his) = ("/v1/books/hers/cover/download", "/v1/books/his/cover/download");
    let reader = world.system.actor("ann", &["reader"]);
    reader.get(hers).await.expect(302);
    reader.get(his).await.expect_problem(404, "not_found");
    reader.get("/v1/books/nothing/cover/download").await.expect_problem(404, "not_found");
    // The row, but not the field: for this caller there is no such field.
    world.system.actor("ann", &["titles"]).get(hers).await.expect_problem(404, "not_found");
    // The field, but not its content.
    world.system.actor("ann", &["looker"]).get(hers).await.expect_problem(403, "forbidden");
    world.system.anonymous().get(hers).await.expect_problem(401, "unauthenticated");
    world.admin().get("/v1/books/hers/notes/download").await.expect_problem(404, "not_found");
    // The right is that of the moment.
    world.admin().patch("/v1/books/hers", json!({ "owner": "local:bob" })).await.expect(200);
    reader.get(hers).await.expect_problem(404, "not_found");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_is_in_the_audit_trail_and_nothing_else_is() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let reader = world.system.actor("ann", &["reader"]);
    let given =
        reader.call(Method::GET, "/v1/books/b/cover/download").header("x-correlation-id", "given").send().await.expect(302);
    world.system.actor("eve", &["reader"]).get("/v1/books/b/cover/download").await.expect_problem(404, "not_found");
    admin.get("/v1/books/b/notes/download").await.expect_problem(404, "not_found");
    let dear = world.system.actor_with("rich", &["admin"], &[], Some("dear"));
    for _ in 0..3 {
        dear.get("/v1/books/b/cover/download").await.expect(302);
    }
    dear.get("/v1/books/b/cover/download").await.expect_problem(429, "quota_exceeded");
    let trail = admin.get("/v1/_audit?limit=100").await.expect(200).body["data"].as_array().unwrap().clone();
    let links: Vec<&Value> = trail.iter().filter(|entry| entry["action"].as_str().unwrap().ends_with(".download")).collect();
    assert_eq!(links.len(), 4, "{links:#?}");
    let first = links.last().unwrap();
    assert_eq!(
        (&first["action"], &first["id"], &first["subject"]),
        (&json!("book.cover.download"), &json!("b"), &json!("local:ann"))
    );
    assert_eq!(first["correlation_id"], "given");
    assert!(first["detail"]["expires_at"].is_string());
    let signature = given.header("location").split("X-Amz-Signature=").nth(1).unwrap()[..64].to_owned();
    assert!(!serde_json::to_string(&trail).unwrap().contains(&signature), "no link stands in the trail");
    for action in ["book.cover.upload", "book.cover.complete"] {
        assert!(trail.iter().any(|entry| entry["action"] == action), "{action}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_operations_cost_what_the_plan_says() {
    let world = World::start().await;
    world.covered("b", "ann", CONTENT).await;
    let dear = world.system.actor_with("dear", &["admin"], &[], Some("dear"));
    let left = |reply: &holdfast_tests::Reply| reply.header("x-ratelimit-remaining").parse::<u64>().unwrap();
    let body = holdfast_tests::upload::announced("a.png", "image/png", CONTENT);
    assert_eq!(left(&dear.post("/v1/books/b/cover/upload", body.clone()).await.expect(201)), 60);
    assert_eq!(left(&dear.get("/v1/books/b/cover/download").await.expect(302)), 30);
    dear.post("/v1/books/b/cover/upload", body).await.expect_problem(429, "quota_exceeded");
    assert_eq!(left(&dear.get("/v1/books/b/cover/download").await.expect(302)), 0);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conditions_work_on_a_link() {
    let world = World::start().await;
    let admin = world.admin();
    world.covered("b", "ann", CONTENT).await;
    let url = link(&admin, "/v1/books/b/cover/download").await["url"].as_str().unwrap().to_owned();
    let get = async |headers: &[(&str, &str)]| world.call(Method::GET, &url, headers, &[]).await;
    let whole = get(&[]).await.expect(200);
    let tag = whole.header("etag").to_owned();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let part = get(&[("range", "bytes=4-9")]).await.expect(206);
    assert_eq!((part.bytes.as_slice(), part.header("content-range")), (&CONTENT[4..10], "bytes 4-9/20"));
    assert_eq!(get(&[("range", "bytes=-3")]).await.expect(206).bytes, &CONTENT[17..]);
    get(&[("range", "bytes=99-")]).await.expect(416);
    let fresh = get(&[("if-none-match", &tag)]).await.expect(304);
    assert!(fresh.bytes.is_empty());
    get(&[("if-none-match", "\"other\"")]).await.expect(200);
    get(&[("if-match", "\"other\"")]).await.expect(412);
    get(&[("if-match", &tag)]).await.expect(200);
    assert_eq!(get(&[("range", "bytes=4-9"), ("if-range", &tag)]).await.expect(206).bytes, &CONTENT[4..10]);
    assert_eq!(get(&[("range", "bytes=4-9"), ("if-range", "\"other\"")]).await.expect(200).bytes, CONTENT);
    let modified = whole.header("last-modified").to_owned();
    get(&[("if-modified-since", &modified)]).await.expect(304);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_only_what_the_model_lets_it() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    for (kind, query, expected) in [
        ("image/png", "", "attachment; filename=\"x\""),
        ("image/png", "?disposition=attachment", "attachment; filename=\"x\""),
        ("image/png", "?disposition=inline", "inline; filename=\"x\""),
        ("image/svg+xml", "?disposition=inline", "attachment; filename=\"x\""),
    ] {
        world.put_up(&admin, "/v1/books/b/cover", "x", kind, CONTENT).await;
        let link = admin.get(&format!("/v1/books/b/cover/download{query}")).await.expect(302);
        let found = world.fetch(link.header("location")).await.expect(200);
        assert_eq!((found.header("content-disposition"), found.header("content-type")), (expected, kind), "{kind} {query}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_name_comes_down_safe_and_whole() {
    let world = World::start().await;
    let admin = world.admin();
    world.book("b", "ann").await;
    let names = [
        "say \"hi\"; filename=evil.exe".to_owned(),
        "two\r\nSet-Cookie: lines=1".to_owned(),
        "photo\u{202E}gpj.exe".to_owned(),
        "../../etc/passwd".to_owned(),
        "Grüße aus 日本 😀 100%25.png".to_owned(),
        "\u{1F600}".repeat(255),
        "a".repeat(255),
    ];
    for name in names {
        let done = world.put_up(&admin, "/v1/books/b/cover", &name, "image/png", CONTENT).await;
        assert_eq!(done["cover"]["filename"], name.as_str());
        let found = world.download(&admin, "/v1/books/b/cover").await.expect(200);
        let header = found.header("content-disposition");
        assert!(header.starts_with("attachment; filename=\""), "{header}");
        assert!(found.headers.get("set-cookie").is_none());
        let said = match header.split_once("filename*=UTF-8''") {
            Some((_, extended)) => percent_decode_str(extended).decode_utf8().unwrap().into_owned(),
            None => header["attachment; filename=\"".len()..].trim_end_matches('"').to_owned(),
        };
        let harmless: String =
            name.chars().map(|symbol| if matches!(symbol, '\r' | '\n' | '/' | '\u{202E}') { '_' } else { symbol }).collect();
        assert_eq!(said, harmless);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_accepted_origins_may_use_links() {
    let world = World::start().await;
    world.covered("b", "ann", CONTENT).await;
    let url = link(&world.admin(), "/v1/books/b/cover/download").await["url"].as_str().unwrap().to_owned();
    let ours = [("origin", "https://shop.example.com"), ("access-control-request-method", "GET")];
    let preflight = world.call(Method::OPTIONS, &url, &ours, &[]).await.expect(200);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://shop.example.com");
    let found = world.call(Method::GET, &url, &ours[..1], &[]).await.expect(200);
    assert_eq!(found.header("access-control-allow-origin"), "https://shop.example.com");
    let strange = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
    world.call(Method::OPTIONS, &url, &strange, &[]).await.expect(403);
    assert_eq!(world.call(Method::GET, &url, &strange[..1], &[]).await.expect(200).header("access-control-allow-origin"), "");
    world.system.stop().await;
}
