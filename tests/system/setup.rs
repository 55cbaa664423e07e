//! The first key of a deployment.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use futures::future::BoxFuture;
use holdfast::identity::auth::AuthOutcome;
use holdfast::identity::secret::SecretSlot;
use holdfast_setup::{CONSUMER, FirstKey, ResourceEvent, handle};
use holdfast_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const MODEL: &str = "
name: Books
version: '1'
entities: {book: {plural: books, fields: {title: string}}}
roles: {admin: {all: true, system: [consumers]}}
plans: {free: {rates: {burst: {rate: 10, per: 1s, burst: 20}}}}
";

/// A secret that can be out of order.
#[derive(Default)]
struct Slot {
    offered: Mutex<Vec<String>>,
    broken: Mutex<bool>,
}

impl SecretSlot for Slot {
    fn is_empty(&self) -> BoxFuture<'_, Result<bool, String>> {
        let empty = *self.broken.lock().unwrap() || self.offered.lock().unwrap().is_empty();
        Box::pin(std::future::ready(Ok(empty)))
    }

    fn fill(&self, text: String) -> BoxFuture<'_, Result<(), String>> {
        self.offered.lock().unwrap().push(text);
        let outcome = if *self.broken.lock().unwrap() { Err("out of order".to_owned()) } else { Ok(()) };
        Box::pin(std::future::ready(outcome))
    }
}

fn first<'a>(stack: &'a Stack, slot: &'a Slot) -> FirstKey<'a> {
    FirstKey { table: &stack.table, model: &stack.model, env: &stack.env, environment: "test", slot }
}

async fn outcome(stack: &Stack, key: &str) -> AuthOutcome {
    stack.instance().app.authenticator.authenticate(Some(&format!("Bearer {key}"))).await
}

#[tokio::test]
async fn the_first_key_is_made_once_and_opens_the_door() {
    let (stack, slot) = (Stack::start(MODEL).await, Slot::default());
    assert_eq!(first(&stack, &slot).ensure("admin").await, Ok(true));
    assert_eq!(first(&stack, &slot).ensure("admin").await, Ok(false), "an update of the stack changes nothing");
    let keys = slot.offered.lock().unwrap().clone();
    let AuthOutcome::Ok(who) = outcome(&stack, &keys[0]).await else { panic!("{keys:?}") };
    assert_eq!((who.consumer.as_str(), who.roles.as_slice()), (CONSUMER, ["admin".to_owned()].as_slice()));
    assert!(keys[0].starts_with("hf_test_") && keys.len() == 1);
}

#[tokio::test]
async fn a_key_that_did_not_reach_its_secret_is_revoked_by_the_next_attempt() {
    let (stack, slot) = (Stack::start(MODEL).await, Slot::default());
    *slot.broken.lock().unwrap() = true;
    assert!(first(&stack, &slot).ensure("admin").await.is_err());
    *slot.broken.lock().unwrap() = false;
    let lost = slot.offered.lock().unwrap().pop().unwrap();
    assert_eq!(first(&stack, &slot).ensure("admin").await, Ok(true));
    assert!(!matches!(outcome(&stack, &lost).await, AuthOutcome::Ok(_)));
    let kept = slot.offered.lock().unwrap()[0].clone();
    assert!(matches!(outcome(&stack, &kept).await, AuthOutcome::Ok(_)));
}

/// What CloudFormation is told.
async fn told(stack: &Stack, slot: &Slot, kind: &str, role: &str) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/answer?signature=x", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        while !request.ends_with('}') {
            let mut part = [0u8; 4096];
            let read = socket.read(&mut part).await.unwrap();
            request.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        request
    });
    let event = json!({
        "RequestType": kind, "ResponseURL": address, "StackId": "stack", "RequestId": "request",
        "LogicalResourceId": "FirstAdminKey", "ResourceProperties": {"SecretArn": "arn", "Role": role, "ServiceToken": "arn"},
    });
    let event: ResourceEvent = serde_json::from_value(event).unwrap();
    handle(&first(stack, slot), event).await.unwrap();
    let request = server.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("PUT /answer?signature=x HTTP/1.1\r\n"), "{head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn cloudformation_is_told_what_became_of_it() {
    let (stack, slot) = (Stack::start(MODEL).await, Slot::default());
    let failed = told(&stack, &slot, "Create", "nobody").await;
    assert_eq!(
        (&failed["Status"], failed["Reason"].as_str().unwrap().contains("must be a role")),
        (&json!("FAILED"), true),
        "{failed}"
    );
    let made = told(&stack, &slot, "Create", "admin").await;
    let expected = json!({
        "Status": "SUCCESS", "PhysicalResourceId": "first-admin-key", "StackId": "stack", "RequestId": "request",
        "LogicalResourceId": "FirstAdminKey",
    });
    assert_eq!(made, expected);
    assert_eq!(told(&stack, &slot, "Delete", "admin").await, expected);
    let kept = slot.offered.lock().unwrap()[0].clone();
    assert!(matches!(outcome(&stack, &kept).await, AuthOutcome::Ok(_)), "the table outlives the stack, and so does the key");
}
