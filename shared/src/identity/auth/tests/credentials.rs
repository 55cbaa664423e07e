//! The header, API keys as they are stored, and what the consumer's record adds to a token.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::support::*;
use crate::identity::auth::{AuthOutcome, AuthRefusal, api_key};
use crate::identity::consumer::record::{ApiKey, Row};
use crate::store::keys as place;
use crate::store::table::Item;

#[tokio::test]
async fn the_header_is_bearer_and_one_credential() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = signer.token(&claims());
    for header in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER   {token}"), format!(" Bearer {token} ")]
    {
        assert!(matches!(world.authenticator.authenticate(Some(&header)).await, AuthOutcome::Ok(_)), "{header}");
    }
    for header in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        format!("Bearer\t{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer {token}, Bearer {token}"),
    ] {
        assert_eq!(world.authenticator.authenticate(Some(&header)).await, AuthRefusal::Scheme.into(), "{header}");
    }
    assert_eq!(world.authenticator.authenticate(None).await, AuthRefusal::Missing.into());
}

/// A stored key of a stored consumer, and its text.
fn stored(world: &World, seed: u64, change: impl FnOnce(&mut ApiKey)) -> String {
    let new = api_key::generate(&Seeded::new(seed), "live").unwrap();
    let mut key = ApiKey {
        name: None,
        scopes: None,
        created_by: None,
        id: new.id,
        consumer: "acme".into(),
        hash: new.hash.to_vec(),
        created: NOW,
        expires: None,
        revoked: None,
        publishable: false,
    };
    change(&mut key);
    world.table.put(key.to_item(place::api_key(&key.id)));
    let row = Row { epoch: 3, keys: 1, consumer: Some(consumer("acme")) };
    world.table.put(row.to_item(place::consumer("acme")).unwrap());
    new.key
}

#[tokio::test]
async fn junk_is_refused_without_a_read() {
    let world = World::new(&[&Signer::ed("ed", 1)]);
    let good = stored(&world, 1, |_| {});
    let wrong_checksum = format!("{}{}", &good[..good.len() - 1], if good.ends_with('a') { 'b' } else { 'a' });
    for junk in [
        "hf_",
        "hf_live_x_y",
        "hf_live_aaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        &wrong_checksum,
        &good.to_uppercase()[2..],
    ] {
        let outcome = world.bearer(junk).await;
        assert!(matches!(outcome, AuthOutcome::Invalid(AuthRefusal::ApiKey | AuthRefusal::Malformed)), "{junk}: {outcome:?}");
    }
    assert_eq!((world.table.reads.load(Ordering::SeqCst), world.idp.asked()), (0, 0));
    world.accepted(&good).await;
    assert_eq!(world.table.reads.load(Ordering::SeqCst), 2, "the key and its consumer");
}

#[tokio::test]
async fn only_the_stored_hash_lets_in() {
    let world = World::new(&[&Signer::ed("ed", 1)]);
    let good = stored(&world, 1, |_| {});
    // Another secret under the same id, with a right checksum: what somebody tries who knows an id from a log.
    let id = good.split('_').nth(2).unwrap().to_owned();
    let other = (2..).map(|seed| api_key::generate(&Prefixed(id.clone(), Seeded::new(seed)), "live").unwrap()).next().unwrap();
    assert_eq!(other.id, id);
    world.refused(&other.key, AuthRefusal::UnknownApiKey).await;
    world.refused(&api_key::generate(&Seeded::new(9), "live").unwrap().key, AuthRefusal::UnknownApiKey).await;
    world.accepted(&good).await;
}

/// Randomness that makes the id that a test wants, then goes on at random.
struct Prefixed(String, Seeded);

impl crate::core::clock::Random for Prefixed {
    fn fill(&self, buffer: &mut [u8]) {
        self.1.fill(buffer);
        let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let first = buffer.iter_mut().zip(self.0.chars());
        // The secret is drawn by a second call, which this would spoil alike, and that is fine: it differs from the stored one.
        for (byte, digit) in first {
            *byte = u8::try_from(digits.find(digit).unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn keys_end() {
    let world = World::new(&[&Signer::ed("ed", 1)]);
    let ends = stored(&world, 1, |key| key.expires = Some(NOW + 10));
    let revoked = stored(&world, 2, |key| key.revoked = Some(NOW));
    let orphan = stored(&world, 3, |key| key.consumer = "nobody".into());
    let posing = stored(&world, 4, |key| key.publishable = true);
    assert_eq!(world.accepted(&ends).await.expires, Some(NOW + 10), "without leeway: it is our clock on both sides");
    world.clock.advance(10);
    world.refused(&ends, AuthRefusal::Expired).await;
    for key in [revoked, orphan, posing] {
        world.refused(&key, AuthRefusal::UnknownApiKey).await;
    }
}

#[tokio::test]
async fn a_record_goes_before_the_token() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let mut claims = claims();
    claims["plan"] = json!("free");
    claims["tenant"] = json!("of the token");
    claims["region"] = json!("eu");
    let token = signer.token(&claims);
    let verified = world.accepted(&token).await;
    assert_eq!((verified.plan.as_deref(), verified.epoch), (Some("free"), None));
    let mut record = consumer("idp:u1");
    let put = |record: &crate::identity::consumer::Consumer| {
        let row = Row { epoch: 7, keys: 0, consumer: Some(record.clone()) };
        world.table.put(row.to_item(place::consumer("idp:u1")).unwrap());
    };
    put(&record);
    let verified = world.accepted(&token).await;
    assert_eq!((verified.plan.as_deref(), verified.epoch), (Some("free"), Some(7)), "a record that says nothing changes nothing");
    assert_eq!(verified.roles, ["reader"]);
    record.plan = Some("gold".into());
    record.roles = Some(vec!["guest".into()]);
    record.claims = [("tenant".to_owned(), json!(5)), ("unused".to_owned(), json!(1))].into();
    record.overrides = Some(json!({ "burst": { "rate": 5 } }));
    put(&record);
    let verified = world.accepted(&token).await;
    assert_eq!((verified.plan.as_deref(), verified.roles), (Some("gold"), vec!["guest".to_owned()]));
    assert_eq!(verified.claims, [("tenant".to_owned(), json!(5)), ("region".to_owned(), json!("eu"))].into());
    assert_eq!(verified.overrides, record.overrides);
    record.disabled = true;
    put(&record);
    world.refused(&token, AuthRefusal::Disabled).await;
}

#[tokio::test]
async fn a_table_that_fails_makes_unavailable() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let key = stored(&world, 1, |_| {});
    world.table.down.store(true, Ordering::SeqCst);
    for credential in [signer.token(&claims()), key.clone()] {
        assert!(matches!(world.bearer(&credential).await, AuthOutcome::Unavailable(_)), "nobody is let in unseen");
    }
    world.refused(&Signer::ed("ed", 2).token(&claims()), AuthRefusal::Signature).await;
    world.table.down.store(false, Ordering::SeqCst);
    world.table.put(Item::new(place::consumer("acme")));
    assert!(matches!(world.bearer(&key).await, AuthOutcome::Unavailable(_)), "a row that cannot be read");
}
