//! Key sets and discovery documents over HTTPS: the adapter behind [`crate::identity::auth::JwksSource`], with the HTTP client that the
//! AWS SDK brings along, so that no second one is carried. Redirects are followed on the same host only, the answer's size is bounded, the
//! caller sets the time-out, and an address inside our network is never called, unless the deployment names its host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::OnceLock;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::byte_stream::ByteStream;
use futures::future::BoxFuture;
use http::Uri;
use url::Url;

use super::traced::call;
use crate::identity::auth::{JwksError, JwksSource};
use crate::notify::target::{Refused, is_public};

/// Name of this program to issuers. Firewalls refuse calls without one (AWS WAF's common rule set does).
const USER_AGENT: &str = concat!("Holdfast/", env!("CARGO_PKG_VERSION"));
/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 3;

/// Where issuers may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// On the public Internet, but for these hosts.
    Public(Vec<String>),
    /// Anywhere: on a machine of development.
    Anywhere,
}

impl Reach {
    /// Whether a host may be at any address.
    fn trusts(&self, host: &str) -> bool {
        match self {
            Self::Public(hosts) => hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)),
            Self::Anywhere => true,
        }
    }

    /// The addresses of a host, all of which may be called.
    fn check(&self, host: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
        match addresses.iter().find(|address| !is_public(**address)) {
            Some(_) if !self.trusts(host) => {
                let why = "is not on the public Internet; a deployment that means it names the host in InternalIssuers";
                Err(Refused(format!("{host} {why}")))
            }
            _ => Ok(addresses),
        }
    }
}

/// Fetches documents from issuers. The client is made at the first fetch: reading the system's certificates costs more than the
/// rest of a cold start, and a function that only sees verified callers never needs them.
pub struct HttpJwks {
    reach: Reach,
    connector: OnceLock<Connector>,
}

impl HttpJwks {
    /// A client that will trust the roots of this system.
    pub fn new(reach: Reach) -> Self {
        Self { reach, connector: OnceLock::new() }
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
            builder.sleep_impl(TokioSleep::new()).build_with_resolver(Within(self.reach.clone()))
        })
    }

    /// The document, wherever on its host it is now.
    async fn get(&self, uri: &str, most: usize) -> Result<String, JwksError> {
        let mut at = uri.to_owned();
        let mut seen = BTreeSet::new();
        while seen.len() <= MAX_REDIRECTS && seen.insert(at.clone()) {
            self.check(&at)?;
            let mut request = HttpRequest::get(at.as_str()).map_err(|error| fail("address", &error))?;
            request.headers_mut().insert("accept", "application/jwk-set+json, application/json");
            request.headers_mut().insert("user-agent", USER_AGENT);
            let response = call(self.connector(), request).await.map_err(|error| fail("connection", &chain(&error)))?;
            match response.status().as_u16() {
                200 => return body(response, most).await,
                301 | 302 | 303 | 307 | 308 => at = moved(&at, response.headers().get("location"))?,
                status => return Err(fail("status", &status)),
            }
        }
        Err(fail("redirects", &format_args!("more than {MAX_REDIRECTS}, or in a circle")))
    }

    /// Keys decide who gets in, so they come over TLS, or from this very machine (an issuer under development). An address in place
    /// of a name is not resolved, and is looked at here.
    fn check(&self, uri: &str) -> Result<(), JwksError> {
        let parsed: Uri = uri.parse().map_err(|error| JwksError(format!("{uri} is no address: {error}")))?;
        let host = parsed.host().unwrap_or_default();
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if parsed.scheme_str() != Some("https") && !(parsed.scheme_str() == Some("http") && loopback) {
            return Err(JwksError(format!("{uri} must begin with https://")));
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let checked = address.map_or(Ok(()), |address| self.reach.check(host, vec![address]).map(drop));
        checked.map_err(|refused| JwksError(refused.to_string()))
    }
}

impl JwksSource for HttpJwks {
    fn fetch<'a>(&'a self, uri: &'a str, most: usize) -> BoxFuture<'a, Result<String, JwksError>> {
        Box::pin(self.get(uri, most))
    }
}

/// Resolves names as the system does, and refuses a name with even one address that may not be called: what is looked at is what is
/// connected.
#[derive(Debug, Clone)]
struct Within(Reach);

impl ResolveDns for Within {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 443)).await.map_err(ResolveDnsError::new)?;
            self.0.check(name, found.map(|address| address.ip()).collect()).map_err(ResolveDnsError::new)
        })
    }
}

fn fail(place: &str, why: &dyn std::fmt::Display) -> JwksError {
    JwksError(format!("{place}: {why}"))
}

/// An error with its causes: that of a connection says by itself only that there is none.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| format!("{all}: {cause}"))
}

async fn body(response: HttpResponse, most: usize) -> Result<String, JwksError> {
    let mut body = ByteStream::new(response.into_body());
    let mut document = Vec::new();
    while let Some(chunk) = body.next().await {
        document.extend_from_slice(&chunk.map_err(|error| fail("body", &error))?);
        if document.len() > most {
            return Err(fail("body", &format_args!("more than {most} bytes")));
        }
    }
    String::from_utf8(document).map_err(|error| fail("body", &error))
}

/// Where a document has moved to: on the same host, scheme and port. Whoever can redirect to another host need not be who it was.
fn moved(from: &str, location: Option<&str>) -> Result<String, JwksError> {
    let here = Url::parse(from).map_err(|error| fail("address", &error))?;
    let there = location.and_then(|location| here.join(location).ok()).ok_or_else(|| fail("redirect", &"without an address"))?;
    if there.origin() != here.origin() {
        return Err(fail("redirect", &format_args!("to another host ({})", there.host_str().unwrap_or_default())));
    }
    Ok(there.into())
}

#[cfg(test)]
#[path = "jwks_http_tests.rs"]
mod tests;
