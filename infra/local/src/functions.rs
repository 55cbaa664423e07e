//! What the gateway calls: the functions in this process, or the ones that `cargo lambda watch` serves. Both get the bytes of
//! the event and give the bytes of the answer, so neither can come to depend on something that Lambda does not hand over.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an invocation knows beside its event.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The event, JSON.
    pub payload: Bytes,
    /// Id of the invocation.
    pub request_id: String,
    /// When the function will be cut off, milliseconds since 1970 by the gateway's clock.
    pub deadline_ms: u64,
}

/// Why a function gave no answer; for the log, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A function that can be invoked.
pub trait Function: Send + Sync {
    /// One synchronous invocation: the answer, JSON.
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Bytes, Failure>>;
}

/// Functions by the name of their binary.
pub type Functions = HashMap<String, Arc<dyn Function>>;

/// A handler in this process, called as the Lambda runtime calls it.
pub fn in_process<Event, Answer, Error, Handler, Running>(handler: Handler) -> Arc<dyn Function>
where
    Event: DeserializeOwned + Send + 'static,
    Answer: Serialize + 'static,
    Error: Display + 'static,
    Handler: Fn(LambdaEvent<Event>) -> Running + Send + Sync + 'static,
    Running: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    Arc::new(InProcess { handler, event: std::marker::PhantomData::<fn(Event)> })
}

struct InProcess<Handler, Event> {
    handler: Handler,
    event: std::marker::PhantomData<fn(Event)>,
}

impl<Event, Answer, Error, Handler, Running> Function for InProcess<Handler, Event>
where
    Event: DeserializeOwned + Send + 'static,
    Answer: Serialize + 'static,
    Error: Display + 'static,
    Handler: Fn(LambdaEvent<Event>) -> Running + Send + Sync + 'static,
    Running: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Bytes, Failure>> {
        let mut context = Context::default();
        context.request_id = invocation.request_id;
        context.deadline = invocation.deadline_ms;
        let event = match serde_json::from_slice(&invocation.payload) {
            Ok(event) => event,
            Err(error) => return futures::future::ready(Err(Failure(format!("event: {error}")))).boxed(),
        };
        let running = (self.handler)(LambdaEvent::new(event, context));
        async move {
            let answer = running.await.map_err(|error| Failure(error.to_string()))?;
            serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| Failure(format!("answer: {error}")))
        }
        .boxed()
    }
}

/// A function behind the Invoke API, for example that of `cargo lambda watch`.
pub struct Remote {
    client: reqwest::Client,
    url: String,
}

impl Remote {
    /// The function `name` of the Invoke API at `base` (`http://127.0.0.1:9000`).
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, name: &str) -> Result<Self, reqwest::Error> {
        let client = crate::client::http().connect_timeout(Duration::from_secs(2)).build()?;
        Ok(Self { client, url: format!("{}/2015-03-31/functions/{name}/invocations", base.trim_end_matches('/')) })
    }
}

impl Function for Remote {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Bytes, Failure>> {
        let request = self.client.post(&self.url).header("content-type", "application/json").body(invocation.payload);
        async move {
            let failure = |error: reqwest::Error| Failure(error.to_string());
            let response = request.send().await.map_err(failure)?;
            let status = response.status();
            let failed = !status.is_success() || response.headers().contains_key("x-amz-function-error");
            let body = response.bytes().await.map_err(failure)?;
            if failed {
                return Err(Failure(format!("{status}: {}", String::from_utf8_lossy(&body))));
            }
            Ok(body)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn invocation(payload: &'static str) -> Invocation {
        Invocation { payload: Bytes::from_static(payload.as_bytes()), request_id: "r1".into(), deadline_ms: 9 }
    }

    #[tokio::test]
    async fn a_handler_gets_event_and_context() {
        let function = in_process(|event: LambdaEvent<Value>| async move {
            if event.payload["fail"] == true {
                return Err("no");
            }
            Ok(json!({ "got": event.payload, "id": event.context.request_id, "by": event.context.deadline }))
        });
        let answer = function.invoke(invocation("{\"a\":1}")).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"got": {"a": 1}, "id": "r1", "by": 9}));
        assert_eq!(function.invoke(invocation("{\"fail\":true}")).await.unwrap_err(), Failure("no".into()));
        assert!(function.invoke(invocation("{")).await.unwrap_err().0.starts_with("event: "));
    }
}
