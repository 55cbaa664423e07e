//! What a caller sees of the gateway in front of the real functions.

use holdfast_tests::{System, northwind_model};

#[tokio::test]
async fn health_needs_nobody_and_every_answer_has_an_id() {
    let system = System::start(&northwind_model()).await;
    let reply = system.anonymous().get("/v1/_health").await.expect(200);
    assert_eq!(reply.header("cache-control"), "private, no-cache");
    assert!(!reply.header("apigw-requestid").is_empty());
    system.stop().await;
}
