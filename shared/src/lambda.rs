//! Between API Gateway's events (HTTP API, payload format 2.0) and our requests and answers.

use std::net::IpAddr;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::app::App;
use crate::clock::Micros;
use crate::http::{ApiRequest, ApiResponse};
use crate::pipeline;

/// Why an event is no request: a fault of the gateway or its configuration, never of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError(&'static str);

impl std::fmt::Display for EventError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "event of API Gateway: {}", self.0)
    }
}

impl std::error::Error for EventError {}

/// Reads an event. `deadline` is when the invocation must have ended.
///
/// # Errors
/// [`EventError`] where the event lacks what API Gateway always sends, or its base64 is broken.
pub fn request(event: ApiGatewayV2httpRequest, deadline: Micros) -> Result<ApiRequest, EventError> {
    let context = event.request_context;
    let path = event.raw_path.ok_or(EventError("no rawPath"))?;
    let address: Option<IpAddr> = context.http.source_ip.as_deref().and_then(|text| text.parse().ok());
    let domain = context.domain_name.ok_or(EventError("no requestContext.domainName"))?;
    let mut headers = event.headers;
    if let Some(credentials) = headers.get_mut(AUTHORIZATION) {
        // Debug output of the headers will not show it.
        credentials.set_sensitive(true);
    }
    Ok(ApiRequest {
        method: context.http.method,
        path,
        query: event.raw_query_string.unwrap_or_default(),
        base_url: base_url(&headers, &domain),
        headers,
        body: body(event.body, event.is_base64_encoded)?,
        address: address.ok_or(EventError("no requestContext.http.sourceIp"))?,
        // A route without authorizer has none; an empty one says nothing either.
        context: context
            .authorizer
            .map(|authorizer| authorizer.fields)
            .filter(|fields| !fields.is_empty())
            .map(|fields| fields.into_iter().collect()),
        deadline,
    })
}

/// API Gateway sets the protocol to https, the gateway of one machine to http.
fn base_url(headers: &HeaderMap, domain: &str) -> String {
    let plain = headers.get("x-forwarded-proto").is_some_and(|protocol| protocol == "http");
    format!("{}://{domain}", if plain { "http" } else { "https" })
}

fn body(body: Option<String>, is_base64: bool) -> Result<Bytes, EventError> {
    match body {
        Some(body) if is_base64 => STANDARD.decode(body).map(Bytes::from).map_err(|_| EventError("the body is not base64")),
        Some(body) => Ok(body.into()),
        None => Ok(Bytes::new()),
    }
}

/// One invocation by API Gateway: what the functions data-api, download and docs do. `deadline` is Lambda's, in milliseconds.
///
/// # Errors
/// [`EventError`].
pub async fn handle(app: &App, event: ApiGatewayV2httpRequest, deadline: u64) -> Result<ApiGatewayV2httpResponse, EventError> {
    let deadline = Micros(i64::try_from(deadline).unwrap_or(i64::MAX).saturating_mul(1_000));
    Ok(response(pipeline::handle(app, request(event, deadline)?).await))
}

/// Writes an answer. Headers that are repeated are joined by commas: the payload format carries each name once.
pub fn response(response: ApiResponse) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = i64::from(parts.status.as_u16());
    answer.headers = joined(&parts.headers);
    let body = if parts.status == StatusCode::NO_CONTENT { Body::Empty } else { as_sent(body) };
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    // Left out rather than null: not every gateway of the format takes a null for an empty body.
    answer.body = Some(body).filter(|body| !matches!(body, Body::Empty));
    answer
}

/// As text where that is possible and not longer than base64 would be: Lambda escapes a text as JSON once more, and its limit of
/// 6 MB counts the outcome.
fn as_sent(body: Bytes) -> Body {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' => 1,
        0..=0x1F => 5,
        _ => 0,
    };
    if body.is_empty() {
        return Body::Empty;
    }
    if body.iter().map(escaped).sum::<usize>() > body.len() / 3 {
        return Body::Binary(body.into());
    }
    match String::from_utf8(body.into()) {
        Ok(text) => Body::Text(text),
        Err(error) => Body::Binary(error.into_bytes()),
    }
}

fn joined(headers: &HeaderMap) -> HeaderMap {
    let value = |name| {
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        // Joined, valid values stay one.
        HeaderValue::from_bytes(&values.join(&b", "[..])).ok()
    };
    headers.keys().filter_map(|name| Some((name.clone(), value(name)?))).collect()
}
