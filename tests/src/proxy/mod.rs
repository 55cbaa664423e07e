//! "AWS semantics": an HTTP proxy between the SDK and the embedded store that gives what DynamoDB really gives.
//!
//! The embedded store commits a transaction at one moment and never refuses for another's sake. Delegate the proxy
//! - a committing transaction becomes visible item by item, in random order, before its answer;
//! - its items are locked until some time after the answer: other transactions, `TransactGetItems` and single writes that meet
//!   a lock are refused with `TransactionConflict`;
//! - a token that is at work answers `TransactionInProgressException`, one that has had its effect answers as before;
//! - calls are throttled, batches come back with unprocessed keys, requests and answers are lost with their connections.
//!
//! All chance comes from one seed. Which call draws which number depends on their order, so a seed repeats a run exactly only
//! where calls are made one after another.

mod locks;
mod request;
mod rng;
mod transact;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use locks::Locks;
use rng::Rng;

/// What goes wrong, and how often. Chances are from 0 to 1.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Where chance begins.
    pub seed: u64,
    /// Rng that a call is throttled.
    pub throttle: f64,
    /// Rng that a batch is done in part.
    pub unprocessed: f64,
    /// Rng that a request is lost before anything is done.
    pub lost_request: f64,
    /// Rng that an answer is lost after all is done.
    pub lost_answer: f64,
    /// Longest time between the items of a commit.
    pub between_items: Duration,
    /// Whether each item of a commit is free as soon as it is visible; otherwise all are, some time after the answer.
    pub free_each: bool,
    /// Longest time for which items stay locked after the answer.
    pub locked_after: Duration,
    /// Longest time by which an answer is delayed.
    pub delay: Duration,
}

impl Faults {
    /// What every DynamoDB does: visibility item by item, and locks. Nothing is lost.
    pub fn none(seed: u64) -> Self {
        Self {
            seed,
            throttle: 0.0,
            unprocessed: 0.0,
            lost_request: 0.0,
            lost_answer: 0.0,
            between_items: Duration::from_micros(300),
            free_each: false,
            locked_after: Duration::from_millis(1),
            delay: Duration::ZERO,
        }
    }

    /// A bad day: a few calls in a hundred fail in each way.
    pub fn bad_day(seed: u64) -> Self {
        Self {
            throttle: 0.03,
            unprocessed: 0.1,
            lost_request: 0.02,
            lost_answer: 0.03,
            delay: Duration::from_millis(2),
            ..Self::none(seed)
        }
    }
}

/// A running proxy; ends with its value.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    state: Arc<State>,
    _stop: oneshot::Sender<()>,
}

/// How often the proxy did what it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that came.
    pub calls: u64,
    /// Conflicts answered.
    pub conflicts: u64,
    /// Calls throttled.
    pub throttled: u64,
    /// Batches done in part.
    pub partial: u64,
    /// Requests and answers lost.
    pub lost: u64,
    /// Tokens that were answered again without another effect.
    pub repeated: u64,
}

pub(crate) struct State {
    backend: String,
    client: Client<HttpConnector, Full<Bytes>>,
    faults: Mutex<Faults>,
    rng: Mutex<Rng>,
    locks: Arc<Mutex<Locks>>,
    tokens: Mutex<HashMap<String, Token>>,
    tally: Mutex<Tally>,
}

pub(crate) enum Token {
    AtWork(Value),
    Done(Value),
}

/// An answer of DynamoDB.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// What happens to a connection instead of an answer.
#[derive(Debug)]
pub(crate) struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is lost on purpose")
    }
}

impl std::error::Error for Lost {}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts one on a free port of the loopback interface, in front of the DynamoDB at `backend`.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(backend: &str, faults: Faults) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State {
            backend: backend.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            rng: Mutex::new(Rng::new(faults.seed)),
            faults: Mutex::new(faults),
            locks: Arc::default(),
            tokens: Mutex::default(),
            tally: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(accept(listener, Arc::clone(&state), stopped));
        Ok(Self { endpoint, state, _stop: stop })
    }

    /// From now on, this goes wrong.
    pub fn set(&self, faults: Faults) {
        *locked(&self.state.faults) = faults;
    }

    /// What happened so far: a test that wants trouble must see that there was some.
    pub fn tally(&self) -> Tally {
        *locked(&self.state.tally)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, mut stopped: oneshot::Receiver<()>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
            _ = &mut stopped => return,
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            // Ends with an error where the connection was lost on purpose.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).map_err(|_| Lost)?;
    state.tally(|tally| tally.calls += 1);
    let faults = locked(&state.faults).clone();
    if state.happens(faults.lost_request) {
        state.tally(|tally| tally.lost += 1);
        return Err(Lost);
    }
    // The work goes on when the client hangs up, as it does at AWS.
    let work = Arc::clone(&state);
    let at_work = tokio::spawn(async move { work.perform(&faults, &operation, body).await.map(|answer| (answer, faults)) });
    let (answer, faults) = at_work.await.map_err(|_| Lost)??;
    tokio::time::sleep(state.up_to(faults.delay)).await;
    if state.happens(faults.lost_answer) {
        state.tally(|tally| tally.lost += 1);
        return Err(Lost);
    }
    let status = StatusCode::from_u16(answer.status).map_err(|_| Lost)?;
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Full::new(Bytes::from(answer.body.to_string()))).map_err(|_| Lost)
}

impl State {
    pub(crate) fn tally(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut locked(&self.tally));
    }

    pub(crate) fn happens(&self, rng: f64) -> bool {
        rng > 0.0 && locked(&self.rng).unit() < rng
    }

    pub(crate) fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(locked(&self.rng).unit())
    }

    pub(crate) fn shuffle<T>(&self, values: &mut [T]) {
        locked(&self.rng).shuffle(values);
    }

    async fn perform(&self, faults: &Faults, operation: &str, mut body: Value) -> Result<Answer, Lost> {
        if self.happens(faults.throttle) {
            self.tally(|tally| tally.throttled += 1);
            return Ok(refusal("ProvisionedThroughputExceededException", "the proxy throttles"));
        }
        match operation {
            "TransactWriteItems" => self.transact(faults, body).await,
            "TransactGetItems" => {
                let keys = request::transaction_keys(&body);
                let reasons = self.conflicts(&keys);
                if reasons.iter().any(|conflict| *conflict) {
                    return Ok(self.cancelled_by(&reasons));
                }
                self.forward(operation, &body).await
            }
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let key = request::single_key(&body).unwrap_or_default();
                if !locked(&self.locks).enter(&key) {
                    self.tally(|tally| tally.conflicts += 1);
                    return Ok(refusal("TransactionConflictException", "an item is in a transaction"));
                }
                let answer = self.forward(operation, &body).await;
                locked(&self.locks).leave(&key);
                answer
            }
            "BatchGetItem" | "BatchWriteItem" if self.happens(faults.unprocessed) => {
                self.tally(|tally| tally.partial += 1);
                let left = request::split_batch(&mut body);
                let mut answer = self.forward(operation, &body).await?;
                if answer.status == 200 {
                    let name = if operation == "BatchGetItem" { "UnprocessedKeys" } else { "UnprocessedItems" };
                    answer.body[name] = left;
                }
                Ok(answer)
            }
            _ => self.forward(operation, &body).await,
        }
    }

    pub(crate) async fn forward(&self, operation: &str, body: &Value) -> Result<Answer, Lost> {
        let request = Request::post(&self.backend)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("authorization", request::AUTHORIZATION)
            .header("x-amz-date", "20260101T000000Z")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|_| Lost)?;
        let response = self.client.request(request).await.map_err(|_| Lost)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| Lost)?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&body).map_err(|_| Lost)? })
    }

    pub(crate) fn conflicts(&self, keys: &[String]) -> Vec<bool> {
        let locks = locked(&self.locks);
        keys.iter().map(|key| locks.is_held(key)).collect()
    }

    pub(crate) fn cancelled_by(&self, conflicts: &[bool]) -> Answer {
        self.tally(|tally| tally.conflicts += 1);
        let reasons = conflicts.iter().map(|conflict| match conflict {
            true => json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}),
            false => json!({"Code": "None"}),
        });
        let mut answer = refusal("TransactionCanceledException", "Transaction cancelled");
        answer.body["CancellationReasons"] = reasons.collect();
        answer
    }
}

pub(crate) fn refusal(code: &str, message: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Answer { status: 400, body: json!({"__type": kind, "message": message, "Message": message}) }
}
