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
    let who = Principal::unverified(Caller { anonymous: true, ..(*admin()).clone() });
    for (length, accepted) in [(21, false), (22, true)] {
        let key = "k".repeat(length);
        let made = world.call(&who, Method::POST, "orders", &[("idempotency-key", &key)], r#"{"customer_id": "anna"}"#).await;
        assert_eq!(made.is_ok(), accepted, "{length}");
    }
}

/// Also of a call that has nothing to do, whose key nobody would ever look up.
#[tokio::test]
async fn what_is_no_key_is_refused_with_every_write() {
    let world = World::new().await;
    let nothing = |atomic: bool| json!({"operations": [], "atomic": atomic}).to_string();
    let whole = json!({"name": "n"}).to_string();
    for (method, path, body) in [
        (Method::POST, "customers", &json!({"id": "n", "name": "n"}).to_string()),
        (Method::PUT, "customers/n", &whole),
        (Method::PATCH, "customers/anna", &whole),
        (Method::DELETE, "customers/anna", &String::new()),
        (Method::POST, "customers/_bulk", &nothing(true)),
        (Method::POST, "customers/_bulk", &nothing(false)),
    ] {
        for key in ["\"open", ""] {
            let refused = world.call(&admin(), method.clone(), path, &[("idempotency-key", key)], body).await;
            assert_eq!(seen_of(refused).0, 400, "{method} {path} {key:?}");
        }
        let key = format!("{method} {path} {body}").replace('"', "");
        let taken = world.call(&admin(), method, path, &[("idempotency-key", &key)], body).await;
        assert!(taken.is_ok(), "{key}");
    }
}

/// Three requests that one key could be used for, each with another effect: alone, many one by one, many at once.
fn kinds(tag: &str) -> [(&'static str, String); 3] {
    let operation = |id: String| json!({"op": "create", "id": id, "data": {"name": tag}});
    let many = |kind: &str, atomic: bool| {
        let operations: Vec<Value> = (0..3).map(|at| operation(format!("{tag}-{kind}-{at}"))).collect();
        json!({"operations": operations, "atomic": atomic}).to_string()
    };
    [
        ("customers", json!({"id": format!("{tag}-alone"), "name": tag}).to_string()),
        ("customers/_bulk", many("each", false)),
        ("customers/_bulk", many("all", true)),
    ]
}

#[tokio::test]
async fn a_key_of_one_request_serves_no_other_kind_of_request() {
    let world = World::new().await;
    for first in 0..3 {
        for second in 0..3 {
            let (tag, key) = (format!("f{first}s{second}"), format!("k{first}{second}"));
            let key = [("idempotency-key", key.as_str())];
            let (path, body) = &kinds(&format!("{tag}a"))[first];
            let (other_path, other_body) = &kinds(&format!("{tag}b"))[second];
            assert!(!world.call(&admin(), Method::POST, path, &key, body).await.unwrap().replayed);
            let refused = world.call(&admin(), Method::POST, other_path, &key, other_body).await;
            assert_eq!(refused.map(|seen| seen.body).unwrap_err().code.name(), "idempotency_key_reused", "{first} {second}");
            assert_eq!(world.count(&format!("r#customer#{tag}b")).await, 0, "{first} {second}");
            let again = world.call(&admin(), Method::POST, path, &key, body).await.unwrap();
            assert!(again.replayed, "{first} {second}");
        }
    }
}

#[tokio::test]
async fn a_bulk_call_of_which_nothing_came_leaves_its_key_free_and_one_operation_takes_it() {
    let world = World::new().await;
    let call = async |body: Value| world.call(&admin(), Method::POST, "customers/_bulk", &[KEY], &body.to_string()).await;
    let operations = |ids: [&str; 3]| {
        let one = |id: &str| json!({"op": "create", "id": id, "data": {"name": id}});
        json!({"operations": ids.map(one).to_vec()})
    };
    let nothing = json!({"operations": [{"op": "create", "id": "x", "data": {"name": 7}}, {"op": "delete", "id": "nobody"}]});
    let seen = call(nothing).await.unwrap();
    assert_eq!((&seen.body["results"][0]["status"], &seen.body["results"][1]["status"]), (&json!(422), &json!(404)));
    let some = json!({"operations": [
        {"op": "create", "id": "x", "data": {"name": 7}},
        {"op": "create", "id": "y", "data": {"name": "y"}},
        {"op": "create", "id": "z", "data": {"name": "z"}},
    ]});
    let statuses =
        |seen: &Seen| seen.body["results"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect::<Vec<_>>();
    let first = call(some.clone()).await.unwrap();
    assert_eq!(statuses(&first), [422, 201, 201]);
    assert_eq!(statuses(&call(some).await.unwrap()), [422, 201, 201], "what was done answers as before");
    assert_eq!(seen_of(call(operations(["p", "q", "r"])).await).0, 422);
    assert_eq!(world.count("r#customer#").await, 4, "anna, bob, y and z");
}

#[tokio::test]
async fn of_different_requests_at_once_with_one_key_exactly_one_has_its_effect() {
    let world = World::new().await;
    let who = admin();
    for round in 0..6 {
        let key = format!("round{round}");
        let header = [("idempotency-key", key.as_str())];
        let requests: Vec<(&str, String)> = (0..2).flat_map(|copy| kinds(&format!("r{round}c{copy}"))).collect();
        let calls = requests.iter().map(|(path, body)| world.call(&who, Method::POST, path, &header, body));
        let outcomes = futures::future::join_all(calls).await;
        let done: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes[*at].is_ok()).collect();
        assert_eq!(done.len(), 1, "{round}");
        for problem in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(problem.code.name(), "idempotency_key_reused", "{round}");
        }
        let made = if done[0].is_multiple_of(3) { 1 } else { 3 };
        assert_eq!(world.count(&format!("r#customer#r{round}")).await, made, "{round}");
    }
}
