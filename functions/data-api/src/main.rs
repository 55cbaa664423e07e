//! The function data-api on Lambda.

use holdfast::app::App;
use holdfast::clock::Env;
use holdfast::config::ProcessVariables;
use holdfast::startup::Startup;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let app = App::of(&Startup::read(&ProcessVariables, Env::system()).await?);
    if holdfast::lambda::has_shutdown(&ProcessVariables) {
        let usage = app.usage.clone();
        lambda_runtime::spawn_graceful_shutdown_handler(|| async move { usage.close().await }).await;
    }
    app.warm().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        holdfast_data_api::handle(&app, event).await.map_err(Error::from)
    }))
    .await
}
