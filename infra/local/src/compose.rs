//! The composition root of the local process: what each function's `main.rs` does on Lambda, for all of them at once.

use std::sync::Arc;

use holdfast::auth::Authenticator;
use holdfast::auth::local::{self, LocalIssuer};
use holdfast::aws;
use holdfast::clock::Env;
use holdfast::dynamodb::{DynamoTable, Options};
use holdfast::jwks_http::HttpJwks;
use holdfast::model::Model;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::LambdaEvent;

use crate::embedded::{DATA_TABLE, VOLATILE_TABLE};
use crate::functions::{Functions, Remote, in_process as function};
use crate::system::{StartError, Stores};
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

/// The functions in this process, over the embedded stores; tables are made where they are missing.
///
/// # Errors
/// [`StartError::Compose`] when a client or the tables cannot be made.
pub async fn in_process(
    model: &Arc<Model>,
    issuer: &Arc<LocalIssuer>,
    stores: &Stores,
    env: &Env,
) -> Result<Functions, StartError> {
    let compose = |error: &dyn std::fmt::Display| StartError::Compose(error.to_string());
    let http = aws::http_client(None).map_err(|error| compose(&error))?;
    let config = aws::local_config(&stores.dynamodb, http);
    let table = DynamoTable::new(&config, Options::new(DATA_TABLE, VOLATILE_TABLE), env.clone());
    table.create_tables().await.map_err(|error| compose(&error))?;
    let jwks = issuer.jwks(Some(Arc::new(HttpJwks::new())));
    let authenticator = Authenticator::new(model.clone(), Arc::new(table), jwks, env.clone()).with_issuer(local::issuer());
    let authenticator = Arc::new(authenticator);
    let mut functions = Functions::new();
    functions.insert(
        "authorizer".into(),
        function(move |event: LambdaEvent<holdfast_authorizer::AuthorizerEvent>| {
            let authenticator = authenticator.clone();
            async move { Ok::<_, String>(holdfast_authorizer::handle(&authenticator, event.payload).await) }
        }),
    );
    functions.insert(
        "data-api".into(),
        function(|event: LambdaEvent<ApiGatewayV2httpRequest>| async {
            Ok::<_, String>(holdfast_data_api::handle(event.payload).await)
        }),
    );
    functions.insert(
        "download".into(),
        function(|event: LambdaEvent<ApiGatewayV2httpRequest>| async {
            Ok::<_, String>(holdfast_download::handle(event.payload).await)
        }),
    );
    functions.insert(
        "docs".into(),
        function(|event: LambdaEvent<ApiGatewayV2httpRequest>| async {
            Ok::<_, String>(holdfast_docs::handle(event.payload).await)
        }),
    );
    functions.insert(
        "usage-reporter".into(),
        function(
            |event: LambdaEvent<holdfast_usage_reporter::ScheduledEvent>| async move { Ok::<_, String>(event.payload.time) },
        ),
    );
    Ok(functions)
}
