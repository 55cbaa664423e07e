//! Many who want the same cold answer at the same time: of one instance, and of several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use holdfast::cache::{CacheSettings, Event};
use holdfast::core::clock::Env;
use holdfast::store::double::{Double, FoundItems, Intercept, Keys};
use holdfast::store::table::{Item, RangePage, RangeQuery, Returning, SharedTable, TableError, TableName, Write};
use serde_json::json;
use tokio::sync::Notify;

use super::failing::{filled, root};
use super::{Instance, Seen, World, patient};

/// Holds queries back until a test lets them go, and counts them.
#[derive(Default)]
struct Gate {
    queries: AtomicU64,
    looks: AtomicU64,
    asked: AtomicU64,
    open: AtomicBool,
    opened: Notify,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// So many requests know what the tags say.
    async fn looked(&self, times: u64) {
        reached(&self.looks, times).await;
        // Their answers are on the way; give them time to be taken.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// So many readings have begun.
    async fn queried(&self, times: u64) {
        reached(&self.queries, times).await;
    }

    /// So many instances know whose turn it is.
    async fn leases(&self, times: u64) {
        reached(&self.asked, times).await;
    }
}

async fn reached(counter: &AtomicU64, times: u64) {
    while counter.load(Ordering::SeqCst) < times {
        tokio::task::yield_now().await;
    }
}

impl Intercept for Gate {
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        async move {
            let lease = matches!(&write, Write::Put { item, .. } if item.key.pk.starts_with("zl#"));
            let done = table.write(name, write, returning).await;
            self.asked.fetch_add(u64::from(lease), Ordering::SeqCst);
            done
        }
        .boxed()
    }

    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        async move {
            let found = table.get(keys, consistent).await;
            let tags = keys.iter().any(|(_, key)| key.pk.starts_with("t#"));
            self.looks.fetch_add(u64::from(tags), Ordering::SeqCst);
            found
        }
        .boxed()
    }

    fn query<'a>(&'a self, table: &'a SharedTable, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        async move {
            self.queries.fetch_add(1, Ordering::SeqCst);
            let opened = self.opened.notified();
            if !self.open.load(Ordering::SeqCst) {
                opened.await;
            }
            table.query(query).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_crowd_at_a_cold_list_reads_it_once_and_nobody_gets_what_is_too_old() {
    let world = filled().await;
    let gate = Arc::new(Gate::default());
    let table: SharedTable = Arc::new(Double::<Gate>::new(Arc::clone(&world.direct), Arc::clone(&gate)));
    let instance = world.instance_over(&table, Env::system(), patient());
    let (root, writer) = (root(), world.instance());
    let get = || instance.get(&root, "books");
    let early = join_all((0..20).map(|_| get()));
    let test = async {
        gate.looked(20).await;
        // While the first reading is held up, a write is acknowledged; who comes later must see it.
        writer.done(&root, "PATCH books/a", &json!({"title": "new"})).await;
        let late = join_all((0..5).map(|_| get()));
        let open = async {
            gate.looked(25).await;
            gate.open();
        };
        futures::join!(late, open).0
    };
    let (early, late) = futures::join!(early, test);
    assert_eq!(gate.queries.load(Ordering::SeqCst), 2, "one reading for those before the write, one for those after");
    assert_eq!((said(&early, "fwd=miss; stored"), said(&early, "fwd=miss; collapsed")), (1, 19));
    assert_eq!((said(&late, "fwd=miss; stored"), said(&late, "fwd=miss; collapsed")), (1, 4));
    assert!(late.iter().all(|seen| seen.text().contains("new")));
    assert_eq!(instance.app.cache.counters.of(Event::Shared), 23);
}

#[tokio::test]
async fn a_reader_who_gives_up_leaves_the_reading_to_the_next() {
    let world = filled().await;
    let gate = Arc::new(Gate::default());
    let table: SharedTable = Arc::new(Double::<Gate>::new(Arc::clone(&world.direct), Arc::clone(&gate)));
    let instance = world.instance_over(&table, Env::system(), patient());
    let root = root();
    let first = instance.get(&root, "books");
    let second = async {
        gate.looked(1).await;
        let second = instance.get(&root, "books");
        let open = async {
            gate.looked(2).await;
            gate.open();
        };
        futures::join!(second, open).0
    };
    // The first is dropped when it has begun to read.
    let give_up = async {
        tokio::select! {
            seen = first => panic!("it was to be held up: {}", seen.text()),
            () = gate.looked(2) => {}
        }
    };
    let (seen, ()) = futures::join!(second, give_up);
    assert_eq!((seen.status, seen.cache()), (200, "fwd=miss; stored"));
    assert_eq!(seen.json()["data"].as_array().map(Vec::len), Some(2));
}

/// Instances that read through one gate.
fn behind(world: &World, gate: &Arc<Gate>, lease: Duration, count: usize) -> Vec<Instance> {
    let table: SharedTable = Arc::new(Double::<Gate>::new(Arc::clone(&world.direct), Arc::clone(gate)));
    let instance = || world.instance_over(&table, Env::system(), CacheSettings { lease, ..patient() });
    (0..count).map(|_| instance()).collect()
}

fn said(seen: &[Seen], what: &str) -> usize {
    seen.iter().filter(|seen| seen.cache() == what).count()
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn instances_that_come_while_one_reads_wait_for_its_entry() {
    let world = filled().await;
    let gate = Arc::new(Gate::default());
    let instances = behind(&world, &gate, LONG, 20);
    let root = root();
    let first = instances[0].get(&root, "books");
    let others = async {
        gate.queried(1).await;
        let crowd = join_all(instances[1..].iter().map(|instance| instance.get(&root, "books")));
        let open = async {
            gate.leases(instances.len() as u64).await;
            gate.open();
        };
        futures::join!(crowd, open).0
    };
    let (first, others) = futures::join!(first, others);
    assert_eq!(first.cache(), "fwd=miss; stored");
    assert_eq!(said(&others, "fwd=miss; collapsed"), 19, "{:?}", others.iter().map(Seen::cache).collect::<Vec<_>>());
    assert!(others.iter().all(|seen| seen.content() == first.content()));
    assert_eq!(instances[1].get(&root, "books").await.cache(), "hit", "it is in memory now");
}

#[tokio::test]
async fn after_a_write_one_warm_instance_reads_and_the_others_take_what_it_read() {
    let world = filled().await;
    let gate = Arc::new(Gate::default());
    gate.open();
    let instances = behind(&world, &gate, Duration::ZERO, 5);
    let root = root();
    for instance in &instances {
        instance.get(&root, "books").await;
        instance.idle().await;
    }
    assert_eq!(gate.queries.load(Ordering::SeqCst), 1);
    world.instance().done(&root, "PATCH books/a", &json!({"title": "new"})).await;
    for (nth, instance) in instances.iter().enumerate() {
        let seen = instance.get(&root, "books").await;
        instance.idle().await;
        assert!(seen.text().contains("new"));
        let expected = if nth == 0 { "fwd=miss; stored" } else { "fwd=miss; collapsed" };
        assert_eq!(seen.cache(), expected, "instance {nth}; its lease is over, the entry is there");
    }
}

#[tokio::test]
async fn whoever_waits_for_an_instance_that_died_reads_when_its_lease_is_over() {
    let world = filled().await;
    let gate = Arc::new(Gate::default());
    let instances = behind(&world, &gate, Duration::from_millis(200), 2);
    let root = root();
    // It takes the lease, begins to read, and is never heard of again.
    let dying = Box::pin(instances[0].get(&root, "books"));
    futures::future::select(dying, Box::pin(gate.leases(1))).await;
    gate.open();
    let seen = instances[1].get(&root, "books").await;
    assert_eq!((seen.status, seen.cache()), (200, "fwd=miss; stored"));
}

#[tokio::test]
async fn nobody_waits_for_an_answer_that_is_too_large_to_be_kept() {
    let world = filled().await;
    let root = root();
    for number in 0..97 {
        // Random text, because what repeats packs well.
        let title: String = (0..5000).map(|_| char::from(33 + Env::system().bytes::<1>()[0] % 90)).collect();
        world.instance().done(&root, "POST books", &json!({"id": format!("x{number}"), "title": title})).await;
    }
    let gate = Arc::new(Gate::default());
    gate.open();
    for instance in behind(&world, &gate, LONG, 2) {
        let seen = instance.get(&root, "books?limit=100").await;
        instance.idle().await;
        assert_eq!((seen.status, seen.cache()), (200, "fwd=miss"));
    }
}
