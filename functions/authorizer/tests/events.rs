//! Events as API Gateway sends them (`tests/events/authorizer-*.json`), and what the authorizer answers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdfast::core::clock::{Env, Micros};
use holdfast::identity::auth::local::{self, LocalIssuer, TokenRequest};
use holdfast::identity::auth::{Authenticator, api_key};
use holdfast::identity::consumer::record::Row;
use holdfast::identity::consumer::{ApiKey, Consumer};
use holdfast::model;
use holdfast::store::double::{Double, FoundItems, Intercept, Keys};
use holdfast::store::keys as place;
use holdfast::store::table::{Item, SharedTable, TableError};
use holdfast_authorizer::{AuthorizerEvent, handle};
use serde_json::{Value, json};

const MIDNIGHT: Micros = Micros(1_795_219_200_000_000);

/// A table with two items.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Works,
    Fails,
    Hangs,
}

struct Items(State, Vec<Item>);

impl Intercept for Items {
    fn get<'a>(&'a self, _: &'a SharedTable, keys: Keys<'a>, _: bool) -> FoundItems<'a> {
        Box::pin(async move {
            match self.0 {
                State::Works => {}
                State::Fails => return Err(TableError::Busy("throttled".into())),
                State::Hangs => std::future::pending().await,
            }
            Ok(keys.iter().map(|(_, key)| self.1.iter().find(|item| item.key == *key).cloned()).collect())
        })
    }
}

const MODEL: &str = "
name: Books
version: '1'
entities: {book: {plural: books, fields: {title: string}}}
roles: {reader: {all: true}}
plans: {free: {rates: {burst: {rate: 10, per: 1s, burst: 20}}}}
";

/// What the authorizer answers to an event of this name.
async fn answer(name: &str, state: State) -> Value {
    let env = Env::still(MIDNIGHT);
    let issuer = LocalIssuer::in_memory(&env).unwrap();
    let request = TokenRequest {
        subject: "u1".into(),
        roles: vec!["reader".into()],
        claims: Default::default(),
        plan: None,
        expires_in: Duration::from_secs(60),
    };
    let token = issuer.token(&request, env.now()).unwrap();
    let key = api_key::generate(&*env.random, "live").unwrap();
    let stored = ApiKey {
        name: None,
        scopes: None,
        created_by: None,
        id: key.id.clone(),
        consumer: "acme".into(),
        hash: key.hash.to_vec(),
        created: 0,
        expires: None,
        revoked: None,
        publishable: false,
    };
    let row = Row { epoch: 4, keys: 1, consumer: Some(acme()) };
    let items = vec![stored.to_item(place::api_key(&key.id)), row.to_item(place::consumer("acme")).unwrap()];
    let table = Arc::new(Double::alone(Items(state, items)));
    let model = Arc::new(model::parse("model.yaml", MODEL).unwrap());
    let authenticator = Authenticator::new(model, table, issuer.jwks(None), env).with_issuer(local::issuer());

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/events").join(format!("authorizer-{name}.json"));
    let event = std::fs::read_to_string(path).unwrap().replace("API_KEY", &key.key).replace("TOKEN", &token);
    let event: AuthorizerEvent = serde_json::from_str(&event).unwrap();
    // Of a table that hangs all that counts is that the time is over.
    let left = Duration::from_millis(if state == State::Hangs { 500 } else { 10_000 });
    let answer = serde_json::to_value(handle(&authenticator, event, left).await).unwrap();
    let secret = answer.to_string();
    assert!(!secret.contains(&token) && !secret.contains(&key.key), "no credential in the context");
    answer
}

fn acme() -> Consumer {
    serde_json::from_value(json!({
        "id": "acme", "name": null, "plan": "free", "roles": ["reader"], "claims": {}, "disabled": false, "notify": [],
        "overrides": null, "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z", "version": "v",
    }))
    .unwrap()
}

#[tokio::test]
async fn a_token_is_told() {
    let context = json!({
        "outcome": "ok", "consumer": "local:u1", "subject": "local:u1", "roles": "[\"reader\"]", "exp": "1795219260",
    });
    assert_eq!(answer("token", State::Works).await, json!({ "isAuthorized": true, "context": context }));
}

#[tokio::test]
async fn an_api_key_is_told() {
    let mut got = answer("api-key", State::Works).await;
    assert!(got["context"]["key_id"].as_str().is_some_and(|id| id.len() == 12));
    got["context"].as_object_mut().unwrap().remove("key_id");
    let context = json!({
        "outcome": "ok", "consumer": "acme", "subject": "key:acme", "roles": "[\"reader\"]", "plan": "free", "epoch": "4",
    });
    assert_eq!(got, json!({ "isAuthorized": true, "context": context }));
}

#[tokio::test]
async fn every_call_is_let_through_with_the_truth() {
    for (name, reason) in [
        ("unsigned", "algorithm"),
        ("two-credentials", "scheme"),
        ("one-of-two-credentials", "scheme"),
        ("no-credentials", "missing"),
    ] {
        let context = json!({ "outcome": "invalid", "reason": reason });
        assert_eq!(answer(name, State::Works).await, json!({ "isAuthorized": true, "context": context }), "{name}");
    }
}

#[tokio::test]
async fn a_table_that_fails_or_hangs_is_no_verdict() {
    for (name, state) in [("token", State::Fails), ("api-key", State::Fails), ("token", State::Hangs), ("api-key", State::Hangs)]
    {
        assert_eq!(answer(name, state).await, json!({ "isAuthorized": true, "context": { "outcome": "unavailable" } }));
    }
}
