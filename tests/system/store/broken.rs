//! Mechanisms broken on purpose, one at a time. Each has a scenario that holds while it works and fails when it does not, so the
//! suite would notice its loss. What is written outside of its transaction is noticed by the deaths of `super::crash`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::store::double::{Double, Intercept};
use holdfast::store::fence::{self, Element, Outcome};
use holdfast::store::table::{Attr, Expr, Item, Key, Returning, SharedTable, TableError, TableName, Transaction, Write};
use holdfast::store::write::{Batch, Mutation, WriteError};
use holdfast::store::{gate, keys, tags};
use holdfast_tests::proxy::Faults;
use serde_json::json;

use super::Store;

/// A mechanism that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Items whose partition keys begin so are written after their transaction instead of within it.
    Outside(&'static str),
    /// Items whose partition keys begin so are written whatever is there.
    Unconditioned(&'static str),
    /// Tags do not say that a commit is under way.
    NeverUnsettled,
    /// Tags are told of a commit when it is over.
    AnnouncedLate,
}

struct Broken {
    mechanism: Mechanism,
    held_back: Mutex<Vec<(TableName, Write)>>,
}

/// The table as it is, or with one mechanism broken.
pub fn perhaps_broken(table: SharedTable, mechanism: Option<Mechanism>) -> SharedTable {
    match mechanism {
        Some(mechanism) => Arc::new(Double::new(table, Broken { mechanism, held_back: Mutex::default() })),
        None => table,
    }
}

/// What is left of an action; `None`: nothing.
fn unconditioned(write: Write) -> Option<Write> {
    match write {
        Write::Put { item, .. } => Some(Write::Put { item, condition: None }),
        Write::Update { key, update, .. } => Some(Write::Update { key, update, condition: None }),
        Write::Delete { key, .. } => Some(Write::Delete { key, condition: None }),
        Write::Check { .. } => None,
    }
}

/// Whether this announces a write at a tag.
fn announces(write: &Write) -> bool {
    matches!(write, Write::Update { key, update, .. } if key.pk.starts_with("t#") && update.text.contains("ADD"))
}

/// The announcement without its element.
fn settled(write: Write) -> Write {
    match write {
        Write::Update { key, condition, .. } => {
            let update = Expr::new("ADD #c :one").name("#c", tags::COUNT).value(":one", Attr::N(1));
            Write::Update { key, update, condition }
        }
        other => other,
    }
}

impl Broken {
    async fn break_and_send(&self, through: &SharedTable, mut transaction: Transaction) -> Result<(), TableError> {
        let concerned = |write: &Write, prefix: &str| write.key().pk.starts_with(prefix);
        let mut outside = Vec::new();
        let mut inside = Vec::new();
        for (table, write) in std::mem::take(&mut transaction.writes) {
            match self.mechanism {
                Mechanism::Outside(prefix) if concerned(&write, prefix) => outside.push((table, write)),
                Mechanism::Unconditioned(prefix) if concerned(&write, prefix) => {
                    inside.extend(unconditioned(write).map(|write| (table, write)));
                }
                _ => inside.push((table, write)),
            }
        }
        transaction.writes = inside;
        if !transaction.writes.is_empty() {
            through.transact(transaction).await?;
        }
        let late = std::mem::take(&mut *self.held_back.lock().unwrap());
        for (table, write) in outside.into_iter().chain(late) {
            through.write(table, write, Returning::Nothing).await?;
        }
        Ok(())
    }

    async fn break_and_write(
        &self,
        through: &SharedTable,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> Result<Option<Item>, TableError> {
        let write = match self.mechanism {
            Mechanism::Unconditioned(prefix) if write.key().pk.starts_with(prefix) => unconditioned(write),
            Mechanism::NeverUnsettled if announces(&write) => Some(settled(write)),
            Mechanism::AnnouncedLate if announces(&write) => {
                self.held_back.lock().unwrap().push((table, write));
                None
            }
            _ => Some(write),
        };
        match write {
            Some(write) => through.write(table, write, returning).await,
            None => Ok(None),
        }
    }
}

impl Intercept for Broken {
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.break_and_send(table, transaction))
    }

    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(self.break_and_write(table, name, write, returning))
    }
}

async fn write(store: &Store, table: &SharedTable, mutation: Mutation) -> Result<(), WriteError> {
    let writer = store.writer(table);
    let written = writer.write_unchecked(&Batch { mutations: vec![mutation], ..Batch::default() }, store.deadline()).await?;
    writer.settle(written.unsettled).await;
    Ok(())
}

async fn sound(store: &Store) -> Result<(), String> {
    let report = store.verified().await;
    if report.problems == 0 { Ok(()) } else { Err(format!("{:?}", report.listed)) }
}

/// Two records with one unique value: the second is refused.
async fn unique(store: &Store, table: &SharedTable) -> Result<(), String> {
    for id in ["ann", "bob"] {
        let record = store.record(id, json!({"email": "the@example.org"}));
        // Whether the second is refused is read from the data.
        let _outcome = write(store, table, Mutation::create(store.entity("author"), record)).await;
    }
    sound(store).await
}

/// Two changes of one record that was read once: one of them is refused.
async fn version(store: &Store, table: &SharedTable) -> Result<(), String> {
    store.create("author", "ann", json!({"tally": 0})).await;
    let before = store.read("author", "ann").await.unwrap();
    let mut told = 0;
    for _ in 0..2 {
        let after = store.record("ann", json!({"tally": before.fields["tally"].as_i64().unwrap() + 1}));
        told += i64::from(write(store, table, Mutation::update(store.entity("author"), before.clone(), after)).await.is_ok());
    }
    let tally = store.read("author", "ann").await.unwrap().fields["tally"].clone();
    if tally == told { Ok(()) } else { Err(format!("{told} acknowledged, {tally} there")) }
}

/// Makes a write just before the transaction that removes a gate is sent.
struct Before {
    gate: Key,
    write: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Intercept for Before {
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        let removes = |write: &Write| matches!(write, Write::Delete { key, .. } if *key == self.gate);
        let write = match transaction.writes.iter().any(|(_, write)| removes(write)) {
            true => self.write.lock().unwrap().take(),
            false => None,
        };
        Box::pin(async move {
            if let Some(write) = write {
                write.await;
            }
            table.transact(transaction).await
        })
    }
}

/// A parent that is gone gets no child, though the child comes when nobody looks any more.
async fn closing(store: &Store, table: &SharedTable) -> Result<(), String> {
    store.create("series", "s", json!({})).await;
    // Somebody has referred to it, so it has a gate that need not be confirmed.
    store.create("book", "first", json!({"title": "t", "series_id": "s"})).await;
    let book = store.read("book", "first").await.unwrap();
    store.write(vec![Mutation::delete(store.entity("book"), book)]).await.unwrap();
    let record = store.read("series", "s").await.unwrap();
    let child = Mutation::create(store.entity("book"), store.record("late", json!({"title": "t", "series_id": "s"})));
    let writer = store.writer(table);
    let soon = store.env.now().plus(Duration::from_millis(300));
    let late = async move {
        let batch = Batch { mutations: vec![child], ..Batch::default() };
        // Whether it is refused is read from the data.
        if let Ok(written) = writer.write_unchecked(&batch, soon).await {
            writer.settle(written.unsettled).await;
        }
    };
    let gate = keys::gate(store.entity("series"), "s", 0);
    let before = Before { gate, write: Mutex::new(Some(Box::pin(late))) };
    let deleters: SharedTable = Arc::new(Double::new(table.clone(), before));
    write(store, &deleters, Mutation::delete(store.entity("series"), record)).await.map_err(|error| error.to_string())?;
    sound(store).await
}

/// What is given up in favour of somebody else never has an effect, however late its transaction arrives.
async fn fenced(store: &Store, table: &SharedTable) -> Result<(), String> {
    let element = Element::new(&store.env);
    let decided = fence::decide(store.table.as_ref(), element.token(), store.env.now()).await.unwrap();
    assert_eq!(decided, Outcome::Aborted);
    let item = Item::new(Key::new("r#series#late", [0])).with("v", Attr::S("1".to_owned()));
    let committed = fence::committed(element.token(), std::slice::from_ref(&item.key), store.env.now());
    let writes = [Write::Put { item: item.clone(), condition: None }, committed];
    let writes = writes.into_iter().map(|write| (TableName::Data, write)).collect();
    let _refused = table.transact(Transaction { token: element.token().to_owned(), writes }).await;
    match store.table.get(&[(TableName::Data, item.key)], true).await.unwrap()[0] {
        None => Ok(()),
        Some(_) => Err("an attempt that was given up has had its effect".to_owned()),
    }
}

/// Repetitions of one request have one effect, even those that found no row of their key.
async fn idempotency(store: &Store, table: &SharedTable) -> Result<(), String> {
    for _ in 0..2 {
        // An id that the server makes, so that nothing else refuses the second.
        keyed(store, table, store.record(&store.env.uuid_v7().to_string(), json!({}))).await;
    }
    match store.all("r#author#").await.len() {
        1 => Ok(()),
        count => Err(format!("{count} effects of one request")),
    }
}

async fn keyed(store: &Store, table: &SharedTable, record: holdfast::model::value::Record) {
    use holdfast::store::idempotency::{Answer, Keys, items};
    use holdfast::store::write::AttachedWrites;
    let secret = Keys::new(*b"a secret of this deployment");
    let (scope, print) = (secret.scope("c", "s", "one key"), secret.fingerprint("POST", "/", None));
    let answer = Answer { status: 201, headers: [].into(), body: Vec::new() };
    let rows = items(&scope, &print, &answer, store.env.now()).unwrap();
    let mutations = vec![Mutation::create(store.entity("author"), record)];
    let batch =
        Batch { mutations, riders: AttachedWrites { idempotency: rows, ..AttachedWrites::default() }, ..Batch::default() };
    let writer = store.writer(table);
    if let Ok(written) = writer.write_unchecked(&batch, store.deadline()).await {
        writer.settle(written.unsettled).await;
    }
}

/// Whoever sees a tag as it is after a commit, and settled, sees all of the commit.
async fn tag(store: &Store, table: &SharedTable) -> Result<(), String> {
    let entity = store.entity("series");
    let tag = tags::of_entity(entity).remove(0);
    for round in 0..8 {
        let id = format!("s{round}");
        let before = seen(store, &tag).await.0;
        let batch = Batch { mutations: vec![Mutation::create(entity, store.record(&id, json!({})))], ..Batch::default() };
        let (writer, deadline) = (store.writer(table), store.deadline());
        let commit = tokio::spawn(async move { writer.write_unchecked(&batch, deadline).await });
        loop {
            let finished = commit.is_finished();
            let (version, unsettled) = seen(store, &tag).await;
            let there = store.read("series", &id).await.is_some();
            if version != before && !unsettled && !there {
                return Err("a cache would have kept the state before".to_owned());
            }
            if finished {
                break;
            }
        }
        commit.await.unwrap().unwrap().unsettled.settle(store.table.as_ref()).await;
    }
    Ok(())
}

/// The count of a tag, and whether it says that a commit is under way.
async fn seen(store: &Store, tag: &Key) -> (Option<i64>, bool) {
    let item = store.table.get(&[(TableName::Data, tag.clone())], true).await.unwrap().remove(0);
    let count = item.as_ref().and_then(|item| item.n(tags::COUNT));
    (count, item.is_some_and(|item| !gate::unsettled(&item).is_empty()))
}

/// The scenario holds, and does not without its mechanism.
async fn notices(
    start: impl AsyncFn() -> Store,
    mechanism: Mechanism,
    scenario: impl AsyncFn(&Store, &SharedTable) -> Result<(), String>,
) {
    let store = start().await;
    assert_eq!(scenario(&store, &store.table).await, Ok(()), "{mechanism:?} works");
    let store = start().await;
    let table = perhaps_broken(Arc::clone(&store.table), Some(mechanism));
    let noticed = scenario(&store, &table).await;
    assert!(noticed.is_err(), "{mechanism:?} broken stays unnoticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unique_row_without_its_condition_is_noticed() {
    notices(Store::plain, Mechanism::Unconditioned("u#"), unique).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_its_version_is_noticed() {
    notices(Store::plain, Mechanism::Unconditioned("r#"), version).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_without_its_conditions_is_noticed() {
    notices(Store::plain, Mechanism::Unconditioned("g#"), closing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_without_its_condition_is_noticed() {
    notices(Store::plain, Mechanism::Unconditioned("tf#"), fenced).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_row_without_its_condition_is_noticed() {
    notices(Store::plain, Mechanism::Unconditioned("k#"), idempotency).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_is_never_unsettled_is_noticed() {
    let slow = || {
        let between_items = Duration::from_millis(40);
        Store::behind_proxy(Faults { between_items, locked_after: Duration::from_millis(1), ..Faults::none(61) })
    };
    notices(slow, Mechanism::NeverUnsettled, tag).await;
}
