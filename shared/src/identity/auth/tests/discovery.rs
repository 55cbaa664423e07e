//! Keys by discovery: which documents are asked for, how often, and what they may say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use serde_json::json;

use super::support::*;
use crate::core::clock::Env;
use crate::identity::auth::{AuthOutcome, Authenticator, JwksError, JwksSource};

const DISCOVERY: &str = "https://idp.example/.well-known/openid-configuration";
const MOVED: &str = "https://idp.example/keys/2";

/// Documents by address, and what was asked for: its address and the most bytes that it may have.
#[derive(Default)]
struct Site {
    documents: Mutex<BTreeMap<String, String>>,
    asked: Mutex<Vec<(String, usize)>>,
}

impl Site {
    fn publish(&self, address: &str, document: impl Into<String>) {
        self.documents.lock().unwrap().insert(address.to_owned(), document.into());
    }

    fn remove(&self, address: &str) {
        self.documents.lock().unwrap().remove(address);
    }

    fn asked(&self, address: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == address).count()
    }
}

impl JwksSource for Site {
    fn fetch<'a>(&'a self, uri: &'a str, most: usize) -> BoxFuture<'a, Result<String, JwksError>> {
        self.asked.lock().unwrap().push((uri.to_owned(), most));
        let found = self.documents.lock().unwrap().get(uri).cloned();
        Box::pin(std::future::ready(found.ok_or_else(|| JwksError("404".to_owned()))))
    }
}

struct Discovered {
    clock: Arc<Set>,
    site: Arc<Site>,
    authenticator: Authenticator,
    signer: Signer,
}

fn configuration(issuer: &str, jwks: &str) -> String {
    json!({"issuer": issuer, "jwks_uri": jwks, "token_endpoint": "https://idp.example/token", "x": [1, {"y": null}]}).to_string()
}

impl Discovered {
    fn new() -> Self {
        let (clock, site, signer) = (Arc::new(Set::at(NOW)), Arc::new(Site::default()), Signer::ed("ed", 1));
        site.publish(DISCOVERY, configuration(ISS, JWKS));
        site.publish(JWKS, document(&[&signer]));
        let mut model = model();
        model.auth.issuers[0].jwks_uri = None;
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(1)) };
        let authenticator = Authenticator::new(Arc::new(model), Arc::new(Items::default()), site.clone(), env);
        Self { clock, site, authenticator, signer }
    }

    async fn ask_by(&self, signer: &Signer) -> AuthOutcome {
        let mut claims = claims();
        claims["iat"] = json!(NOW);
        claims["exp"] = json!(NOW + 3600);
        self.authenticator.authenticate(Some(&format!("Bearer {}", signer.token(&claims)))).await
    }

    async fn ask(&self) -> AuthOutcome {
        self.ask_by(&self.signer).await
    }
}

#[tokio::test]
async fn the_keys_are_those_of_the_document_which_is_read_once_in_ten_minutes() {
    let world = Discovered::new();
    for _ in 0..20 {
        assert_eq!(world.ask().await.name(), "ok");
        // Forged ids of keys ask for the keys again, and for nothing else.
        assert_eq!(world.ask_by(&Signer::ed("forged", 9)).await.name(), "invalid");
        world.clock.advance(29);
    }
    assert_eq!(world.site.asked(DISCOVERY), 1);
    assert!(world.site.asked(JWKS) > 1);
    // The keys are younger: a forged id had them read again.
    world.clock.advance(600);
    assert_eq!(world.ask().await.name(), "ok");
    assert_eq!(world.site.asked(DISCOVERY), 2);
    let most: Vec<usize> =
        world.site.asked.lock().unwrap().iter().filter(|(uri, _)| uri == DISCOVERY).map(|(_, most)| *most).collect();
    assert_eq!(most, [64 * 1024; 2]);
}

#[tokio::test]
async fn a_key_set_that_moves_is_followed_and_a_lost_document_forgets_nothing() {
    let world = Discovered::new();
    assert_eq!(world.ask().await.name(), "ok");
    world.site.publish(DISCOVERY, configuration(ISS, MOVED));
    world.site.publish(MOVED, document(&[&world.signer]));
    world.site.remove(JWKS);
    world.clock.advance(600);
    assert_eq!(world.ask().await.name(), "ok");
    assert_eq!(world.site.asked(MOVED), 1);
    world.site.remove(DISCOVERY);
    world.clock.advance(600);
    assert_eq!(world.ask().await.name(), "ok");
    let before = world.site.asked(DISCOVERY);
    for _ in 0..9 {
        world.clock.advance(61);
        assert_eq!(world.ask_by(&Signer::ed("forged", 9)).await.name(), "invalid");
    }
    assert_eq!(world.site.asked(DISCOVERY), before, "one that fails is not asked for more often");
}

#[tokio::test]
async fn a_document_that_is_none_lets_nobody_in() {
    for wrong in [
        "",
        "[]",
        "{}",
        &configuration("https://other.example", JWKS),
        &configuration("https://idp.example/", JWKS),
        &json!({"issuer": ISS}).to_string(),
        &json!({"issuer": ISS, "jwks_uri": 1}).to_string(),
        &format!("{{\"issuer\":\"{ISS}\",\"issuer\":\"{ISS}\",\"jwks_uri\":\"{JWKS}\"}}"),
        &format!("{}{}", configuration(ISS, JWKS), " ".repeat(64 * 1024)),
    ] {
        let world = Discovered::new();
        world.site.publish(DISCOVERY, wrong);
        assert_eq!(world.ask().await.name(), "unavailable", "{:.80}", wrong);
        assert_eq!(world.site.asked(JWKS), 0);
    }
}

#[tokio::test]
async fn an_issuer_whose_document_cannot_be_had_is_left_alone_after_some_failures() {
    let world = Discovered::new();
    world.site.remove(DISCOVERY);
    for _ in 0..20 {
        assert_eq!(world.ask().await.name(), "unavailable");
    }
    assert_eq!(world.site.asked(DISCOVERY), 3);
    world.site.publish(DISCOVERY, configuration(ISS, JWKS));
    world.clock.advance(15);
    assert_eq!(world.ask().await.name(), "ok");
}
