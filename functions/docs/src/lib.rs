//! The function docs: the documents. All of it is the pipeline of `holdfast`; this crate is its place on Lambda.

use holdfast::app::App;
use holdfast::compose::lambda::{self, EventError};
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_runtime::LambdaEvent;

/// Handles one request of API Gateway (payload format 2.0).
///
/// # Errors
/// [`EventError`] for an event that API Gateway does not send.
pub async fn handle(app: &App, event: LambdaEvent<ApiGatewayV2httpRequest>) -> Result<ApiGatewayV2httpResponse, EventError> {
    lambda::handle(app, event.payload, event.context.deadline).await
}
