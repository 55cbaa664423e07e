//! The way to a collector: OTLP over the HTTP client that AWS' SDKs bring along.

use std::future::Future;
use std::pin::Pin;

use crate::core::telemetry::TIMEOUT;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// Most bytes of its answer.
const ANSWER: usize = 64 << 10;

/// Sends without being a span itself.
#[derive(Debug)]
pub struct OtlpSender {
    connector: Connector,
}

impl Default for OtlpSender {
    fn default() -> Self {
        Self::new()
    }
}

impl OtlpSender {
    /// A client that trusts the roots of this system. No call is made.
    pub fn new() -> Self {
        let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        Self { connector: builder.sleep_impl(TokioSleep::new()).build() }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = HttpRequest::try_from(request.map(SdkBody::from))?;
        let response = self.connector.call(request).await?;
        let status = response.status().as_u16();
        let mut body = ByteStream::new(response.into_body());
        let mut content = Vec::new();
        while let Some(chunk) = body.next().await {
            content.extend_from_slice(&chunk?);
            if content.len() > ANSWER {
                return Err("the collector's answer is too long".into());
            }
        }
        Ok(Response::builder().status(status).body(content.into())?)
    }
}

/// What the attribute `async_trait` would write.
impl HttpClient for OtlpSender {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { tokio::time::timeout(TIMEOUT, self.send(request)).await? })
    }
}
