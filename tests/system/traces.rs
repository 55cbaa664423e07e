//! Traces: what a collector gets of a request, decoded as it decodes it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use holdfast::aws::jwks_http::{HttpJwks, Reach};
use holdfast::aws::otlp::OtlpSender;
use holdfast::core::clock::Env;
use holdfast::core::telemetry::{self, Traces};
use holdfast::identity::auth::JwksSource as _;
use holdfast_tests::stack::{Instance, Stack, somebody};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing::subscriber::{DefaultGuard, NoSubscriber, set_default};
use tracing::{Dispatch, Instrument as _, Subscriber};
use tracing_subscriber::layer::SubscriberExt as _;

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
    indexes: {by_title: {sort: title}}
  page:
    id: string
    fields:
      book: {ref: book, on_delete: cascade, inverse: pages, required: true}
    indexes: {by_book: {equality: book}}
roles:
  admin: {all: true, system: all}
plans:
  wide:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
auth: {default_plan: wide}
";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A request that arrived: its path, headers and body.
type Arrived = (String, HeaderMap, Bytes);

/// A collector, and a server to be called.
struct Collector {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, arrived) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Arrived>>>::default());
        let list = arrived.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let list = list.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let list = list.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        list.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers, body));
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { address, arrived }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spans that arrived, and the name of their service.
    fn spans(&self) -> (Vec<Span>, BTreeSet<String>) {
        let (mut spans, mut services) = (Vec::new(), BTreeSet::new());
        for (_, headers, body) in self.arrived.lock().unwrap().iter().filter(|(path, ..)| path == "/v1/traces") {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            for resource in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                services.extend(attributes.iter().filter(|one| one.key == "service.name").map(|one| text(&one.value)));
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        (spans, services)
    }
}

fn text(value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    span.attributes.iter().find(|one| one.key == key).map(|one| text(&one.value))
}

/// What a log writes.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Every line.
    pub(crate) fn all(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The trace of each request in the log.
    fn traces(&self) -> Vec<String> {
        let requests = self.all().into_iter().filter(|line| line["fields"]["message"] == "request");
        requests.map(|line| line["fields"]["trace_id"].as_str().unwrap_or("none").to_owned()).collect()
    }
}

/// Makes a subscriber this thread's. Another one lives as long as the process: of a single one, tracing believes that it is every
/// thread's, so whichever thread comes to a call site first would say for all of them that nobody listens.
pub(crate) fn heard(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&ANOTHER);
    set_default(subscriber)
}

/// An instance whose spans go to a collector and whose log goes to lines, on this thread.
async fn watched(traces: &Traces, lines: &Lines) -> (Stack, Instance, DefaultGuard) {
    let (stack, writer) = (Stack::start(MODEL).await, lines.clone());
    let log = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let log = tracing_subscriber::Layer::with_filter(log, tracing_subscriber::filter::LevelFilter::INFO);
    let guard = heard(tracing_subscriber::registry().with(log).with(traces.layer()));
    let mut instance = stack.instance();
    instance.app = instance.app.with_traces(Some(traces.clone()));
    (stack, instance, guard)
}

#[tokio::test]
async fn a_request_is_a_tree_of_its_stages_and_calls_in_the_trace_of_its_caller() {
    let (collector, lines) = (Collector::start().await, Lines::default());
    let traces = Traces::to(&collector.url(), "data-api", Env::system(), OtlpSender::new()).unwrap();
    let (_stack, instance, _guard) = watched(&traces, &lines).await;
    let who = somebody("acme", "admin");
    let named = [("traceparent", TRACEPARENT)];
    instance.call_with(&who, "POST /v1/books", &json!({"id": "b1", "title": "secret title"}), &named).await;
    instance.call_with(&who, "GET /v1/books?title=secret%20title", &Value::Null, &named).await;
    instance.call_with(&who, "GET /v1/books/b1", &Value::Null, &named).await;
    assert_eq!(lines.traces(), [TRACE, TRACE, TRACE]);
    assert_eq!(collector.spans().0, [], "nothing is sent on a request's way");
    traces.flush().await;
    let (spans, services) = collector.spans();
    assert_eq!(services, BTreeSet::from(["data-api".to_owned()]));
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&span.span_id[..], span)).collect();
    let mut names: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for span in &spans {
        let mut root = span;
        while let Some(parent) = by_id.get(&root.parent_span_id[..]) {
            root = parent;
        }
        // On a slow machine the count of usage is flushed meanwhile, which belongs to no request.
        if root.name == "flush usage" {
            continue;
        }
        assert_eq!(hex::encode(&span.trace_id), TRACE, "{}", span.name);
        assert_eq!(hex::encode(&root.parent_span_id), CALLER, "{}", span.name);
        assert!(!format!("{span:?}").contains("secret"), "{span:?}");
        names.entry(root.name.clone()).or_default().insert(&span.name);
    }
    let has = |route: &str, wanted: &[&str]| {
        let found = &names[route];
        assert!(wanted.iter().all(|name| found.contains(name)), "{route}: {found:?}");
    };
    has("POST /v1/books", &["authenticate", "admit", "read", "prepare", "write", "respond", "DynamoDB.TransactWriteItems"]);
    has("GET /v1/books", &["authenticate", "admit", "parse", "permit", "plan", "cache", "read", "respond", "DynamoDB.Query"]);
    has("GET /v1/books/{id}", &["parse", "permit", "read", "DynamoDB.UpdateItem"]);
    let created = spans.iter().find(|span| span.name == "POST /v1/books").unwrap();
    assert_eq!((created.kind, attribute(created, "http.response.status_code").as_deref()), (2, Some("201")));
    assert_eq!(attribute(created, "holdfast.consumer").as_deref(), Some("acme"));
    // A first write announces itself while it reads; the one in question is the write's own.
    let mut calls = spans.iter().filter(|span| span.name == "DynamoDB.TransactWriteItems");
    let call = calls.find(|call| by_id[&call.parent_span_id[..]].name == "write").expect("a call of the stage");
    assert_eq!((call.kind, attribute(call, "http.response.status_code").as_deref()), (3, Some("200")));
    let caller = by_id[&call.parent_span_id[..]];
    assert!(caller.start_time_unix_nano <= call.start_time_unix_nano && call.end_time_unix_nano <= caller.end_time_unix_nano);
}

#[tokio::test]
async fn a_list_with_its_children_is_planned_once_however_many_parents_it_has() {
    let (collector, lines) = (Collector::start().await, Lines::default());
    let traces = Traces::to(&collector.url(), "data-api", Env::system(), OtlpSender::new()).unwrap();
    let (_stack, instance, _guard) = watched(&traces, &lines).await;
    let who = somebody("acme", "admin");
    for id in ["b1", "b2", "b3"] {
        instance.call(&who, "POST /v1/books", &json!({"id": id, "title": id})).await;
        instance.call(&who, "POST /v1/pages", &json!({"id": format!("{id}-1"), "book_id": id})).await;
    }
    let (answer, _) = instance.call(&who, "GET /v1/books?include=pages", &Value::Null).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    let pages: Vec<&Value> = body["data"].as_array().unwrap().iter().map(|book| &book["pages"][0]["id"]).collect();
    assert_eq!(pages, ["b1-1", "b2-1", "b3-1"]);
    traces.flush().await;
    let (spans, _) = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.name == "plan").count(), 1);
}

#[tokio::test]
async fn a_call_passes_the_context_on() {
    let collector = Collector::start().await;
    let traces = Traces::to(&collector.url(), "data-api", Env::system(), OtlpSender::new()).unwrap();
    let _guard = heard(tracing_subscriber::registry().with(traces.layer()));
    let headers: HeaderMap = [(http::HeaderName::from_static("traceparent"), TRACEPARENT.parse().unwrap())].into_iter().collect();
    let span = telemetry::request(&headers, "GET", "GET /v1/books");
    assert_eq!(telemetry::trace_id(&span).as_deref(), Some(TRACE));
    let _empty = HttpJwks::new(Reach::Anywhere).fetch(&format!("{}/jwks", collector.url()), 1024).instrument(span).await;
    traces.flush().await;
    let sent = collector.arrived.lock().unwrap()[0].1["traceparent"].to_str().unwrap().to_owned();
    let (spans, _) = collector.spans();
    let call = spans.iter().find(|span| span.kind == 3).unwrap();
    assert_eq!(sent, format!("00-{TRACE}-{}-01", hex::encode(&call.span_id)));
    assert_eq!(call.name, format!("GET {}", collector.address));
}

#[tokio::test]
async fn a_request_without_a_context_begins_a_trace_and_one_that_is_not_sampled_is_left_alone() {
    let (collector, lines) = (Collector::start().await, Lines::default());
    let traces = Traces::to(&collector.url(), "data-api", Env::system(), OtlpSender::new()).unwrap();
    let (_stack, instance, _guard) = watched(&traces, &lines).await;
    let who = somebody("acme", "admin");
    instance.call(&who, "GET /v1/books/none", &Value::Null).await;
    let unsampled = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")];
    instance.call_with(&who, "GET /v1/books/none", &Value::Null, &unsampled).await;
    instance.call_with(&who, "GET /v1/books/none", &Value::Null, &[("traceparent", "nonsense")]).await;
    traces.flush().await;
    let (spans, _) = collector.spans();
    let roots: Vec<String> = spans.iter().filter(|span| span.kind == 2).map(|span| hex::encode(&span.trace_id)).collect();
    let logged = lines.traces();
    assert_eq!(roots, [logged[0].clone(), logged[2].clone()]);
    assert_eq!(logged[1], TRACE);
    assert_ne!(logged[0], logged[2]);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let traces = Traces::to("http://127.0.0.1:9", "data-api", Env::system(), OtlpSender::new()).unwrap();
    let lines = Lines::default();
    let (_stack, instance, _guard) = watched(&traces, &lines).await;
    let (answer, _) = instance.call(&somebody("acme", "admin"), "GET /v1/books", &Value::Null).await;
    assert_eq!(answer.status(), 200);
    traces.flush().await;
    assert!(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().contains("spans could not be exported"));
    let none: BTreeMap<String, String> = BTreeMap::new();
    assert!(Traces::of(&none, "data-api", Env::system(), OtlpSender::new()).unwrap().is_none());
    let wrong = BTreeMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "no address".to_owned())]);
    assert!(Traces::of(&wrong, "data-api", Env::system(), OtlpSender::new()).is_err());
}
