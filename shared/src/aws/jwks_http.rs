//! Key sets over HTTPS: the adapter behind [`crate::identity::auth::JwksSource`], with the HTTP client that the AWS SDK brings along, so that no
//! second one is carried. Redirects are not followed, the answer's size is bounded, the caller sets the time-out.

use std::sync::OnceLock;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use futures::future::BoxFuture;
use http::Uri;

use super::traced::call;
use crate::identity::auth::jwks::MAX_DOCUMENT;
use crate::identity::auth::{JwksError, JwksSource};

/// Fetches key sets from their issuers. The client is made at the first fetch: reading the system's certificates costs more than the
/// rest of a cold start, and a function that only sees verified callers never needs them.
#[derive(Default)]
pub struct HttpJwks {
    connector: OnceLock<Connector>,
}

impl HttpJwks {
    /// A client that will trust the roots of this system.
    pub fn new() -> Self {
        Self::default()
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
            builder.sleep_impl(TokioSleep::new()).build()
        })
    }

    async fn get(&self, uri: &str) -> Result<String, JwksError> {
        let fail = |what: &str, why: &dyn std::fmt::Display| JwksError(format!("{what}: {why}"));
        check(uri)?;
        let mut request = HttpRequest::get(uri).map_err(|error| fail("address", &error))?;
        request.headers_mut().insert("accept", "application/jwk-set+json, application/json");
        let response = call(self.connector(), request).await.map_err(|error| fail("connection", &error))?;
        if response.status().as_u16() != 200 {
            return Err(fail("status", &response.status().as_u16()));
        }
        let mut body = ByteStream::new(response.into_body());
        let mut document = Vec::new();
        while let Some(chunk) = body.next().await {
            document.extend_from_slice(&chunk.map_err(|error| fail("body", &error))?);
            if document.len() > MAX_DOCUMENT {
                return Err(fail("body", &format_args!("more than {MAX_DOCUMENT} bytes")));
            }
        }
        String::from_utf8(document).map_err(|error| fail("body", &error))
    }
}

impl JwksSource for HttpJwks {
    fn fetch<'a>(&'a self, uri: &'a str) -> BoxFuture<'a, Result<String, JwksError>> {
        Box::pin(self.get(uri))
    }
}

/// Keys decide who gets in, so they come over TLS, or from this very machine (an issuer under development).
fn check(uri: &str) -> Result<(), JwksError> {
    let parsed: Uri = uri.parse().map_err(|error| JwksError(format!("{uri} is no address: {error}")))?;
    let loopback = || matches!(parsed.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match parsed.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if loopback() => Ok(()),
        _ => Err(JwksError(format!("{uri} must begin with https://"))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What the client makes of an answer that a server on this machine gives.
    async fn answered(answer: &'static [u8], times: usize) -> Result<String, JwksError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 2048];
            let read = socket.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /jwks HTTP/1.1\r\n"));
            for _ in 0..times {
                // The client hangs up when it has seen too much.
                if socket.write_all(answer).await.is_err() {
                    break;
                }
            }
        });
        let got = HttpJwks::new().fetch(&uri).await;
        server.await.unwrap();
        got
    }

    #[tokio::test]
    async fn a_document_arrives() {
        let got = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}", 1).await;
        assert_eq!(got.unwrap(), "{\"keys\":[]}");
    }

    #[tokio::test]
    async fn redirects_and_errors_are_not_followed() {
        for answer in [
            &b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 204 None\r\n\r\n",
            b"nonsense\r\n\r\n",
        ] {
            assert!(answered(answer, 1).await.is_err());
        }
    }

    #[tokio::test]
    async fn an_endless_document_is_cut() {
        static CHUNK: [u8; 4096] = {
            let mut chunk = [b' '; 4096];
            let head = b"HTTP/1.1 200 OK\r\n\r\n";
            let mut at = 0;
            while at < head.len() {
                chunk[at] = head[at];
                at += 1;
            }
            chunk
        };
        let error = answered(&CHUNK, 100_000).await.unwrap_err();
        assert!(error.0.contains("more than"), "{error}");
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for uri in ["https://idp.example/jwks", "http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:1/"] {
            assert!(check(uri).is_ok(), "{uri}");
        }
        for uri in
            ["http://idp.example/jwks", "http://127.0.0.1.idp.example/", "file:///etc/passwd", "jwks", "http://169.254.169.254/"]
        {
            assert!(check(uri).is_err(), "{uri}");
        }
    }
}
