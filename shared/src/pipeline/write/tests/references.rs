//! A reference needs the right to read what it names; without it there is no such record.

use super::*;

/// A refusal as the client gets it, to the byte.
fn notified(result: Result<Seen, Problem>) -> String {
    let problem = result.map(|seen| format!("{} {}", seen.status, seen.body)).unwrap_err();
    problem.document("", "/", "c").to_string()
}

#[tokio::test]
async fn a_record_that_may_not_be_read_is_one_that_does_not_exist() {
    let world = World::new().await;
    let path = format!("orders/{}", world.order("anna").await);
    let patch = [("content-type", "application/json-patch+json")];
    for role in ["clerk", "host"] {
        let who = with(&[role], None);
        for (method, path, headers, body) in [
            (Method::POST, "orders", &[][..], r#"{"customer_id": "ID"}"#),
            (Method::PUT, &path, &[], r#"{"customer_id": "ID"}"#),
            (Method::PATCH, &path, &[], r#"{"customer_id": "ID", "note": "n"}"#),
            (Method::PATCH, &path, &patch, r#"[{"op": "replace", "path": "/customer_id", "value": "ID"}]"#),
            (
                Method::POST,
                "orders/_bulk",
                &[],
                r#"{"atomic": true, "operations": [{"op": "create", "data": {"customer_id": "ID"}}]}"#,
            ),
        ] {
            let refused =
                async |id: &str| notified(world.call(&who, method.clone(), path, headers, &body.replace("ID", id)).await);
            let (hidden, nobody) = (refused("bob").await, refused("nobody").await);
            assert_eq!(hidden, nobody, "{role} {method} {body}");
            assert!(hidden.contains("\"reference_not_found\"") && hidden.contains("/customer_id\""), "{hidden}");
        }
        let each = async |id: &str| {
            let operations = json!({"operations": [{"op": "create", "data": {"customer_id": id}}]});
            world.ok(&who, Method::POST, "orders/_bulk", &operations).await.body.to_string()
        };
        assert_eq!(each("bob").await, each("nobody").await);
        assert!(each("bob").await.contains("reference_not_found"));
    }
    assert_eq!(world.ok(&admin(), Method::PATCH, &path, &json!({})).await.body["customer_id"], "anna", "nothing was done");
    let host = with(&["host"], None);
    assert_eq!(world.ok(&host, Method::POST, "orders", &json!({"customer_id": "anna"})).await.status, 201, "one that is seen");
}

#[tokio::test]
async fn a_reference_that_stays_needs_no_right() {
    let world = World::new().await;
    let (clerk, path) = (with(&["clerk"], None), format!("orders/{}", world.order("bob").await));
    let note = json!({"note": "n"});
    assert_eq!(world.ok(&clerk, Method::PATCH, &path, &note).await.status, 200);
    let whole = world.ok(&clerk, Method::PUT, &path, &json!({"customer_id": "bob", "note": "m"})).await;
    assert_eq!((whole.status, &whole.body["customer_id"]), (200, &json!("bob")));
    let upsert = json!({"operations": [{"op": "upsert", "id": path.split_once('/').unwrap().1, "data": whole.body}]});
    assert_eq!(world.ok(&clerk, Method::POST, "orders/_bulk", &upsert).await.body["results"][0]["status"], 200);
    // Away from it and back is a reference that comes.
    world.ok(&admin(), Method::PATCH, &path, &json!({"customer_id": "anna"})).await;
    assert_eq!(world.problem(&clerk, Method::PATCH, &path, &json!({"customer_id": "bob"})).await.0, 422);
}

#[tokio::test]
async fn link_waives_the_right_where_a_role_says_so() {
    let world = World::new().await;
    let linker = with(&["linker"], None);
    let made = world.ok(&linker, Method::POST, "orders", &json!({"customer_id": "bob"})).await;
    assert_eq!((made.status, &made.body["customer_id"]), (201, &json!("bob")));
    assert_eq!(world.problem(&linker, Method::POST, "orders", &json!({"customer_id": "nobody"})).await.0, 422);
    // Said of create alone.
    let path = format!("orders/{}", made.body["id"].as_str().unwrap());
    assert_eq!(world.problem(&linker, Method::PATCH, &path, &json!({"customer_id": "anna"})).await.0, 422);
}

#[tokio::test]
async fn conditions_do_not_tell_of_what_is_not_seen() {
    let world = World::new().await;
    let picky = with(&["picky"], None);
    let refused =
        async |id: &str| notified(world.call(&picky, Method::POST, "orders", &[], &json!({"customer_id": id}).to_string()).await);
    let all = [refused("bob").await, refused("anna").await, refused("nobody").await];
    assert!(all.iter().all(|one| *one == all[0] && one.contains("\"forbidden\"")), "{all:?}");
    let both = with(&["picky", "linker"], None);
    assert_eq!(world.ok(&both, Method::POST, "orders", &json!({"customer_id": "bob"})).await.status, 201);
}

#[tokio::test]
async fn what_the_same_call_makes_is_judged_as_it_makes_it() {
    let world = World::new().await;
    let host = with(&["host"], None);
    let call = async |owner: &str, order: [usize; 2]| {
        let operations = [
            json!({"op": "create", "data": {"id": format!("w-{owner}-{}", order[0]), "owner": owner}}),
            json!({"op": "create", "data": {"id": format!("p-{owner}-{}", order[0]), "whole_id": format!("w-{owner}-{}", order[0])}}),
        ];
        let operations: Vec<&Value> = order.iter().map(|at| &operations[*at]).collect();
        world.call(&host, Method::POST, "parts/_bulk", &[], &json!({"atomic": true, "operations": operations}).to_string()).await
    };
    for order in [[0, 1], [1, 0]] {
        assert_eq!(call("me", order).await.unwrap().status, 200, "{order:?}");
        assert_eq!(seen_of(call("you", order).await).0, 422, "made by this call, and not to be read: {order:?}");
    }
}
