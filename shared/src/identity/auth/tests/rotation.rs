//! Keys come and go; issuers fail. No test waits: time is set.

use std::sync::atomic::Ordering;

use super::support::*;
use crate::identity::auth::{AuthOutcome, AuthRefusal};

fn down(outcome: &AuthOutcome) -> bool {
    matches!(outcome, AuthOutcome::Unavailable(_))
}

#[tokio::test]
async fn a_new_key_is_found_without_waiting_for_the_refresh() {
    let (old, new) = (Signer::ed("old", 1), Signer::ed("new", 2));
    let world = World::new(&[&old]);
    world.accepted(&old.token(&claims())).await;
    world.clock.advance(60);
    world.idp.publish(&[&old, &new]);
    world.accepted(&new.token(&claims())).await;
    world.accepted(&old.token(&claims())).await;
    assert_eq!(world.idp.asked(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_ends_with_the_refresh() {
    let (old, new) = (Signer::ed("old", 1), Signer::ed("new", 2));
    let world = World::new(&[&old, &new]);
    let token = old.token(&claims_with("exp", serde_json::json!(NOW + 3000)));
    world.accepted(&token).await;
    world.idp.publish(&[&new]);
    world.clock.advance(599);
    world.accepted(&token).await;
    world.clock.advance(1);
    world.refused(&token, AuthRefusal::UnknownKey).await;
    assert_eq!(world.idp.asked(), 2, "the refresh that just happened is enough for the unknown kid");
}

#[tokio::test]
async fn a_reused_kid_follows_the_document() {
    let (old, new) = (Signer::ed("k", 1), Signer::ed("k", 2));
    let world = World::new(&[&old]);
    world.accepted(&old.token(&claims())).await;
    world.idp.publish(&[&new]);
    world.refused(&new.token(&claims()), AuthRefusal::Signature).await;
    world.clock.advance(600);
    world.accepted(&new.token(&claims())).await;
    world.refused(&old.token(&claims()), AuthRefusal::Signature).await;
}

#[tokio::test]
async fn forged_kids_cost_one_fetch_a_minute() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    world.accepted(&signer.token(&claims())).await;
    for minute in 1..4 {
        for forged in 0..50 {
            world.refused(&Signer::ed(&format!("forged-{forged}"), 9).token(&claims()), AuthRefusal::UnknownKey).await;
        }
        assert_eq!(world.idp.asked(), 1 + minute, "beside the first of all");
        world.clock.advance(60);
    }
}

#[tokio::test]
async fn a_key_published_just_after_a_regular_fetch_is_found_at_once() {
    let (old, new, newest) = (Signer::ed("old", 1), Signer::ed("new", 2), Signer::ed("newest", 3));
    let world = World::new(&[&old]);
    let long = |signer: &Signer| signer.token(&claims_with("exp", serde_json::json!(NOW + 3000)));
    world.accepted(&long(&old)).await;
    world.idp.publish(&[&old, &new]);
    world.accepted(&long(&new)).await;
    world.idp.publish(&[&old, &new, &newest]);
    world.refused(&long(&newest), AuthRefusal::UnknownKey).await;
    assert_eq!(world.idp.asked(), 2, "the next unknown kid waits for its minute");
    world.clock.advance(60);
    world.accepted(&long(&newest)).await;
    world.clock.advance(600);
    world.accepted(&long(&old)).await;
    world.idp.publish(&[&old]);
    world
        .refused(&Signer::ed("forged", 9).token(&claims_with("exp", serde_json::json!(NOW + 3000))), AuthRefusal::UnknownKey)
        .await;
    assert_eq!(world.idp.asked(), 5, "a regular fetch gives the first unknown kid another one");
}

#[tokio::test]
async fn many_at_once_share_one_fetch() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = signer.token(&claims());
    let all = futures::future::join_all((0..20).map(|_| world.bearer(&token))).await;
    assert!(all.iter().all(|outcome| matches!(outcome, AuthOutcome::Ok(_))));
    assert_eq!(world.idp.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_makes_unavailable_and_soon_costs_nothing() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = signer.token(&claims());
    world.idp.down.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(down(&world.bearer(&token).await));
    }
    assert_eq!(world.idp.asked(), 3, "then the breaker is open");
    world.clock.advance(14);
    assert!(down(&world.bearer(&token).await));
    assert_eq!(world.idp.asked(), 3);
    world.clock.advance(1);
    assert!(down(&world.bearer(&token).await) && down(&world.bearer(&token).await));
    assert_eq!(world.idp.asked(), 4, "one probe, then open for twice as long");
    world.clock.advance(29);
    assert!(down(&world.bearer(&token).await));
    assert_eq!(world.idp.asked(), 4);
    world.clock.advance(1);
    world.idp.down.store(false, Ordering::SeqCst);
    world.accepted(&token).await;
    assert_eq!(world.idp.asked(), 5, "one success closes it");
}

#[tokio::test]
async fn known_keys_outlive_an_outage_for_a_while() {
    let signer = Signer::ed("ed", 1);
    let mut model = model();
    model.auth.issuers[0].max_lifetime = std::time::Duration::from_secs(86_400);
    let world = World::with_model(&[&signer], model);
    let token = signer.token(&claims_with("exp", serde_json::json!(NOW + 80_000)));
    world.accepted(&token).await;
    world.idp.down.store(true, Ordering::SeqCst);
    world.clock.advance(4 * 3600 - 1);
    world.accepted(&token).await;
    let unknown = Signer::ed("new", 2).token(&claims_with("exp", serde_json::json!(NOW + 80_000)));
    assert!(down(&world.bearer(&unknown).await), "it may be a new key that cannot be fetched: not the caller's fault");
    world.clock.advance(1);
    assert!(down(&world.bearer(&token).await), "too old to trust");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_issuer_is_given_up() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    world.idp.hangs.store(true, Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    assert!(down(&world.bearer(&signer.token(&claims())).await));
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn rubbish_for_a_document_is_a_failure_that_replaces_nothing() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = signer.token(&claims());
    world.accepted(&token).await;
    for rubbish in ["", "<html>", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, r#"{"keys":{}}"#] {
        *world.idp.document.lock().unwrap() = rubbish.to_owned();
        world.clock.advance(60);
        world.accepted(&token).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_holds_up_one_caller_only() {
    let signer = Signer::ed("ed", 1);
    let world = World::new(&[&signer]);
    let token = signer.token(&claims_with("exp", serde_json::json!(NOW + 3000)));
    world.accepted(&token).await;
    world.clock.advance(600);
    world.idp.hangs.store(true, Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    let timed = || async {
        world.accepted(&token).await;
        started.elapsed().as_secs()
    };
    assert_eq!(futures::join!(timed(), timed(), timed()), (3, 0, 0));
}
