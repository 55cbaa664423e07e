//! "AWS semantics": an HTTP proxy between the SDK and the embedded store that gives what DynamoDB really gives.
//!
//! The embedded store commits a transaction at one moment and never refuses for another's sake. Delegate the proxy
//! - a committing transaction becomes visible item by item, in random order, before its answer;
//! - its items are locked until some time after the answer: other transactions, `TransactGetItems` and single writes that meet
//!   a lock are refused with `TransactionConflict`;
//! - a token that is at work answers `TransactionInProgressException`, one that has had its effect answers as before;
//! - calls are throttled, batches come back with unprocessed keys, requests and answers are lost with their connections;
//! - a plain write is delivered a second time, late, or only late, after its caller has heard of a lost connection: what a network
//!   may do while a signature is valid;
//! - an item takes so many write units a second, and what comes beyond is throttled.
//!
//! All chance comes from one seed. Which call draws which number depends on their order, so a seed repeats a run exactly only
//! where calls are made one after another.

mod limits;
mod locks;
mod request;
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
use tokio::sync::{oneshot, watch};

use crate::rng::Rng;
use limits::Limits;
use locks::Locks;

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
    /// Shortest time by which it is.
    pub delay_at_least: Duration,
    /// Chance that a plain write is delivered again later.
    pub twice: f64,
    /// Chance that a plain write is delivered later only, and its connection lost at once.
    pub late: f64,
    /// Longest time by which a late delivery is late.
    pub late_by: Duration,
    /// Shortest and longest time for which a transaction holds its items before it commits.
    pub window: (Duration, Duration),
    /// Write units that an item takes in a second; 0: any number.
    pub units_per_item: u32,
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
            delay_at_least: Duration::ZERO,
            twice: 0.0,
            late: 0.0,
            late_by: Duration::from_millis(200),
            window: (Duration::ZERO, Duration::ZERO),
            units_per_item: 0,
        }
    }

    /// A bad day on which plain writes are delivered late, or a second time.
    pub fn bad_day_with_late_requests(seed: u64) -> Self {
        Self { twice: 0.05, late: 0.01, ..Self::bad_day(seed) }
    }

    /// What is known of DynamoDB's times and limits: transactions hold their items for 10 to 40 ms, calls take 3 to 6 ms, an item
    /// takes 1,000 write units a second.
    pub fn as_measured(seed: u64) -> Self {
        let ms = Duration::from_millis;
        Self {
            between_items: Duration::ZERO,
            locked_after: Duration::ZERO,
            window: (ms(10), ms(40)),
            delay_at_least: ms(3),
            delay: ms(6),
            units_per_item: 1000,
            ..Self::none(seed)
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
    /// Plain writes delivered late, whether for the first or the second time.
    pub late: u64,
    /// Conflicts and refusals for the limit of an item, on items whose partition keys begin with `t#` or `g#`.
    pub hot: u64,
}

pub(crate) struct State {
    backend: String,
    client: Client<HttpConnector, Full<Bytes>>,
    faults: Mutex<Faults>,
    rng: Mutex<Rng>,
    locks: Arc<Mutex<Locks>>,
    limits: Mutex<Limits>,
    tokens: Mutex<HashMap<String, Token>>,
    tally: Mutex<Tally>,
    /// Calls that are at work, or are to be delivered late.
    under_way: watch::Sender<usize>,
}

/// A call under way; its end is its value's.
struct UnderWay(Arc<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|calls| *calls -= 1);
    }
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
            limits: Mutex::default(),
            tokens: Mutex::default(),
            tally: Mutex::default(),
            under_way: watch::Sender::default(),
        });
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(accept(listener, Arc::clone(&state), stopped));
        Ok(Self { endpoint, state, _stop: stop })
    }

    /// From now on, this goes wrong.
    pub fn set(&self, faults: Faults) {
        *locked(&self.state.faults) = faults;
    }

    /// Waits until nothing is at work any more and nothing is to be delivered late.
    pub async fn quiet(&self) {
        let mut under_way = self.state.under_way.subscribe();
        // The sender lives as long as the proxy.
        let _none_left = under_way.wait_for(|calls| *calls == 0).await;
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
    if is_plain_write(&operation) {
        if state.happens(faults.late) {
            state.deliver_late(&faults, &operation, &body);
            state.tally(|tally| tally.lost += 1);
            return Err(Lost);
        }
        if state.happens(faults.twice) {
            state.deliver_late(&faults, &operation, &body);
        }
    }
    // The work goes on when the client hangs up, as it does at AWS.
    let work = Arc::clone(&state);
    let under_way = state.begin();
    let at_work = tokio::spawn(async move {
        let _under_way = under_way;
        work.perform(&faults, &operation, body).await.map(|answer| (answer, faults))
    });
    let (answer, faults) = at_work.await.map_err(|_| Lost)??;
    tokio::time::sleep(state.between((faults.delay_at_least, faults.delay))).await;
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

    /// A time between these two.
    pub(crate) fn between(&self, (shortest, longest): (Duration, Duration)) -> Duration {
        shortest + self.up_to(longest.saturating_sub(shortest))
    }

    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.send_modify(|calls| *calls += 1);
        UnderWay(Arc::clone(self))
    }

    /// Performs a plain write later, whatever becomes of it.
    fn deliver_late(self: &Arc<Self>, faults: &Faults, operation: &str, body: &Value) {
        self.tally(|tally| tally.late += 1);
        let (state, faults, operation, body) = (Arc::clone(self), faults.clone(), operation.to_owned(), body.clone());
        let after = self.up_to(faults.late_by);
        let under_way = self.begin();
        tokio::spawn(async move {
            let _under_way = under_way;
            tokio::time::sleep(after).await;
            let _nobody_waits = state.perform(&faults, &operation, body).await;
        });
    }

    /// Whether all items have something left of their limits; otherwise which have not.
    pub(crate) fn within_limits(&self, faults: &Faults, keys: &[String]) -> Result<(), Vec<bool>> {
        if faults.units_per_item == 0 {
            return Ok(());
        }
        let mut limits = locked(&self.limits);
        let over: Vec<bool> = keys.iter().map(|key| !limits.admits(key, f64::from(faults.units_per_item))).collect();
        if over.contains(&true) { Err(over) } else { Ok(()) }
    }

    pub(crate) fn charge(&self, faults: &Faults, key: &str, units: f64) {
        if faults.units_per_item > 0 {
            locked(&self.limits).charge(key, units, f64::from(faults.units_per_item));
        }
    }

    /// Notes that these items were refused, if any is one that many writes share.
    pub(crate) fn note_hot<'a>(&self, mut keys: impl Iterator<Item = &'a String>) {
        let shared = |key: &String| ["|{\"S\":\"t#", "|{\"S\":\"g#"].iter().any(|prefix| key.contains(prefix));
        if keys.any(shared) {
            self.tally(|tally| tally.hot += 1);
        }
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
                if self.within_limits(faults, std::slice::from_ref(&key)).is_err() {
                    self.tally(|tally| tally.throttled += 1);
                    self.note_hot(std::iter::once(&key));
                    return Ok(refusal("ProvisionedThroughputExceededException", "an item takes no more in this second"));
                }
                if !locked(&self.locks).enter(&key) {
                    self.tally(|tally| tally.conflicts += 1);
                    self.note_hot(std::iter::once(&key));
                    return Ok(refusal("TransactionConflictException", "an item is in a transaction"));
                }
                let answer = self.forward(operation, &body).await;
                locked(&self.locks).leave(&key);
                let units = answer.as_ref().ok().and_then(|answer| answer.body["ConsumedCapacity"]["CapacityUnits"].as_f64());
                self.charge(faults, &key, units.unwrap_or(1.0));
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
        cancelled(conflicts, "TransactionConflict")
    }
}

/// The answer to a transaction that is cancelled for those of its actions.
pub(crate) fn cancelled(actions: &[bool], code: &str) -> Answer {
    let reasons = actions.iter().map(|to_blame| match to_blame {
        true => json!({"Code": code, "Message": "the proxy"}),
        false => json!({"Code": "None"}),
    });
    let mut answer = refusal("TransactionCanceledException", "Transaction cancelled");
    answer.body["CancellationReasons"] = reasons.collect();
    answer
}

fn is_plain_write(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem")
}

pub(crate) fn refusal(code: &str, message: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Answer { status: 400, body: json!({"__type": kind, "message": message, "Message": message}) }
}
