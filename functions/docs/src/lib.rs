//! Answers of this function; the pipeline takes over as soon as it lands.

use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::http::HeaderValue;
use lambda_http::http::header::CONTENT_TYPE;

/// Handles one request.
pub async fn handle(request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
    let health = request.raw_path.as_deref() == Some("/v1/_health");
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = if health { 200 } else { 404 };
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.body = Some(Body::Text(format!("{{\"status\":{}}}", response.status_code)));
    response
}
