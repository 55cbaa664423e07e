//! DynamoDB over TCP, on loopback: for functions that `cargo lambda watch` runs, for commands beside the server, and for what tests put
//! between. It always listens, since a command may come at any time and a socket that nobody uses costs nothing.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;

use super::engine::Engine;
use super::operation::{Answer, Operation};
use crate::server::{Server, serve};

/// Largest request that DynamoDB takes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Serves the engine on a listener.
///
/// # Errors
/// When the listener has no address.
pub(super) fn open(listener: TcpListener, engine: Arc<Engine>) -> std::io::Result<Server> {
    serve(listener, move |_| {
        let engine = engine.clone();
        service_fn(move |request| {
            let engine = engine.clone();
            async move { Ok::<_, Infallible>(answer(&engine, request).await) }
        })
    })
}

async fn answer(engine: &Arc<Engine>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return plain(StatusCode::NOT_FOUND);
    }
    let (head, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => response(engine.call(operation(&head.headers), body.to_bytes()).await),
        Err(_) => plain(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn operation(headers: &HeaderMap) -> Option<Operation> {
    headers.get("x-amz-target").and_then(|target| target.to_str().ok()).and_then(Operation::of_target)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    *response.body_mut() = Full::new(Bytes::from(answer.body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
