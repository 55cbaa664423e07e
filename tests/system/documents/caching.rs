//! Entity tags of documents, and who may ask for whose.

use holdfast::http::JSON;
use serde_json::Value;

use holdfast_tests::{System, root};

async fn demo() -> System {
    System::start(&std::fs::read_to_string(root().join("model.yaml")).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_still_the_callers_own_is_not_sent_again() {
    let system = demo().await;
    let (admin, packer) = (system.admin(), system.actor("pia", &["packer"]));
    for path in ["/v1/openapi.json", "/v1/openapi.yaml", "/v1/docs/llms.txt", "/v1/docs"] {
        let first = admin.get(path).await.expect(200);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && first.header("vary").contains("Authorization"), "{path}");
        let again = admin.call(reqwest::Method::GET, path).header("if-none-match", &tag).send().await.expect(304);
        assert!(again.bytes.is_empty() && again.header("etag") == tag);
        let other = packer.call(reqwest::Method::GET, path).header("if-none-match", &tag).send().await;
        // The page is the same for everybody; what it shows it asks for.
        assert_eq!(other.status, if path == "/v1/docs" { 304 } else { 200 }, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_one_role_have_one_document_and_roles_have_their_own() {
    let system = demo().await;
    let tag = async |subject: &str, role: &str| {
        let actor = system.actor_with(subject, &[role], &[("customer_id", subject.into())], None);
        actor.get("/v1/openapi.json").await.expect(200).header("etag").to_owned()
    };
    assert_eq!(tag("ada", "customer").await, tag("ben", "customer").await);
    assert_ne!(tag("ada", "customer").await, tag("ada", "packer").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_the_documents_of_other_roles_and_nobody_else_does() {
    let system = demo().await;
    let of_packer = system.admin().get("/v1/openapi.json?role=packer").await.expect(200);
    assert_eq!(of_packer.header("content-type"), JSON);
    assert_eq!(of_packer.body["x-roles"], serde_json::json!(["packer"]));
    let own = system.actor("pia", &["packer"]).get("/v1/openapi.json").await.expect(200);
    assert_eq!(paths(&of_packer.body), paths(&own.body));
    system.actor("pia", &["packer"]).get("/v1/openapi.json?role=admin").await.expect_problem(403, "forbidden");
    system.anonymous().get("/v1/openapi.json?role=admin").await.expect_problem(403, "forbidden");
}

fn paths(document: &Value) -> Vec<&String> {
    document["paths"].as_object().unwrap().keys().collect()
}
