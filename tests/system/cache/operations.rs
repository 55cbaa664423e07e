//! A history of operations on a store that does what DynamoDB may do (`holdfast_tests::modelled`): writers die between announcing and
//! committing and between committing and settling, freeze, and their requests are lost, late or delivered twice; readers settle what they
//! find at once, because their clocks are ahead. Every client knows what its own records are, so that each read that the cache answers can be
//! held against that; in the end nothing dangles, every parent can be deleted, and `verify` finds nothing.
//!
//! `HOLDFAST_HISTORY=100000` makes so many operations of it, `HOLDFAST_HISTORY_SEED=7` another history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::model::parse;
use holdfast::query::policy::Writer;
use holdfast::store::double::{Double, Intercept};
use holdfast::store::table::{SharedTable, TableError, TableName, Transaction};
use holdfast::store::verify::{Kind, Report, Verifier};
use holdfast_tests::modelled::{Chances, Modelled, Times, Unreliable};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Caller, Instance, Seen, World, patient};
use holdfast_tests::rng::Rng;

/// Ten shared parents (four tenants, three groups, three labels) and ten shared values (`code`).
const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  tenant: {id: string, timestamps: false, contention: 1000, fields: {n: integer}}
  group: {id: string, timestamps: false, fields: {n: integer}}
  label: {id: string, timestamps: false, fields: {n: integer}}
  order:
    id: string
    timestamps: false
    fields:
      n: {type: integer, required: true}
      state: {type: string, max: 5, required: true}
      code: {type: string, max: 9, unique: true}
      tenant: {ref: tenant, on_delete: restrict, inverse: orders}
      group: {ref: group, on_delete: cascade, inverse: orders}
      label: {ref: label, on_delete: set_null, inverse: orders}
    indexes:
      by_state: {equality: state}
roles:
  admin: {all: true}
";

const TENANTS: [&str; 4] = ["tenants/t0", "tenants/t1", "tenants/t2", "tenants/t3"];
const GROUPS: [&str; 3] = ["groups/g0", "groups/g1", "groups/g2"];
const LABELS: [&str; 3] = ["labels/l0", "labels/l1", "labels/l2"];
const STATES: [&str; 3] = ["new", "paid", "sent"];
const CLIENTS: usize = 12;
const READERS: usize = 3;
/// Records of a client at a time: all of one state fit on a page.
const OWN: usize = 4;

/// Where a writer is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Announced, and its transaction not sent.
    BeforeCommit,
    /// Committed, and nothing settled.
    BeforeSettling,
}

/// Stops a writer at its transaction: for good, or for so long.
struct Stop {
    phase: Phase,
    frozen: Option<Duration>,
    dead: Notify,
}

impl Stop {
    async fn here(&self) {
        match self.frozen {
            Some(time) => tokio::time::sleep(time).await,
            None => {
                self.dead.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl Intercept for Stop {
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(async move {
            let is_commit = transaction.writes.iter().any(|(_, write)| write.key().pk.starts_with("tf#"));
            if is_commit && self.phase == Phase::BeforeCommit {
                self.here().await;
            }
            let outcome = table.transact(transaction).await;
            if is_commit && outcome.is_ok() && self.phase == Phase::BeforeSettling {
                self.here().await;
            }
            outcome
        })
    }
}

/// A clock that goes ahead, so that every element is overdue at once and whoever meets it settles it.
struct Ahead(Arc<dyn Clock>, Duration);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1)
    }
}

fn ahead(by: Duration) -> Env {
    let env = Env::system();
    Env { clock: Arc::new(Ahead(Arc::clone(&env.clock), by)), random: env.random }
}

/// What a client knows of a record of its own, which nobody else changes, but the deletion of a parent.
#[derive(Debug, Clone)]
struct Own {
    id: String,
    n: i64,
    state: &'static str,
    tenant: Option<&'static str>,
    /// It may go with its group at any time.
    in_group: bool,
}

#[derive(Default)]
struct Tally {
    operations: AtomicU64,
    shared: AtomicU64,
    before_commit: AtomicU64,
    before_settling: AtomicU64,
    frozen: AtomicU64,
    hits: AtomicU64,
    refused: AtomicU64,
}

fn add(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

struct History {
    world: World,
    network: Arc<Unreliable>,
    /// The store behind the network.
    through: SharedTable,
    instances: Vec<Instance>,
    readers: Vec<Instance>,
    root: Caller,
    tally: Tally,
    most: u64,
}

impl History {
    async fn begin(most: u64) -> Self {
        let times = Times {
            call: (Duration::ZERO, Duration::from_millis(1)),
            window: (Duration::ZERO, Duration::from_millis(4)),
            units: 1e9,
            page: usize::MAX,
        };
        let direct: SharedTable = Arc::new(Modelled::new(times));
        let model = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")));
        let world = World { direct: direct.clone(), model, dynamo: None };
        let network = Unreliable::new(Chances { late: 10, twice: 50, lost: 20, by: Duration::from_millis(60) });
        let through: SharedTable = Arc::new(Double::<Unreliable>::new(direct, Arc::clone(&network)));
        let instances = (0..CLIENTS).map(|_| world.instance_over(&through, Env::system(), patient())).collect();
        let readers = (0..READERS).map(|number| {
            let env = if number == 0 { Env::system() } else { ahead(Duration::from_secs(10)) };
            world.instance_over(&through, env, patient())
        });
        let readers = readers.collect();
        let (root, caller) = (world.instance(), Caller::new("root", &["admin"]));
        for parent in TENANTS.iter().chain(&GROUPS).chain(&LABELS) {
            let (plural, id) = parent.split_once('/').unwrap();
            root.done(&caller, &format!("POST {plural}"), &json!({"id": id, "n": 0})).await;
        }
        Self { world, network, through, instances, readers, root: caller, tally: Tally::default(), most }
    }

    /// Sends a request until it has an answer: with the same key, however often its writer is stopped.
    async fn insist(&self, client: usize, rng: &mut Rng, key: &str, line: &str, body: &Value) -> Seen {
        loop {
            let headers = [("idempotency-key", key)];
            let seen = if rng.percent(25) {
                let phase = if rng.percent(50) { Phase::BeforeCommit } else { Phase::BeforeSettling };
                let frozen = rng.percent(25).then(|| Duration::from_millis(10 + rng.below(40) as u64));
                let stop = Arc::new(Stop { phase, frozen, dead: Notify::new() });
                let table: SharedTable = Arc::new(Double::<Stop>::new(self.through.clone(), Arc::clone(&stop)));
                let instance = self.world.instance_over(&table, Env::system(), patient());
                tokio::select! {
                    biased;
                    () = stop.dead.notified() => {
                        add(match phase {
                            Phase::BeforeCommit => &self.tally.before_commit,
                            Phase::BeforeSettling => &self.tally.before_settling,
                        });
                        continue;
                    }
                    seen = instance.call(&self.root, line, &headers, body) => {
                        self.tally.frozen.fetch_add(u64::from(frozen.is_some()), Ordering::Relaxed);
                        seen
                    }
                }
            } else {
                self.instances[client].call(&self.root, line, &headers, body).await
            };
            if seen.status < 500 {
                self.tally.refused.fetch_add(u64::from(seen.status >= 400), Ordering::Relaxed);
                return seen;
            }
        }
    }

    /// Reads through a cache.
    async fn get(&self, rng: &mut Rng, address: &str) -> Seen {
        let seen = self.readers[rng.below(READERS)].get(&self.root, address).await;
        self.tally.hits.fetch_add(u64::from(seen.cache().starts_with("hit")), Ordering::Relaxed);
        seen
    }

    async fn client(&self, client: usize, seed: u64) -> Result<(), String> {
        let mut rng = Rng::new(seed * 1000 + client as u64);
        let mut own: Vec<Own> = Vec::new();
        let mut number = 0;
        loop {
            let operation = add(&self.tally.operations);
            if operation >= self.most {
                return Ok(());
            }
            number += 1;
            // While everybody only reads, the cache has something to keep.
            if operation % 200 >= 150 {
                self.read(&mut rng, client, &mut own).await?;
                continue;
            }
            let key = format!("{client}-{number}");
            match rng.below(100) {
                0..25 if own.len() < OWN => self.create(client, &mut rng, &key, &mut own).await?,
                0..40 if !own.is_empty() => self.change(client, &mut rng, &key, &mut own).await?,
                40..50 if !own.is_empty() => self.delete(client, &mut rng, &key, &mut own).await?,
                50..70 => self.parent(client, &mut rng, &key).await?,
                _ => self.read(&mut rng, client, &mut own).await?,
            }
        }
    }

    async fn create(&self, client: usize, rng: &mut Rng, key: &str, own: &mut Vec<Own>) -> Result<(), String> {
        let state = *pick(rng, &STATES);
        let tenant = rng.percent(60).then(|| *pick(rng, &TENANTS));
        let group = rng.percent(20).then(|| *pick(rng, &GROUPS));
        let label = rng.percent(20).then(|| *pick(rng, &LABELS));
        let code = rng.percent(30).then(|| format!("c{}", rng.below(10)));
        let id = |parent: Option<&'static str>| parent.and_then(|parent| parent.split_once('/')).map(|(_, id)| id);
        let body = json!({
            "id": format!("o{key}"), "n": 1, "state": state, "code": code,
            "tenant_id": id(tenant), "group_id": id(group), "label_id": id(label),
        });
        if tenant.is_some() || group.is_some() || label.is_some() || code.is_some() {
            add(&self.tally.shared);
        }
        let seen = self.insist(client, rng, key, "POST orders", &body).await;
        match seen.status {
            201 => own.push(Own { id: format!("o{key}"), n: 1, state, tenant, in_group: group.is_some() }),
            // A parent is gone, or a value taken.
            409 | 422 => {}
            _ => return Err(format!("POST orders {body}: {} {}", seen.status, seen.text())),
        }
        Ok(())
    }

    async fn change(&self, client: usize, rng: &mut Rng, key: &str, own: &mut Vec<Own>) -> Result<(), String> {
        let at = rng.below(own.len());
        let before = own[at].clone();
        let state = *pick(rng, &STATES);
        let tenant = if rng.percent(50) { Some(*pick(rng, &TENANTS)) } else { before.tenant };
        if tenant != before.tenant {
            add(&self.tally.shared);
        }
        let id = tenant.and_then(|tenant| tenant.split_once('/')).map(|(_, id)| id);
        let body = json!({"n": before.n + 1, "state": state, "tenant_id": id});
        let seen = self.insist(client, rng, key, &format!("PATCH orders/{}", before.id), &body).await;
        match seen.status {
            200 => own[at] = Own { n: before.n + 1, state, tenant, ..before },
            404 if before.in_group => drop(own.remove(at)),
            // Its new tenant is gone.
            422 => {}
            _ => return Err(format!("PATCH {before:?} {body}: {} {}", seen.status, seen.text())),
        }
        Ok(())
    }

    async fn delete(&self, client: usize, rng: &mut Rng, key: &str, own: &mut Vec<Own>) -> Result<(), String> {
        let gone = own.remove(rng.below(own.len()));
        let seen = self.insist(client, rng, key, &format!("DELETE orders/{}", gone.id), &Value::Null).await;
        if seen.status != 204 && !(seen.status == 404 && gone.in_group) {
            return Err(format!("DELETE {gone:?}: {} {}", seen.status, seen.text()));
        }
        let address = format!("orders/{}", gone.id);
        let seen = self.get(rng, &address).await;
        if seen.status != 404 {
            return Err(format!("{address} was deleted and answers {} ({})", seen.status, seen.cache()));
        }
        Ok(())
    }

    /// A parent goes, or comes again.
    async fn parent(&self, client: usize, rng: &mut Rng, key: &str) -> Result<(), String> {
        add(&self.tally.shared);
        let kinds = [&TENANTS[..], &GROUPS[..], &LABELS[..]];
        let of = *pick(rng, &kinds);
        let parent = *pick(rng, of);
        let (plural, id) = parent.split_once('/').unwrap();
        let (line, body) = match rng.percent(50) {
            true => (format!("DELETE {parent}"), Value::Null),
            false => (format!("POST {plural}"), json!({"id": id, "n": 0})),
        };
        let seen = self.insist(client, rng, key, &line, &body).await;
        match seen.status {
            201 | 204 | 404 | 409 => Ok(()),
            _ => Err(format!("{line}: {} {}", seen.status, seen.text())),
        }
    }

    /// What is certain must be so in every answer.
    async fn read(&self, rng: &mut Rng, client: usize, own: &mut Vec<Own>) -> Result<(), String> {
        let state = *pick(rng, &STATES);
        let listed = self.get(rng, &format!("orders?state={state}&limit=100")).await;
        let wrong = |seen: &Seen, what: String| Err(format!("client {client}: {what} ({})\n{}", seen.cache(), seen.text()));
        let records = listed.json()["data"].as_array().cloned().unwrap_or_default();
        if listed.status != 200 {
            return wrong(&listed, format!("{}", listed.status));
        }
        for one in own.iter() {
            let found = records.iter().find(|record| record["id"] == json!(one.id));
            match found {
                Some(record) if one.state != state || record["n"] != json!(one.n) => {
                    return wrong(&listed, format!("{one:?} is in {state}"));
                }
                None if one.state == state && !one.in_group => return wrong(&listed, format!("{one:?} is not in {state}")),
                _ => {}
            }
        }
        let Some(one) = own.get(rng.below(own.len())).cloned() else { return Ok(()) };
        let seen = self.get(rng, &format!("orders/{}?include=tenant", one.id)).await;
        let body = seen.json();
        match seen.status {
            200 if body["n"] == json!(one.n) && body["state"] == json!(one.state) => {}
            404 if one.in_group => {
                own.retain(|known| known.id != one.id);
                return Ok(());
            }
            _ => return wrong(&seen, format!("{one:?}: {}", seen.status)),
        }
        // It restricts the deletion of its tenant.
        if let Some(tenant) = one.tenant.filter(|_| !one.in_group) {
            let seen = self.get(rng, tenant).await;
            if seen.status != 200 {
                return wrong(&seen, format!("{one:?} refers to nobody"));
            }
        }
        Ok(())
    }

    /// What `verify` finds some time later, once what the dead have left is taken up as readers and the reporter do.
    async fn verified(&self) -> Report {
        let env = ahead(Duration::from_secs(120));
        let deadline = env.now().plus(Duration::from_secs(60));
        let writer = Writer::new(self.world.direct.clone(), self.world.model.clone(), env.clone());
        writer.sweep(deadline).await.unwrap();
        let verifier = |repair| Verifier::new(self.world.direct.clone(), self.world.model.clone(), env.clone(), repair).strict();
        let first = verifier(false).run(deadline, |_| {}).await.unwrap();
        if first.listed.iter().any(|problem| !matches!(problem.kind, Kind::TagUnsettled | Kind::GateUnsettled)) {
            return first;
        }
        verifier(true).run(deadline, |_| {}).await.unwrap();
        verifier(false).run(deadline, |_| {}).await.unwrap()
    }

    /// Takes everything away again: what refers first, then the parents.
    async fn emptied(&self) -> Result<(), String> {
        let (items, _) = self.world.direct.scan(TableName::Data, None, (0, 1)).await.unwrap();
        let orders: Vec<String> =
            items.iter().filter_map(|item| item.key.pk.strip_prefix("r#order#").map(str::to_owned)).collect();
        let root = self.world.instance_over(&self.world.direct, ahead(Duration::from_secs(10)), patient());
        let lines = orders.iter().map(|id| format!("orders/{id}"));
        for address in lines.chain(TENANTS.iter().chain(&GROUPS).chain(&LABELS).map(|parent| (*parent).to_owned())) {
            let seen = root.call(&self.root, &format!("DELETE {address}"), &[], &Value::Null).await;
            if seen.status != 204 && !(seen.status == 404 && !address.starts_with("orders/")) {
                return Err(format!("{address} cannot be deleted: {} {}", seen.status, seen.text()));
            }
        }
        let (items, _) = self.world.direct.scan(TableName::Data, None, (0, 1)).await.unwrap();
        let left = items.iter().filter(|item| ["g#", "f#", "r#", "u#", "i#"].iter().any(|kind| item.key.pk.starts_with(kind)));
        match left.map(|item| format!("{:?}", item.key)).collect::<Vec<_>>() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("left behind: {left:?}")),
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.below(from.len())]
}

async fn run(seed: u64, most: u64) -> Result<History, String> {
    let history = History::begin(most).await;
    let clients = (0..CLIENTS).map(|client| history.client(client, seed));
    for outcome in join_all(clients).await {
        outcome?;
    }
    history.network.quiet().await;
    let report = history.verified().await;
    if report.problems > 0 {
        return Err(format!("{} problems: {:#?}", report.problems, report.listed));
    }
    history.emptied().await?;
    Ok(history)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_operations_leaves_nothing_stale_dangling_or_stuck() {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (most, seed) = (set("HOLDFAST_HISTORY").unwrap_or(10_000), set("HOLDFAST_HISTORY_SEED").unwrap_or(1));
    println!("seed {seed}, {most} operations");
    let history = run(seed, most).await.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    let Tally { shared, before_commit, before_settling, frozen, hits, refused, .. } = &history.tally;
    println!(
        "{} on shared parents and values, {} refused, {} hits; killed: {} before the commit, {} before settling; {} frozen; {} late or twice, {} answers lost",
        count(shared),
        count(refused),
        count(hits),
        count(before_commit),
        count(before_settling),
        count(frozen),
        count(&history.network.late),
        count(&history.network.lost),
    );
    assert!(count(shared) * 5 >= most, "a fifth is shared");
    assert!(count(before_commit) * 50 >= most && count(before_settling) * 50 >= most, "writers die");
    assert!(count(hits) * 50 >= most && count(frozen) > 0 && count(&history.network.late) > 0, "it says little");
}
