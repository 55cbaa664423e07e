//! The usage reporter on Lambda.

use std::sync::Arc;

use holdfast::aws::cloudwatch::CloudWatch;
use holdfast::aws::s3::S3Objects;
use holdfast::aws::s3_archive::S3Archive;
use holdfast::compose::start_log;
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Env;
use holdfast::core::config::ProcessVariables;
use holdfast_usage_reporter::Reporter;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = start_log(&ProcessVariables, "usage-reporter", &Env::system())?;
    let startup = Startup::read(&ProcessVariables, Env::system()).await?;
    let objects = S3Objects::new(&startup.aws, &startup.settings.files_bucket);
    let metrics = CloudWatch::new(&startup.aws, &startup.settings.environment);
    let reporter = Reporter::of(&startup, Arc::new(startup.app().with_objects(Arc::new(objects))));
    let mut reporter = reporter.publishing_to(Arc::new(metrics));
    if let Some(bucket) = &startup.settings.audit_bucket {
        reporter = reporter.archiving_to(Arc::new(S3Archive::new(&startup.aws, bucket)));
    }
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        let done = holdfast_usage_reporter::handle(&reporter, event).await;
        if let Some(traces) = &traces {
            traces.flush().await;
        }
        done.map_err(Error::from)
    }))
    .await
}
