//! `holdfast migrate` as a process beside writers: an index, a ref and a unique field come to many records. It is killed halfway and run again.
//!
//! `HOLDFAST_MIGRATED=100000 cargo test --workspace --test system evolution::large -- --nocapture` is the large run; it prints its figures.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast::core::clock::Env;
use holdfast::model::value::{Record, new_version};
use holdfast::model::{Model, parse};
use holdfast::query::policy::Writer;
use holdfast::store::constraints::Constraints;
use holdfast::store::items;
use holdfast::store::table::{SharedTable, Table as _, TableName, Write};
use holdfast::store::verify::Verifier;
use holdfast::store::write::{Batch, Mutation, WriteError};
use holdfast_local::embedded::{DATA_TABLE, VOLATILE_TABLE};
use holdfast_tests::System;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::model;

/// Most megabytes that the process of the migration may take, whatever the size of the table.
const MAX_MEBIBYTES: u64 = 160;
/// Records of which there are several pages.
const MANY: u64 = 20_000;
/// Writers at work meanwhile.
const WRITERS: usize = 4;

const BEFORE: &str = "number: {type: string, max: 40}\ncustomer_id: {type: string, max: 60}\nstatus: {type: string, max: 20}";
const AFTER: &str = "number: {type: string, max: 40, unique: true}\ncustomer: {ref: customer, on_delete: restrict}\nstatus: {type: string, max: 20}";

struct Large {
    system: System,
    directory: tempfile::TempDir,
    count: u64,
}

impl Large {
    /// Orders as the model of before has them, with the rows of its indexes.
    async fn start(count: u64) -> Self {
        let before = model(&[("customer", "title: {type: string, max: 200}"), ("order", BEFORE)]);
        let after = model(&[("customer", "title: {type: string, max: 200}"), ("order", AFTER)])
            .replace("roles:", "    indexes:\n      by_status: {equality: [status], sort: [-id]}\nroles:");
        let system = System::start(&before).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.yaml"), after).unwrap();
        system.admin().post("/v1/customers", json!({"id": "c0"})).await.expect(201);
        let large = Self { system, directory, count };
        let old = Arc::clone(&large.system.local().model);
        large.put(&old, "customer", 1..100, |id| json!({"title": id})).await;
        let order = |id: &str| {
            let number: u64 = id[1..].parse().unwrap();
            let status = ["new", "paid", "sent"][usize::try_from(number % 3).unwrap()];
            json!({"number": id, "customer_id": format!("c{}", number % 100), "status": status})
        };
        large.put(&old, "order", 0..count, order).await;
        large
    }

    async fn put(&self, model: &Model, entity: &str, numbers: std::ops::Range<u64>, fields: impl Fn(&str) -> Value) {
        let (table, env, entity) = (self.system.table(), Env::system(), model.by_name(entity).unwrap());
        let letter = &entity.name[..1];
        let mut writes = Vec::new();
        for number in numbers.clone() {
            let id = format!("{letter}{number}");
            let Value::Object(fields) = fields(&id) else { panic!("an object") };
            let record = Record { id, version: new_version(&env), fields };
            let rows =
                entity.indexes.iter().filter(|index| index.is_stored()).map(|index| items::row(model, entity, index, &record));
            for item in std::iter::once(items::record(entity, &record)).chain(rows) {
                writes.push((TableName::Data, Write::Put { item, condition: None }));
            }
            if writes.len() >= 1000 || number + 1 == numbers.end {
                table.write_batch(std::mem::take(&mut writes)).await.unwrap();
            }
        }
    }

    fn after(&self) -> Arc<Model> {
        let source = std::fs::read_to_string(self.directory.path().join("model.yaml")).unwrap();
        Arc::new(parse("model.yaml", &source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
    }

    fn holdfast(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["migrate", "--data-table", DATA_TABLE, "--volatile-table", VOLATILE_TABLE]).args(arguments);
        command.current_dir(self.directory.path()).kill_on_drop(true);
        for (name, value) in [
            ("AWS_ENDPOINT_URL", self.system.local().stores.dynamodb.as_str()),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", "us-east-1"),
        ] {
            command.env(name, value);
        }
        command
    }

    async fn plan(&self) -> Value {
        let output = self.holdfast(&["--plan", "--format", "json"]).output().await.unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs it, to its end or until the scan is in the middle of the orders; what it said, and the most memory that it took.
    async fn run(&self, kill: bool) -> (String, u64) {
        let mut child = self.holdfast(&["--settle", "6s"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (pid, mut most) = (child.id().unwrap(), 0);
        while child.try_wait().unwrap().is_none() {
            most = most.max(peak(pid).unwrap_or(0));
            if kill && self.built().await > self.count / 3 {
                assert!(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
                child.wait().await.unwrap();
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        (said, most)
    }

    /// About how many orders have the rows that are built.
    async fn built(&self) -> u64 {
        let sample = (0..60u64).map(|part| format!("o{}", part * self.count / 60));
        let after = self.after();
        let entity = after.by_name("order").unwrap();
        let field = entity.by_field("number").unwrap();
        let key = |id: &String| {
            let hash = holdfast::store::write::unique_hash(&after, field, &Value::from(id.as_str()));
            (TableName::Data, holdfast::store::keys::unique(entity, &field.name, &hash))
        };
        let keys: Vec<_> = sample.map(|id| key(&id)).collect();
        let found = self.system.table().get(&keys, true).await.unwrap();
        u64::try_from(found.iter().flatten().count()).unwrap() * self.count / 60
    }
}

/// The command, as it was built beside this test.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("holdfast")
}

/// Most megabytes that a process has taken.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

/// Writers with the model of after: what they wrote, and how often they were told to wait.
#[derive(Default)]
struct Tally {
    written: AtomicU64,
    building: AtomicU64,
    slowest: AtomicU64,
    stop: AtomicBool,
}

async fn writer(large: &Large, number: usize, tally: &Tally) {
    let (env, after) = (Env::system(), large.after());
    let table: SharedTable = Arc::new(large.system.table());
    let constraints = Arc::new(Constraints::new(Arc::clone(&table), Arc::clone(&after), env.clone()));
    let writer = Writer::new(table, Arc::clone(&after), env.clone()).with_constraints(Arc::clone(&constraints));
    let order = after.by_name("order").unwrap();
    let mut round = 0;
    while !tally.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let id = format!("w{number}-{round}");
        let fields = json!({"number": id, "customer_id": format!("c{}", round % 100), "status": "new"});
        let Value::Object(fields) = fields else { panic!("an object") };
        let record = Record { id, version: new_version(&env), fields };
        let deadline = env.now().plus(Duration::from_secs(20));
        constraints.before_write(deadline).await.unwrap();
        let batch = Batch { mutations: vec![Mutation::create(order, record.clone())], ..Batch::default() };
        match writer.write_unchecked(&batch, deadline).await {
            Ok(written) => writer.settle(written.unsettled).await,
            Err(WriteError::Building { .. } | WriteError::Busy) => drop(tally.building.fetch_add(1, Ordering::Relaxed)),
            Err(error) => panic!("{error}"),
        }
        tally.written.fetch_add(1, Ordering::Relaxed);
        tally.slowest.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
        round += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_of_many_records_beside_writers() {
    let count = std::env::var("HOLDFAST_MIGRATED").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    let large = Large::start(count).await;
    let plan = large.plan().await;
    assert_eq!(plan["steps"].as_array().unwrap().iter().filter(|step| step["when"] == "after").count(), 4, "{plan}");
    assert!(large.holdfast(&["--prepare"]).status().await.unwrap().success());
    let tally = Tally::default();
    let writers = futures::future::join_all((0..WRITERS).map(|number| writer(&large, number, &tally)));
    let runs = async {
        let began = Instant::now();
        let (_, first) = large.run(true).await;
        let (said, second) = large.run(false).await;
        tally.stop.store(true, Ordering::Relaxed);
        (began.elapsed(), said, first.max(second))
    };
    let ((took, said, most), _) = futures::join!(runs, writers);
    let (written, slowest) = (tally.written.load(Ordering::Relaxed), tally.slowest.load(Ordering::Relaxed));
    eprintln!(
        "{count} records, {written} written meanwhile (the slowest in {slowest} ms): {} s, {most} MB\n{said}",
        took.as_secs()
    );
    eprintln!("planned: {} items, {} rows, {}", plan["items"], plan["rows"], plan["units"]);
    // A small table is one page, before whose end there is no place.
    assert!(count < MANY || said.contains("went on where an earlier run was interrupted"), "{said}");
    assert!(said.contains("the stored data is as the model wants it"), "{said}");
    assert!(written > 10 && most < MAX_MEBIBYTES);
    assert_eq!(tally.building.load(Ordering::Relaxed), 0, "writers that were told to wait");
    let after = large.after();
    let verifier = Verifier::new(Arc::new(large.system.table()), after, Env::system(), false);
    let report = verifier.run(Env::system().now(), |_| {}).await.unwrap();
    assert_eq!(report.problems, 0, "{:#?}", report.listed);
    // A run over a small table may be over before it is killed, and the next has nothing to do.
    let taken = |what: &str| -> Option<f64> {
        let words: Vec<&str> = said.split_whitespace().collect();
        let at = words.windows(3).position(|three| three[1..] == [what, "units"])?;
        words[at].parse().ok()
    };
    assert!(count < MANY || taken("write").is_some(), "{said}");
    // Of the run that ended: at most what was planned, and what writers have added.
    let meanwhile = f64::from(u32::try_from(written).unwrap());
    for (kind, each) in [("write", 12.0), ("read", 10.0)] {
        let planned = plan["units"][kind].as_f64().unwrap() * 1.2 + each * meanwhile;
        assert!(taken(kind).is_none_or(|taken| taken <= planned), "{kind}: {planned}\n{said}");
    }
    assert_eq!(large.plan().await["needed"], json!(false));
    large.system.stop().await;
}
