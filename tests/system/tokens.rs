//! Tokens as identity providers make them, over HTTP: an issuer that is found by discovery, behind a firewall that wants to know who
//! calls, and whose key set has moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use holdfast::core::clock::Env;
use holdfast::identity::auth::local::LocalIssuer;
use holdfast_tests::{Actor, System};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An issuer on this machine, and the requests that it got.
struct Idp {
    url: String,
    key: Arc<LocalIssuer>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Idp {
    async fn start() -> Self {
        let key = Arc::new(LocalIssuer::in_memory(&Env::system()).unwrap());
        let set = key.jwks(None).fetch("https://local.holdfast/.well-known/jwks.json", 4096).await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (issuer, noted) = (format!("{url}/realms/shop"), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
                noted.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
                let answer = answer(&issuer, &set, &head);
                let _hung_up = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, key, asked }
    }

    /// A token of these claims, with the usual ones where they are not given.
    fn token(&self, claims: Value) -> String {
        let now = Env::system().now().seconds();
        let mut all = Map::new();
        for (name, value) in [("iss", json!(format!("{}/realms/shop", self.url))), ("aud", json!("shop")), ("sub", json!("ada"))]
        {
            all.insert(name.to_owned(), value);
        }
        all.insert("iat".to_owned(), json!(now - 5));
        all.insert("exp".to_owned(), json!(now + 300));
        all.extend(claims.as_object().unwrap().clone());
        self.key.sign(&all).unwrap()
    }

    fn actor(&self, system: &System, claims: Value) -> Actor {
        system.anonymous().with_authorization(format!("Bearer {}", self.token(claims)))
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(&format!("get {path} "))).count()
    }
}

fn answer(issuer: &str, set: &str, head: &str) -> String {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // As the common rule set of AWS WAF does.
    if !head.contains("\r\nuser-agent: holdfast/") {
        return "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
    }
    match head.split(' ').nth(1).unwrap_or_default() {
        "/realms/shop/.well-known/openid-configuration" => {
            ok(&json!({"issuer": issuer, "jwks_uri": format!("{issuer}/certs")}).to_string())
        }
        "/realms/shop/certs" => {
            "HTTP/1.1 301 Moved\r\nlocation: /realms/shop/keys\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "/realms/shop/keys" => ok(set),
        _ => "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
    }
}

fn model(issuer: &str, more: &str) -> String {
    format!(
        "
name: Books
version: 1.0.0
entities:
  book:
    id: string
    fields: {{title: {{type: string, max: 50}}, owner: {{type: string, max: 60, filter: scan}}}}
roles:
  admin: {{all: true, system: all}}
  reader: {{entities: {{book: {{view: true}}}}}}
  owner: {{entities: {{book: {{all: {{rows: {{owner: $claim.account}}}}}}}}}}
plans:
  gold: {{rates: {{burst: {{rate: 1000, per: 1s, burst: 1000}}}}}}
auth:
  default_plan: gold
  claims: [account]
  issuers:
    shop: {{issuer: \"{issuer}/realms/shop\", algorithms: [EdDSA], default_roles: [reader], {more}}}
limits: {{per_address: 10000}}
"
    )
}

async fn started(more: &str) -> (Idp, System) {
    let idp = Idp::start().await;
    let system = System::start(&model(&idp.url, more)).await;
    system.admin().post("/v1/books", json!({"id": "b", "title": "t", "owner": "acme"})).await.expect(201);
    (idp, system)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_of_tokens_that_providers_issue_are_taken_for_what_they_are() {
    let (idp, system) = started("audiences: [shop]").await;
    let cases: BTreeMap<&str, Value> = BTreeMap::from([
        ("Auth0, a user", json!({"scope": "openid profile email", "sub": "auth0|123456"})),
        ("Auth0, a machine", json!({"scope": "read:books", "sub": "client@clients", "gty": "client-credentials"})),
        ("Keycloak", json!({"scope": "profile email"})),
        ("Keycloak without client scopes", json!({"scope": ""})),
        ("Okta", json!({"scp": ["openid"], "scope": ["openid"]})),
        ("null of what is optional", json!({"roles": null, "scope": null, "plan": null, "nbf": null, "account": null})),
        ("a long name", json!({"sub": format!("auth0|{}", "x".repeat(101))})),
        ("a very long name", json!({"sub": "x".repeat(300)})),
    ]);
    for (what, claims) in &cases {
        let caller = idp.actor(&system, claims.clone());
        let read = caller.get("/v1/books/b").await;
        assert_eq!(read.status, 200, "{what}: {}", read.body);
        let me = caller.get("/v1/_me").await.expect(200).body;
        assert_eq!(
            (&me["roles"], &me["plan"], &me["scopes"]),
            (&json!(["reader"]), &json!("gold"), &Value::Null),
            "{what}: {me}"
        );
        assert!(me["consumer"].as_str().unwrap().len() <= 128, "{me}");
    }
    for (what, claims) in [
        ("no end", json!({"exp": null})),
        ("a plan that is none", json!({"plan": 5})),
        ("roles that are none", json!({"roles": {"admin": true}})),
        ("nobody", json!({"sub": null})),
        ("another audience", json!({"aud": "other"})),
    ] {
        let read = idp.actor(&system, claims).get("/v1/books/b").await;
        assert_eq!(read.status, 401, "{what}: {}", read.body);
        assert!(read.header("www-authenticate").contains("invalid_token"), "{what}");
    }
    // One of the functions and one of the authorizer at most: each instance reads it once.
    let paths = ["/realms/shop/.well-known/openid-configuration", "/realms/shop/certs", "/realms/shop/keys"];
    let asked = paths.map(|path| idp.asked(path));
    assert!(asked.iter().all(|times| (1..=2).contains(times)), "{asked:?}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_without_an_audience_are_taken_by_their_client() {
    let (idp, system) = started("provider: cognito, clients: [web]").await;
    let token = |claims: Value| {
        let mut all =
            json!({"aud": null, "client_id": "web", "token_use": "access", "cognito:groups": ["owner"], "account": "acme"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        idp.actor(&system, all)
    };
    token(json!({})).get("/v1/books/b").await.expect(200);
    token(json!({"client_id": "other"})).get("/v1/books/b").await.expect_problem(401, "unauthenticated");
    token(json!({"token_use": "id", "aud": "web"})).get("/v1/books/b").await.expect_problem(401, "unauthenticated");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_whether_a_role_a_scope_or_a_claim_is_missing() {
    let (idp, system) = started("audiences: [shop], scopes: {map: {\"read:books\": [book.read, book.list]}}").await;
    let of = |claims: Value| idp.actor(&system, claims);
    let scoped = of(json!({"roles": ["admin"], "scope": "openid read:books"}));
    scoped.get("/v1/books").await.expect(200);
    let refused = scoped.delete("/v1/books/b").await.expect_problem(403, "insufficient_scope");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"book:delete\""), "{challenge}");
    let writer = of(json!({"roles": ["admin"], "scope": "book:create"}));
    let refused = writer.get("/v1/books").await.expect_problem(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("scope=\"read:books\""), "{:?}", refused.headers);
    let refused = writer.get("/v1/_consumers").await.expect_problem(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("scope=\"system:consumers\""));

    let owner = |account: Value| of(json!({"roles": ["owner"], "account": account}));
    owner(json!("acme")).get("/v1/books/b").await.expect(200);
    for lacking in [json!(null), json!({"id": "acme"}), json!(true)] {
        for path in ["/v1/books", "/v1/books/b"] {
            let refused = owner(lacking.clone()).get(path).await.expect_problem(403, "missing_claim");
            assert_eq!(refused.body["claims"], json!(["account"]), "{lacking}");
            assert!(refused.body["detail"].as_str().unwrap().contains("account"));
        }
        let written = owner(lacking.clone()).post("/v1/books", json!({"id": "x", "owner": "acme"})).await;
        written.expect_problem(403, "missing_claim");
    }
    of(json!({"roles": ["reader"]})).delete("/v1/books/b").await.expect_problem(403, "forbidden");
    of(json!({"roles": ["reader"]})).get("/v1/_consumers").await.expect_problem(403, "forbidden");
    system.stop().await;
}
