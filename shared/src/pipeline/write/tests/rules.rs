//! Who may write what, in which state.

use super::*;

#[tokio::test]
async fn a_record_is_created_shown_changed_and_deleted() {
    let world = World::new().await;
    let made = world.ok(&admin(), Method::POST, "orders", &json!({"customer_id": "anna", "note": "a"})).await;
    let id = made.body["id"].as_str().unwrap();
    assert_eq!((made.status, made.location.unwrap()), (201, format!("/v1/orders/{id}")));
    let names: Vec<&String> = made.body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "customer_id", "status", "note", "cost", "created_at", "updated_at"]);
    assert_eq!((&made.body["status"], &made.body["cost"]), (&json!("open"), &Value::Null));
    let path = format!("orders/{id}");
    let put = world.ok(&admin(), Method::PUT, &path, &json!({"customer_id": "bob"})).await;
    assert_eq!((put.status, &put.body["note"], &put.body["created_at"]), (200, &Value::Null, &made.body["created_at"]));
    assert!(put.version != made.version && !put.version.is_empty());
    let merge = world.ok(&admin(), Method::PATCH, &path, &json!({"note": "b"})).await;
    assert_eq!((&merge.body["note"], &merge.body["customer_id"]), (&json!("b"), &json!("bob")));
    let patch = json!([{"op": "test", "path": "/note", "value": "b"}, {"op": "replace", "path": "/note", "value": "c"}]);
    let content = [("content-type", "application/json-patch+json; charset=UTF-8")];
    let patched = world.call(&admin(), Method::PATCH, &path, &content, &patch.to_string()).await.unwrap();
    assert_eq!(patched.body["note"], "c");
    let again = world.call(&admin(), Method::PATCH, &path, &content, &patch.to_string()).await;
    assert_eq!(seen_of(again), (409, vec!["/0".to_owned()]));
    let gone = world.ok(&admin(), Method::DELETE, &path, &Value::Null).await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    for method in [Method::DELETE, Method::PATCH, Method::PUT] {
        assert_eq!(world.problem(&admin(), method.clone(), &path, &json!({"customer_id": "bob"})).await.0, 404, "{method}");
    }
    assert_eq!(world.count("a#").await, 2 + 5, "an audit entry for every effect, none for what failed");
}

#[tokio::test]
async fn bodies_are_held_to_form_and_model() {
    let world = World::new().await;
    for (content, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("text/plain", "{}", 415),
        ("application/json; charset=latin1", "{}", 415),
        ("application/merge-patch+json", "{}", 415),
        ("application/json", "[]", 422),
    ] {
        let result = world.call(&admin(), Method::POST, "orders", &[("content-type", content)], body).await;
        assert_eq!(seen_of(result).0, status, "{content} {body}");
    }
    let body = json!({"status": "lost", "cost": "x", "nope": 1});
    let pointers = world.problem(&admin(), Method::POST, "orders", &body).await;
    assert_eq!(pointers, (422, ["/cost", "/customer_id", "/nope", "/status"].map(str::to_owned).to_vec()));
    let missing = world.problem(&admin(), Method::POST, "orders", &json!({"customer_id": "nobody"})).await;
    assert_eq!(missing, (422, vec!["/customer_id".to_owned()]));
    let customer = |id: &str| json!({"id": id, "name": "n", "email": "a@example.com"});
    world.ok(&admin(), Method::POST, "customers", &customer("c1")).await;
    assert_eq!(world.problem(&admin(), Method::POST, "customers", &customer("c1")).await.0, 409);
    let taken = world.problem(&admin(), Method::POST, "customers", &customer("c2")).await;
    assert_eq!(taken, (409, vec!["/email".to_owned()]));
    world.order("c1").await;
    assert_eq!(world.problem(&admin(), Method::DELETE, "customers/c1", &Value::Null).await.0, 409);
}

#[tokio::test]
async fn preconditions_keep_what_others_wrote() {
    let world = World::new().await;
    let first = world.ok(&admin(), Method::PUT, "guarded/g", &json!({"name": "a"})).await;
    assert_eq!((first.status, first.location.as_deref()), (201, Some("/v1/guarded/g")));
    let put = async |header: (&'static str, &str)| {
        world.call(&admin(), Method::PUT, "guarded/g", &[JSON, header], r#"{"name": "b"}"#).await
    };
    assert_eq!(world.problem(&admin(), Method::PUT, "guarded/g", &json!({"name": "b"})).await.0, 428);
    assert_eq!(seen_of(put(("if-match", "\"other\"")).await).0, 412);
    assert_eq!(seen_of(put(("if-none-match", "*")).await).0, 428);
    let etag = format!("\"{}.any\"", first.version);
    assert_eq!(put(("if-match", &etag)).await.unwrap().status, 200);
    assert_eq!(seen_of(put(("if-match", &etag)).await).0, 412);
    assert_eq!(seen_of(world.call(&admin(), Method::DELETE, "guarded/g", &[("if-match", &etag)], "").await).0, 412);
    let created = world.call(&admin(), Method::PUT, "customers/anna", &[("if-none-match", "*")], r#"{"name": "x"}"#).await;
    assert_eq!(seen_of(created).0, 412);
}

#[tokio::test]
async fn rows_and_fields_decide_by_the_old_state_and_the_new() {
    let world = World::new().await;
    let (anna, bob) = (with(&["buyer"], Some("anna")), with(&["buyer"], Some("bob")));
    let (of_anna, of_bob) = (format!("orders/{}", world.order("anna").await), format!("orders/{}", world.order("bob").await));
    let note = json!({"note": "n"});
    let seen = world.ok(&anna, Method::PATCH, &of_anna, &note).await;
    assert_eq!((&seen.body["note"], seen.body.get("cost")), (&json!("n"), None));
    assert_eq!(world.problem(&anna, Method::PATCH, &of_bob, &note).await.0, 404, "a row that may not be seen");
    assert_eq!(world.problem(&anna, Method::DELETE, &of_anna, &Value::Null).await.0, 403, "an action that is not allowed");
    let hidden = world.problem(&anna, Method::PATCH, &of_anna, &json!({"cost": 1})).await;
    assert_eq!(hidden, (422, vec!["/cost".to_owned()]));
    let away = world.problem(&anna, Method::PATCH, &of_anna, &json!({"customer_id": "bob"})).await;
    assert_eq!(away.0, 403, "the new state is not among the rows");
    world.ok(&admin(), Method::PATCH, &of_anna, &json!({"status": "paid"})).await;
    assert_eq!(world.problem(&anna, Method::PATCH, &of_anna, &note).await.0, 403, "seen, and not to be changed");
    assert_eq!(world.problem(&bob, Method::POST, "orders", &json!({"customer_id": "anna"})).await.0, 403);
    let field = world.problem(&bob, Method::POST, "orders", &json!({"customer_id": "bob", "cost": 1})).await;
    assert_eq!(field, (422, vec!["/cost".to_owned()]));
    assert_eq!(world.problem(&bob, Method::POST, "customers", &json!({})).await.0, 403);
    let made = world.ok(&bob, Method::POST, "orders", &json!({"customer_id": "bob"})).await;
    assert_eq!((made.status, made.body.get("cost")), (201, None));
}

#[tokio::test]
async fn a_condition_may_read_through_a_reference() {
    let world = World::new().await;
    let german = with(&["german"], None);
    let (of_anna, of_bob) = (format!("orders/{}", world.order("anna").await), format!("orders/{}", world.order("bob").await));
    let note = json!({"note": "n"});
    assert_eq!(world.ok(&german, Method::PATCH, &of_anna, &note).await.status, 200);
    assert_eq!(world.problem(&german, Method::PATCH, &of_bob, &note).await.0, 404);
    world.ok(&admin(), Method::PATCH, "customers/anna", &json!({"country": "FR"})).await;
    assert_eq!(world.problem(&german, Method::PATCH, &of_anna, &note).await.0, 404);
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let world = World::new().await;
    let path = format!("orders/{}", world.order("anna").await);
    let (note, cost) = (json!({"note": "n"}), json!({"cost": 9}));
    let who = admin();
    futures::join!(world.ok(&who, Method::PATCH, &path, &note), world.ok(&who, Method::PATCH, &path, &cost));
    let last = world.ok(&who, Method::PATCH, &path, &json!({})).await;
    assert_eq!((&last.body["note"], &last.body["cost"]), (&json!("n"), &json!(9)));
}

#[tokio::test]
async fn a_test_of_a_json_patch_compares_numbers_by_value() {
    let world = World::new().await;
    let body = json!({"value": 7, "extra": {"deep": [{"n": 7}], "half": 0.5}});
    world.ok(&admin(), Method::PUT, "readings/a,1", &body).await;
    let patch = async |path: &str, value: &str| {
        let content = [("content-type", "application/json-patch+json")];
        let text = format!(r#"[{{"op": "test", "path": "{path}", "value": {value}}}]"#);
        world.call(&admin(), Method::PATCH, "readings/a,1", &content, &text).await
    };
    for (path, values) in [
        ("/value", &["7", "7.0", "7e0", "0.7e1"][..]),
        ("/at", &["1", "1.0"]),
        ("/extra/deep/0/n", &["7.0"]),
        ("/extra", &[r#"{"half": 5e-1, "deep": [{"n": 7.0}]}"#]),
    ] {
        for value in values {
            assert_eq!(patch(path, value).await.unwrap().status, 200, "{path} {value}");
        }
    }
    for (path, value) in [("/value", "7.5"), ("/value", "\"7\""), ("/extra/deep/0", "7"), ("/extra", "{}")] {
        assert_eq!(seen_of(patch(path, value).await), (409, vec!["/0".to_owned()]), "{path} {value}");
    }
    assert_eq!(seen_of(patch("/extra/nothing", "7").await).0, 422);
}

#[tokio::test]
async fn a_composite_id_in_the_path_or_the_operation_gives_the_parts_that_the_body_leaves_out() {
    let world = World::new().await;
    let made = world.ok(&admin(), Method::PUT, "readings/a,1", &json!({"value": 1})).await;
    assert_eq!((made.status, &made.body["sensor"], &made.body["at"]), (201, &json!("a"), &json!(1)));
    let put = world.ok(&admin(), Method::PUT, "readings/a,1", &json!({"at": 1, "value": 2})).await;
    assert_eq!((put.status, &put.body["value"]), (200, &json!(2)));
    for wrong in [json!({"sensor": "b"}), json!({"at": 2}), json!({"id": "b,1"})] {
        assert_eq!(world.problem(&admin(), Method::PUT, "readings/a,1", &wrong).await.0, 422, "{wrong}");
        assert_eq!(world.problem(&admin(), Method::PUT, "readings/a,9", &wrong).await.0, 422, "{wrong}");
    }
    let upsert = |id: &str, data: Value| json!({"op": "upsert", "id": id, "data": data});
    let operations =
        [upsert("a,1", json!({"value": 3})), upsert("a,2", json!({"value": 3})), upsert("a,3", json!({"sensor": "b"}))];
    let many = world.ok(&admin(), Method::POST, "readings/_bulk", &json!({"operations": operations})).await;
    let statuses: Vec<&Value> = many.body["results"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [200, 201, 422]);
    assert_eq!(many.body["results"][1]["data"]["id"], "a,2");
    let there = world.call(&admin(), Method::POST, "readings", &[], r#"{"sensor": "a", "at": 2}"#).await;
    let problem = there.map(|seen| seen.body).unwrap_err().document("", "/", "c");
    assert_eq!((&problem["code"], &problem["id"]), (&json!("conflict"), &json!("a,2")), "who is in the way");
}

#[tokio::test]
async fn a_patch_of_another_type_is_told_which_types_patch() {
    let world = World::new().await;
    let refused = world.call(&admin(), Method::PATCH, "customers/anna", &[("content-type", "text/plain")], "x").await;
    let problem = refused.map(|seen| seen.body).unwrap_err();
    assert_eq!(problem.code.name(), "unsupported_media_type");
    let told = problem.headers.iter().find(|(name, _)| name.as_str() == "accept-patch").unwrap();
    assert_eq!(told.1, crate::http::cors::PATCHES);
    let refused = world.call(&admin(), Method::POST, "customers", &[("content-type", "text/plain")], "x").await;
    assert!(refused.map(|seen| seen.body).unwrap_err().headers.iter().all(|(name, _)| name.as_str() != "accept-patch"));
}
