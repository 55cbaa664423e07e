//! The cache: it never lies, it never leaks, and it costs what it says.

mod broken;
mod counted;
mod crowd;
mod failing;
mod history;
mod hot;
mod leak;
mod measured;
mod models;
mod operations;
mod property;
mod random;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use holdfast::app::App;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::cache::CacheSettings;
use holdfast::core::caller;
use holdfast::core::clock::Env;
use holdfast::http::ApiRequest;
use holdfast::identity::auth::{AuthOutcome, Authenticator, StaticJwks};
use holdfast::model::{Model, parse};
use holdfast::pipeline;
use holdfast::store::table::SharedTable;
use holdfast_local::embedded::{DATA_TABLE, Dynamo, VOLATILE_TABLE};
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Bytes;
use serde_json::Value;

/// A store that several instances share.
struct World {
    /// A client of the store, past everything that a test puts before it.
    direct: SharedTable,
    model: Arc<Model>,
    /// The world that began with it keeps it going.
    dynamo: Option<Dynamo>,
}

impl World {
    async fn new(model: &str) -> Self {
        let dynamo = Dynamo::in_memory().await.unwrap();
        let direct = table(&dynamo.endpoint);
        direct.create_tables().await.unwrap();
        let model = Arc::new(parse("model.yaml", model).unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{model}")));
        Self { direct: Arc::new(direct), model, dynamo: Some(dynamo) }
    }

    /// Where the store itself answers.
    fn endpoint(&self) -> &str {
        &self.dynamo.as_ref().unwrap().endpoint
    }

    /// An instance with a cold memory.
    fn instance(&self) -> Instance {
        self.instance_over(&self.direct, Env::system(), patient())
    }

    fn instance_over(&self, table: &SharedTable, env: Env, settings: CacheSettings) -> Instance {
        let jwks = Arc::new(StaticJwks::new(HashMap::new(), None));
        let authenticator = Authenticator::new(Arc::clone(&self.model), Arc::clone(table), jwks, env.clone());
        let app = App::new(Arc::clone(&self.model), Arc::clone(table), Arc::new(authenticator), env, "test");
        Instance { app: app.with_cache(settings) }
    }
}

/// A cache that waits for its table however busy the machine is, and takes no samples.
fn patient() -> CacheSettings {
    CacheSettings { timeout: Duration::from_secs(20), sample: 0, ..CacheSettings::default() }
}

fn table(endpoint: &str) -> DynamoTable {
    let config = holdfast::aws::local_config(endpoint, holdfast::aws::plain_http_client());
    let mut options = Options::new(DATA_TABLE, VOLATILE_TABLE);
    options.attempt_timeout = Duration::from_secs(10);
    options.patience = Duration::from_secs(20);
    DynamoTable::new(&config, options, Env::system())
}

/// One function with a memory of its own.
struct Instance {
    app: App,
}

/// Somebody who calls.
#[derive(Debug, Clone, Default)]
struct Caller(caller::Caller);

impl Caller {
    fn new(subject: &str, roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Self(caller::Caller {
            consumer: format!("of-{subject}"),
            subject: subject.to_owned(),
            roles,
            ..caller::Caller::default()
        })
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.claims.insert(name.to_owned(), value.into());
        self
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Instance {
    /// `line`: method and address.
    async fn call(&self, caller: &Caller, line: &str, headers: &[(&str, &str)], body: &Value) -> Seen {
        let (method, address) = line.split_once(' ').unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut request = ApiRequest {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: format!("/v1/{path}"),
            query: query.to_owned(),
            headers: [("authorization", "Bearer x"), ("content-type", "application/json"), ("x-correlation-id", "c")]
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
            body: if body.is_null() { Bytes::new() } else { body.to_string().into() },
            address: IpAddr::from([192, 0, 2, 1]),
            context: Some(AuthOutcome::Ok(Box::new(caller.0.clone())).to_context()),
            deadline: self.app.env.now().plus(Duration::from_secs(60)),
            base_url: "https://api.example".to_owned(),
        };
        for (name, value) in headers {
            request.headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        let (parts, body) = pipeline::handle(&self.app, request).await.into_parts();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Seen { status: parts.status.as_u16(), headers, body }
    }

    async fn get(&self, caller: &Caller, address: &str) -> Seen {
        self.call(caller, &format!("GET {address}"), &[], &Value::Null).await
    }

    /// As [`Self::get`], past the cache.
    async fn get_fresh(&self, caller: &Caller, address: &str) -> Seen {
        self.call(caller, &format!("GET {address}"), &[("cache-control", "no-cache")], &Value::Null).await
    }

    /// What the caller expects to be done.
    async fn done(&self, caller: &Caller, line: &str, body: &Value) -> Value {
        let seen = self.call(caller, line, &[], body).await;
        assert!((200..300).contains(&seen.status), "{line} {body}: {} {}", seen.status, seen.text());
        seen.json()
    }

    /// Until entries that are being stored are there.
    async fn idle(&self) {
        self.app.cache.idle().await;
    }
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What the cache says that it did.
    fn cache(&self) -> &str {
        self.header("cache-status").trim_start_matches("holdfast; ")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What must not depend on the cache.
    fn content(&self) -> Self {
        let mut content = self.clone();
        content.headers.remove("cache-status");
        content
    }
}
