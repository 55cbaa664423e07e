//! `verify` reads a table of any size in bounded memory. A binary of its own, because it looks at the memory of its process.
//!
//! `HOLDFAST_RECORDS=1000000 cargo test --workspace --test memory -- --nocapture` is the large run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end by it")]

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::core::clock::Env;
use holdfast::model::value::Record;
use holdfast::model::{Model, OnDelete, parse};
use holdfast::store::items;
use holdfast::store::references;
use holdfast::store::table::{
    Item, Key, RangePage, RangeQuery, Returning, ScanPage, Table, TableError, TableName, Transaction, Write,
};
use holdfast::store::verify::Verifier;
use serde_json::{Map, json};

const MODEL: &str = "
name: Large
version: 1.0.0
entities:
  thing:
    id: string
    cache: off
    fields:
      title: {type: string, max: 50}
      whole: {ref: thing, on_delete: restrict}
      body: text
    indexes:
      by_title: {sort: [title]}
roles:
  admin: {all: true}
";
/// Records of a page of a scan: about a megabyte, as DynamoDB gives.
const PAGE: u64 = 250;
/// Most megabytes that the process may grow by, whatever the size of the table.
const MAX_MEBIBYTES: u64 = 48;

/// A sound table that is made up while it is read: thing `n` belongs to thing `n / 2`.
struct Imagined {
    model: Arc<Model>,
    count: u64,
}

impl Imagined {
    /// All items that there are because of one record.
    fn items(&self, number: u64) -> Vec<Item> {
        let entity = self.model.by_name("thing").unwrap();
        let id = |number: u64| format!("t{number:09}");
        let mut fields = Map::new();
        fields.insert("title".to_owned(), json!(id(number)));
        fields.insert("body".to_owned(), json!("x".repeat(1_000)));
        if number > 1 {
            fields.insert("whole_id".to_owned(), json!(id(number / 2)));
        }
        let record = Record { id: id(number), version: "v".to_owned(), fields };
        let field = entity.by_field("whole_id").unwrap();
        let row = |part: u64| references::row(entity, &record.id, entity, field, OnDelete::Restrict, &id(part));
        let parts = [number * 2, number * 2 + 1].into_iter().filter(|part| *part > 1 && *part < self.count);
        let references: Vec<Item> = parts.map(row).collect();
        let rows = entity.indexes.iter().filter(|index| index.is_stored());
        let rows = rows.map(|index| items::row(&self.model, entity, index, &record));
        std::iter::once(items::record(entity, &record)).chain(references).chain(rows).collect()
    }

    fn find(&self, key: &Key) -> Option<Item> {
        let text = [key.pk.as_bytes(), &key.sk].concat();
        let digits = text.windows(10).find(|part| part[0] == b't' && part[1..].iter().all(u8::is_ascii_digit))?;
        let number = std::str::from_utf8(&digits[1..]).unwrap().parse().unwrap();
        self.items(number).into_iter().find(|item| item.key == *key)
    }
}

impl Table for Imagined {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], _: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(async move { Ok(keys.iter().map(|(_, key)| self.find(key)).collect()) })
    }

    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.get(keys, true)
    }

    fn query<'a>(&'a self, _: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(async { Ok(RangePage::default()) })
    }

    fn write<'a>(&'a self, _: TableName, write: Write, _: Returning) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        panic!("nothing is written: {write:?}")
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        panic!("nothing is written: {writes:?}")
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        panic!("nothing is written: {transaction:?}")
    }

    fn scan<'a>(&'a self, _: TableName, after: Option<Key>, _: (u32, u32)) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(async move {
            let first = after.map_or(0, |key| u64::from_be_bytes(key.sk.try_into().unwrap()));
            let next = first + PAGE;
            let items = (first..next.min(self.count)).flat_map(|number| self.items(number)).collect();
            Ok((items, (next < self.count).then(|| Key::new("next", next.to_be_bytes()))))
        })
    }
}

/// Megabytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn verify_reads_a_large_table_in_bounded_memory() {
    let count = std::env::var("HOLDFAST_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let model = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    let (table, env) = (Arc::new(Imagined { model: model.clone(), count }), Env::system());
    let deadline = env.now().plus(Duration::from_secs(3_600));
    let verifier = Verifier::new(table, model, env, false);
    let (before, mut most) = (resident(), 0);
    let report = verifier.run(deadline, |_| most = most.max(resident())).await.unwrap();
    assert_eq!((report.problems, report.records), (0, count), "{:?}", report.listed.first());
    let grown = most.saturating_sub(before);
    eprintln!("{count} records, {} items: {grown} MB", report.items);
    assert!(grown < MAX_MEBIBYTES, "{grown} MB for {count} records");
}
