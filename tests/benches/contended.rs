//! Many writers at one entity and at one parent: how many creations a second are acknowledged, and how often writers meet in tags and
//! gates. Beside it the landed way on the same store: tags and a guard of the parent within the transaction.
//!
//! The store has DynamoDB's times and limits and no others (`holdfast_tests::modelled`): calls of 3 to 6 ms, transactions that hold
//! their items for 10 to 40 ms, 1,000 write units a second for each item, counted by size.
//!
//! `cargo bench --workspace --bench contended [-- --seconds 30]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a command for people"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use holdfast::core::backoff::Backoff;
use holdfast::core::clock::Env;
use holdfast::model::value::{Record, new_version};
use holdfast::model::{Model, parse};
use holdfast::query::policy::Writer;
use holdfast::store::double::{Double, Intercept};
use holdfast::store::table::{Attr, Item, Key, Returning, SharedTable, TableError, TableName, Transaction, Write};
use holdfast::store::tags;
use holdfast::store::verify::Verifier;
use holdfast::store::write::{Batch, Mutation};
use holdfast_tests::modelled::{Modelled, Times, landed};
use serde_json::{Value, json};

const WRITERS: usize = 64;
/// Creates a second that the writers offer together: without a pace they would ask for more than an item takes, whatever the protocol.
const OFFERED: u32 = 450;

const MODEL: &str = "
name: Contended
version: 1.0.0
entities:
  tenant:
    id: string
    fields: {name: {type: string, max: 80}}
  order:
    fields:
      title: {type: string, max: 80}
      tenant: {ref: tenant, on_delete: restrict, inverse: orders}
roles:
  admin: {all: true}
";

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    arguments.next().and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// Changes what many writes share within the transaction, and not outside of it.
struct Landed(Vec<Key>);

impl Intercept for Landed {
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        table.transact(landed(transaction, &self.0))
    }

    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        let key = write.key();
        if key.pk.starts_with("t#") || key.pk.starts_with("g#") {
            // An announcement, or its end. A gate that is confirmed: nobody is to look for the parent.
            let gate = Item::new(key.clone()).with("ok", Attr::Bool(true));
            return Box::pin(async { Ok(Some(gate)) });
        }
        table.write(name, write, returning)
    }
}

/// What a run came to.
struct Run {
    creates: u64,
    /// Microseconds in all, and those of settling among them.
    creating: u64,
    settling: u64,
    elapsed: Duration,
    conflicts: u64,
    hot_conflicts: u64,
    hot_throttles: u64,
    problems: u64,
}

async fn run(of_tenant: bool, shared: Option<Vec<Key>>) -> Run {
    let model: Arc<Model> = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    let store = Arc::new(Modelled::new(Times::default()));
    let direct: SharedTable = store.clone();
    let env = Env::system();
    let before = Writer::new(direct.clone(), model.clone(), env.clone());
    let entity = |name: &str| model.by_name(name).unwrap();
    let create = |name: &str, fields: Value| {
        let Value::Object(fields) = fields else { unreachable!() };
        let record = Record { id: env.uuid_v7().to_string(), version: new_version(&env), fields };
        let record = if name == "tenant" { Record { id: "t".to_owned(), ..record } } else { record };
        Batch { mutations: vec![Mutation::create(entity(name), record)], ..Batch::default() }
    };
    let deadline = || env.now().plus(Duration::from_secs(20));
    for (name, fields) in [("tenant", json!({})), ("order", json!({"tenant_id": "t"}))] {
        before.settle(before.write_unchecked(&create(name, fields), deadline()).await.unwrap().unsettled).await;
    }
    let table: SharedTable = match shared {
        Some(shared) => Arc::new(Double::new(direct.clone(), Landed(shared))),
        None => direct.clone(),
    };
    let writer = Writer::new(table, model.clone(), env.clone());
    let (creates, creating, settling) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let refused = &store.refused;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds());
    let pace = Duration::from_secs(WRITERS as u64) / OFFERED;
    let (env, create, creates, creating, settling) = (&env, &create, &creates, &creating, &settling);
    let writers = &writer;
    let one = |number: usize| async move {
        let mut turn = begun + pace.mul_f64(number as f64 / WRITERS as f64);
        while turn < until {
            tokio::time::sleep_until(turn.into()).await;
            turn += pace;
            let fields = if of_tenant { json!({"title": "x", "tenant_id": "t"}) } else { json!({"title": "x"}) };
            let started = Instant::now();
            if started >= until {
                return;
            }
            let soon = env.now().plus(Duration::from_secs(20));
            let Ok(written) = writers.write_unchecked(&create("order", fields), soon).await else {
                Backoff::new(env, Duration::from_millis(8), Duration::from_millis(250)).pause().await;
                continue;
            };
            let committed = Instant::now();
            writers.settle(written.unsettled).await;
            let micros = |of: Duration| u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
            settling.fetch_add(micros(committed.elapsed()), Ordering::Relaxed);
            creating.fetch_add(micros(started.elapsed()), Ordering::Relaxed);
            creates.fetch_add(1, Ordering::Relaxed);
        }
    };
    join_all((0..WRITERS).map(one)).await;
    let elapsed = begun.elapsed();
    let verifier = Verifier::new(direct, model.clone(), env.clone(), false);
    let report = verifier.run(env.now().plus(Duration::from_secs(20)), |_| {}).await.unwrap();
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Run {
        creates: of(creates),
        creating: of(creating),
        settling: of(settling),
        elapsed,
        conflicts: of(&refused.conflicts),
        hot_conflicts: of(&refused.hot_conflicts),
        hot_throttles: of(&refused.hot_throttles),
        problems: report.problems,
    }
}

fn line(what: &str, run: &Run) -> f64 {
    let rate = run.creates as f64 / run.elapsed.as_secs_f64();
    println!(
        "{what:<44} {rate:>8.0} a second   on tags and gates: {} conflicts, {} throttles   conflicts in all: {}   verify: {} problems",
        run.hot_conflicts, run.hot_throttles, run.conflicts, run.problems
    );
    let each = |micros: u64| micros as f64 / run.creates.max(1) as f64 / 1000.0;
    println!("{:<44} {:>8.1} ms each, {:.1} of them for settling", "", each(run.creating), each(run.settling));
    rate
}

#[tokio::main]
async fn main() {
    println!("{WRITERS} writers that offer {OFFERED} creates a second, {} s each, no `contention`", seconds());
    let model = parse("model.yaml", MODEL).unwrap();
    let (order, tenant) = (model.by_name("order").unwrap(), model.by_name("tenant").unwrap());
    let tag = tags::of_entity(order).remove(0);
    let guard = Key::new(format!("g#{}#landed", tenant.name), [0, 0]);
    let after = [run(false, None).await, run(true, None).await];
    let before = [run(false, Some(vec![tag.clone()])).await, run(true, Some(vec![tag, guard])).await];
    line("one entity, landed way", &before[0]);
    let entity = line("one entity, protocol 2", &after[0]);
    line("one entity and one parent, landed way", &before[1]);
    let parent = line("one entity and one parent, protocol 2", &after[1]);
    let clean = after.iter().all(|run| run.hot_conflicts + run.hot_throttles + run.problems == 0);
    assert!(entity >= 400.0 && parent >= 400.0 && clean, "the budget of docs/writes.md does not hold");
}
