//! A reference needs the right to read the record that it names, over HTTP.

use holdfast_tests::{Actor, System};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "
name: References
version: 1.0.0
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 50}
      country: {type: string, max: 2}
      email: {type: string, max: 50, unique: true}
  order:
    id: string
    fields:
      customer: {ref: customer, inverse: orders}
      note: {type: string, max: 50, unique: true}
  line:
    id: [order, line]
    fields:
      order: {ref: order, on_delete: cascade}
      line: {type: integer, min: 1, max: 99}
roles:
  admin: {all: true, system: all}
  blind: {entities: {order: {write: true}, line: {write: true}}}
  local: {entities: {customer: {read: {rows: {country: DE}}}, order: {read: {rows: {customer.country: DE}}, write: true}, line: {write: true}}}
  own: {entities: {customer: {read: {rows: {id: $claim.customer}}}, order: {all: true}}}
  linker: {entities: {order: {create: {fields: [note, {customer: {link: true}}]}}, line: {create: {fields: {order: {link: true}, line: true}}}}}
auth: {claims: [customer]}
";

/// A refusal to the byte, which two requests with one correlation id have in common if they are refused alike.
async fn refused(actor: &Actor, method: &Method, path: &str, kind: &str, body: String) -> (u16, String) {
    let call = actor.call(method.clone(), path).header("content-type", kind).header("x-correlation-id", "one").body(body);
    let reply = call.send().await;
    (reply.status, String::from_utf8(reply.bytes).unwrap())
}

async fn start() -> (System, Actor) {
    let system = System::start(MODEL).await;
    let admin = system.admin();
    for (id, country) in [("anna", "DE"), ("bob", "FR")] {
        admin.post("/v1/customers", json!({"id": id, "name": id, "country": country})).await.expect(201);
        admin.post("/v1/orders", json!({"id": id, "customer_id": id})).await.expect(201);
    }
    admin.post("/v1/orders", json!({"id": "free"})).await.expect(201);
    (system, admin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_and_what_is_not_there_are_refused_to_the_byte_alike() {
    let (system, admin) = start().await;
    let (json, patch) = ("application/json", "application/json-patch+json");
    let ways = [
        (Method::POST, "/v1/orders", json, r#"{"id": "new", "customer_id": "ID"}"#),
        (Method::PUT, "/v1/orders/new", json, r#"{"customer_id": "ID"}"#),
        (Method::PUT, "/v1/orders/free", json, r#"{"customer_id": "ID"}"#),
        (Method::PATCH, "/v1/orders/free", json, r#"{"customer_id": "ID"}"#),
        (Method::PATCH, "/v1/orders/free", patch, r#"[{"op": "add", "path": "/customer_id", "value": "ID"}]"#),
        (
            Method::POST,
            "/v1/orders/_bulk",
            json,
            r#"{"operations": [{"op": "create", "data": {"id": "new", "customer_id": "ID"}}]}"#,
        ),
        (
            Method::POST,
            "/v1/orders/_bulk",
            json,
            r#"{"atomic": true, "operations": [{"op": "upsert", "id": "new", "data": {"customer_id": "ID"}}]}"#,
        ),
        (
            Method::POST,
            "/v1/orders/_bulk",
            json,
            r#"{"atomic": true, "operations": [{"op": "update", "id": "free", "data": {"customer_id": "ID"}}]}"#,
        ),
        (Method::POST, "/v1/lines", json, r#"{"order_id": "ID", "line": 1}"#),
    ];
    let own = system.actor_with("own", &["own"], &[("customer", json!("anna"))], None);
    for (role, actor) in [("blind", system.actor("b", &["blind"])), ("local", system.actor("l", &["local"])), ("own", own)] {
        for (method, path, kind, body) in &ways {
            // Who reads no order at all may change one; who reads some, only those.
            if role == "local" && body.contains("free")
                || path.contains("free") && role == "local"
                || role == "own" && path.contains("lines")
            {
                continue;
            }
            let hidden = refused(&actor, method, path, kind, body.replace("ID", "bob")).await;
            assert_eq!(hidden, refused(&actor, method, path, kind, body.replace("ID", "nobody")).await, "{role} {method} {path}");
            assert!(hidden.1.contains("reference_not_found"), "{role} {method} {path}: {hidden:?}");
        }
    }
    let ids = admin.get("/v1/orders").await.expect(200).ids();
    assert_eq!(ids, ["anna", "bob", "free"], "nothing was done");
    assert_eq!(admin.get("/v1/orders/free").await.expect(200).body["customer_id"], Value::Null);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_read_or_linked_or_stays_is_taken() {
    let (system, admin) = start().await;
    let local = system.actor("l", &["local"]);
    local.post("/v1/orders", json!({"id": "seen", "customer_id": "anna"})).await.expect(201);
    local.post("/v1/lines", json!({"order_id": "seen", "line": 1})).await.expect(201);
    let own = system.actor_with("own", &["own"], &[("customer", json!("bob"))], None);
    own.post("/v1/orders", json!({"id": "mine", "customer_id": "bob"})).await.expect(201);
    own.post("/v1/orders", json!({"id": "not", "customer_id": "anna"})).await.expect_problem(422, "reference_not_found");
    // An order of anna's that stays hers, though its customer is none of this caller's business.
    own.patch("/v1/orders/anna", json!({"note": "a"})).await.expect(200);
    let whole = own.get("/v1/orders/anna").await.expect(200).body;
    own.put("/v1/orders/anna", whole).await.expect(200);
    own.patch("/v1/orders/anna", json!({"customer_id": null})).await.expect(200);
    own.patch("/v1/orders/anna", json!({"customer_id": "anna"})).await.expect_problem(422, "reference_not_found");

    let linker = system.actor("k", &["linker"]);
    linker.post("/v1/orders", json!({"id": "linked", "customer_id": "bob"})).await.expect(201);
    linker.post("/v1/lines", json!({"order_id": "bob", "line": 3})).await.expect(201);
    linker.post("/v1/orders", json!({"id": "x", "customer_id": "nobody"})).await.expect_problem(422, "reference_not_found");
    let about = |document: &Value, path: &str| document["paths"][path]["post"]["description"].as_str().unwrap().to_owned();
    let document = linker.get("/v1/openapi.json").await.expect(200).body;
    assert!(about(&document, "/v1/orders").contains("`customer_id` may name a record that you may not read."), "{document}");
    let document = local.get("/v1/openapi.json").await.expect(200).body;
    assert!(about(&document, "/v1/orders").contains("A reference must name a record that you may read."));
    let document = admin.get("/v1/openapi.json").await.expect(200).body;
    assert!(!about(&document, "/v1/customers").contains("reference"));
    system.stop().await;
}

/// The right is that of the moment of the write, whoever is changing the target meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_that_is_withdrawn_meanwhile_is_not_referred_to() {
    let (system, admin) = start().await;
    let local = system.actor("l", &["local"]);
    for round in 0..8 {
        admin.patch("/v1/customers/anna", json!({"country": "DE"})).await.expect(200);
        let (id, withdrawn) = (format!("r{round}"), json!({"country": "FR"}));
        let attempt = local.post("/v1/orders", json!({"id": id, "customer_id": "anna"}));
        let (made, _) = futures::join!(attempt, admin.patch("/v1/customers/anna", withdrawn));
        assert!([201, 422].contains(&made.status), "{}", made.body);
        let after = local.post("/v1/orders", json!({"id": format!("s{round}"), "customer_id": "anna"})).await;
        after.expect_problem(422, "reference_not_found");
    }
    system.stop().await;
}
