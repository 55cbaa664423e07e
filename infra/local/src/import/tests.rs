//! Loading into an API that keeps what it is given, over real sockets.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use holdfast::core::clock::Env;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};

use super::{Loader, Reshape, rows};
use crate::embedded::loopback;
use crate::server::{Server, serve};

/// What the API has seen and holds.
#[derive(Default)]
struct Api {
    records: HashMap<String, Value>,
    keys: HashMap<String, u16>,
    requests: usize,
    /// Answers 429 to every third request.
    busy: bool,
}

impl Api {
    /// A record, or the document.
    fn read(&self, path: &str) -> Value {
        match path.strip_prefix("/v1/things/") {
            Some(id) => self.records[id].clone(),
            None => json!({"paths": {
                "/v1/things": {"post": {"operationId": "createBigThing"}},
                "/v1/things/{id}": {"get": {"operationId": "getBigThing"}},
                "/v1/things/_bulk": {"post": {"operationId": "bulkThings"}},
            }}),
        }
    }

    /// Status, whether it is a replay, problem.
    fn create(&mut self, key: &str, token: &str, body: &Value) -> (u16, bool, Value) {
        self.requests += 1;
        if token != "Bearer good" {
            return (401, false, json!({ "code": "unauthenticated", "detail": "No." }));
        }
        if self.busy && self.requests.is_multiple_of(3) {
            return (429, false, json!({ "code": "rate_limited" }));
        }
        if self.keys.contains_key(key) {
            return (201, true, Value::Null);
        }
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        if self.records.contains_key(&id) {
            return (409, false, json!({ "code": "conflict" }));
        }
        if body["parent"].as_str().is_some_and(|parent| !self.records.contains_key(parent)) {
            return (422, false, json!({ "code": "reference_not_found", "detail": "No such parent." }));
        }
        if body["n"] == -1 {
            let errors = json!([{ "pointer": "/n", "code": "minimum", "message": "must be at least 0" }]);
            return (422, false, json!({ "code": "validation_failed", "detail": "Invalid.", "errors": errors }));
        }
        self.records.insert(id, body.clone());
        self.keys.insert(key.to_owned(), 201);
        (201, false, Value::Null)
    }
}

async fn answer(api: Arc<Mutex<Api>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.method == http::Method::GET {
        return Ok(Response::new(Full::from(api.lock().unwrap().read(head.uri.path()).to_string())));
    }
    assert_eq!(head.uri.path(), "/v1/things");
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    let header = |name: &str| head.headers[name].to_str().unwrap();
    let (status, replayed, problem) = api.lock().unwrap().create(header("idempotency-key"), header("authorization"), &body);
    let mut response = Response::builder().status(status);
    if replayed {
        response = response.header("idempotency-replayed", "true");
    }
    if status == 429 {
        response = response.header("retry-after", "0");
    }
    Ok(response.body(Full::from(problem.to_string())).unwrap())
}

async fn start(api: &Arc<Mutex<Api>>) -> Server {
    let api = api.clone();
    serve(loopback(0).await.unwrap(), move |_| {
        let api = api.clone();
        service_fn(move |request| answer(api.clone(), request))
    })
    .unwrap()
}

const TEXT: &str = r#"{"id":"c","parent":"b"}
{"id":"b","parent":"a"}
{"id":"a"}
{"id":"bad","n":-1}
{"id":"lost","parent":"nowhere"}
nonsense
"#;

#[tokio::test]
async fn every_line_is_created_or_reported_whatever_the_order() {
    let api = Arc::new(Mutex::new(Api { busy: true, ..Api::default() }));
    let server = start(&api).await;
    let loader = Loader::new(&format!("http://{}", server.address), "good", Env::system()).unwrap();
    let reshape = Reshape::default();
    let bytes = Mutex::new(0);
    let lines = || rows("things", "t.ndjson", TEXT.as_bytes(), &reshape);
    let report = loader.load(lines(), |done| *bytes.lock().unwrap() += done).await.unwrap();
    assert_eq!((report.created, report.existing), (3, 0));
    let refused: Vec<String> = report.refused.iter().map(|refused| format!("{refused} [{}]", refused.code)).collect();
    assert_eq!(
        refused,
        [
            "t.ndjson:4: 422 Invalid.; /n: must be at least 0 [validation_failed]",
            "t.ndjson:5: 422 No such parent. [reference_not_found]",
            "t.ndjson:6: the line is not JSON: expected ident at line 1 column 2 [unreadable]",
        ]
    );
    assert_eq!(*bytes.lock().unwrap(), TEXT.len() as u64 - "nonsense\n".len() as u64);
    let again = loader.load(lines(), |_| {}).await.unwrap();
    assert_eq!((again.created, again.existing, again.refused.len()), (0, 3, 3));
    api.lock().unwrap().keys.clear();
    let later = loader.load(lines(), |_| {}).await.unwrap();
    assert_eq!((later.created, later.existing), (0, 3), "a record that says the same counts as there");
    api.lock().unwrap().records.insert("a".to_owned(), json!({"id": "a", "parent": "somebody else's"}));
    api.lock().unwrap().records.insert("b".to_owned(), json!({"id": "b", "parent": "c"}));
    let other = loader.load(lines(), |_| {}).await.unwrap();
    assert_eq!((other.created, other.existing, other.refused.len()), (0, 2, 4), "the line of a says nothing of its parent");
    assert_eq!((other.refused[0].line, other.refused[0].code.as_str()), (2, "conflict"), "what would be lost is told");
    server.stop().await;
}

#[tokio::test]
async fn a_refused_credential_ends_the_load_at_once() {
    let api = Arc::new(Mutex::new(Api::default()));
    let server = start(&api).await;
    let loader = Loader::new(&format!("http://{}", server.address), "bad", Env::system()).unwrap();
    let reshape = Reshape::default();
    let error = loader.load(rows("things", "t.ndjson", TEXT.as_bytes(), &reshape), |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "401 No.");
    server.stop().await;
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address() {
    let listener = loopback(0).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let loader = Loader::new(&format!("http://{address}"), "good", Env::system()).unwrap();
    let reshape = Reshape::default();
    let error = loader.load(rows("things", "t.ndjson", TEXT.as_bytes(), &reshape), |_| {}).await.unwrap_err();
    assert!(error.0.contains(&address.to_string()) && error.0.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_entity_is_found_by_either_of_its_names() {
    let api = Arc::new(Mutex::new(Api::default()));
    let server = start(&api).await;
    let loader = Loader::new(&format!("http://{}", server.address), "good", Env::system()).unwrap();
    for name in ["things", "big_thing"] {
        assert_eq!(loader.plural(name).await.unwrap(), "things", "{name}");
    }
    let unknown = loader.plural("thing").await.unwrap_err().0;
    assert!(unknown.contains("it has things"), "{unknown}");
    server.stop().await;
}
