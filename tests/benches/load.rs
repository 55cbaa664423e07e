//! Requests per second of the whole system on one machine, beside what its store alone can do: same process, same run.
//!
//! `cargo bench --workspace --bench load [-- --seconds 5]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, reason = "a command for people")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast::aws::dynamodb::{DynamoTable, Options as TableOptions};
use holdfast::core::clock::Env;
use holdfast::store::table::{Attr, Expr, Item, Key, RangeQuery, Returning, Table, TableName, Write};
use holdfast_local::Options;
use holdfast_local::embedded::{DATA_TABLE, VOLATILE_TABLE};
use holdfast_tests::{Actor, System};
use reqwest::Method;
use serde_json::json;

const CUSTOMERS: u32 = 100;
const ORDERS: u32 = 2_000;
const CONNECTIONS: [usize; 2] = [1, 16];

/// A rule on rows, a field that callers do not see, an exact limit that nobody reaches: what a request usually meets.
const MODEL: &str = "
name: Load
version: 1.0.0
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 80, required: true}
      region: {type: string, max: 20}
  order:
    id: string
    fields:
      customer: {ref: customer, on_delete: restrict, inverse: orders, required: true}
      shop: {type: string, max: 20}
      total: {type: decimal, scale: 2}
      cost: {type: decimal, scale: 2}
    indexes:
      by_shop: {equality: shop, sort: [-id]}
roles:
  admin: {all: true, system: all}
  clerk:
    entities:
      customer: {list: true, read: true}
      order:
        list: {fields: [id, customer, shop, total], rows: {shop: $claim.shop}}
        read: {fields: [id, customer, shop, total], rows: {shop: $claim.shop}}
        create: true
plans:
  wide:
    rates: {burst: {rate: 1000000, per: 1s, burst: 1000000}}
auth: {default_plan: wide, claims: [shop]}
";

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// How often `work` can be done in a second by so many at once.
async fn rate<F, W>(at_once: usize, work: F) -> f64
where
    F: Fn(u64) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send,
{
    let (work, next) = (Arc::new(work), Arc::new(AtomicU64::new(0)));
    let (start, length) = (Instant::now(), Duration::from_secs(seconds()));
    let workers = (0..at_once).map(|_| {
        let (work, next) = (work.clone(), next.clone());
        tokio::spawn(async move {
            while start.elapsed() < length {
                work(next.fetch_add(1, Ordering::Relaxed)).await;
            }
        })
    });
    futures::future::try_join_all(workers).await.unwrap();
    next.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

async fn fill(admin: &Actor) {
    for number in 0..CUSTOMERS {
        admin
            .post("/v1/customers", json!({"id": format!("c{number}"), "name": "A customer", "region": "north"}))
            .await
            .expect(201);
    }
    for first in (0..ORDERS).step_by(10) {
        let operations: Vec<_> = (first..first + 10)
            .map(|number| {
                let data = json!({"id": format!("o{number:05}"), "customer_id": format!("c{}", number % CUSTOMERS),
                    "shop": format!("s{}", number % 10), "total": "12.50", "cost": "7.00"});
                json!({"op": "create", "data": data})
            })
            .collect();
        admin.post("/v1/orders/_bulk", json!({"operations": operations, "atomic": true})).await.expect(200);
    }
}

async fn api(clerk: &Actor, path: &'static str, bypass: bool) -> [f64; 2] {
    let mut rates = [0.0; 2];
    for (rate_of, at_once) in rates.iter_mut().zip(CONNECTIONS) {
        let clerk = clerk.clone();
        *rate_of = rate(at_once, move |_| {
            let call = clerk.call(Method::GET, path);
            let call = if bypass { call.header("cache-control", "no-cache") } else { call };
            async move { drop(call.send().await.expect(200)) }
        })
        .await;
    }
    rates
}

async fn creates(clerk: &Actor) -> [f64; 2] {
    let mut rates = [0.0; 2];
    for (rate_of, at_once) in rates.iter_mut().zip(CONNECTIONS) {
        let clerk = clerk.clone();
        *rate_of = rate(at_once, move |number| {
            let order = json!({"id": format!("new-{at_once}-{number}"), "customer_id": "c1", "shop": "s1", "total": "1.00"});
            let call = clerk.call(Method::POST, "/v1/orders").json(order);
            async move { drop(call.send().await.expect(201)) }
        })
        .await;
    }
    rates
}

/// The store alone, by the same client in the same process: one `GetItem`, one `Query` of 20, one `UpdateItem`.
async fn store(system: &System) -> [(&'static str, [f64; 2]); 3] {
    let config = system.local().stores.dynamodb_config();
    let table = Arc::new(DynamoTable::new(&config, TableOptions::new(DATA_TABLE, VOLATILE_TABLE), Env::system()));
    for number in 0..20_u8 {
        let item = Item::new(Key::new("bench", [number])).with("d", Attr::S("x".repeat(300)));
        table.write(TableName::Data, Write::Put { item, condition: None }, Returning::Nothing).await.unwrap();
    }
    let mut rates = [("GetItem", [0.0; 2]), ("Query of 20", [0.0; 2]), ("UpdateItem", [0.0; 2])];
    for (at, at_once) in CONNECTIONS.into_iter().enumerate() {
        let reader = table.clone();
        rates[0].1[at] = rate(at_once, move |_| {
            let table = reader.clone();
            async move { drop(table.get(&[(TableName::Data, Key::new("bench", [1]))], true).await.unwrap()) }
        })
        .await;
        let reader = table.clone();
        rates[1].1[at] = rate(at_once, move |_| {
            let table = reader.clone();
            let query = RangeQuery { limit: Some(20), ..RangeQuery::partition(TableName::Data, "bench") };
            async move { drop(table.query(query).await.unwrap()) }
        })
        .await;
        let writer = table.clone();
        rates[2].1[at] = rate(at_once, move |_| {
            let table = writer.clone();
            let update = Expr::new("ADD #n :n").name("#n", "n").value(":n", Attr::N(1));
            let write = Write::Update { key: Key::new("bench", [99]), update, condition: None };
            async move { drop(table.write(TableName::Data, write, Returning::Nothing).await.unwrap()) }
        })
        .await;
    }
    rates
}

fn line(name: &str, rates: [f64; 2], ceiling: [f64; 2]) {
    println!(
        "{name:<44}{:>8.0} /{:>6.0} a second, {:>4.2} /{:>5.2} of the store",
        rates[0],
        rates[1],
        rates[0] / ceiling[0],
        rates[1] / ceiling[1]
    );
}

#[tokio::main]
async fn main() {
    let system = System::start_with(Options::in_memory(MODEL)).await;
    fill(&system.admin()).await;
    let clerk = system.actor_with("clerk", &["clerk"], &[("shop", json!("s1"))], None);
    println!(
        "requests a second with {} and {} connections, {} s each; client, system and store share this machine",
        CONNECTIONS[0],
        CONNECTIONS[1],
        seconds()
    );
    let store = store(&system).await;
    for (name, rates) in store {
        println!("{name:<44}{:>8.0} /{:>6.0} a second", rates[0], rates[1]);
    }
    let list = "/v1/orders?shop=s1&limit=20&include=customer";
    line("record by id (of GetItem)", api(&clerk, "/v1/orders/o00001", false).await, store[0].1);
    line("list of 20 with its customers (of Query)", api(&clerk, list, true).await, store[1].1);
    line("the same, from the cache (of Query)", api(&clerk, list, false).await, store[1].1);
    line("create with index rows, guard, audit (of UpdateItem)", creates(&clerk).await, store[2].1);
    system.stop().await;
}
