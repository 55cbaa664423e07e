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
use crate::core::clock::Micros;
use crate::core::config::Variables;
use crate::core::deadline;
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

/// Whether this process is told before it ends. Lambda tells those that register an extension, which panics where nobody answers
/// its registration: on emulations, which do not set this variable either.
pub fn has_shutdown(variables: &dyn Variables) -> bool {
    variables.get("AWS_LAMBDA_INITIALIZATION_TYPE").is_some()
}

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
    // Debug output of the headers will not show them.
    headers.iter_mut().filter(|(name, _)| **name == AUTHORIZATION).for_each(|(_, value)| value.set_sensitive(true));
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

/// One invocation by API Gateway: what the functions data-api, download and docs do. `deadline` is the runtime's, in milliseconds.
///
/// # Errors
/// [`EventError`].
pub async fn handle(app: &App, event: ApiGatewayV2httpRequest, deadline: u64) -> Result<ApiGatewayV2httpResponse, EventError> {
    let deadline = deadline::of_invocation(deadline, app.env.now());
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use serde_json::{Value, json};

    fn event(change: impl FnOnce(&mut Value)) -> ApiGatewayV2httpRequest {
        let mut event = json!({
            "version": "2.0",
            "routeKey": "POST /v1/{plural}",
            "rawPath": "/v1/orders/a b",
            "rawQueryString": "sort=-total&name=%C3%BC",
            "headers": {"authorization": "Bearer hush", "accept": "application/json,text/html", "x-forwarded-proto": "https"},
            "requestContext": {
                "domainName": "api.example",
                "authorizer": {"lambda": {"outcome": "ok", "roles": "[\"a\"]"}},
                "http": {"method": "POST", "path": "/v1/orders/a b", "sourceIp": "2001:db8::1"},
                "timeEpoch": 1
            },
            "body": "eyJhIjoxfQ==",
            "isBase64Encoded": true
        });
        change(&mut event);
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn an_event_becomes_a_request() {
        let request = request(event(|_| {}), Micros(7)).unwrap();
        assert_eq!((&request.method, request.path.as_str()), (&Method::POST, "/v1/orders/a b"));
        assert_eq!(request.query, "sort=-total&name=%C3%BC");
        assert_eq!(request.body.as_ref(), br#"{"a":1}"#);
        assert_eq!(request.address.to_string(), "2001:db8::1");
        assert_eq!((request.base_url.as_str(), request.deadline), ("https://api.example", Micros(7)));
        assert_eq!(request.context.unwrap()["outcome"], "ok");
        assert!(!format!("{:?}", request.headers).contains("hush"));
    }

    #[test]
    fn several_credentials_stay_several_and_secret() {
        // Joined as the payload format has them, or each by itself as some emulations do.
        for value in [json!("Bearer hush,Bearer two"), json!(["Bearer hush", "Bearer two"])] {
            let request = request(event(|event| event["headers"]["authorization"] = value.clone()), Micros(0)).unwrap();
            assert_eq!(request.authorization().unwrap(), "Bearer hush,Bearer two");
            assert!(!format!("{:?}", request.headers).contains("Bearer"));
        }
    }

    #[test]
    fn what_may_be_missing_has_a_meaning() {
        let request = request(
            event(|event| {
                event["requestContext"].as_object_mut().unwrap().remove("authorizer");
                for name in ["body", "isBase64Encoded", "rawQueryString"] {
                    event.as_object_mut().unwrap().remove(name);
                }
                event["headers"] = json!({"x-forwarded-proto": "http"});
                event["requestContext"]["domainName"] = json!("127.0.0.1:3000");
            }),
            Micros(0),
        )
        .unwrap();
        assert_eq!((request.context, request.body.len(), request.query.as_str()), (None, 0, ""));
        assert_eq!(request.base_url, "http://127.0.0.1:3000");
    }

    #[test]
    fn a_broken_event_is_the_gateways_fault() {
        let broken: [(fn(&mut Value), &str); 4] = [
            (|event| drop(event.as_object_mut().unwrap().remove("rawPath")), "rawPath"),
            (|event| event["requestContext"]["http"]["sourceIp"] = json!("nowhere"), "sourceIp"),
            (|event| event["requestContext"]["domainName"] = json!(null), "domainName"),
            (|event| event["body"] = json!("?"), "base64"),
        ];
        for (change, named) in broken {
            let error = request(event(change), Micros(0)).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    fn answer(status: u16, body: impl Into<Bytes>, headers: &[(&'static str, &'static str)]) -> Value {
        let mut answer = ApiResponse::new(body.into());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        serde_json::to_value(response(answer)).unwrap()
    }

    #[test]
    fn an_answer_is_text_where_it_can_be() {
        let found =
            answer(201, "{\"title\":\"Grüße, auch aus der Ferne\"}", &[("link", "<a>"), ("link", "<b>"), ("etag", "\"v\"")]);
        assert_eq!((&found["statusCode"], &found["isBase64Encoded"]), (&json!(201), &json!(false)));
        assert_eq!(found["body"], "{\"title\":\"Grüße, auch aus der Ferne\"}");
        assert_eq!((&found["headers"]["link"], &found["headers"]["etag"]), (&json!("<a>, <b>"), &json!("\"v\"")));
    }

    #[test]
    fn packed_bodies_and_those_full_of_quotes_are_base64() {
        for body in [vec![0x1F, 0x8B, 0xFF], "\"".repeat(9).into_bytes(), vec![0; 9]] {
            let found = answer(200, body.clone(), &[]);
            assert_eq!(found["isBase64Encoded"], true);
            assert_eq!(STANDARD.decode(found["body"].as_str().unwrap()).unwrap(), body);
        }
        assert_eq!(answer(204, "", &[])["isBase64Encoded"], false);
    }
}
