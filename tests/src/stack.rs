//! An application in this process, called as a function calls it: for what has to be counted call by call.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use holdfast::app::App;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::aws::s3::S3Objects;
use holdfast::core::caller::Caller;
use holdfast::core::clock::Env;
use holdfast::http::{ApiRequest, ApiResponse};
use holdfast::identity::auth::AuthOutcome;
use holdfast::identity::auth::Authenticator;
use holdfast::identity::auth::local::{self, LocalIssuer, TokenRequest};
use holdfast::model::{Model, parse};
use holdfast::pipeline;
use holdfast::store::double::Double;
use holdfast::store::meter::{Consumed, measured};
use holdfast::store::table::SharedTable;
use holdfast::usage::Usage as Counted;
use holdfast_local::embedded::{BUCKET, DATA_TABLE, Dynamo, VOLATILE_TABLE};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use crate::waits::Waits;

/// What a request cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Calls that it waited for one after another.
    pub waits: u32,
    /// Calls and capacity units.
    pub usage: Consumed,
}

/// An embedded DynamoDB and what works on it.
pub struct Stack {
    /// The model.
    pub model: Arc<Model>,
    /// Past every counter.
    pub table: DynamoTable,
    /// Clock and random source.
    pub env: Env,
    _dynamo: Dynamo,
}

impl Stack {
    /// Starts one in memory.
    ///
    /// # Panics
    /// If the model has mistakes.
    pub async fn start(model: &str) -> Self {
        let env = Env::system();
        let model = Arc::new(parse("model.yaml", model).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        let dynamo = Dynamo::in_memory().await.unwrap();
        let config = holdfast::aws::local_config(&dynamo.endpoint, holdfast::aws::plain_http_client());
        let mut options = Options::new(DATA_TABLE, VOLATILE_TABLE);
        options.attempt_timeout = Duration::from_secs(20);
        let table = DynamoTable::new(&config, options, env.clone());
        table.create_tables().await.unwrap();
        Self { model, table, env, _dynamo: dynamo }
    }

    /// A new instance of the API on it, as Lambda starts one.
    ///
    /// # Panics
    /// If no signing key can be made.
    pub fn instance(&self) -> Instance {
        self.instance_on(Arc::new(self.table.clone()))
    }

    /// A new instance with another way to the tables.
    ///
    /// # Panics
    /// If no signing key can be made.
    pub fn instance_on(&self, table: SharedTable) -> Instance {
        let waits = Arc::new(Double::new(table, Waits::default()));
        let table: SharedTable = waits.clone();
        let issuer = LocalIssuer::in_memory(&self.env).unwrap();
        let authenticator = Authenticator::new(self.model.clone(), table.clone(), issuer.jwks(None), self.env.clone());
        let authenticator = authenticator.with_issuer(local::issuer());
        let app = App::new(self.model.clone(), table, Arc::new(authenticator), self.env.clone(), "test");
        // Links are signed without a call, so there need not be anybody to call.
        let nowhere = holdfast::aws::local_config("http://127.0.0.1:9", holdfast::aws::plain_http_client());
        let app = app.with_objects(Arc::new(S3Objects::new(&nowhere, BUCKET)));
        // Flushes of usage run beside requests, when their time comes; here they would be counted as waits by chance.
        let app = app.with_usage(Counted::new(Arc::new(self.table.clone()), self.env.clone()));
        Instance { app, waits, issuer }
    }
}

/// One instance of the API.
pub struct Instance {
    /// Its parts.
    pub app: App,
    waits: Arc<Double<Waits>>,
    issuer: LocalIssuer,
}

impl Instance {
    /// Sends `GET /v1/...` and the like for a caller whom the authorizer let in; tells what it cost.
    ///
    /// # Panics
    /// If `line` is no method and address.
    pub async fn call(&self, who: &Caller, line: &str, body: &Value) -> (ApiResponse, Cost) {
        self.call_with(who, line, body, &[]).await
    }

    /// As [`Self::call`], with headers more.
    ///
    /// # Panics
    /// If `line` is no method and address.
    pub async fn call_with(
        &self,
        who: &Caller,
        line: &str,
        body: &Value,
        more: &[(&'static str, &'static str)],
    ) -> (ApiResponse, Cost) {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer looked-at-by-the-authorizer"));
        let context = Some(AuthOutcome::Ok(Box::new(who.clone())).to_context());
        headers.extend(more.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
        let mut bytes = Vec::new();
        if !body.is_null() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            bytes = body.to_string().into_bytes();
        }
        self.send(line, headers, bytes, context).await
    }

    /// Sends a request on a route without an authorizer; tells what it cost.
    ///
    /// # Panics
    /// If `line` is no method and address.
    pub async fn ask(&self, authorization: Option<&str>, line: &str) -> (ApiResponse, Cost) {
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|value| (AUTHORIZATION, HeaderValue::from_str(value).expect("a header"))));
        self.send(line, headers, Vec::new(), None).await
    }

    /// An `Authorization` header of a token that this instance accepts.
    ///
    /// # Panics
    /// If the token cannot be signed.
    pub fn bearer(&self, subject: &str, role: &str) -> String {
        let request = TokenRequest {
            subject: subject.to_owned(),
            roles: vec![role.to_owned()],
            claims: BTreeMap::new(),
            plan: None,
            expires_in: Duration::from_secs(3600),
        };
        format!("Bearer {}", self.issuer.token(&request, self.app.env.now()).expect("a token"))
    }

    async fn send(
        &self,
        line: &str,
        headers: HeaderMap,
        bytes: Vec<u8>,
        context: Option<Map<String, Value>>,
    ) -> (ApiResponse, Cost) {
        let (method, address) = line.split_once(' ').expect("a method and an address");
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let request = ApiRequest {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: bytes.into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            context,
            deadline: self.app.env.now().plus(Duration::from_secs(29)),
            base_url: "https://api.example".to_owned(),
        };
        self.waits.take();
        let (response, usage) = measured(pipeline::handle(&self.app, request)).await;
        (response, Cost { waits: self.waits.take(), usage })
    }
}

/// Somebody in a role.
pub fn somebody(subject: &str, role: &str) -> Caller {
    Caller { consumer: subject.into(), subject: subject.into(), roles: vec![role.into()], ..Caller::default() }
}
