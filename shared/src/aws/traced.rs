//! Calls over HTTP as spans: of every AWS client, by a wrapper around their HTTP client, and of whoever uses a connector itself.

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::core::telemetry::TARGET;

/// An HTTP client whose every attempt at a call is a span and names it to the one that is called.
pub fn traced(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Traced(client))
}

#[derive(Debug)]
struct Traced(SharedHttpClient);

impl HttpClient for Traced {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(TracedConnector(self.0.http_connector(settings, components)))
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct TracedConnector(SharedHttpConnector);

impl HttpConnector for TracedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (span, request) = begun(request);
        if span.is_disabled() {
            return self.0.call(request);
        }
        let under_way = self.0.call(request);
        HttpConnectorFuture::new(ended(under_way, span))
    }
}

/// Makes a call by a connector, as a span.
///
/// # Errors
/// The connector's.
pub async fn call(connector: &impl HttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let (span, request) = begun(request);
    ended(connector.call(request), span).await
}

async fn ended(
    under_way: impl Future<Output = Result<HttpResponse, ConnectorError>>,
    span: Span,
) -> Result<HttpResponse, ConnectorError> {
    let answer = under_way.instrument(span.clone()).await;
    match &answer {
        Ok(response) => {
            span.record("http.response.status_code", response.status().as_u16());
        }
        Err(_) => {
            span.record("otel.status_code", "ERROR");
        }
    }
    answer
}

/// The span of a call; the request names it.
fn begun(mut request: HttpRequest) -> (Span, HttpRequest) {
    let span = tracing::trace_span!(
        target: TARGET,
        "call",
        otel.name = tracing::field::Empty,
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        http.request.method = tracing::field::Empty,
        server.address = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty,
    );
    if !span.is_disabled() {
        let host = host(request.uri()).to_owned();
        // `DynamoDB_20120810.GetItem`
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('_')?.1.split_once('.'));
        let name = match (request.headers().get("x-amz-target").and_then(|target| target.split('_').next()), target) {
            (Some(service), Some((_, operation))) => format!("{service}.{operation}"),
            _ => format!("{} {host}", request.method()),
        };
        span.record("otel.name", name).record("http.request.method", request.method()).record("server.address", &host);
        let mut headers = Names(&mut request);
        TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    }
    (span, request)
}

/// The host of an address; what follows it may be a secret (a signed link, a webhook's path).
fn host(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().and_then(|authority| authority.rsplit('@').next()).unwrap_or_default()
}

struct Names<'a>(&'a mut HttpRequest);

impl Injector for Names<'_> {
    fn set(&mut self, key: &str, value: String) {
        // Empty: there is no state of other vendors. Otherwise both are ASCII of the propagator's own making.
        if !value.is_empty() {
            let _replaced = self.0.headers_mut().insert(key.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_all_that_is_told_of_an_address() {
        for (uri, expected) in [
            ("https://hooks.example/T0/secret?x=1", "hooks.example"),
            ("http://u:p@127.0.0.1:8000/", "127.0.0.1:8000"),
            ("https://bucket.s3.amazonaws.com/key?X-Amz-Signature=a@b", "bucket.s3.amazonaws.com"),
            ("", ""),
        ] {
            assert_eq!(host(uri), expected, "{uri}");
        }
    }
}
