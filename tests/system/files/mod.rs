//! Files from outside: what goes up and comes down through links, and what is refused.

mod crash;
mod gone;
mod links;
mod northwind;
mod repeated;
mod shares;
mod uploads;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdfast::app::App;
use holdfast::aws::dynamodb::{DynamoTable, Options as TableOptions};
use holdfast::aws::s3::S3Objects;
use holdfast::core::clock::{Clock, Env, Micros, SystemClock, SystemRandom};
use holdfast::files::{Swept, sweep};
use holdfast::identity::auth::{Authenticator, StaticJwks};
use holdfast::store::table::SharedTable;
use holdfast_local::Options;
use holdfast_local::embedded::{BUCKET, DATA_TABLE, VOLATILE_TABLE};
use holdfast_tests::upload::{announced, headers};
use holdfast_tests::{Actor, Reply, System};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

const MODEL: &str = "
name: Files
version: 1.0.0
entities:
  book:
    id: string
    fields:
      title: {type: string, max: 80}
      owner: {type: string, max: 80, filter: scan}
      cover:
        type: file
        max_size: 1 MB
        content_types: image/*
        inline: image/png
        link_expiry: 2m
        share_expiry: 1d
      notes: {type: file}
  page:
    id: string
    fields:
      book: {ref: book, on_delete: cascade, inverse: pages}
      scan: {type: file}
roles:
  admin: {all: true, system: all}
  reader: {entities: {book: {view: {rows: {owner: $subject}}}}}
  titles: {entities: {book: {view: {fields: [title, owner]}}}}
  writer: {entities: {book: {view: true, upload: {rows: {owner: $subject}, fields: [cover]}}}}
  filler: {entities: {book: {view: true, upload: true}}}
  looker: {entities: {book: {list: true, read: true}}}
plans:
  wide: {rates: {burst: {rate: 10000, per: 1s, burst: 10000}}, quotas: {day: 1000000}}
  dear: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}, quotas: {day: 100}, costs: {download: 30, book.upload: 40}}
auth: {default_plan: wide}
cors: {origins: [https://shop.example.com]}
";

/// The system's clock, and what a test puts it ahead by.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        Micros(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A system with a clock that can be put ahead.
struct World {
    system: System,
    clock: Arc<Ahead>,
    env: Env,
    link: reqwest::Client,
}

/// What a link answers.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.bytes));
        self
    }
}

impl World {
    async fn start() -> Self {
        let clock = Arc::new(Ahead(AtomicI64::new(0)));
        let env = Env { clock: clock.clone(), random: Arc::new(SystemRandom) };
        let options = Options { env: env.clone(), ..Options::in_memory(MODEL) };
        let link = holdfast_local::client::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { system: System::start_with(options).await, clock, env, link }
    }

    fn admin(&self) -> Actor {
        self.system.admin()
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// A book of somebody.
    async fn book(&self, id: &str, owner: &str) {
        self.admin().post("/v1/books", json!({ "id": id, "title": id, "owner": format!("local:{owner}") })).await.expect(201);
    }

    /// A book with a cover.
    async fn covered(&self, id: &str, owner: &str, content: &[u8]) {
        self.book(id, owner).await;
        self.put_up(&self.admin(), &format!("/v1/books/{id}/cover"), "a.png", "image/png", content).await;
    }

    /// Begins an upload, sends the content and completes it.
    async fn put_up(&self, actor: &Actor, field: &str, name: &str, kind: &str, content: &[u8]) -> Value {
        let link = actor.post(&format!("{field}/upload"), announced(name, kind, content)).await.expect(201).body;
        self.send(&link, content).await.expect(200);
        actor.post(&format!("{field}/complete"), json!({})).await.expect(200).body
    }

    /// Sends content as an upload's link says.
    async fn send(&self, link: &Value, content: &[u8]) -> Answer {
        self.call(Method::PUT, link["url"].as_str().unwrap(), &headers(link), content).await
    }

    async fn call(&self, method: Method, url: &str, headers: &[(&str, &str)], content: &[u8]) -> Answer {
        let mut call = self.link.request(method.clone(), url);
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        if method == Method::PUT {
            call = call.body(content.to_vec());
        }
        let response = call.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    async fn fetch(&self, url: &str) -> Answer {
        self.call(Method::GET, url, &[], &[]).await
    }

    /// Content by a link of ours.
    async fn download(&self, actor: &Actor, field: &str) -> Answer {
        let link = actor.get(&format!("{field}/download")).await.expect(302);
        self.fetch(link.header("location")).await
    }

    /// What the reporter does.
    async fn sweep(&self) -> Swept {
        sweep(&self.app(), self.env.now().plus(Duration::from_secs(20))).await.unwrap()
    }

    /// An application over the system's stores, as a function has it.
    fn app(&self) -> App {
        let config = holdfast::aws::local_config(&self.system.local().stores.dynamodb, holdfast::aws::plain_http_client());
        let options = TableOptions::new(DATA_TABLE, VOLATILE_TABLE);
        self.app_over(Arc::new(DynamoTable::new(&config, options, self.env.clone())))
    }

    /// The same over another table.
    fn app_over(&self, table: SharedTable) -> App {
        let local = self.system.local();
        let nobody = Arc::new(StaticJwks::new([].into(), None));
        let authenticator = Authenticator::new(local.model.clone(), table.clone(), nobody, self.env.clone());
        let app = App::new(local.model.clone(), table, Arc::new(authenticator), self.env.clone(), "local");
        let config = holdfast::aws::local_config(&local.stores.s3, holdfast::aws::plain_http_client());
        app.with_objects(Arc::new(S3Objects::new(&config, BUCKET)))
    }
}

/// A link without one part of its query, or with another value.
fn altered(url: &str, name: &str, value: &str) -> String {
    let (path, query) = url.split_once('?').unwrap();
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((of, _)) if of == name => format!("{name}={value}"),
            _ => part.to_owned(),
        })
        .collect();
    let altered = format!("{path}?{}", parts.join("&"));
    assert_ne!(altered, url, "{name} stands in the link");
    altered
}

/// That an answer with a link is kept nowhere and leads nobody back.
#[track_caller]
fn assert_secret(reply: &Reply) {
    assert_eq!((reply.header("cache-control"), reply.header("referrer-policy")), ("no-store", "no-referrer"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}
