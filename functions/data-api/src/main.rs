//! The function data-api on Lambda.

use holdfast::compose::start_log;
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Env;
use holdfast::core::config::ProcessVariables;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = start_log(&ProcessVariables, "data-api", &Env::system())?;
    let app = Startup::read(&ProcessVariables, Env::system()).await?.app().with_traces(traces);
    if holdfast::compose::lambda::has_shutdown(&ProcessVariables) {
        let closing = app.closing();
        lambda_runtime::spawn_graceful_shutdown_handler(|| closing).await;
    }
    app.warm().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        holdfast_data_api::handle(&app, event).await.map_err(Error::from)
    }))
    .await
}
