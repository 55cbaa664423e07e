//! Calls to issuers: what is asked for, what is followed, and what is never called.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const MOST: usize = 256 * 1024;

/// What the client makes of answers that a server on this machine gives, one connection each, and the heads of its requests.
async fn conversation(answers: Vec<Vec<u8>>, times: usize) -> (Result<String, JwksError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 2048];
            let read = socket.read(&mut request).await.unwrap();
            heads.push(String::from_utf8_lossy(&request[..read]).to_ascii_lowercase());
            for _ in 0..times {
                // The client hangs up when it has seen too much.
                if socket.write_all(&answer).await.is_err() {
                    break;
                }
            }
        }
        heads
    });
    let got = HttpJwks::new(Reach::Anywhere).fetch(&uri, MOST).await;
    if server.is_finished() || got.is_ok() {
        return (got, server.await.unwrap());
    }
    server.abort();
    (got, Vec::new())
}

async fn answered(answer: &[u8], times: usize) -> Result<String, JwksError> {
    conversation(vec![answer.to_vec()], times).await.0
}

fn found(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

const DOCUMENT: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}";

#[tokio::test]
async fn a_document_arrives_and_the_caller_says_who_it_is() {
    let (got, heads) = conversation(vec![DOCUMENT.to_vec()], 1).await;
    assert_eq!(got.unwrap(), "{\"keys\":[]}");
    assert!(heads[0].starts_with("get /jwks http/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains(&format!("user-agent: holdfast/{}\r\n", env!("CARGO_PKG_VERSION"))), "{heads:?}");
}

#[tokio::test]
async fn a_key_set_that_moved_on_its_host_is_followed() {
    let (got, heads) = conversation(vec![found("/moved?a=1"), found("again"), DOCUMENT.to_vec()], 1).await;
    assert_eq!(got.unwrap(), "{\"keys\":[]}");
    assert!(heads[1].starts_with("get /moved?a=1 http/1.1"), "{heads:?}");
    assert!(heads[2].starts_with("get /again http/1.1") && heads[2].contains("user-agent: holdfast/"), "{heads:?}");
}

#[tokio::test]
async fn no_other_host_is_followed_to_and_no_circle() {
    for location in
        ["http://127.0.0.1:1/", "https://idp.example/jwks", "//idp.example/jwks", "http://localhost/jwks", "file:///etc/passwd"]
    {
        let error = answered(&found(location), 1).await.unwrap_err();
        assert!(error.0.contains("another host"), "{location}: {error}");
    }
    let error = answered(&found("/jwks"), 1).await.unwrap_err();
    assert!(error.0.contains("in a circle"), "{error}");
    let endless = conversation(["/a", "/b", "/c", "/d"].map(found).to_vec(), 1).await.0.unwrap_err();
    assert!(endless.0.contains("more than 3"), "{endless}");
}

#[tokio::test]
async fn other_answers_are_errors() {
    for answer in [
        &b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}"[..],
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
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
    let check = |uri| HttpJwks::new(Reach::Anywhere).check(uri);
    for uri in ["https://idp.example/jwks", "http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:1/"] {
        assert!(check(uri).is_ok(), "{uri}");
    }
    for uri in
        ["http://idp.example/jwks", "http://127.0.0.1.idp.example/", "file:///etc/passwd", "jwks", "http://169.254.169.254/"]
    {
        assert!(check(uri).is_err(), "{uri}");
    }
}

#[tokio::test]
async fn an_internal_address_is_called_only_where_the_deployment_names_its_host() {
    let reach = |hosts: &[&str]| Reach::Public(hosts.iter().map(|host| (*host).to_owned()).collect());
    // What is written as an address, and what a name leads to.
    for uri in
        ["https://10.0.0.1/jwks", "https://169.254.169.254/", "https://[fd00::1]/", "http://127.0.0.1:1/jwks", "http://[::1]/"]
    {
        let error = HttpJwks::new(reach(&["idp.corp"])).fetch(uri, MOST).await.unwrap_err();
        assert!(error.0.contains("InternalIssuers"), "{uri}: {error}");
    }
    let error = HttpJwks::new(reach(&[])).fetch("http://localhost:1/jwks", MOST).await.unwrap_err();
    assert!(error.0.contains("InternalIssuers"), "{error}");
    assert!(Within(reach(&["idp.corp"])).resolve_dns("localhost").await.is_err());
    assert!(Within(reach(&["LOCALHOST"])).resolve_dns("localhost").await.is_ok());
    assert!(HttpJwks::new(reach(&["10.0.0.1"])).check("https://10.0.0.1/jwks").is_ok());
    let mixed = vec!["8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap()];
    assert!(
        reach(&[]).check("idp.example", mixed.clone()).is_err() && reach(&["idp.example"]).check("idp.example", mixed).is_ok()
    );
}
