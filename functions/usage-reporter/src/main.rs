//! The usage reporter on Lambda.

use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        holdfast_usage_reporter::handle(event.payload).await;
        Ok::<_, Error>(())
    }))
    .await
}
