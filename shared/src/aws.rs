//! What every AWS client shares: one HTTP client on rustls with *ring*, and the configuration of the environment.
//!
//! The default provider of the SDK (aws-lc) costs 30 ms of CPU at its first use, which is most of a cold start; *ring* costs
//! two. `tests` hold `cargo tree` to that.

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, HttpClientError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::telemetry;

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
    Ok(telemetry::traced(builder.build_https()))
}

/// An HTTP client without TLS, for emulations on this machine: no certificates are loaded.
pub fn plain_http_client() -> SharedHttpClient {
    telemetry::traced(Builder::new().build_http())
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
