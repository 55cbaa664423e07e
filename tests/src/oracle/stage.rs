//! The system under test: the pipeline in this process, on an embedded DynamoDB in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on must fail")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast::app::App;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::core::caller;
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::http::ApiRequest;
use holdfast::identity::auth::{AuthOutcome, Authenticator, StaticJwks};
use holdfast::model::Model;
use holdfast::pipeline::handle;
use holdfast::store::table::{SharedTable, TableName};
use holdfast::store::verify::Verifier;
use holdfast::store::{items, keys};
use holdfast_local::embedded::{DATA_TABLE, Dynamo, VOLATILE_TABLE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::spec::{Id, Spec};
use super::viewer::{Caller, Row, World};
use crate::rng::{Bytes, Rng};

/// A clock that goes on by a second with every request and never by itself.
struct Steps(AtomicI64);

impl Clock for Steps {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

/// A running system.
pub struct Stage {
    pub app: App,
    clock: Arc<Steps>,
    _dynamo: Dynamo,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Behind `/v1/`.
    pub path: String,
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Request {
    pub fn get(path: impl Into<String>, query: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: query.into(), headers: Vec::new(), body: None }
    }

    pub fn with(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { method, path: path.into(), query: String::new(), headers, body }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Stage {
    /// Starts one for a model that the parser has taken.
    pub async fn of(model: Model, seed: u64) -> Self {
        let model: Arc<Model> = Arc::new(model);
        let dynamo = Dynamo::in_memory().await.unwrap();
        let config = holdfast::aws::local_config(&dynamo.endpoint, holdfast::aws::plain_http_client());
        let mut options = Options::new(DATA_TABLE, VOLATILE_TABLE);
        options.attempt_timeout = Duration::from_secs(20);
        let clock = Arc::new(Steps(AtomicI64::new(1_795_000_000_000_000)));
        let random = Arc::new(Bytes(Mutex::new(Rng::of(seed))));
        let env = Env { clock: clock.clone(), random };
        let table = DynamoTable::new(&config, options, Env::system());
        table.create_tables().await.unwrap();
        let table: SharedTable = Arc::new(table);
        let jwks = Arc::new(StaticJwks::new(HashMap::new(), None));
        let authenticator = Arc::new(Authenticator::new(model.clone(), table.clone(), jwks, env.clone()));
        Self { app: App::new(model, table, authenticator, env, "test"), clock, _dynamo: dynamo }
    }

    /// The moment at which the next request will be answered, as records tell it.
    pub fn next_moment(&self) -> String {
        Micros(self.clock.now().0 + 1_000_000).rfc3339()
    }

    /// Makes a request on behalf of a caller, whom the authorizer has let in.
    pub async fn call(&self, spec: &Spec, who: &Caller, request: &Request) -> Reply {
        self.clock.0.fetch_add(1_000_000, Ordering::SeqCst);
        let verified = caller::Caller {
            consumer: who.consumer.clone(),
            subject: who.subject.clone(),
            roles: who.roles.iter().map(|role| spec.roles[*role].name.clone()).collect(),
            scopes: who.scopes.clone(),
            claims: who.claims.clone(),
            ..caller::Caller::default()
        };
        self.call_as(verified, request).await
    }

    /// As [`Stage::call`], for a verified caller.
    pub async fn call_as(&self, verified: caller::Caller, request: &Request) -> Reply {
        let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer verified"))]);
        for (name, value) in &request.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let sent = ApiRequest {
            method: request.method.clone(),
            path: format!("/v1/{}", request.path),
            query: request.query.clone(),
            headers,
            body: request.body.as_ref().map(|body| body.to_string().into()).unwrap_or_default(),
            address: [192, 0, 2, 1].into(),
            context: Some(AuthOutcome::Ok(Box::new(verified)).to_context()),
            deadline: self.clock.now().plus(Duration::from_secs(25)),
            base_url: "https://api.example".to_owned(),
        };
        let answer = handle(&self.app, sent).await;
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        Reply { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// All records as they are stored.
    pub async fn stored(&self, spec: &Spec) -> World {
        let mut world = World(vec![Default::default(); spec.entities.len()]);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.app.table.scan(TableName::Data, after, (0, 1)).await.unwrap();
            found.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        for (at, entity) in spec.entities.iter().enumerate() {
            let of = self.app.model.by_name(&entity.name).unwrap();
            for item in &found {
                let Some(record) = items::decode(item) else { continue };
                if item.key == keys::record(of, &record.id) {
                    world.0[at].insert(record.id.clone(), Row { id: record.id, fields: record.fields });
                }
            }
        }
        world
    }

    /// Whether index rows, unique rows, guards and tags are what the records make them.
    pub async fn assert_sound(&self) {
        let verifier = Verifier::new(self.app.table.clone(), self.app.model.clone(), self.app.env.clone(), false).strict();
        let report = verifier.run(self.clock.now().plus(Duration::from_secs(30)), |_| {}).await.unwrap();
        assert_eq!(report.problems, 0, "{:#?}", report.listed);
    }
}

/// The id that a JSON value stands for, as it stands in paths.
pub fn id_text(id: &Id, value: &Value) -> String {
    match (id, value) {
        (Id::Integer, number) => number.to_string(),
        (_, text) => text.as_str().unwrap_or_default().to_owned(),
    }
}
