//! The authorizer on Lambda.

use holdfast::clock::Env;
use holdfast::config::ProcessVariables;
use holdfast::deadline;
use holdfast::startup::Startup;
use holdfast::telemetry;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = telemetry::start(&ProcessVariables, "authorizer", &Env::system())?;
    let startup = Startup::read(&ProcessVariables, Env::system()).await?;
    let (authenticator, traces) = (&startup.authenticator, traces.as_ref());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        traces.iter().for_each(|traces| traces.flush_beside());
        let now = startup.env.now();
        let left = deadline::left(deadline::of_invocation(event.context.deadline, now), now);
        Ok::<_, Error>(holdfast_authorizer::handle(authenticator, event.payload, left).await)
    }))
    .await
}
