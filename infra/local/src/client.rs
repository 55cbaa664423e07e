//! HTTP clients of the tools and tests.

use std::sync::Once;

/// A builder of clients whose TLS is rustls on *ring*, as everywhere in Holdfast.
///
/// reqwest takes the provider that the process has installed and panics where there is none, so clients are made here only.
pub fn http() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that a provider is installed already, which is as good.
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("TLS was set up before");
        }
    });
    reqwest::Client::builder()
}
