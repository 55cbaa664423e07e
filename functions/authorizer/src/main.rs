//! The authorizer on Lambda.

use holdfast::clock::Env;
use holdfast::config::ProcessVariables;
use holdfast::deadline;
use holdfast::startup::Startup;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let startup = Startup::read(&ProcessVariables, Env::system()).await?;
    let authenticator = &startup.authenticator;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        let now = startup.env.now();
        let left = deadline::left(deadline::of_invocation(event.context.deadline, now), now);
        Ok::<_, Error>(holdfast_authorizer::handle(authenticator, event.payload, left).await)
    }))
    .await
}
