//! Subjects have an issuer: two issuers, API keys and local tokens with one name are as many callers.

use holdfast::core::clock::Env;
use holdfast::identity::auth::local::LocalIssuer;
use holdfast_tests::{Actor, System};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A model that accepts two issuers, whose key sets are at `keys`.
fn model(keys: &str) -> String {
    let issuer = |name: &str| {
        format!(
            "{{issuer: \"https://{name}.example.com\", jwks_uri: \"{keys}/{name}\", audiences: [notes], algorithms: [EdDSA], default_roles: [owner]}}"
        )
    };
    format!(
        "
name: Notes
version: 1.0.0
entities:
  note:
    id: string
    fields:
      owner: {{type: string, max: 320}}
    indexes:
      by_owner: {{equality: owner}}
  entry:
    plural: entries
    fields:
      text: {{type: string, max: 50}}
roles:
  admin: {{all: true, system: all}}
  owner: {{entities: {{note: {{all: {{rows: {{owner: $subject}}}}}}, entry: {{view: true, create: true}}}}}}
plans:
  wide: {{rates: {{burst: {{rate: 10000, per: 1s, burst: 10000}}}}}}
auth:
  default_plan: wide
  issuers:
    first: {first}
    second: {second}
",
        first = issuer("first"),
        second = issuer("second")
    )
}

/// An issuer of its own key.
struct Issuer {
    name: &'static str,
    key: LocalIssuer,
}

impl Issuer {
    fn new(name: &'static str) -> Self {
        Self { name, key: LocalIssuer::in_memory(&Env::system()).unwrap() }
    }

    async fn key_set(&self) -> String {
        self.key.jwks(None).fetch("https://local.holdfast/.well-known/jwks.json", 4096).await.unwrap()
    }

    fn actor(&self, system: &System, sub: &str) -> Actor {
        let now = Env::system().now().seconds();
        let claims = json!({
            "iss": format!("https://{}.example.com", self.name), "aud": "notes", "sub": sub, "iat": now, "exp": now + 600,
        });
        let claims: Map<String, Value> = serde_json::from_value(claims).unwrap();
        system.anonymous().with_authorization(format!("Bearer {}", self.key.sign(&claims).unwrap()))
    }
}

/// Serves the key sets of issuers, each under its name; gives the address.
async fn serve(sets: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let line = String::from_utf8_lossy(&head[..read]).into_owned();
            let (_, set) = sets.iter().find(|(name, _)| line.starts_with(&format!("GET /{name} "))).unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{set}",
                set.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

async fn by_key(admin: &Actor, consumer: &str) -> Actor {
    admin.post("/v1/_consumers", json!({"id": consumer, "roles": ["owner"]})).await.expect(201);
    let made = admin.post(&format!("/v1/_consumers/{consumer}/keys"), json!({})).await.expect(201).body;
    admin.with_authorization(format!("Bearer {}", made["key"].as_str().unwrap()))
}

/// Everybody whose name is `me`, with their subject.
async fn everybody_called_me() -> (System, Vec<(&'static str, Actor)>) {
    let (first, second) = (Issuer::new("first"), Issuer::new("second"));
    let keys = serve(vec![("first", first.key_set().await), ("second", second.key_set().await)]).await;
    let system = System::start(&model(&keys)).await;
    let admin = system.admin();
    let callers = vec![
        ("first:me", first.actor(&system, "me")),
        ("second:me", second.actor(&system, "me")),
        ("first:second:me", first.actor(&system, "second:me")),
        ("second:key:me", second.actor(&system, "key:me")),
        ("local:me", system.actor("me", &["owner"])),
        ("key:me", by_key(&admin, "me").await),
        // The consumer of the first of them, which has an API key as well.
        ("key:first:me", by_key(&admin, "first:me").await),
    ];
    (system, callers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sees_its_own_rows_and_nobody_elses() {
    let (system, callers) = everybody_called_me().await;
    for (at, (subject, caller)) in callers.iter().enumerate() {
        assert_eq!(caller.get("/v1/_me").await.expect(200).body["subject"], *subject);
        caller.post("/v1/notes", json!({"id": format!("n{at}"), "owner": subject})).await.expect(201);
        caller.post("/v1/notes", json!({"id": "bare", "owner": "me"})).await.expect_problem(403, "forbidden");
    }
    // Twice: what one of them is shown must not be kept for another.
    for _ in 0..2 {
        for (at, (subject, caller)) in callers.iter().enumerate() {
            assert_eq!(caller.get("/v1/notes").await.expect(200).ids(), [json!(format!("n{at}"))], "{subject}");
            for (of, (other, _)) in callers.iter().enumerate().filter(|(of, _)| *of != at) {
                let path = format!("/v1/notes/n{of}");
                caller.get(&path).await.expect_problem(404, "not_found");
                caller.delete(&path).await.expect_problem(404, "not_found");
                let mine = json!({"id": format!("x{at}"), "owner": other});
                caller.post("/v1/notes", mine).await.expect_problem(403, "forbidden");
            }
        }
    }
    let entries = system.admin().get("/v1/_audit?entity=note&limit=100").await.expect(200).body["data"].clone();
    let mut told: Vec<&str> = entries.as_array().unwrap().iter().map(|entry| entry["subject"].as_str().unwrap()).collect();
    told.sort_unstable();
    let mut expected: Vec<&str> = callers.iter().map(|(subject, _)| *subject).collect();
    expected.sort_unstable();
    assert_eq!(told, expected, "who made each note");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_repeated_request_is_of_one_subject() {
    let (system, callers) = everybody_called_me().await;
    let mut made = Vec::new();
    for (subject, caller) in &callers {
        let ask =
            || caller.call(reqwest::Method::POST, "/v1/entries").header("idempotency-key", "the-same").json(json!({"text": "a"}));
        let first = ask().send().await.expect(201);
        assert_eq!(first.header("idempotency-replayed"), "", "{subject}");
        let again = ask().send().await.expect(201);
        assert_eq!((again.header("idempotency-replayed"), &again.body["id"]), ("true", &first.body["id"]), "{subject}");
        made.push(first.body["id"].to_string());
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), callers.len());
    system.stop().await;
}
