//! The composition root of the local process: what each function's `main.rs` does on Lambda, for all of them at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::aws::s3::S3Objects;
use holdfast::aws::s3_archive::S3Archive;
use holdfast::aws::{self, SdkConfig};
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Env;
use holdfast::core::config::Settings;
use holdfast::core::deadline;
use holdfast::identity::auth::local::LocalIssuer;
use holdfast::migrate::protocol_2::{self, Migrated};
use holdfast::migrate::{Evolution, Fills, MigrateError};
use holdfast::model::Model;
use holdfast::store::object::SharedObjects;
use holdfast::store::table::SharedTable;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::LambdaEvent;

use crate::embedded::{AUDIT_BUCKET, BUCKET, DATA_TABLE, VOLATILE_TABLE};
use crate::functions::{Functions, Remote, in_process as function};
use crate::system::StartError;
use crate::template::Template;

/// The functions of a template as `cargo lambda watch` serves them.
///
/// # Errors
/// [`StartError::Compose`] when no HTTP client can be made.
pub fn remote(template: &Template, url: &str) -> Result<Functions, StartError> {
    let mut functions = Functions::new();
    for definition in &template.functions {
        let remote = Remote::new(url, &definition.binary).map_err(|error| StartError::Compose(error.to_string()))?;
        functions.insert(definition.binary.clone(), Arc::new(remote));
    }
    Ok(functions)
}

/// Creates the missing tables of a DynamoDB, also when the functions run elsewhere. Tables that a version before
/// protocol 2 has written are converted: on one machine nobody else is writing.
///
/// # Errors
/// [`StartError::Compose`] when they cannot be made or converted.
pub async fn tables(dynamodb: &SdkConfig, model: &Arc<Model>, env: &Env) -> Result<(), StartError> {
    let options = Options::new(DATA_TABLE, VOLATILE_TABLE).for_commands();
    let table = DynamoTable::new(dynamodb, options, env.clone());
    let compose = |error: &dyn std::fmt::Display| StartError::Compose(error.to_string());
    table.create_tables().await.map_err(|error| compose(&error))?;
    let table: SharedTable = Arc::new(table);
    let migrated = protocol_2::convert(Arc::clone(&table), model.clone(), env.clone(), Duration::ZERO, |_| {});
    match migrated.await.map_err(|error| compose(&error))? {
        Migrated::Already => {}
        Migrated::Done(done) => tracing::warn!(done.records, done.references, "the tables were converted to protocol 2"),
    }
    evolve(&Evolution::new(table, model.clone(), env.clone(), Fills::default()), model).await.map_err(|error| compose(&error))
}

/// Brings what is stored to the model: nobody serves it yet. What cannot be done is said, and refused as `building` where it matters.
async fn evolve(evolution: &Evolution, model: &Model) -> Result<(), MigrateError> {
    let plan = evolution.plan().await?;
    if let Some(other) = &plan.other_project {
        tracing::warn!(
            "the stored data is of the model \"{other}\", and this one is \"{}\": is it the right --data? Nothing is changed by itself",
            model.name
        );
        return Ok(());
    }
    for step in plan.own() {
        tracing::warn!("the model has changed: {}", step.work);
    }
    let done = evolution.run(Duration::ZERO, |_| {}, |_| {}).await?;
    if plan.is_needed() && done.is_complete() {
        tracing::warn!(
            "{} records changed, {} rows written: the stored data is as the model wants it",
            done.values.changed,
            done.rows.written
        );
    } else if !done.is_complete() {
        tracing::warn!("the stored data is not as the model wants it: `holdfast migrate` says what stands in the way");
    }
    Ok(())
}

/// The DynamoDB that functions work on.
#[derive(Debug)]
pub enum Tables {
    /// The embedded one, which commits atomically.
    Embedded(SdkConfig),
    /// One that must be expected to show half of a commit, as that of AWS may.
    Distributed(SdkConfig),
}

/// What a function does when its process ends.
pub type Closing = BoxFuture<'static, ()>;

/// The functions in this process, over this DynamoDB and the S3 at this endpoint, and what is to be done when they end.
///
/// # Errors
/// [`StartError::Compose`] when a client cannot be made.
pub async fn in_process(
    model: &Arc<Model>,
    issuer: &Arc<LocalIssuer>,
    (dynamodb, s3): (Tables, &str),
    env: &Env,
) -> Result<(Functions, Vec<Closing>), StartError> {
    let settings = Settings {
        data_table: DATA_TABLE.to_owned(),
        volatile_table: VOLATILE_TABLE.to_owned(),
        files_bucket: BUCKET.to_owned(),
        model: PathBuf::new(),
        environment: "local".to_owned(),
        notices_topic: None,
        master_secret: None,
        tls_roots: None,
        audit_bucket: Some(AUDIT_BUCKET.to_owned()),
        cache_sample: 1000,
        breaker_failures: 3,
        breaker_rest: None,
        internal_issuers: Vec::new(),
        local_keys: None,
    };
    let assemble = |config| Startup::assemble(settings, model.clone(), config, Some(issuer), env.clone());
    let startup = match dynamodb {
        Tables::Embedded(config) => assemble(config).committing_atomically(),
        Tables::Distributed(config) => assemble(config),
    };
    let authenticator = startup.authenticator.clone();
    let clock = env.clone();
    let mut functions = Functions::new();
    functions.insert(
        "authorizer".into(),
        function(move |event: LambdaEvent<holdfast_authorizer::AuthorizerEvent>| {
            let authenticator = authenticator.clone();
            let now = clock.now();
            let left = deadline::left(deadline::of_invocation(event.context.deadline, now), now);
            async move { Ok::<_, String>(holdfast_authorizer::handle(&authenticator, event.payload, left).await) }
        }),
    );
    // Each function has its own application, as it has on Lambda: nothing is shared but the stores.
    let app = || Arc::new(startup.app());
    let objects: SharedObjects =
        Arc::new(S3Objects::new(&aws::local_config(s3, aws::plain_http_client()), &startup.settings.files_bucket));
    let app_with_files = || Arc::new(startup.app().with_objects(objects.clone()));
    let data_api = app();
    let mut closings: Vec<Closing> = vec![Box::pin(data_api.closing())];
    functions.insert(
        "data-api".into(),
        function(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            let app = data_api.clone();
            async move { holdfast_data_api::handle(&app, event).await }
        }),
    );
    let download = app_with_files();
    closings.push(Box::pin(download.closing()));
    functions.insert(
        "download".into(),
        function(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            let app = download.clone();
            async move { holdfast_download::handle(&app, event).await }
        }),
    );
    let docs = app();
    closings.push(Box::pin(docs.closing()));
    functions.insert(
        "docs".into(),
        function(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            let app = docs.clone();
            async move { holdfast_docs::handle(&app, event).await }
        }),
    );
    // Its notices go to the log, the audit trail to a bucket of its own.
    let archive = S3Archive::new(&aws::local_config(s3, aws::plain_http_client()), AUDIT_BUCKET);
    let reporter = holdfast_usage_reporter::Reporter::of(&startup, app_with_files());
    let reporter = Arc::new(reporter.archiving_to(Arc::new(archive)));
    functions.insert(
        "usage-reporter".into(),
        function(move |event: LambdaEvent<holdfast_usage_reporter::ScheduledEvent>| {
            let reporter = reporter.clone();
            async move { holdfast_usage_reporter::handle(&reporter, event).await }
        }),
    );
    Ok((functions, closings))
}
