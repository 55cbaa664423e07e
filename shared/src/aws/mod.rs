//! Adapters: the ports of the other rooms, implemented by the AWS SDK and the HTTP client that it brings along. This file has what
//! they share: one HTTP client on rustls with *ring*, and the configuration of the environment.
//!
//! Imports what declares the ports. No other room but `compose` imports this one or an SDK, and no rule of the product stands here.
//!
//! The default provider of the SDK (aws-lc) costs 30 ms of CPU at its first use, which is most of a cold start; *ring* costs
//! two. `tests` hold `cargo tree` to that.

pub mod cloudwatch;
pub mod dynamodb;
pub mod jwks_http;
pub mod otlp;
pub mod s3;
pub mod s3_archive;
pub mod secretsmanager;
pub mod sns;
mod traced;
pub mod webhook_post;

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, HttpClientError};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpClient, SharedHttpConnector, http_client_fn};

use traced::traced;

/// An HTTP client with connection reuse for all AWS clients of a process.
///
/// `roots`: certificates to trust, PEM; without them the system's are loaded (3.5 ms at a cold start).
///
/// # Errors
/// Where `roots` cannot be used.
pub fn http_client(roots: Option<&[u8]>) -> Result<SharedHttpClient, HttpClientError> {
    let mut builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if let Some(pem) = roots {
        let store = TrustStore::empty().with_pem_certificate(pem);
        builder = builder.tls_context(TlsContext::builder().with_trust_store(store).build()?);
    }
    Ok(traced(builder.build_https()))
}

/// An HTTP client without TLS, for emulations on this machine: no certificates are loaded.
pub fn plain_http_client() -> SharedHttpClient {
    traced(Builder::new().build_http())
}

/// Region, credentials and endpoint from the usual variables and files of AWS, over `http`.
pub async fn config(http: SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// Configuration for an emulation on this machine: any signature is accepted there, so the credentials are constants.
pub fn local_config(endpoint: &str, http: SharedHttpClient) -> SdkConfig {
    let credentials = aws_credential_types::Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .http_client(http)
        .build()
}

/// Configuration for an emulation in this process: every request goes to `connector`, and none is signed.
pub fn in_process_config(connector: impl HttpConnector + 'static) -> SdkConfig {
    let connector = SharedHttpConnector::new(connector);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url("http://in-process")
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .http_client(traced(http_client_fn(move |_, _| connector.clone())))
        .build()
}
