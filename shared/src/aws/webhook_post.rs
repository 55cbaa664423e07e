//! Webhooks over HTTPS, with the HTTP client that the AWS SDK brings along. Addresses are checked when the connection is made, with
//! the addresses that it will really use.

use std::net::IpAddr;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures::future::BoxFuture;

use super::traced::call;
use crate::notify::Post;
use crate::notify::target::{self, Refused, is_public};

/// Timeout of a receiver.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Posts to public addresses only.
pub struct HttpsPost {
    connector: Connector,
}

impl HttpsPost {
    /// A client that trusts the roots of this system.
    pub fn new() -> Self {
        let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        Self { connector: builder.sleep_impl(TokioSleep::new()).build_with_resolver(PublicOnly) }
    }

    async fn send(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, String> {
        target::check(url).map_err(|refused| refused.to_string())?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| error.to_string())?;
        request.set_uri(url).map_err(|error| error.to_string())?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.clone());
        }
        let answer = tokio::time::timeout(PATIENCE, call(&self.connector, request)).await;
        let response = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        Ok(response.status().as_u16())
    }
}

impl Default for HttpsPost {
    fn default() -> Self {
        Self::new()
    }
}

impl Post for HttpsPost {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, String>> {
        Box::pin(self.send(url, headers, body))
    }
}

/// Resolves names as the system does, and refuses a name with even one address that is not public.
#[derive(Debug, Clone)]
struct PublicOnly;

impl ResolveDns for PublicOnly {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 443)).await.map_err(ResolveDnsError::new)?;
            all_public(found.map(|address| address.ip()).collect()).map_err(ResolveDnsError::new)
        })
    }
}

fn all_public(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
    match addresses.iter().find(|address| !is_public(**address)) {
        Some(_) => Err(Refused("the name leads to an address that is not on the public Internet".to_owned())),
        None => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_the_connection_is_made() {
        // `localhost` resolves without a network; the text check is passed over on purpose.
        assert!(PublicOnly.resolve_dns("localhost").await.is_err());
        assert!(all_public(vec!["8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap()]).is_err());
        assert!(all_public(vec!["8.8.8.8".parse().unwrap()]).is_ok());
        assert!(HttpsPost::new().post("https://127.0.0.1/", &[], "{}").await.is_err());
    }
}
