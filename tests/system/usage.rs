//! A load of known composition, and the same numbers wherever usage is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::core::caller::Caller;
use holdfast::core::clock::{Clock, Env, Micros, SystemRandom};
use holdfast::store::double::{Double, Fail, Intercept, TableCall};
use holdfast::store::table::TableError;
use holdfast::usage::publish::{Datum, Metrics};
use holdfast::usage::{Finished, Usage, tick};
use holdfast_tests::stack::{Stack, somebody};
use holdfast_tests::{Actor, Reply, System, root};
use serde_json::{Value, json};

/// The demo, with a plan that has nothing but a quota: what it denies depends on no clock.
fn demo() -> String {
    let model = std::fs::read_to_string(root().join("model.yaml")).unwrap();
    model.replacen(
        "plans:\n",
        "plans:\n  tiny:\n    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}\n    quotas: {month: 20}\n",
        1,
    )
}

/// What is sent: by consumer, requests, denied, errors.
const COMPOSITION: [(&str, u64, u64, u64); 3] =
    [("local:reader", 14, 0, 3), ("local:writer", 6, 0, 2), ("local:greedy", 26, 6, 0)];

/// Reads of `reader` that the cache answers: all of a list but the first, as long as nobody writes.
const HITS: u64 = 9;

/// Sends it. `greedy` has a quota that its last requests are over.
async fn load(system: &System) {
    let wide = Some("wholesale");
    let reader = system.actor_with("reader", &["public"], &[], wide);
    let mut hits = 0;
    for _ in 0..10 {
        let reply = reader.get("/v1/publishers?limit=5").await.expect(200);
        hits += u64::from(reply.header("cache-status") == "holdfast; hit");
    }
    assert_eq!(hits, HITS, "as the caller saw it");
    reader.get("/v1/publishers/nobody").await.expect(404);
    reader.get("/v1/publishers?founded[gt]=x").await.expect(400);
    reader.get("/v1/orders").await.expect(403);
    reader.get("/v1/_me").await.expect(200);
    let writer = system.actor_with("writer", &["admin"], &[], wide);
    for n in 0..3 {
        writer.post("/v1/publishers", json!({"id": format!("p{n}"), "name": format!("Press {n}")})).await.expect(201);
    }
    writer.post("/v1/publishers", json!({"id": "p0", "name": "Other"})).await.expect(409);
    writer.post("/v1/publishers", json!({"name": 7})).await.expect(422);
    writer.get("/v1/vouchers").await.expect(200);
    let greedy = system.actor_with("greedy", &["public"], &[], Some("tiny"));
    let mut calls = Vec::new();
    for _ in 0..26 {
        let fresh = greedy.call(reqwest::Method::GET, "/v1/authors?limit=1").header("cache-control", "no-cache");
        calls.push(fresh.send().await);
    }
    let denied = calls.iter().filter(|reply| reply.status == 429).count();
    assert_eq!(denied, 6, "over the quota");
}

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// Requests, denied, errors of each consumer in rows.
fn by_consumer(rows: &[Value]) -> BTreeMap<String, (u64, u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row["consumer"].as_str().unwrap_or_default().to_owned()).or_default();
        *sum = (sum.0 + number(row, "requests"), sum.1 + number(row, "denied"), sum.2 + number(row, "errors"));
    }
    sums
}

fn rows(reply: Reply) -> Vec<Value> {
    reply.expect(200).body["data"].as_array().unwrap().clone()
}

/// The value of a sample in OpenMetrics text, summed over all that begin like this and hold that label.
fn sample(text: &str, name: &str, label: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn text(actor: &Actor, path: &str, accept: &str) -> Reply {
    actor.call(reqwest::Method::GET, path).header("accept", accept).send().await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_numbers_stand_in_json_csv_openmetrics_and_on_the_page() {
    let system = System::start(&demo()).await;
    load(&system).await;
    let expected: BTreeMap<String, (u64, u64, u64)> =
        COMPOSITION.into_iter().map(|(who, requests, denied, errors)| (who.to_owned(), (requests, denied, errors))).collect();
    let operator = system.actor_with("operator", &["admin"], &[], Some("wholesale"));
    let hits_of = |row: &Value| if row["consumer"] == "local:reader" { HITS } else { 0 };
    for granularity in ["minute", "hour", "day"] {
        let told = rows(operator.get(&format!("/v1/_usage?granularity={granularity}")).await);
        let of_reader = told.iter().filter(|row| row["consumer"] == "local:reader");
        assert_eq!(of_reader.map(|row| number(row, "cache_hits")).sum::<u64>(), HITS, "by {granularity}");
        assert!(told.iter().all(|row| number(row, "cache_hits") <= hits_of(row)), "{told:?}");
        let found = by_consumer(&told);
        for (who, numbers) in &expected {
            assert_eq!(found.get(who), Some(numbers), "{who} by {granularity}: {found:?}");
        }
    }
    // Grouped by everything, the sums are the same; filtered, it is that consumer alone.
    let grouped = rows(operator.get("/v1/_usage?group_by=consumer,route,status&consumer=local:reader").await);
    assert_eq!(by_consumer(&grouped).into_iter().collect::<Vec<_>>(), [("local:reader".to_owned(), expected["local:reader"])]);
    let of = |route: &str, status: &str| {
        let line = grouped.iter().find(|row| row["route"] == route && row["status"] == status);
        line.map(|row| number(row, "requests"))
    };
    assert_eq!((of("GET /v1/publishers", "2xx"), of("GET /v1/publishers", "4xx")), (Some(10), Some(1)));
    assert_eq!((of("GET /v1/publishers/{id}", "4xx"), of("GET /v1/orders", "4xx")), (Some(1), Some(1)));
    let one = &rows(operator.get("/v1/_usage?consumer=local:reader").await)[0];
    assert!(
        one["p50_ms"].as_f64().unwrap() > 0.0
            && one["p99_ms"].as_f64() >= one["p50_ms"].as_f64()
            && one["units"].as_f64().unwrap() > 0.0
    );

    let csv = text(&operator, "/v1/_usage?consumer=local:greedy", "text/csv").await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    let csv = String::from_utf8(csv.bytes).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("start,consumer,requests,denied,errors,") && lines[1].contains(",local:greedy,26,6,0,"),
        "{csv}"
    );

    let metrics = text(&operator, "/v1/_usage/metrics", "*/*").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    let page = text(&operator, "/v1/_usage/dashboard?range=1h", "application/json").await.body;
    for (who, (requests, denied, errors)) in &expected {
        let label = format!("consumer=\"{who}\"");
        let sampled =
            ["requests", "denied", "errors"].map(|name| sample(&metrics, &format!("holdfast_consumer_{name}_total"), &label));
        assert_eq!(sampled, [*requests, *denied, *errors], "{who}\n{metrics}");
        let line = page["consumers"].as_array().unwrap().iter().find(|line| line["consumer"] == who.as_str()).unwrap();
        assert_eq!((number(line, "requests"), number(line, "denied"), number(line, "errors")), (*requests, *denied, *errors));
        assert_eq!(number(line, "cache_hits"), hits_of(line), "{who}");
    }
    assert_eq!(sample(&metrics, "holdfast_requests_total", "route=\"GET /v1/publishers\""), 11);
    assert_eq!(sample(&metrics, "holdfast_cache_hits_total", "route="), HITS);
    assert_eq!(number(&page["total"], "cache_hits"), HITS);
    assert!(page["deprecated"].as_array().unwrap().iter().any(|use_of| use_of["name"] == "voucher"), "{}", page["deprecated"]);
    assert!(page["plans"].as_array().unwrap().iter().any(|plan| plan["plan"].as_str().unwrap().starts_with("publisher: all")));
    let units: f64 = page["series"].as_array().unwrap().iter().map(|point| point["units"].as_f64().unwrap()).sum();
    assert!((units - page["total"]["units"].as_f64().unwrap()).abs() < 0.01);
    system.stop().await;
}

#[tokio::test]
async fn without_the_permission_a_caller_sees_itself_alone() {
    let system = System::start(&demo()).await;
    let (one, two) = (system.actor("one", &["customer"]), system.actor("two", &["customer"]));
    one.get("/v1/books").await.expect(200);
    two.get("/v1/books").await.expect(200);
    let mine = rows(one.get("/v1/_usage").await);
    assert!(!mine.is_empty() && mine.iter().all(|row| row["consumer"] == "local:one"), "{mine:?}");
    assert_eq!(number(&mine[0], "requests"), 1);
    one.get("/v1/_usage?consumer=local:one").await.expect(200);
    one.get("/v1/_usage?consumer=local:two").await.expect_problem(403, "forbidden");
    one.get("/v1/_usage/dashboard?consumer=local:two").await.expect(200);
    let asked = one.call(reqwest::Method::GET, "/v1/_usage/dashboard?consumer=local:two").header("accept", "application/json");
    asked.send().await.expect_problem(403, "forbidden");
    let metrics = String::from_utf8(one.get("/v1/_usage/metrics").await.expect(200).bytes).unwrap();
    assert!(metrics.contains("consumer=\"local:one\"") && !metrics.contains("local:two"), "{metrics}");
    system.stop().await;
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    let system = System::start(&demo()).await;
    let admin = system.admin();
    for (query, parameter) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("granularity=week", "granularity"),
        ("granularity=minute&from=2020-01-01T00:00:00Z", "from"),
        ("group_by=colour", "group_by"),
        ("group_by=route,route", "group_by"),
        ("consumer=", "consumer"),
        ("sort=start", "sort"),
        ("from=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z", "from"),
    ] {
        let refused = admin.get(&format!("/v1/_usage?{query}")).await.expect_problem(400, "invalid_parameter");
        assert!(refused.body["detail"].as_str().unwrap().contains(parameter), "{query}: {}", refused.body);
    }
    // An offset's `+` that nobody escaped, moments with fractions, days that are long over.
    for query in [
        "from=2026-11-20T00:00:00+00:00",
        "to=2026-11-21T00:00:00.123Z",
        "granularity=day&from=2024-01-01T00:00:00Z&to=2024-03-01T00:00:00Z",
    ] {
        admin.get(&format!("/v1/_usage?{query}")).await.expect(200);
    }
    let refused =
        admin.call(reqwest::Method::GET, "/v1/_usage/dashboard?range=1y").header("accept", "application/json").send().await;
    refused.expect_problem(400, "invalid_parameter");
    system.stop().await;
}

#[tokio::test]
async fn the_page_is_for_browsers_and_its_data_for_callers() {
    let system = System::start(&demo()).await;
    let anonymous = system.anonymous();
    let page = text(&anonymous, "/v1/_usage/dashboard", "text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    for accept in ["*/*", "", "application/json", "application/json, */*", "application/xml"] {
        let asked = anonymous.call(reqwest::Method::GET, "/v1/_usage/dashboard").header("accept", accept).send().await;
        asked.expect_problem(401, "unauthenticated");
    }
    anonymous.get("/v1/_usage").await.expect(401);
    text(&system.admin(), "/v1/_usage", "").await;
    let bad =
        anonymous.with_authorization("Bearer x").call(reqwest::Method::GET, "/v1/_usage/dashboard").header("accept", "text/html");
    bad.send().await.expect(401);
    let known = system.admin().get("/v1/_usage/dashboard").await.expect(200);
    assert_eq!(known.header("content-type"), "text/html; charset=utf-8");
    system.stop().await;
}

const SMALL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
roles:
  admin: {all: true, system: all}
plans:
  wide:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
  narrow:
    rates: {burst: {rate: 1, per: 1h, burst: 5}}
auth: {default_plan: wide}
";

/// CloudWatch, as a list.
#[derive(Default)]
struct Listed {
    data: Mutex<Vec<Datum>>,
    down: bool,
}

impl Metrics for Listed {
    fn publish<'a>(&'a self, data: Vec<Datum>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            if self.down {
                return Err("down".to_owned());
            }
            self.data.lock().unwrap().extend(data);
            Ok(())
        })
    }
}

impl Listed {
    /// The sum of a metric whose dimensions have this value (`""`: which has none).
    fn sum(&self, name: &str, of: &str) -> f64 {
        let data = self.data.lock().unwrap();
        let fits = |datum: &&Datum| {
            datum.name == name
                && if of.is_empty() { datum.dimensions.is_empty() } else { datum.dimensions.iter().any(|(_, value)| value == of) }
        };
        data.iter().filter(fits).flat_map(|datum| datum.values.clone()).map(|(value, count)| value * count as f64).sum()
    }

    fn samples(&self, name: &str) -> u64 {
        let data = self.data.lock().unwrap();
        data.iter().filter(|datum| datum.name == name).flat_map(|datum| &datum.values).map(|(_, count)| count).sum()
    }
}

#[tokio::test]
async fn cloudwatch_gets_the_same_numbers_once() {
    let stack = Stack::start(SMALL).await;
    let instance = stack.instance();
    let narrow = Caller { plan: Some("narrow".into()), ..somebody("greedy", "admin") };
    let other = somebody("other", "admin");
    let mut hits = 0;
    let is_hit = |answer: &holdfast::http::ApiResponse| {
        u32::from(answer.headers().get("cache-status").is_some_and(|status| status == "holdfast; hit"))
    };
    for _ in 0..8 {
        hits += is_hit(&instance.call(&narrow, "GET /v1/books", &Value::Null).await.0);
    }
    for n in 0..4 {
        instance.call(&other, "POST /v1/books", &json!({"id": format!("b{n}"), "title": "T"})).await;
    }
    instance.call(&other, "GET /v1/books/none", &Value::Null).await;
    for _ in 0..4 {
        hits += is_hit(&instance.call(&other, "GET /v1/books", &Value::Null).await.0);
    }
    instance.app.usage.flush().await.unwrap();
    let until = stack.env.now().plus(Duration::from_secs(30));
    let listed = Listed::default();
    let ticked = tick::tick(&stack.table, &stack.env, Some(&listed), until).await.unwrap();
    assert_eq!((ticked.requests, ticked.gaps), (17, 0));
    assert_eq!((listed.sum("Requests", ""), listed.sum("Denied", ""), listed.sum("Errors", "")), (17.0, 3.0, 1.0));
    assert!(hits >= 2 && listed.sum("CacheHits", "") == f64::from(hits), "{hits} hits");
    assert_eq!((listed.sum("ConsumerRequests", "greedy"), listed.sum("ConsumerDenied", "greedy")), (8.0, 3.0));
    assert_eq!((listed.samples("Latency"), listed.samples("RouteLatency")), (17, 17));
    assert!(listed.sum("ConsumerLimitUsed", "greedy") >= 100.0);
    // Nothing is published again, and the second tick has nothing to say but that there are no gaps.
    tick::tick(&stack.table, &stack.env, Some(&listed), until).await.unwrap();
    assert_eq!((listed.sum("Requests", ""), listed.sum("PublishGaps", "")), (17.0, 0.0));
    // A reporter that dies between merging and publishing leaves a gap that is told.
    instance.call(&other, "GET /v1/books/none", &Value::Null).await;
    instance.app.usage.flush().await.unwrap();
    holdfast::usage::merge::merge(&stack.table, &stack.env, until.seconds()).await.unwrap();
    let ticked = tick::tick(&stack.table, &stack.env, Some(&listed), until).await.unwrap();
    assert_eq!((ticked.gaps, listed.sum("PublishGaps", ""), listed.sum("Requests", "")), (1, 1.0, 17.0));
    tick::tick(&stack.table, &stack.env, Some(&Listed { down: true, ..Listed::default() }), until).await.unwrap();
    let (page, _) = instance.call(&other, "GET /v1/_usage?group_by=", &Value::Null).await;
    let page: Value = serde_json::from_slice(page.body()).unwrap();
    assert_eq!(page["data"].as_array().unwrap().iter().map(|row| number(row, "requests")).sum::<u64>(), 18);
}

#[tokio::test]
async fn what_the_limiter_does_without_its_store_is_counted_and_published() {
    let model = SMALL.replacen("  narrow:\n", "  narrow:\n    when_unavailable: refuse\n", 1);
    let stack = Stack::start(&model).await;
    let mut instance = stack.instance();
    let settings = holdfast::limit::LimiterSettings::default();
    let down = Double::alone(Fail::before(&[TableCall::Get, TableCall::Write], TableError::Busy("down".to_owned())));
    instance.app.limiter = holdfast::limit::Limiter::new(Arc::new(down), stack.env.clone(), settings);
    let narrow = Caller { plan: Some("narrow".into()), ..somebody("closed", "admin") };
    for (who, status, times) in [(&somebody("open", "admin"), 404, 3), (&narrow, 503, 2)] {
        for _ in 0..times {
            let (answer, _) = instance.call(who, "GET /v1/books/none", &Value::Null).await;
            assert_eq!(answer.status(), status);
        }
    }
    instance.app.usage.flush().await.unwrap();
    let listed = Listed::default();
    tick::tick(&stack.table, &stack.env, Some(&listed), stack.env.now().plus(Duration::from_secs(30))).await.unwrap();
    assert_eq!((listed.sum("LimiterFallbackAdmitted", ""), listed.sum("LimiterFallbackRefused", "")), (3.0, 2.0));
}

/// Never answers.
struct Stuck;

impl Intercept for Stuck {
    async fn around<T: Send>(
        &self,
        _: TableCall,
        _: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        std::future::pending().await
    }
}

/// Each look is ten seconds later than the one before: a flush is always due.
struct Hasty(Mutex<i64>);

impl Clock for Hasty {
    fn now(&self) -> Micros {
        let mut now = self.0.lock().unwrap();
        *now += 10_000_000;
        Micros(*now)
    }
}

#[tokio::test]
async fn counting_adds_no_call_and_no_wait_even_while_a_flush_hangs() {
    let stack = Stack::start(SMALL).await;
    let mut instance = stack.instance();
    let who = somebody("a", "admin");
    instance.call(&who, "GET /v1/books/none", &Value::Null).await;
    let (_, before) = instance.call(&who, "GET /v1/books/none", &Value::Null).await;
    let env = Env { clock: Arc::new(Hasty(Mutex::new(1_795_219_200_000_000))), random: Arc::new(SystemRandom) };
    let usage = Usage::new(Arc::new(Double::alone(Stuck)), env);
    usage.count(Finished::default());
    instance.app = instance.app.with_usage(usage.clone());
    for _ in 0..3 {
        let (_, cost) = instance.call(&who, "GET /v1/books/none", &Value::Null).await;
        assert_eq!((cost.waits, cost.usage.calls), (before.waits, before.usage.calls.clone()));
    }
    assert!(usage.is_flushing(), "one was under way all the time");
}
