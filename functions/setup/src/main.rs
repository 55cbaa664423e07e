//! The setup on Lambda.

use holdfast::aws::secretsmanager::ManagedSecret;
use holdfast::compose::start_log;
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Env;
use holdfast::core::config::ProcessVariables;
use holdfast_setup::{FirstKey, ResourceEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = start_log(&ProcessVariables, "setup", &Env::system())?;
    let startup = Startup::read(&ProcessVariables, Env::system()).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ResourceEvent>| {
        let slot = ManagedSecret::new(&startup.aws, &event.payload.resource_properties.secret_arn);
        let (environment, env) = (startup.settings.environment.as_str(), &startup.env);
        let first = FirstKey { table: &startup.table, model: &startup.model, env, environment, slot: &slot };
        let done = holdfast_setup::handle(&first, event.payload).await;
        if let Some(traces) = &traces {
            traces.flush().await;
        }
        done.map_err(Error::from)
    }))
    .await
}
