//! What counting costs of a request's CPU: a measurement, not a test of every day.
//!
//! `cargo test --profile bench --workspace --test system share_of_counting -- --ignored --nocapture`

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::store::double::{Double, FoundItems, Intercept, Keys};
use holdfast::store::table::{Item, RangePage, RangeQuery, Returning, SharedTable, TableError, TableName, Write};
use holdfast::usage::Usage;
use holdfast_tests::stack::{Instance, Stack, somebody};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
    indexes: {by_title: {sort: title}}
roles:
  admin: {all: true}
";
/// Requests between two flushes: 20 a second, which an instance of Lambda easily gets.
const REQUESTS: usize = 100;
const ROUNDS: usize = 100;
const PAIRS: usize = 12;
/// What is promised, per cent.
const PROMISE: f64 = 5.0;

/// A table that, once it is frozen, asks another one no more than once: what is left of a request is our own CPU, without SDK and HTTP,
/// which are most of it. So the share is several times what it is in a function.
#[derive(Default)]
struct Memo {
    frozen: AtomicBool,
    got: Mutex<HashMap<String, Vec<Option<Item>>>>,
    queried: Mutex<HashMap<String, RangePage>>,
}

impl Memo {
    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }
}

impl Intercept for Memo {
    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        Box::pin(async move {
            let name = format!("{keys:?}");
            let known = self.got.lock().unwrap().get(&name).cloned();
            if let Some(known) = known.filter(|_| self.is_frozen()) {
                return Ok(known);
            }
            let found = table.get(keys, consistent).await?;
            self.got.lock().unwrap().insert(name, found.clone());
            Ok(found)
        })
    }

    fn query<'a>(&'a self, table: &'a SharedTable, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(async move {
            let name = format!("{query:?}");
            let known = self.queried.lock().unwrap().get(&name).cloned();
            if let Some(known) = known.filter(|_| self.is_frozen()) {
                return Ok(known);
            }
            let found = table.query(query).await?;
            self.queried.lock().unwrap().insert(name, found.clone());
            Ok(found)
        })
    }

    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        if self.is_frozen() { Box::pin(async { Ok(None) }) } else { table.write(name, write, returning) }
    }
}

/// CPU of this thread: its own account, which other processes do not disturb.
fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// CPU of some requests and of the flush of what they counted.
async fn round(instance: &Instance, path: &str) -> Duration {
    let who = somebody("acme", "admin");
    let begun = cpu();
    for _ in 0..REQUESTS {
        let (answer, _) = instance.call(&who, path, &Value::Null).await;
        assert_eq!(answer.status(), 200);
    }
    instance.app.usage.flush().await.unwrap();
    cpu() - begun
}

/// The median of the rounds, microseconds a request.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6 / REQUESTS as f64
}

#[tokio::test]
#[ignore = "a measurement: run it in a release build"]
async fn the_share_of_counting_in_the_cpu_of_a_request_is_small() {
    let stack = Stack::start(MODEL).await;
    let first = stack.instance();
    for n in 0..20 {
        let (answer, _) =
            first.call(&somebody("acme", "admin"), "POST /v1/books", &json!({"id": format!("b{n}"), "title": "T"})).await;
        assert_eq!(answer.status(), 201);
    }
    for path in ["GET /v1/books/b1", "GET /v1/books?limit=20"] {
        let instance = async |counts: bool| {
            let memo = Arc::new(Double::new(Arc::new(stack.table.clone()), Memo::default()));
            let mut instance = stack.instance_on(memo.clone());
            let usage = Usage::new(memo.clone(), stack.env.clone());
            instance.app = instance.app.with_usage(if counts { usage } else { usage.off() });
            round(&instance, path).await;
            instance.app.cache.idle().await;
            memo.frozen.store(true, Ordering::Relaxed);
            instance
        };
        let (mut with, mut without) = (Vec::new(), Vec::new());
        // Where things lie in memory makes as much of a difference, and lasts as long as an instance does.
        for _ in 0..PAIRS {
            let (on, off) = (instance(true).await, instance(false).await);
            // They take turns, so that whatever else the machine does concerns both; the first rounds warm up.
            for n in 0..ROUNDS + 5 {
                let pair = (round(&on, path).await, round(&off, path).await);
                if n >= 5 {
                    with.push(pair.0);
                    without.push(pair.1);
                }
            }
        }
        let (with, without) = (median(with), median(without));
        let share = 100.0 * (with - without) / with;
        println!("{path}: {with:.1} us of CPU with counting, {without:.1} us without: {share:.1} % of what is ours");
        assert!(share < PROMISE, "{share:.1} % is more than {PROMISE} %");
    }
}
