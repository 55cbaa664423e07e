//! The way from the SDK to the engine without a socket: what the SDK's HTTP client would send is answered in this process.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::engine::Engine;
use super::operation::{Answer, Operation};

/// A connection that is always there.
pub(super) struct InProcess {
    engine: Arc<Engine>,
}

impl InProcess {
    /// One to this engine.
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.engine.clone();
        HttpConnectorFuture::new(async move {
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("a request to DynamoDB is no stream".into()));
            };
            let body = Bytes::copy_from_slice(body);
            let operation = request.headers().get("x-amz-target").and_then(Operation::of_target);
            response(engine.call(operation, body).await)
        })
    }
}

fn response(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
