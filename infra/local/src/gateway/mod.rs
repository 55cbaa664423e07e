//! An HTTP API as API Gateway runs it, on one machine: routes and authorizer of the template, events in payload format 2.0,
//! decoded paths, its limits, its answers where it answers by itself.
//!
//! One difference is wanted: a protected route without credentials reaches the function with an empty authorizer context, so
//! that the caller gets our 401 with problem+json in place of API Gateway's own.

mod authorizer;
mod event;
mod reply;
pub mod routes;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast::core::clock::Env;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Map, Value};
use tokio::net::TcpListener;

use self::authorizer::{Authorizer, Verdict};
use self::event::Received;
use self::reply::{GatewayRefusal, MAX_PAYLOAD, Reply};
use self::routes::{Match, Routes};
use crate::functions::{Functions, Invocation};
use crate::server::{Server, serve};
use crate::template::{MAX_WAIT, Template, TemplateError};

/// Request line and header values together, bytes.
const MAX_HEAD: usize = 10_240;
/// Body of a request, bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The gateway.
pub struct Gateway {
    template: Template,
    routes: Routes,
    functions: Functions,
    authorizer: Option<Authorizer>,
    env: Env,
    wait: Duration,
}

impl Gateway {
    /// A gateway for a template; `functions` by the name of their binary.
    ///
    /// # Errors
    /// When a route or the authorizer names a function that is not there.
    pub fn new(template: Template, functions: Functions, env: Env) -> Result<Self, TemplateError> {
        let called = |id: &str| {
            let authorizes = template.authorizer.as_ref().is_some_and(|authorizer| authorizer.function == id);
            authorizes || template.routes.iter().any(|route| route.function == id)
        };
        for function in &template.functions {
            if called(&function.logical_id) && !functions.contains_key(&function.binary) {
                return Err(TemplateError(format!("nothing here serves the function `{}`", function.binary)));
            }
        }
        let authorizer = template.authorizer.clone().and_then(|definition| {
            let function = template.function(&definition.function)?;
            let (called, timeout) = (functions.get(&function.binary)?.clone(), function.timeout);
            Some(Authorizer::new(definition, called, timeout, env.clone()))
        });
        let routes = Routes::new(&template.routes);
        Ok(Self { template, routes, functions, authorizer, env, wait: MAX_WAIT })
    }

    /// The same gateway with another longest wait for a function: for tests.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Serves it on a listener until the server is stopped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve(self, listener: TcpListener) -> std::io::Result<Server> {
        let gateway = Arc::new(self);
        serve(listener, move |peer| {
            let gateway = gateway.clone();
            service_fn(move |request| {
                let answering = gateway.clone().handle(request, peer.ip().to_string());
                async move { Ok::<_, Infallible>(answering.await) }
            })
        })
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>, source_ip: String) -> Reply {
        let request_id = request_id(&self.env);
        let mut reply = match self.answer(request, &source_ip, &request_id).await {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply(),
        };
        if let Ok(value) = HeaderValue::try_from(request_id) {
            reply.headers_mut().insert(HeaderName::from_static("apigw-requestid"), value);
        }
        reply
    }

    async fn answer(&self, request: Request<Incoming>, source_ip: &str, request_id: &str) -> Result<Reply, GatewayRefusal> {
        if head_size(&request) > MAX_HEAD {
            return Err(GatewayRefusal::HeadersTooLarge);
        }
        let (head, body) = request.into_parts();
        let body = read_body(body).await?;
        let path = decoded(head.uri.path())?;
        let received = Received {
            method: head.method.as_str(),
            path: &path,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &body,
            protocol: "HTTP/1.1",
            source_ip,
            request_id,
            now_ms: self.env.now().millis(),
        };
        let matched = self.routes.find(&head.method, &path).ok_or(GatewayRefusal::NotFound)?;
        let common = event::common(&received, &matched);
        let context = self.authorize(&received, &matched, &common).await?;
        let payload = Bytes::from(event::for_function(common, &received, context).to_string());
        if payload.len() > MAX_PAYLOAD {
            return Err(GatewayRefusal::TooLarge);
        }
        self.invoke(&matched, payload, request_id).await
    }

    /// What the authorizer says of a protected route; an empty context where there is no identity to ask about.
    async fn authorize(
        &self,
        received: &Received<'_>,
        matched: &Match<'_>,
        common: &Map<String, Value>,
    ) -> Result<Option<Value>, GatewayRefusal> {
        let Some(authorizer) = self.authorizer.as_ref().filter(|_| matched.0.authorized) else {
            return Ok(None);
        };
        let Some(identity) = authorizer.identity(received.headers) else {
            return Ok(Some(Value::Object(Map::new())));
        };
        let verdict = authorizer.ask(identity, received.request_id, received.method, received.path, || common.clone());
        match verdict.await {
            Ok(Verdict::Allowed(context)) => Ok(Some(context)),
            Ok(Verdict::Denied) => Err(GatewayRefusal::Forbidden),
            Err(failure) => {
                tracing::error!(%failure, "the authorizer gave no verdict");
                Err(GatewayRefusal::Failed)
            }
        }
    }

    /// Calls the function in a task of its own: as on Lambda, it runs to its end even if the client hangs up, and a panic
    /// ends this invocation alone.
    async fn invoke(&self, matched: &Match<'_>, payload: Bytes, request_id: &str) -> Result<Reply, GatewayRefusal> {
        let definition = self.template.function(&matched.0.function).ok_or(GatewayRefusal::Failed)?;
        let function = self.functions.get(&definition.binary).ok_or(GatewayRefusal::Failed)?.clone();
        let deadline = self.env.now().plus(definition.timeout);
        let invocation =
            Invocation { payload, request_id: request_id.to_owned(), deadline_ms: u64::try_from(deadline.millis()).unwrap_or(0) };
        let limit = definition.timeout;
        let running = tokio::spawn(async move { tokio::time::timeout(limit, function.invoke(invocation)).await });
        let outcome = tokio::time::timeout(self.wait, running).await.map_err(|_| GatewayRefusal::TimedOut)?;
        match outcome {
            Ok(Ok(Ok(payload))) => reply::from_function(&payload),
            Ok(Ok(Err(failure))) => {
                tracing::error!(function = definition.binary, %failure, "a function failed");
                Err(GatewayRefusal::Failed)
            }
            Ok(Err(_)) => {
                tracing::error!(function = definition.binary, "a function was cut off at its timeout");
                Err(GatewayRefusal::Failed)
            }
            Err(error) => {
                tracing::error!(function = definition.binary, %error, "a function panicked");
                Err(GatewayRefusal::Failed)
            }
        }
    }
}

fn request_id(env: &Env) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(env.bytes::<12>())
}

/// Bytes of the request line and of all headers, as they stood on the wire.
fn head_size(request: &Request<Incoming>) -> usize {
    let line = request.method().as_str().len() + request.uri().to_string().len() + "  HTTP/1.1\r\n".len();
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>()
}

async fn read_body(body: Incoming) -> Result<Bytes, GatewayRefusal> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(GatewayRefusal::TooLarge),
        Err(_) => Err(GatewayRefusal::BadRequest),
    }
}

/// A path as an HTTP API hands it over: every escape decoded, but `%25`, so that a decoded path is not decoded again.
fn decoded(path: &str) -> Result<String, GatewayRefusal> {
    let kept: Result<Vec<_>, _> =
        path.split("%25").map(|part| percent_encoding::percent_decode_str(part).decode_utf8()).collect();
    Ok(kept.map_err(|_| GatewayRefusal::BadRequest)?.join("%25"))
}

#[cfg(test)]
mod tests;
