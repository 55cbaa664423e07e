//! A noisy neighbour: one consumer sends fifty times what its plan admits. What another one gets meanwhile, beside what it gets alone:
//! same process, same run. Client, system and store share the machine.
//!
//! `cargo bench --workspace --bench neighbour [-- --seconds 5]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, reason = "a command for people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast_local::Options;
use holdfast_tests::{Actor, System};
use serde_json::json;

/// Requests a second that a plan admits.
const LIMIT: u64 = 20;
/// How many times that the loud consumer sends.
const TIMES: u64 = 50;
/// Its connections.
const CONNECTIONS: u64 = 8;

const MODEL: &str = "
name: Neighbours
version: 1.0.0
entities:
  shop:
    id: string
    fields: {name: {type: string, max: 80}}
roles:
  admin: {all: true, system: all}
  clerk: {entities: {shop: {read: true, list: true}}}
plans:
  small:
    rates: {burst: {rate: 20, per: 1s, burst: 40}}
  wide:
    rates: {burst: {rate: 1000000, per: 1s, burst: 1000000}}
auth: {default_plan: wide}
";

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// What the quiet consumer got.
struct Got {
    admitted: usize,
    sent: usize,
    latencies: Vec<Duration>,
}

impl Got {
    fn quantile(&self, of: f64) -> f64 {
        let at = (self.latencies.len() as f64 * of) as usize;
        self.latencies[at.min(self.latencies.len() - 1)].as_secs_f64() * 1_000.0
    }
}

/// Sends as many requests a second as its plan admits, each at its moment.
async fn quiet(actor: &Actor) -> Got {
    let mut got = Got { admitted: 0, sent: 0, latencies: Vec::new() };
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(LIMIT).unwrap());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds()) {
        pace.tick().await;
        let sent = Instant::now();
        let reply = actor.get("/v1/shops/s").await;
        got.latencies.push(sent.elapsed());
        got.sent += 1;
        got.admitted += usize::from(reply.status == 200);
    }
    got.latencies.sort_unstable();
    got
}

/// Sends fifty times what its plan admits until it is told to stop: requests sent and admitted.
async fn loud(actor: Actor, stop: Arc<AtomicBool>) -> (u64, u64) {
    let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let connections = (0..CONNECTIONS).map(|_| {
        let (actor, stop, counts) = (actor.clone(), stop.clone(), counts.clone());
        tokio::spawn(async move {
            let rate = u32::try_from(LIMIT * TIMES / CONNECTIONS).unwrap();
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                let reply = actor.get("/v1/shops/s").await;
                counts.0.fetch_add(1, Ordering::Relaxed);
                counts.1.fetch_add(u64::from(reply.status == 200), Ordering::Relaxed);
            }
        })
    });
    futures::future::try_join_all(connections).await.unwrap();
    (counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed))
}

fn line(name: &str, got: &Got) {
    let (median, most) = (got.quantile(0.5), got.quantile(0.99));
    println!("{name:<24}{:>5} of {} admitted, p50 {median:.2} ms, p99 {most:.2} ms", got.admitted, got.sent);
}

#[tokio::main]
async fn main() {
    let system = System::start_with(Options::in_memory(MODEL)).await;
    system.admin().post("/v1/shops", json!({"id": "s", "name": "A shop"})).await.expect(201);
    let clerk = |name: &str| system.actor_with(name, &["clerk"], &[], Some("small"));
    let calm = clerk("quiet");
    // Connections and code are warm for both phases.
    quiet(&clerk("warm")).await;
    let alone = quiet(&calm).await;
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let noise = tokio::spawn(loud(clerk("loud"), stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = quiet(&calm).await;
    stop.store(true, Ordering::Relaxed);
    let (sent, admitted) = noise.await.unwrap();
    let length = start.elapsed().as_secs_f64();
    println!("plan: {LIMIT} requests a second; {} s a phase", seconds());
    line("alone", &alone);
    line("beside the loud one", &beside);
    println!(
        "ratio                   p50 {:.2}, p99 {:.2}",
        beside.quantile(0.5) / alone.quantile(0.5),
        beside.quantile(0.99) / alone.quantile(0.99)
    );
    let allowed = 40.0 + length * LIMIT as f64;
    println!("the loud one            {sent} sent in {length:.1} s, {admitted} admitted; its plan allows {allowed:.0}");
    assert_eq!(beside.admitted, beside.sent, "the quiet consumer lost requests");
    assert!(admitted as f64 <= allowed + 1.0, "the loud consumer got more than its plan");
    system.stop().await;
}
