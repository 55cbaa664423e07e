//! `Idempotency-Key`.

use super::*;

const KEY: (&str, &str) = ("idempotency-key", "key");

#[tokio::test]
async fn a_repetition_gets_the_same_answer_and_has_no_effect() {
    let world = World::new().await;
    let body = r#"{"customer_id": "anna", "cost": 3}"#;
    let post =
        async |key: &str, body: &str| world.call(&admin(), Method::POST, "orders", &[("idempotency-key", key)], body).await;
    assert_eq!(seen_of(post("key", r#"{"customer_id": "nobody"}"#).await).0, 422, "what failed leaves its key free");
    let first = post("key", body).await.unwrap();
    let second = post("\"key\"", r#"{"cost": 3, "customer_id": "anna"}"#).await.unwrap();
    assert!(!first.replayed && second.replayed);
    assert_eq!((&first.body, &first.version, &first.location), (&second.body, &second.version, &second.location));
    assert_eq!((second.status, world.count("r#order").await), (201, 1));
    assert_eq!(seen_of(post("key", r#"{"customer_id": "bob"}"#).await).0, 422);
    assert_eq!(post("other", body).await.unwrap().status, 201);
    for wrong in ["", "\"\"", &"k".repeat(256), "\"a"] {
        assert_eq!(seen_of(post(wrong, body).await).0, 400, "{wrong}");
    }
    let path = format!("orders/{}", first.body["id"].as_str().unwrap());
    for replayed in [false, true] {
        let gone = world.call(&admin(), Method::DELETE, &path, &[KEY], "").await;
        // The key was used for the creation.
        assert_eq!(seen_of(gone).0, 422);
        let gone = world.call(&admin(), Method::DELETE, &path, &[("idempotency-key", "gone")], "").await.unwrap();
        assert_eq!((gone.status, gone.replayed), (204, replayed));
    }
}

#[tokio::test]
async fn repetitions_at_once_have_one_effect() {
    let world = World::new().await;
    let who = admin();
    let post = || world.call(&who, Method::POST, "orders", &[KEY], r#"{"customer_id": "anna"}"#);
    let all = futures::future::join_all((0..5).map(|_| post())).await;
    let ids: std::collections::BTreeSet<String> = all.into_iter().map(|one| one.unwrap().body["id"].to_string()).collect();
    assert_eq!((ids.len(), world.count("r#order").await), (1, 1));
}

#[tokio::test]
async fn a_replay_shows_no_more_than_the_caller_may_read_now() {
    let world = World::new().await;
    let post = async |who: &Principal| world.call(who, Method::POST, "orders", &[KEY], r#"{"customer_id": "anna"}"#).await;
    let both = with(&["admin", "buyer"], Some("anna"));
    let first = post(&both).await.unwrap();
    assert!(first.body.get("cost").is_some());
    let buyer = with(&["buyer"], Some("anna"));
    let replay = post(&buyer).await.unwrap();
    assert!(replay.replayed && replay.body.get("cost").is_none() && replay.body["customer_id"] == "anna");
    world
        .ok(&both, Method::PATCH, &format!("orders/{}", first.body["id"].as_str().unwrap()), &json!({"customer_id": "bob"}))
        .await;
    assert_eq!(seen_of(post(&buyer).await).0, 404);
    assert_eq!(seen_of(post(&with(&[], Some("anna"))).await).0, 403);
}

#[tokio::test]
async fn anonymous_keys_cannot_be_guessed() {
    let world = World::new().await;
    let mut who = admin();
    who.anonymous = true;
    for (length, accepted) in [(21, false), (22, true)] {
        let key = "k".repeat(length);
        let made = world.call(&who, Method::POST, "orders", &[("idempotency-key", &key)], r#"{"customer_id": "anna"}"#).await;
        assert_eq!(made.is_ok(), accepted, "{length}");
    }
}
