//! The audit trail outside of the table: complete, once, and compared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, join_all};
use holdfast::aws;
use holdfast::aws::s3_archive::S3Archive;
use holdfast::core::clock::{Clock, Env, Micros, SystemRandom};
use holdfast::store::audit::check::{Fault, check};
use holdfast::store::audit::export::{
    Archive, ArchiveError, ExportError, ExportPosition, Exported, GRACE, PART, WINDOW, checkpoint, export, key, open_since,
};
use holdfast::store::audit::{Entry, item};
use holdfast::store::table::{SharedTable, Table, TableName, Write};
use holdfast_local::embedded::{AUDIT_BUCKET, Files};
use holdfast_tests::crash::{Death, End, crashing};
use holdfast_tests::stack::Stack;

/// 2026-11-21T09:58:00Z: within a window.
const NOW: i64 = 1_795_255_080;
const MODEL: &str = "
name: Test
version: 1.0.0
entities: {book: {id: string, fields: {title: {type: string, max: 50}}}}
roles: {admin: {all: true}}
plans: {wide: {rates: {burst: {rate: 1000, per: 1s, burst: 1000}}}}
auth: {default_plan: wide}
";

struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Micros {
        Micros(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// A table, and a clock that moves by a microsecond at each look.
struct World {
    stack: Stack,
    clock: Arc<Moved>,
    env: Env,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(Moved(AtomicI64::new(NOW * 1_000_000)));
        let env = Env { clock: clock.clone(), random: Arc::new(SystemRandom) };
        Self { stack: Stack::start(MODEL).await, clock, env }
    }

    fn at(&self, seconds: i64) {
        self.clock.0.store((NOW + seconds) * 1_000_000, Ordering::SeqCst);
    }

    fn table(&self) -> SharedTable {
        Arc::new(self.stack.table.clone())
    }

    async fn write(&self, ids: std::ops::Range<usize>) {
        let entry = |n: usize| Entry { action: "book.update".into(), id: Some(n.to_string()), ..Entry::of("acme", "u1") };
        let put = |n| (TableName::Data, Write::Put { item: item(entry(n), &self.env), condition: None });
        self.stack.table.write_batch(ids.map(put).collect()).await.unwrap();
    }

    /// Three entries in each of four windows, then all of them are closed.
    async fn fill(&self) {
        for window in 0..4 {
            self.at(i64::from(window) * WINDOW);
            let first = usize::try_from(window * 3).unwrap();
            self.write(first..first + 3).await;
        }
        self.at(5 * WINDOW + GRACE);
    }

    async fn export(&self, archive: &dyn Archive) -> Result<Exported, ExportError> {
        export(&self.stack.table, archive, &self.env, Micros(i64::MAX)).await
    }
}

/// An archive in memory that remembers each object which was put.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Archive for Kept {
    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>) -> BoxFuture<'a, Result<bool, ArchiveError>> {
        Box::pin(async move {
            // Others run in between, as they do while a request is under way.
            tokio::task::yield_now().await;
            let mut kept = self.0.lock().unwrap();
            Ok(!kept.contains_key(key) && kept.insert(key.to_owned(), content).is_none())
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, ArchiveError>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }
}

impl Kept {
    /// Ids of all entries, in the order of the objects' keys.
    fn ids(&self) -> Vec<usize> {
        let kept = self.0.lock().unwrap();
        let lines = kept.values().flat_map(|object| {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&object[..]), &mut text).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines.map(|line| serde_json::from_str::<Entry>(&line).unwrap().id.unwrap().parse().unwrap()).collect()
    }
}

/// An archive whose calls end with those of a table.
struct Dying(Arc<Kept>, Arc<Death>);

impl Archive for Dying {
    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>) -> BoxFuture<'a, Result<bool, ArchiveError>> {
        Box::pin(self.1.pass(self.0.put(key, content)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, ArchiveError>> {
        Box::pin(self.1.pass(self.0.get(key)))
    }
}

#[tokio::test]
async fn every_window_has_an_object_once_it_can_no_longer_change() {
    let (world, archive) = (World::new().await, Kept::default());
    // A new deployment: the export begins with a window that is closed, and says nothing of those that are not.
    assert_eq!(world.export(&archive).await.unwrap(), Exported { objects: 1, entries: 0 });
    world.fill().await;
    assert_eq!(world.export(&archive).await.unwrap().entries, 12);
    assert_eq!(archive.ids(), (0..12).collect::<Vec<_>>());
    let keys: Vec<String> = archive.0.lock().unwrap().keys().cloned().collect();
    assert!(keys.contains(&"audit/2026/11/21/0955-0000.ndjson.gz".to_owned()), "{keys:?}");
    let checked = check(&world.stack.table, &archive).await.unwrap();
    assert_eq!((checked.objects, checked.entries, checked.faults.len()), (keys.len(), 12, 0));
    // What is written now may be joined by others for as long as the grace lasts.
    world.write(12..13).await;
    let open = open_since(world.env.now());
    world.export(&archive).await.unwrap();
    assert_eq!(archive.ids().len(), 12);
    assert_eq!(
        checkpoint(&world.stack.table).await.unwrap().unwrap().next,
        ExportPosition { window: open, part: 0, after: None }
    );
}

/// Lets a reporter die at a call, and another one go on: nothing that is in the archive changes, nothing is missing.
/// Whether the first one got to its end.
async fn dies(world: &World, archive: &Arc<Kept>, call: u32, end: End) -> bool {
    let crashing = crashing(world.table(), call, end);
    let dying = Dying(archive.clone(), crashing.intercept.clone());
    let ended = crashing.until_end(export(&*crashing, &dying, &world.env, Micros(i64::MAX))).await.is_some();
    let left = archive.0.lock().unwrap().clone();
    world.export(&**archive).await.unwrap();
    let whole = archive.0.lock().unwrap().clone();
    assert!(left.iter().all(|(key, object)| whole[key] == *object), "call {call}, {end:?}");
    ended
}

#[tokio::test]
async fn a_reporter_that_dies_at_any_call_leaves_neither_hole_nor_second_version() {
    let (world, archive) = (World::new().await, Arc::new(Kept::default()));
    world.export(&*archive).await.unwrap();
    let (mut written, mut calls, mut ended) = (0, 0, false);
    while !ended {
        calls += 1;
        for end in [End::Before, End::After] {
            // Two windows more, with three entries each.
            for _ in 0..2 {
                world.at(i64::try_from(written / 3).unwrap() * WINDOW);
                world.write(written..written + 3).await;
                written += 3;
            }
            world.at(i64::try_from(written / 3).unwrap() * WINDOW + GRACE);
            ended = dies(&world, &archive, calls, end).await;
            assert_eq!(archive.ids(), (0..written).collect::<Vec<_>>(), "call {calls}, {end:?}");
        }
    }
    // The checkpoint, and of each window sixteen shards, the object, the checkpoint.
    assert!(calls > 37, "{calls}");
    let checked = check(&world.stack.table, &*archive).await.unwrap();
    assert_eq!((checked.faults.len(), checked.entries), (0, written));
}

#[tokio::test]
async fn the_first_tick_of_all_may_die_too() {
    // The checkpoint, eight days of sixteen shards, the first checkpoint, and the first window.
    for call in [1, 2, 129, 130, 131, 140, 147, 148] {
        for end in [End::Before, End::After] {
            let (world, archive) = (World::new().await, Arc::new(Kept::default()));
            world.fill().await;
            assert!(!dies(&world, &archive, call, end).await);
            assert_eq!(archive.ids(), (0..12).collect::<Vec<_>>(), "call {call}, {end:?}");
            assert_eq!(check(&world.stack.table, &*archive).await.unwrap().faults, [], "call {call}, {end:?}");
        }
    }
}

#[tokio::test]
async fn reporters_that_overlap_export_everything_once() {
    let (world, archive) = (World::new().await, Kept::default());
    world.fill().await;
    let runs = join_all((0..5).map(|_| world.export(&archive))).await;
    let objects: usize = runs.into_iter().map(|run| run.unwrap().objects).sum();
    world.export(&archive).await.unwrap();
    assert_eq!(archive.ids(), (0..12).collect::<Vec<_>>());
    let checked = check(&world.stack.table, &archive).await.unwrap();
    assert!(checked.faults.is_empty() && objects <= checked.objects, "{checked:?}");
}

#[tokio::test]
async fn verify_finds_the_hole_and_what_was_changed() {
    let (world, archive) = (World::new().await, Kept::default());
    world.fill().await;
    world.export(&archive).await.unwrap();
    let keys: Vec<String> = archive.0.lock().unwrap().keys().cloned().collect();
    let taken = archive.0.lock().unwrap().remove(&keys[1]).unwrap();
    archive.0.lock().unwrap().insert(keys[2].clone(), taken);
    archive.0.lock().unwrap().insert(keys[3].clone(), b"nonsense".to_vec());
    let checked = check(&world.stack.table, &archive).await.unwrap();
    let expected =
        [(keys[1].clone(), Fault::Missing), (keys[2].clone(), Fault::Differs(3, 3)), (keys[3].clone(), Fault::Unreadable)];
    assert_eq!(checked.faults, expected);
}

#[tokio::test]
async fn an_object_that_says_something_else_stops_the_export_and_stays() {
    let (world, archive) = (World::new().await, Kept::default());
    world.export(&archive).await.unwrap();
    world.fill().await;
    let next = checkpoint(&world.stack.table).await.unwrap().unwrap().next;
    archive.put(&key(&next), b"nonsense".to_vec()).await.unwrap();
    assert_eq!(world.export(&archive).await, Err(ExportError::Contradiction(key(&next))));
    assert_eq!(checkpoint(&world.stack.table).await.unwrap().unwrap().next, next);
    assert_eq!(archive.get(&key(&next)).await.unwrap().unwrap(), b"nonsense");
}

#[tokio::test]
async fn after_a_restore_the_archive_knows_more_and_the_export_goes_on() {
    let (world, archive) = (World::new().await, Kept::default());
    world.export(&archive).await.unwrap();
    world.fill().await;
    world.export(&archive).await.unwrap();
    let kept = archive.0.lock().unwrap().clone();
    // The same table as it was after two windows: neither the entries behind it nor the checkpoint are there.
    let restored = World::new().await;
    restored.export(&Kept::default()).await.unwrap();
    for window in 0..2 {
        restored.at(i64::from(window) * WINDOW);
        let first = usize::try_from(window * 3).unwrap();
        restored.write(first..first + 3).await;
    }
    restored.at(5 * WINDOW + GRACE);
    assert_eq!(restored.export(&archive).await.unwrap().entries, 6);
    assert_eq!(*archive.0.lock().unwrap(), kept);
    let faults = check(&restored.stack.table, &archive).await.unwrap().faults;
    assert_eq!(faults.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>(), [Fault::Differs(3, 0), Fault::Differs(3, 0)]);
    // What is written from now on is exported as ever.
    restored.write(12..13).await;
    restored.at(6 * WINDOW + 2 * GRACE);
    restored.export(&archive).await.unwrap();
    assert_eq!(archive.ids(), (0..13).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_busy_window_has_several_objects_and_a_run_has_an_end() {
    let (world, archive) = (World::new().await, Kept::default());
    world.write(0..PART + 5).await;
    world.at(2 * WINDOW + GRACE);
    // Time is up before each object but the first.
    let deadline = Micros((NOW + 2 * WINDOW + GRACE) * 1_000_000 + 3);
    while export(&world.stack.table, &archive, &world.env, deadline).await.unwrap().objects > 0 {
        world.at(2 * WINDOW + GRACE);
    }
    let mut ids = archive.ids();
    assert_eq!(ids.len(), PART + 5);
    assert!(ids.is_sorted(), "oldest first");
    ids.dedup();
    assert_eq!(ids.len(), PART + 5);
    assert!(archive.0.lock().unwrap().keys().any(|key| key.ends_with("-0001.ndjson.gz")));
    assert_eq!(check(&world.stack.table, &archive).await.unwrap().faults, []);
}

#[tokio::test]
async fn the_bucket_keeps_the_first_version() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let files = Files::start(directory.path(), 0, Env::system(), Vec::new()).await.unwrap();
    let archive = S3Archive::new(&aws::local_config(&files.endpoint, aws::plain_http_client()), AUDIT_BUCKET);
    assert_eq!(archive.get("audit/none").await, Ok(None));
    assert_eq!(archive.put("audit/one", b"first".to_vec()).await, Ok(true));
    assert_eq!(archive.put("audit/one", b"second".to_vec()).await, Ok(false));
    assert_eq!(archive.get("audit/one").await, Ok(Some(b"first".to_vec())));
    world.fill().await;
    assert_eq!(world.export(&archive).await.unwrap().entries, 12);
    assert_eq!(check(&world.stack.table, &archive).await.unwrap().faults, []);
    files.stop().await;
    assert!(matches!(archive.get("audit/one").await, Err(ArchiveError(_))));
    world.at(9 * WINDOW + GRACE);
    assert!(matches!(world.export(&archive).await, Err(ExportError::Archive(_))));
}
