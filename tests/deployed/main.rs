//! Black-box tests of a deployed system, run by `tests/deployed.sh`: ignored elsewhere, since they need one.

use holdfast_tests::System;

#[tokio::test]
#[ignore = "needs a deployed system: tests/deployed.sh"]
async fn health_needs_nobody() {
    System::deployed().anonymous().get("/v1/_health").await.expect(200);
}
