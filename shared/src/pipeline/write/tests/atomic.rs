//! `_bulk`.

use super::*;
use crate::http::body::Body;
use crate::model::Operation;

fn operations() -> Value {
    json!([
        {"op": "create", "data": {"id": "c", "name": "c"}},
        {"op": "upsert", "id": "d", "data": {"name": "d"}},
        {"op": "update", "id": "anna", "data": {"country": "AT"}},
        {"op": "delete", "id": "bob"},
    ])
}

#[tokio::test]
async fn operations_fail_each_on_its_own_or_all_at_once() {
    let world = World::new().await;
    let bad = json!([
        {"op": "create", "data": {"id": "x", "name": "x"}},
        {"op": "create", "data": {"id": "y"}},
        {"op": "update", "id": "nobody", "data": {}},
        {"op": "create", "data": {"id": "anna", "name": "again"}},
    ]);
    let atomic = json!({"operations": bad, "atomic": true});
    let refused = world.problem(&admin(), Method::POST, "customers/_bulk", &atomic).await;
    assert_eq!(refused, (422, vec!["/operations/1/data/name".to_owned(), "/operations/2".to_owned()]));
    assert_eq!(world.count("r#customer").await, 2, "nothing was done");
    let each = world.ok(&admin(), Method::POST, "customers/_bulk", &json!({"operations": bad})).await;
    let statuses: Vec<&Value> = each.body["results"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [201, 422, 404, 409]);
    let problem = &each.body["results"][1]["problem"];
    assert_eq!(
        (&problem["code"], &problem["errors"][0]["pointer"]),
        (&json!("validation_failed"), &json!("/operations/1/data/name"))
    );
    assert_eq!(each.body["results"][0]["data"]["id"], "x");
}

#[tokio::test]
async fn all_kinds_of_operations_work_both_ways_and_once() {
    for atomic in [true, false] {
        let world = World::new().await;
        let body = json!({"operations": operations(), "atomic": atomic}).to_string();
        let who = admin();
        let first = world.call(&who, Method::POST, "customers/_bulk", &[("idempotency-key", "k")], &body).await.unwrap();
        let statuses: Vec<&Value> = first.body["results"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [201, 201, 200, 204], "{atomic}");
        assert_eq!(first.body["results"][2]["data"]["country"], "AT");
        let second = world.call(&who, Method::POST, "customers/_bulk", &[("idempotency-key", "k")], &body).await.unwrap();
        assert_eq!((second.body, second.replayed), (first.body, true), "{atomic}");
        assert_eq!(world.count("r#customer").await, 3, "{atomic}");
        let other = json!({"operations": [{"op": "delete", "id": "c"}], "atomic": atomic}).to_string();
        let other = world.call(&who, Method::POST, "customers/_bulk", &[("idempotency-key", "k")], &other).await;
        assert_eq!(seen_of(other).0, 422, "{atomic}");
    }
}

#[tokio::test]
async fn the_form_of_a_call_is_checked_as_a_whole() {
    let world = World::new().await;
    let delete = |id: String| json!({"op": "delete", "id": id});
    for (body, pointers) in [
        (json!([]), vec!["/operations"]),
        (json!({"operations": 1, "atomic": 1, "x/y": 1}), vec!["/x~1y", "/atomic", "/operations"]),
        (json!({"operations": [delete("a".into()), delete("a".into())]}), vec!["/operations/1/id"]),
        (
            json!({"operations": [{"op": "make"}, 1, {"op": "update"}]}),
            vec!["/operations/0/op", "/operations/1", "/operations/2/id", "/operations/2/data"],
        ),
        (json!({"operations": (0..101).map(|at| delete(format!("c{at}"))).collect::<Vec<_>>()}), vec!["/operations"]),
        (json!({"operations": [{"op": "create", "id": "a", "data": {"id": "b", "name": "n"}}]}), vec!["/operations/0/data/id"]),
    ] {
        let refused = world.problem(&admin(), Method::POST, "customers/_bulk", &body).await;
        assert_eq!(refused, (422, pointers.into_iter().map(str::to_owned).collect()), "{body}");
    }
    let many: Vec<Value> = (0..60).map(|at| json!({"op": "create", "data": {"id": format!("n{at}"), "name": "n"}})).collect();
    let large = json!({"operations": many, "atomic": true});
    assert_eq!(world.problem(&admin(), Method::POST, "customers/_bulk", &large).await.0, 413);
}

#[test]
fn a_bulk_costs_what_its_operations_cost() {
    let mut request = crate::http::tests::request(Method::POST, "/v1/customers/_bulk", &[]);
    let call = json!({"operations": operations()}).to_string();
    for (text, cost) in [
        (call.as_str(), vec![(Operation::Create, 1), (Operation::Update, 2), (Operation::Delete, 1)]),
        ("{}", vec![(Operation::Update, 1)]),
        (&call[1..], vec![(Operation::Update, 1)]),
    ] {
        request.body = Bytes::copy_from_slice(text.as_bytes());
        assert_eq!(super::super::bulk_cost(&Body::new(&request)), cost, "{text}");
    }
}

/// Rules are evaluated in the order of the operations: what an earlier one makes counts for the next.
#[tokio::test]
async fn a_rule_reads_what_an_earlier_operation_of_the_call_makes() {
    let world = World::new().await;
    let fitter = with(&["fitter"], Some("anna"));
    let call = |owner: &str, turned: bool| {
        let whole = json!({"op": "create", "data": {"id": format!("w-{owner}"), "owner": owner}});
        let part = json!({"op": "create", "data": {"id": format!("p-{owner}"), "whole_id": format!("w-{owner}")}});
        json!({"operations": if turned { [part, whole] } else { [whole, part] }, "atomic": true})
    };
    assert_eq!(world.problem(&fitter, Method::POST, "parts/_bulk", &call("anna", true)).await.0, 403, "the part comes too early");
    let refused = world.problem(&fitter, Method::POST, "parts/_bulk", &call("bob", false)).await;
    assert_eq!(refused, (403, vec!["/operations/1".to_owned()]), "it is somebody else's");
    assert_eq!(world.count("r#part").await, 0);
    world.ok(&fitter, Method::POST, "parts/_bulk", &call("anna", false)).await;
    assert_eq!(world.count("r#part").await, 2);
}

/// What was done is told, even where not all of it can be shown.
#[tokio::test]
async fn an_answer_that_would_be_too_large_names_the_records_alone() {
    let world = World::new().await;
    let drawing = "x".repeat(60_000);
    let create = |number: usize| json!({"op": "create", "data": {"id": format!("p{number}"), "drawing": drawing}});
    let body = json!({"operations": (0..75).map(create).collect::<Vec<_>>()});
    let reply = world.ok(&admin(), Method::POST, "parts/_bulk", &body).await;
    let results = reply.body["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"] == 201), "{:?}", results[0]["status"]);
    assert_eq!(results[74]["data"], json!({"id": "p74"}));
    assert_eq!(world.count("r#part").await, 75);
}

#[tokio::test]
async fn a_client_that_takes_no_json_is_refused_before_anything_is_done() {
    let world = World::new().await;
    for (method, path, body) in [
        (Method::POST, "customers", r#"{"id": "x", "name": "x"}"#),
        (Method::PUT, "customers/anna", r#"{"name": "x"}"#),
        (Method::PATCH, "customers/anna", r#"{"name": "x"}"#),
        (Method::POST, "customers/_bulk", r#"{"operations": [{"op": "delete", "id": "anna"}]}"#),
    ] {
        let refused = world.call(&admin(), method.clone(), path, &[("accept", "text/html")], body).await;
        assert_eq!(seen_of(refused).0, 406, "{method} {path}");
    }
    assert_eq!(world.count("r#customer").await, 2);
}
