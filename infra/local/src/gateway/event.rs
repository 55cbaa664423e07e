//! The events that an HTTP API sends: payload format 2.0 for functions and for REQUEST authorizers, as the AWS documentation
//! "Working with AWS Lambda proxy integrations for HTTP APIs" describes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, COOKIE, USER_AGENT};
use serde_json::{Map, Value, json};

use super::routes::Match;

/// A request as the gateway received it, its path already decoded.
pub struct Received<'a> {
    /// Method, as sent.
    pub method: &'a str,
    /// Decoded path.
    pub path: &'a str,
    /// Query string without `?`, as sent.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a Bytes,
    /// Protocol, `HTTP/1.1`.
    pub protocol: &'a str,
    /// Address of the client.
    pub source_ip: &'a str,
    /// The gateway's id of this request.
    pub request_id: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// What both kinds of event have in common.
pub fn common(received: &Received<'_>, matched: &Match<'_>) -> Map<String, Value> {
    let route_key = matched.0.key();
    let (headers, cookies) = headers(received);
    let host = headers.get("host").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut event = Map::new();
    event.insert("version".into(), "2.0".into());
    event.insert("routeKey".into(), route_key.clone().into());
    event.insert("rawPath".into(), received.path.into());
    event.insert("rawQueryString".into(), received.query.into());
    if !cookies.is_empty() {
        event.insert("cookies".into(), cookies.into());
    }
    event.insert("headers".into(), headers.into());
    let parameters = query_parameters(received.query);
    if !parameters.is_empty() {
        event.insert("queryStringParameters".into(), parameters.into());
    }
    if !matched.1.is_empty() {
        let parameters: Map<String, Value> =
            matched.1.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        event.insert("pathParameters".into(), parameters.into());
    }
    event.insert(
        "requestContext".into(),
        json!({
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.split(['.', ':']).next().unwrap_or_default(),
            "http": {
                "method": received.method,
                "path": received.path,
                "protocol": received.protocol,
                "sourceIp": received.source_ip,
                "userAgent": received.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default(),
            },
            "requestId": received.request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": clf_time(received.now_ms),
            "timeEpoch": received.now_ms,
        }),
    );
    event
}

/// The event of the function; `context` is the answer of the authorizer, `None` where it was not called.
pub fn for_function(mut common: Map<String, Value>, received: &Received<'_>, context: Option<Value>) -> Value {
    if let (Some(context), Some(Value::Object(request))) = (context, common.get_mut("requestContext")) {
        request.insert("authorizer".into(), json!({ "lambda": context }));
    }
    let text = is_text(received.headers).then(|| std::str::from_utf8(received.body).ok()).flatten();
    if !received.body.is_empty() {
        let body = text.map_or_else(|| STANDARD.encode(received.body), str::to_owned);
        common.insert("body".into(), body.into());
    }
    common.insert("isBase64Encoded".into(), (text.is_none() && !received.body.is_empty()).into());
    Value::Object(common)
}

/// The event of a REQUEST authorizer.
pub fn for_authorizer(mut common: Map<String, Value>, method: &str, path: &str, identity: &[String]) -> Value {
    let arn = format!("arn:aws:execute-api:us-east-1:000000000000:local/$default/{method}{path}");
    common.insert("type".into(), "REQUEST".into());
    common.insert("routeArn".into(), arn.into());
    common.insert("identitySource".into(), identity.to_vec().into());
    Value::Object(common)
}

/// Names in lower case, several values of one name joined by commas, cookies apart, and what the gateway adds.
fn headers(received: &Received<'_>) -> (Map<String, Value>, Vec<Value>) {
    let mut joined = Map::new();
    let mut cookies = Vec::new();
    for name in received.headers.keys() {
        let values = received.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        if name == COOKIE {
            cookies.extend(values.flat_map(|line| line.split("; ").map(Value::from).collect::<Vec<_>>()));
        } else {
            joined.insert(name.as_str().to_owned(), values.collect::<Vec<_>>().join(",").into());
        }
    }
    let forwarded = match joined.get("x-forwarded-for").and_then(Value::as_str) {
        Some(before) => format!("{before}, {}", received.source_ip),
        None => received.source_ip.to_owned(),
    };
    joined.insert("x-forwarded-for".into(), forwarded.into());
    joined.insert("x-forwarded-proto".into(), "http".into());
    (joined, cookies)
}

fn query_parameters(query: &str) -> Map<String, Value> {
    let mut parameters: Map<String, Value> = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (form_decode(name), form_decode(value));
        match parameters.get_mut(&name) {
            Some(Value::String(before)) => *before = format!("{before},{value}"),
            _ => {
                parameters.insert(name, value.into());
            }
        }
    }
    parameters
}

fn form_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Media types that the gateway hands over as text; everything else travels in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
}

/// `21/Nov/2026:04:26:00 +0000`, the form of access logs.
fn clf_time(millis: i64) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    time::OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000))
        .ok()
        .and_then(|moment| moment.format(FORMAT).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest};

    use super::*;
    use crate::template::RouteDef;

    fn event(kind: Option<&str>, body: &[u8], context: Option<Value>) -> Value {
        let mut map = HeaderMap::new();
        map.append("host", "127.0.0.1:3000".parse().unwrap());
        map.append("accept", "a".parse().unwrap());
        map.append("accept", "b".parse().unwrap());
        map.append("cookie", "x=1; y=2".parse().unwrap());
        if let Some(kind) = kind {
            map.append("content-type", kind.parse().unwrap());
        }
        let body = Bytes::copy_from_slice(body);
        let received = Received {
            method: "POST",
            path: "/v1/orders/a b",
            query: "in=1&in=2%2C3&q=a+b",
            headers: &map,
            body: &body,
            protocol: "HTTP/1.1",
            source_ip: "127.0.0.1",
            request_id: "r1",
            now_ms: 1_795_235_160_000,
        };
        let route = RouteDef {
            method: Some(Method::POST),
            path: Some("/v1/{plural}/{id}".into()),
            function: "F".into(),
            authorized: true,
        };
        let matched: Match<'_> = (&route, vec![("plural", "orders".to_owned()), ("id", "a b".to_owned())]);
        for_function(common(&received, &matched), &received, context)
    }

    #[test]
    fn is_what_the_lambda_types_read() {
        let value = event(Some("application/json"), b"{\"a\":1}", Some(json!({ "outcome": "ok", "exp": 7 })));
        let typed: ApiGatewayV2httpRequest = serde_json::from_value(value).unwrap();
        assert_eq!(typed.raw_path.as_deref(), Some("/v1/orders/a b"));
        assert_eq!(typed.raw_query_string.as_deref(), Some("in=1&in=2%2C3&q=a+b"));
        assert_eq!(typed.query_string_parameters.all("in"), Some(vec!["1", "2", "3"]));
        assert_eq!(typed.query_string_parameters.first("q"), Some("a b"));
        assert_eq!(typed.path_parameters["id"], "a b");
        assert_eq!(typed.cookies, Some(vec!["x=1".to_owned(), "y=2".to_owned()]));
        assert_eq!(typed.headers["accept"], "a,b");
        assert!(!typed.headers.contains_key("cookie"));
        assert_eq!(typed.body.as_deref(), Some("{\"a\":1}"));
        assert!(!typed.is_base64_encoded);
        assert_eq!(typed.request_context.http.source_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(typed.request_context.time.as_deref(), Some("21/Nov/2026:04:26:00 +0000"));
        assert_eq!(typed.request_context.authorizer.unwrap().fields["exp"], 7);
    }

    #[test]
    fn what_is_no_text_travels_in_base64() {
        for (kind, body, encoded) in [
            (Some("application/merge-patch+json"), b"{}".as_slice(), true),
            (None, b"{}", true),
            (Some("text/plain; charset=utf-8"), b"hi", false),
            (Some("application/json"), b"\xff", true),
        ] {
            let value = event(kind, body, None);
            assert_eq!(value["isBase64Encoded"], encoded, "{kind:?}");
            let expected = if encoded { STANDARD.encode(body) } else { String::from_utf8(body.to_vec()).unwrap() };
            assert_eq!(value["body"], expected);
            assert!(value["requestContext"].get("authorizer").is_none());
        }
        assert_eq!(event(None, b"", None).get("body"), None);
    }

    #[test]
    fn an_authorizer_gets_its_own_kind() {
        let Value::Object(map) = event(None, b"", None) else { unreachable!() };
        let value = for_authorizer(map, "POST", "/v1/orders", &["Bearer x".to_owned()]);
        assert_eq!(value["type"], "REQUEST");
        let typed: ApiGatewayV2CustomAuthorizerV2Request = serde_json::from_value(value).unwrap();
        assert_eq!(typed.identity_source, Some(vec!["Bearer x".to_owned()]));
        assert_eq!(typed.route_arn.as_deref(), Some("arn:aws:execute-api:us-east-1:000000000000:local/$default/POST/v1/orders"));
    }
}
