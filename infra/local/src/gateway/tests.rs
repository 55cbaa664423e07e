//! The gateway over real sockets, with functions that show what they were given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast::core::clock::Env;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::Gateway;
use crate::client;
use crate::functions::{Functions, in_process};
use crate::server::Server;
use crate::template::{EMBEDDED, Template};

/// A gateway whose functions echo their event under their name; paths make them misbehave.
async fn start() -> (Server, String, Arc<AtomicUsize>) {
    let template = Template::parse(EMBEDDED).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let mut functions = Functions::new();
    for function in &template.functions {
        let name = function.binary.clone();
        functions.insert(function.binary.clone(), in_process(move |event| echo(name.clone(), event)));
    }
    let counter = asked.clone();
    functions.insert(
        "authorizer".into(),
        in_process(move |event: LambdaEvent<Value>| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move { authorize(&event.payload) }
        }),
    );
    let gateway = Gateway::new(template, functions, Env::system()).unwrap().with_wait(Duration::from_millis(300));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = gateway.serve(listener).unwrap();
    let base = format!("http://{}", server.address);
    (server, base, asked)
}

async fn echo(name: String, event: LambdaEvent<Value>) -> Result<Value, String> {
    let path = event.payload["rawPath"].as_str().unwrap_or_default().to_owned();
    match path.rsplit('/').next().unwrap_or_default() {
        "fail" => return Err("told to".into()),
        "panic" => panic!("told to"),
        "hang" => futures::future::pending::<()>().await,
        "odd" => return Ok(json!({ "odd": true })),
        _ => {}
    }
    let body = json!({ "function": name, "event": event.payload }).to_string();
    Ok(json!({ "statusCode": 200, "headers": { "content-type": "application/json" }, "body": body, "isBase64Encoded": false }))
}

fn authorize(event: &Value) -> Result<Value, String> {
    match event["identitySource"][0].as_str() {
        Some("broken") => Err("told to".into()),
        Some("denied") => Ok(json!({ "isAuthorized": false })),
        who => Ok(json!({ "isAuthorized": true, "context": { "outcome": "ok", "who": who, "type": event["type"] } })),
    }
}

async fn get(url: String, authorization: Option<&str>) -> (u16, Value) {
    let mut request = client::http().build().unwrap().get(url);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn routes_to_functions_with_what_the_authorizer_said() {
    let (server, base, asked) = start().await;
    let (status, body) = get(format!("{base}/v1/_consumers/a%20b?x=1"), Some("me")).await;
    assert_eq!(status, 200);
    assert_eq!(body["function"], "data-api");
    assert_eq!(body["event"]["rawPath"], "/v1/_consumers/a b");
    assert_eq!(body["event"]["pathParameters"]["id"], "a b");
    assert_eq!(body["event"]["requestContext"]["authorizer"]["lambda"], json!({"outcome": "ok", "who": "me", "type": "REQUEST"}));
    assert_eq!(body["event"]["requestContext"]["http"]["sourceIp"], "127.0.0.1");
    let (_, body) = get(format!("{base}/v1/orders/%2541%2Fb"), Some("me")).await;
    assert_eq!(body["event"]["rawPath"], "/v1/orders/%2541/b");
    let (_, body) = get(format!("{base}/v1/orders/1/photo/shares"), Some("me")).await;
    assert_eq!(body["function"], "download");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the answer is remembered for all routes");
    for (path, function) in
        [("openapi.json", "docs"), ("orders", "data-api"), ("orders/1", "data-api"), ("orders/1/photo/download", "download")]
    {
        let (_, body) = get(format!("{base}/v1/{path}"), Some("other")).await;
        assert_eq!(body["function"], function);
        assert!(body["event"]["requestContext"].get("authorizer").is_none(), "an open route has no authorizer");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let (_, body) = get(format!("{base}/nowhere"), None).await;
    assert_eq!((&body["function"], &body["event"]["routeKey"]), (&json!("data-api"), &json!("$default")));
    server.stop().await;
}

#[tokio::test]
async fn missing_credentials_reach_the_function_with_an_empty_context() {
    let (server, base, asked) = start().await;
    let (status, body) = get(format!("{base}/v1/_me"), None).await;
    assert_eq!(status, 200);
    assert_eq!(body["event"]["requestContext"]["authorizer"]["lambda"], json!({}));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_header_reaches_authorizer_and_function_as_one_that_holds_both() {
    let (server, base, asked) = start().await;
    let request = client::http().build().unwrap().get(format!("{base}/v1/_me"));
    let body = request.header("authorization", "me").header("authorization", "you").send().await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["event"]["requestContext"]["authorizer"]["lambda"]["who"], "me,you");
    assert_eq!(body["event"]["headers"]["authorization"], "me,you");
    get(format!("{base}/v1/_me"), Some("me")).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "what is remembered of one is not the answer for both");
    server.stop().await;
}

#[tokio::test]
async fn refusals_are_those_of_api_gateway() {
    let (server, base, _) = start().await;
    let long = "x".repeat(10_240);
    for (path, who, status, message) in [
        ("/v1/_me", "denied", 403, "Forbidden"),
        ("/v1/_me", "broken", 500, "Internal Server Error"),
        ("/v1/orders/fail", "me", 500, "Internal Server Error"),
        ("/v1/orders/panic", "me", 500, "Internal Server Error"),
        ("/v1/orders/odd", "me", 500, "Internal Server Error"),
        ("/v1/orders/hang", "me", 503, "Service Unavailable"),
        ("/v1/orders/%ff", "me", 400, "Bad Request"),
        ("/v1/orders", &long, 431, "Request Header Fields Too Large"),
    ] {
        let answer = get(format!("{base}{path}"), Some(who)).await;
        assert_eq!(answer, (status, json!({ "message": message })), "{path}");
    }
    let client = client::http().build().unwrap();
    let too_large = [vec![b'x'; 10 * 1024 * 1024 + 1], vec![b'x'; 6 * 1024 * 1024]];
    for body in too_large {
        let answer = client.post(format!("{base}/v1/orders")).header("authorization", "me").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(answer.text().await.unwrap(), "{\"message\":\"Request Entity Too Large\"}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bodies_travel_unchanged_and_every_answer_has_an_id() {
    use base64::Engine;
    let (server, base, _) = start().await;
    let sent: Vec<u8> = (0..=255).collect();
    let response = client::http().build().unwrap().post(format!("{base}/v1/orders")).body(sent.clone()).send().await.unwrap();
    assert!(response.headers().contains_key("apigw-requestid"));
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["event"]["isBase64Encoded"], true);
    let text = body["event"]["body"].as_str().unwrap();
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(text).unwrap(), sent);
    server.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_requests_under_way() {
    let template = Template::parse(EMBEDDED).unwrap();
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut functions = Functions::new();
    for function in &template.functions {
        let (entered, release) = (entered.clone(), release.clone());
        let handler = move |_: LambdaEvent<Value>| {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                Ok::<_, String>(json!({ "statusCode": 204 }))
            }
        };
        functions.insert(function.binary.clone(), in_process(handler));
    }
    let gateway = Gateway::new(template, functions, Env::system()).unwrap();
    let server = gateway.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let url = format!("http://{}/nowhere", server.address);
    let request = tokio::spawn(get(url.clone(), None));
    entered.notified().await;
    let stopping = tokio::spawn(server.stop());
    let client = client::http().build().unwrap();
    while client.get(&url).send().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "a request is still under way");
    release.notify_one();
    assert_eq!(request.await.unwrap().0, 204);
    stopping.await.unwrap();
}
