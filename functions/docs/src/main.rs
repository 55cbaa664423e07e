//! The function docs on Lambda.

use holdfast::app::App;
use holdfast::clock::Env;
use holdfast::config::ProcessVariables;
use holdfast::startup::Startup;
use holdfast::telemetry;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = telemetry::start(&ProcessVariables, "docs", &Env::system())?;
    let app = App::of(&Startup::read(&ProcessVariables, Env::system()).await?).with_traces(traces);
    if holdfast::lambda::has_shutdown(&ProcessVariables) {
        let closing = app.closing();
        lambda_runtime::spawn_graceful_shutdown_handler(|| closing).await;
    }
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| holdfast_docs::handle(&app, event).await.map_err(Error::from)))
        .await
}
