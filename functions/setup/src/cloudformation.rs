//! Answers of a custom resource: CloudFormation waits for a document at the signed address that its event names.

use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde::Serialize;

/// After this time without an answer the address counts as unreachable.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceAnswer {
    /// `SUCCESS` or `FAILED`.
    pub status: &'static str,
    /// Why it failed: shown among the events of the stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Names the resource; another name than before would mean that it was replaced.
    pub physical_resource_id: String,
    /// From the event.
    pub stack_id: String,
    /// From the event.
    pub request_id: String,
    /// From the event.
    pub logical_resource_id: String,
}

/// Puts an answer to its address.
///
/// # Errors
/// For the log, without the address: whoever has it may answer.
pub async fn answer(address: &str, answer: &ResourceAnswer) -> Result<(), String> {
    let fail = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let body = serde_json::to_vec(answer).map_err(|error| fail("answer", &error))?;
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_method("PUT").map_err(|error| fail("method", &error))?;
    request.set_uri(address).map_err(|_| "the event's ResponseURL is no address".to_owned())?;
    request.headers_mut().insert("content-length", body.len().to_string());
    // The address is signed for an empty one.
    request.headers_mut().insert("content-type", "");
    *request.body_mut() = SdkBody::from(body);
    let connector: Connector =
        Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).sleep_impl(TokioSleep::new()).build();
    let response = tokio::time::timeout(TIMEOUT, connector.call(request)).await;
    let response = response.map_err(|_| "no answer in time".to_owned())?.map_err(|error| fail("connection", &error))?;
    match response.status().as_u16() {
        200..=299 => Ok(()),
        other => Err(fail("status", &other)),
    }
}
