//! The function download on Lambda.

use std::sync::Arc;

use holdfast::app::App;
use holdfast::clock::Env;
use holdfast::config::ProcessVariables;
use holdfast::s3::S3Objects;
use holdfast::startup::Startup;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let startup = Startup::read(&ProcessVariables, Env::system()).await?;
    let objects = S3Objects::new(&startup.aws, &startup.settings.files_bucket);
    let app = App::of(&startup).with_objects(Arc::new(objects));
    if holdfast::lambda::has_shutdown(&ProcessVariables) {
        let usage = app.usage.clone();
        lambda_runtime::spawn_graceful_shutdown_handler(|| async move { usage.close().await }).await;
    }
    app.warm().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        holdfast_download::handle(&app, event).await.map_err(Error::from)
    }))
    .await
}
