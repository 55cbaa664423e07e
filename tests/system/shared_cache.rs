//! Answers that are public: what shared caches may keep of them, and that nobody is ever served what belongs to another.

use holdfast_tests::rng::Rng;
use holdfast_tests::shared_cache::{Request, SharedCache};
use holdfast_tests::{Actor, Reply, System};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "
name: Shop
version: 1.0.0
entities:
  author:
    id: string
    public: 30s
    fields: {name: {type: string, max: 50}, salary: integer}
  book:
    id: string
    public: 60s
    fields:
      title: {type: string, max: 50}
      cost: integer
      hidden: {type: boolean, default: false, filter: scan}
      author: {ref: author, inverse: books}
      shelf: {ref: shelf, inverse: books}
      owner: {type: string, max: 60, filter: scan}
    indexes: {by_title: {sort: title}}
  shelf: {plural: shelves, id: string, fields: {name: {type: string, max: 50}}}
roles:
  admin: {all: true, system: all}
  everybody:
    entities:
      book: {view: {rows: {hidden: false}, fields: {except: [cost]}}}
      author: {view: {fields: {except: [salary]}}}
      shelf: {view: true}
  clerk: {inherits: everybody, entities: {book: {view: true}, author: {view: true}}}
  owner: {entities: {book: {view: {rows: {owner: $subject}}}}}
plans: {wide: {rates: {burst: {rate: 100000, per: 1s, burst: 100000}}}}
auth: {default_plan: wide, anonymous_role: everybody}
cors: {origins: ['https://shop.example.com']}
limits: {per_address: 1000000}
";

async fn furnished() -> System {
    let system = System::start(MODEL).await;
    let admin = system.admin();
    for id in ["a", "b"] {
        admin.post("/v1/authors", json!({"id": id, "name": id, "salary": 7})).await.expect(201);
    }
    admin.post("/v1/shelves", json!({"id": "s", "name": "s"})).await.expect(201);
    for number in 0..12 {
        let author = if number % 2 == 0 { "a" } else { "b" };
        let book = json!({
            "id": format!("b{number}"), "title": format!("t{}", number % 5), "cost": number, "hidden": number % 3 == 0,
            "author_id": author, "shelf_id": "s", "owner": if number % 4 == 0 { "local:bob" } else { "x" },
        });
        admin.post("/v1/books", book).await.expect(201);
    }
    system
}

/// Headers that are true of one request or caller alone.
const OF_ONE: [&str; 7] = [
    "x-correlation-id",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "cache-status",
];

fn is_public(reply: &Reply) -> bool {
    reply.header("cache-control").contains("public")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_everybody_sees_is_public_and_has_nothing_of_one_caller() {
    let system = furnished().await;
    let nobody = system.anonymous();
    for (path, age) in [
        ("/v1/books", "60"),
        ("/v1/books/b1", "60"),
        ("/v1/books?sort=title&count=true", "60"),
        ("/v1/books?include=author", "30"),
        ("/v1/authors", "30"),
        ("/v1/authors/a?include=books", "30"),
        ("/v1/openapi.json", "30"),
        ("/v1/openapi.yaml", "30"),
        ("/v1/docs", "30"),
        ("/v1/docs/llms.txt", "30"),
    ] {
        let answer = nobody.call(Method::GET, path).header("x-correlation-id", "mine").send().await.expect(200);
        assert_eq!(answer.header("cache-control"), format!("public, max-age={age}, s-maxage={age}"), "{path}");
        assert_eq!(answer.header("vary"), "Authorization, Accept, Accept-Encoding, Origin", "{path}");
        let told: Vec<_> = OF_ONE.iter().filter(|name| answer.headers.contains_key(**name)).collect();
        assert!(told.is_empty(), "{path}: {told:?}");
        let etag = answer.header("etag").to_owned();
        let again = nobody.call(Method::GET, path).header("if-none-match", &etag).send().await.expect(304);
        assert!(is_public(&again) && again.header("etag") == etag, "{path}");
        let head = nobody.call(Method::HEAD, path).send().await.expect(200);
        assert!(is_public(&head), "{path}");
    }
    // What is not public, errors, and whatever came with credentials.
    for path in ["/v1/shelves", "/v1/books?include=shelf", "/v1/shelves/s?include=books"] {
        let answer = nobody.get(path).await.expect(200);
        assert_eq!(answer.header("cache-control"), "private, no-cache", "{path}");
        assert!(!answer.header("x-correlation-id").is_empty() && !answer.header("ratelimit").is_empty(), "{path}");
    }
    for path in ["/v1/books/b0", "/v1/books/none", "/v1/books?x=1", "/v1/nothing", "/v1/openapi.json?role=admin"] {
        let answer = nobody.get(path).await;
        assert!(answer.status >= 400 && answer.header("cache-control") == "private, no-cache", "{path}: {}", answer.status);
        assert!(!answer.header("x-correlation-id").is_empty(), "{path}");
    }
    for caller in [system.admin(), system.actor("bob", &["owner"]), nobody.with_authorization("Bearer junk")] {
        for path in ["/v1/books", "/v1/authors/a", "/v1/openapi.json"] {
            let answer = caller.get(path).await;
            assert!(!is_public(&answer) && !answer.header("x-correlation-id").is_empty(), "{path}");
        }
    }
    system.stop().await;
}

/// Somebody, by the `Authorization` header.
struct Somebody(&'static str, Option<String>);

async fn everybody(system: &System) -> Vec<Somebody> {
    let bearer = |actor: Actor| actor.token().map(|token| format!("Bearer {token}"));
    let admin = system.admin();
    admin.post("/v1/_consumers", json!({"id": "site", "roles": ["clerk"]})).await.expect(201);
    let key = async |body: Value| {
        let made = admin.post("/v1/_consumers/site/keys", body).await.expect(201).body;
        Some(format!("Bearer {}", made["key"].as_str().unwrap()))
    };
    vec![
        Somebody("nobody", None),
        Somebody("admin", bearer(system.admin())),
        Somebody("clerk", bearer(system.actor("carla", &["clerk"]))),
        Somebody("everybody's role", bearer(system.actor("eve", &["everybody"]))),
        Somebody("bob", bearer(system.actor("bob", &["owner"]))),
        Somebody("ann", bearer(system.actor("ann", &["owner"]))),
        Somebody("a key", key(json!({})).await),
        Somebody("a publishable key", key(json!({"publishable": true})).await),
        Somebody("junk", Some("Bearer junk".to_owned())),
        Somebody("an empty header", Some(String::new())),
    ]
}

const TARGETS: [&str; 12] = [
    "/v1/books?limit=100",
    "/v1/books?limit=100&sort=title",
    "/v1/books?limit=100&include=author",
    "/v1/books?limit=100&include=shelf",
    "/v1/books/b0",
    "/v1/books/b1",
    "/v1/books/b4?include=author",
    "/v1/authors?limit=100&include=books",
    "/v1/authors/a",
    "/v1/shelves",
    "/v1/openapi.json",
    "/v1/_me",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_cache_serves_nobody_a_byte_of_anothers() {
    let system = furnished().await;
    let callers = everybody(&system).await;
    let mut cache = SharedCache::new(system.anonymous());
    let mut rng = Rng::of(19);
    for round in 0..400 {
        // Half of the traffic has no credentials, as that of a shop.
        let Somebody(name, authorization) = &callers[if rng.below(2) == 0 { 0 } else { rng.below(callers.len()) }];
        let mut headers: Vec<(&'static str, String)> = Vec::new();
        headers.extend(authorization.iter().map(|value| ("authorization", value.clone())));
        if rng.below(3) == 0 {
            headers.push(("origin", ["https://shop.example.com", "https://other.example.com"][rng.below(2)].to_owned()));
        }
        if rng.below(4) == 0 {
            headers.push(("accept", ["application/json", "text/html", "*/*"][rng.below(3)].to_owned()));
        }
        headers.push(("x-correlation-id", format!("round-{round}")));
        let method = if rng.below(5) == 0 { Method::HEAD } else { Method::GET };
        let request = Request { method, target: TARGETS[rng.below(TARGETS.len())].to_owned(), headers };
        let (served, from_cache) = cache.ask(&request).await;
        let own = request.send(&system.anonymous()).await;
        let shown = |reply: &Reply| (reply.status, without_moment(reply), reply.header("etag").to_owned());
        assert_eq!(shown(&served), shown(&own), "{name}: {} {} from cache: {from_cache}", request.method, request.target);
        assert_eq!(served.header("access-control-allow-origin"), own.header("access-control-allow-origin"), "{name}");
        if from_cache {
            assert!(authorization.is_none(), "{name} was served from the cache: {}", request.target);
        }
    }
    assert!(cache.hits > 60, "{} hits: the traffic shows nothing", cache.hits);
    for kept in cache.kept() {
        assert!(OF_ONE.iter().all(|name| !kept.headers.contains_key(*name)), "{:?}", kept.headers);
        assert!(!kept.headers.values().any(|value| value.to_str().is_ok_and(|value| value.contains("round-"))));
    }
    system.stop().await;
}

/// The body, without what is true of a moment: limits in `_me`, the correlation id of a problem.
fn without_moment(reply: &Reply) -> Value {
    let mut body = reply.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.shift_remove("correlation_id");
        members.shift_remove("limits");
    }
    body
}
