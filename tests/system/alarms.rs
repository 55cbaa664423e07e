//! Alarms: each tells somebody, each queue of dead letters has one, and those of a release count every answer of 5xx.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use holdfast::core::clock::Micros;
use holdfast::http::problem::{Code, Problem};
use holdfast::http::{ApiRequest, respond};
use holdfast::identity::auth::AuthOutcome;
use holdfast::pipeline;
use holdfast::store::double::{Double, Fail, TableCall};
use holdfast::store::table::TableError;
use holdfast_local::template::{EMBEDDED, Template};
use holdfast_tests::root;
use holdfast_tests::stack::{Stack, somebody};
use http::{HeaderMap, HeaderValue, Method};
use hyper::body::Bytes;
use saphyr::{LoadableYamlNode, YamlOwned};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::traces::{Lines, heard};

const MODEL: &str = "
name: Test
entities:
  book: {id: string, fields: {title: {type: string, max: 50}}, indexes: {by_title: {sort: title}}}
roles:
  admin: {all: true}
plans:
  free: {rates: {burst: {rate: 50, per: 1s, burst: 100}}}
auth: {default_plan: free}
";

fn load(path: &str) -> YamlOwned {
    YamlOwned::load_from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap().remove(0)
}

fn untagged(node: &YamlOwned) -> &YamlOwned {
    node.get_tagged_node().unwrap_or(node)
}

/// What stands below these keys, whatever its tag.
fn at<'a>(node: &'a YamlOwned, keys: &[&str]) -> Option<&'a YamlOwned> {
    keys.iter().try_fold(node, |node, key| node.as_mapping_get(key).map(untagged))
}

fn text<'a>(node: &'a YamlOwned, keys: &[&str]) -> &'a str {
    at(node, keys).and_then(YamlOwned::as_str).unwrap_or_default()
}

/// Resources of a type: logical name, and what the template says of it.
fn of_type<'a>(template: &'a YamlOwned, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a YamlOwned)> {
    let resources = at(template, &["Resources"]).and_then(YamlOwned::as_mapping).unwrap().iter();
    let named = resources.filter_map(|(name, node)| Some((name.as_str()?, node)));
    named.filter(move |(_, node)| text(node, &["Type"]) == kind)
}

/// What the main template passes to the nested one, as the name of its own resource: `!GetAtt Queue.Arn` -> `Queue`.
fn passed<'a>(main: &'a YamlOwned, parameter: &str) -> &'a str {
    let (_, nested) = of_type(main, "AWS::CloudFormation::Stack").next().unwrap();
    text(nested, &["Properties", "Parameters", parameter]).split('.').next().unwrap()
}

/// Every alarm: its name, what it is, and what a name in it means in the main template.
fn alarms<'a>(main: &'a YamlOwned, nested: &'a YamlOwned) -> Vec<(&'a str, &'a YamlOwned, bool)> {
    let of = |template, inner| of_type(template, "AWS::CloudWatch::Alarm").map(move |(name, alarm)| (name, alarm, inner));
    of(main, false).chain(of(nested, true)).collect()
}

#[test]
fn every_alarm_tells_a_topic_that_is_always_there() {
    let (main, nested) = (load("template.yaml"), load("infra/monitoring.yaml"));
    let topics: Vec<_> = of_type(&main, "AWS::SNS::Topic").filter(|(_, topic)| at(topic, &["Condition"]).is_none()).collect();
    let found = alarms(&main, &nested);
    assert!(found.len() > 15, "{} alarms", found.len());
    for (name, alarm, inner) in found {
        let actions = at(alarm, &["Properties", "AlarmActions"]).and_then(YamlOwned::as_vec);
        let actions = actions.unwrap_or_else(|| panic!("{name} tells nobody"));
        assert!(!actions.is_empty(), "{name} tells nobody");
        for action in actions.iter().map(|action| untagged(action).as_str().unwrap()) {
            let told = if inner { passed(&main, action) } else { action };
            assert!(topics.iter().any(|(topic, _)| *topic == told), "{name} tells {action}, which is no topic");
        }
    }
}

#[test]
fn every_queue_of_dead_letters_has_an_alarm() {
    let (main, nested) = (load("template.yaml"), load("infra/monitoring.yaml"));
    let watched: Vec<&str> = alarms(&main, &nested)
        .into_iter()
        .filter(|(_, alarm, _)| text(alarm, &["Properties", "MetricName"]) == "ApproximateNumberOfMessagesVisible")
        .flat_map(|(_, alarm, inner)| {
            let dimensions = at(alarm, &["Properties", "Dimensions"]).and_then(YamlOwned::as_vec).unwrap();
            dimensions.iter().map(move |one| (text(one, &["Value"]), inner))
        })
        .map(|(name, inner)| if inner { passed(&main, name) } else { name.split('.').next().unwrap() })
        .collect();
    let queues: Vec<&str> = of_type(&main, "AWS::SQS::Queue").map(|(name, _)| name).collect();
    assert!(!queues.is_empty());
    for queue in queues {
        assert!(watched.contains(&queue), "{queue} fills and nobody is told");
    }
}

/// The patterns by which the logs of the functions that answer requests are counted, by their log group.
fn patterns(main: &YamlOwned) -> Vec<(&str, &str)> {
    let filters = of_type(main, "AWS::Logs::MetricFilter");
    let filters = filters
        .map(|(_, filter)| (text(filter, &["Properties", "LogGroupName"]), text(filter, &["Properties", "FilterPattern"])));
    filters.collect()
}

#[test]
fn the_log_of_every_function_that_answers_requests_is_counted() {
    let (main, template) = (load("template.yaml"), Template::parse(EMBEDDED).unwrap());
    for route in &template.routes {
        let function = at(&main, &["Resources", &route.function]).unwrap();
        let log = text(function, &["Properties", "LoggingConfig", "LogGroup"]);
        assert!(patterns(&main).iter().any(|(counted, _)| *counted == log), "{}: {log} is not counted", route.function);
    }
}

/// Whether a filter pattern of CloudWatch Logs takes a line: alternatives of conjunctions, which is all that ours use.
fn takes(pattern: &str, line: &Value) -> bool {
    let trimmed = pattern.trim_matches(['{', '}', ' ']);
    trimmed.split("||").any(|all| all.split("&&").all(|one| holds(one.trim_matches(['(', ')', ' ']), line)))
}

fn holds(term: &str, line: &Value) -> bool {
    let (path, wanted, equal) = match term.split_once("!=") {
        Some((path, wanted)) => (path, wanted, false),
        None => term.split_once('=').map(|(path, wanted)| (path, wanted, true)).unwrap(),
    };
    let found = path.trim().strip_prefix("$.").unwrap().split('.').fold(line, |node, key| &node[key]);
    found.as_str().is_some_and(|found| (found == wanted.trim().trim_matches('"')) == equal)
}

/// How often these lines count as failures, which must be the same in each log.
fn counted(lines: &[Value]) -> usize {
    let main = load("template.yaml");
    let counts: Vec<usize> =
        patterns(&main).iter().map(|(_, pattern)| lines.iter().filter(|line| takes(pattern, line)).count()).collect();
    assert!(counts.len() >= 3 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    counts[0]
}

/// What the log of a function says while this is done.
fn logged(work: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let _guard = heard(tracing_subscriber::registry().with(log));
    work();
    lines.all()
}

fn request(deadline: Micros) -> ApiRequest {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer looked-at-by-the-authorizer"));
    ApiRequest {
        method: Method::GET,
        path: "/v1/books".to_owned(),
        query: String::new(),
        headers,
        body: Bytes::new(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        context: Some(AuthOutcome::Ok(Box::new(somebody("acme", "admin"))).to_context()),
        deadline,
        base_url: "https://api.example".to_owned(),
    }
}

#[test]
fn every_answer_of_5xx_counts_once_and_no_other_does() {
    let model = holdfast::model::parse("model.yaml", MODEL).unwrap();
    for code in Code::ALL {
        for problem in [Problem::new(*code, "x"), Problem::new(*code, "x").logged("why")] {
            let lines = logged(|| drop(respond::respond(&request(Micros(0)), &model, "c-1", Err(problem))));
            assert_eq!(counted(&lines), usize::from(code.status().is_server_error()), "{}: {lines:?}", code.name());
        }
    }
}

#[tokio::test]
async fn a_request_that_runs_out_of_time_counts() {
    let stack = Stack::start(MODEL).await;
    let (instance, lines) = (stack.instance(), Lines::default());
    let writer = lines.clone();
    let log = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let _guard = heard(tracing_subscriber::registry().with(log));
    let response = pipeline::handle(&instance.app, request(stack.env.now())).await;
    assert_eq!((response.status().as_u16(), counted(&lines.all())), (504, 1), "{:?}", lines.all());
}

#[tokio::test]
async fn a_bulk_call_whose_operations_fail_counts_once_though_it_is_200() {
    let stack = Stack::start(MODEL).await;
    // As a table without the right to write does.
    let denied = Fail::before(&[TableCall::Transact], TableError::Broken("AccessDenied".into()));
    let table = Arc::new(Double::new(Arc::new(stack.table.clone()), denied));
    let (instance, lines) = (stack.instance_on(table), Lines::default());
    let writer = lines.clone();
    let log = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let _guard = heard(tracing_subscriber::registry().with(log));
    let create = |id: &str| json!({"op": "create", "data": {"id": id, "title": "t"}});
    let body = json!({"operations": [create("a"), create("b")]});
    let (response, _) = instance.call(&somebody("acme", "admin"), "POST /v1/books/_bulk", &body).await;
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((response.status().as_u16(), &answer["results"][1]["status"]), (200, &json!(500)));
    assert_eq!(counted(&lines.all()), 1, "{:?}", lines.all());
}

/// Lambda's own lines, as its telemetry schema has them. A time-out is reported by two of them and counts once.
#[test]
fn what_lambda_ended_counts_once() {
    let line = |kind: &str, status: &str| json!({"time": "2026-11-28T00:00:00.000Z", "type": kind, "record": {"requestId": "r", "status": status}});
    for status in ["timeout", "error", "failure"] {
        assert_eq!(counted(&[line("platform.runtimeDone", status), line("platform.report", status)]), 1, "{status}");
    }
    assert_eq!(counted(&[line("platform.start", ""), line("platform.report", "success")]), 0);
}
