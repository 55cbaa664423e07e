//! The authorizer on Lambda.

use holdfast::compose::start_log;
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Env;
use holdfast::core::config::ProcessVariables;
use holdfast::core::deadline;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = start_log(&ProcessVariables, "authorizer", &Env::system())?;
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
