use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::model::{Index, parse};
use crate::store::double::{Double, Fail, Intercept, TableCall};
use crate::store::items;
use crate::store::table::{Key, ScanPage};
use crate::store::testing::{Fixture, Later, MODEL};
use crate::store::write::{Batch, Mutation, Writer};

/// Another version of the model on the same table: with one index more.
fn newer() -> Arc<Model> {
    let source = MODEL.replace("by_title: {sort: [title]", "newest: {sort: [-title]}\n      by_title: {sort: [title]");
    Arc::new(parse("model.yaml", &source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

fn indexes(fix: &Fixture, model: &Arc<Model>) -> Constraints {
    Constraints::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(model), fix.env.clone())
}

fn index<'a>(model: &'a Model, entity: &str, name: &str) -> (&'a Entity, &'a Index) {
    let entity = model.by_name(entity).unwrap();
    (entity, entity.by_index(name).unwrap())
}

async fn is_ready(indexes: &Constraints, name: &str) -> bool {
    let (entity, index) = index(&indexes.model, "book", name);
    indexes.memory().read = None;
    indexes.states().await.unwrap().is_ready(entity.ix, index.ix)
}

async fn rows(fix: &Fixture, prefix: &str) -> Vec<Key> {
    fix.all().await.into_iter().map(|item| item.key).filter(|key| key.pk.starts_with(prefix)).collect()
}

const NOW: Duration = Duration::ZERO;

#[tokio::test]
async fn an_entity_that_nobody_has_written_has_all_its_indexes() {
    let fix = Fixture::new().await;
    let own = indexes(&fix, &fix.model);
    assert!(own.states().await.unwrap().not_ready().is_empty());
    own.before_write(fix.deadline()).await.unwrap();
    assert!(own.states().await.unwrap().not_ready().is_empty());
    // One item for each entity, and one that says which tags are kept.
    assert_eq!(rows(&fix, "x#").await.len(), fix.model.entities.len() + 1);
}

#[tokio::test]
async fn a_new_index_is_read_only_once_it_is_complete() {
    let fix = Fixture::new().await;
    indexes(&fix, &fix.model).before_write(fix.deadline()).await.unwrap();
    for number in 0..60 {
        fix.create("book", &format!("b{number}"), json!({"title": format!("t{number}")})).await;
    }
    let model = newer();
    let new = indexes(&fix, &model);
    new.before_write(fix.deadline()).await.unwrap();
    assert!(!is_ready(&new, "newest").await);
    assert!(is_ready(&new, "by_title").await);
    let progress = new.reindex("book", "newest", NOW, |_| {}).await.unwrap();
    assert_eq!((progress.records, progress.written, progress.removed), (60, 60, 0));
    assert!(is_ready(&new, "newest").await);
    assert_eq!(rows(&fix, "i#book#newest").await.len(), 60);
    let again = new.reindex("book", "newest", NOW, |_| {}).await.unwrap();
    assert_eq!((again.written, again.removed), (0, 0));
    let unknown = new.reindex("book", "by_nothing", NOW, |_| {}).await;
    assert!(matches!(unknown, Err(BuildError::Unknown(_))));
}

#[tokio::test]
async fn an_older_version_makes_stale_what_it_cannot_keep_and_reindex_mends_it() {
    let fix = Fixture::new().await;
    let model = newer();
    let new = indexes(&fix, &model);
    new.before_write(fix.deadline()).await.unwrap();
    let writer = Writer::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&model), fix.env.clone());
    let (book, newest) = index(&model, "book", "newest");
    for id in ["b1", "b2"] {
        let record = fix.record(id, json!({"title": id}));
        let batch = Batch { mutations: vec![Mutation::create(book, record)], ..Batch::default() };
        writer.write(&batch, fix.deadline()).await.unwrap().unsettled.settle(&fix.dynamo.table).await;
    }
    assert!(is_ready(&new, "newest").await);
    // A rollback: the old version meets the index. It must not write before readers have forgotten that it was ready.
    let old = indexes(&fix, &fix.model);
    let soon = fix.env.now().plus(Duration::from_secs(1));
    assert!(matches!(old.before_write(soon).await, Err(TableError::Busy(_))));
    assert!(!is_ready(&new, "newest").await);
    let clock = Arc::new(Later(fix.env.clock.clone(), REFRESH));
    let later = Env { clock, random: fix.env.random.clone() };
    let old = Constraints { env: later, ..old };
    old.before_write(fix.deadline()).await.unwrap();
    let gone = fix.read("book", "b1").await.unwrap();
    fix.delete("book", &gone).await.unwrap();
    fix.create("book", "b3", json!({"title": "three"})).await;
    assert_eq!(rows(&fix, "i#book#newest").await.len(), 2, "b1's row is left over, b3's is missing");
    let progress = new.reindex("book", "newest", NOW, |_| {}).await.unwrap();
    assert_eq!((progress.written, progress.removed), (1, 1));
    assert!(is_ready(&new, "newest").await);
    let mut expected = Vec::new();
    for id in ["b2", "b3"] {
        let record = fix.read("book", id).await.unwrap();
        expected.push(items::row(&model, book, newest, &record).key);
    }
    let mut found = rows(&fix, "i#book#newest").await;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_mark_whose_answer_was_lost_is_waited_for_all_the_same() {
    let fix = Fixture::new().await;
    indexes(&fix, &newer()).before_write(fix.deadline()).await.unwrap();
    let lost = Fail::after(&[TableCall::Write], TableError::Unknown("reset".to_owned())).times(1);
    let table = Double::new(Arc::new(fix.dynamo.table.clone()), lost);
    let old = Constraints::new(Arc::new(table), Arc::clone(&fix.model), fix.env.clone());
    let soon = fix.env.now().plus(Duration::from_secs(1));
    assert!(matches!(old.before_write(soon).await, Err(TableError::Busy(_))), "readers remember the index as ready");
}

#[tokio::test]
async fn a_second_instance_waits_for_the_rest_of_anothers_mark() {
    let fix = Fixture::new().await;
    let newer = newer();
    indexes(&fix, &newer).before_write(fix.deadline()).await.unwrap();
    let at = |by: u64, model: &Arc<Model>| {
        let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_millis(by)));
        let own = indexes(&fix, model);
        Constraints { env: Env { clock, random: fix.env.random.clone() }, ..own }
    };
    let soon = |by: u64| fix.env.now().plus(Duration::from_millis(by + 1000));
    assert!(matches!(at(0, &fix.model).before_write(soon(0)).await, Err(TableError::Busy(_))), "the first one marks");
    let second = at(2000, &fix.model).before_write(soon(2000)).await;
    assert!(matches!(second, Err(TableError::Busy(_))), "a reader may rely on it for three seconds more");
    at(2000, &newer).before_write(soon(2000)).await.unwrap();
    at(6000, &fix.model).before_write(soon(6000)).await.unwrap();
}

#[tokio::test]
async fn a_run_that_is_overtaken_does_not_make_ready() {
    let fix = Fixture::new().await;
    indexes(&fix, &fix.model).before_write(fix.deadline()).await.unwrap();
    fix.create("book", "b", json!({"title": "t"})).await;
    let model = newer();
    let (new, other) = (indexes(&fix, &model), indexes(&fix, &fix.model));
    // An older version begins to write while the run waits for the others.
    let run = new.reindex("book", "newest", Duration::from_millis(300), |_| {});
    let meets = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.before_write(fix.env.now().plus(Duration::from_secs(1))).await
    };
    let (run, met) = futures::join!(run, meets);
    assert!(matches!(met, Err(TableError::Busy(_))));
    assert_eq!(run, Err(BuildError::Overtaken));
    assert!(!is_ready(&new, "newest").await);
}

/// Scans item by item, and fails once at one of them.
struct Interrupted(std::sync::atomic::AtomicU32);

impl Intercept for Interrupted {
    fn scan<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(async move {
            if self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                return Err(TableError::Broken("killed".to_owned()));
            }
            let (mut page, _) = table.scan(name, after, segment).await?;
            let is_last = page.len() <= 1;
            page.truncate(1);
            let next = page.first().map(|item| item.key.clone()).filter(|_| !is_last);
            Ok((page, next))
        })
    }
}

#[tokio::test]
async fn an_interrupted_run_goes_on_where_it_was() {
    let fix = Fixture::new().await;
    indexes(&fix, &fix.model).before_write(fix.deadline()).await.unwrap();
    for number in 0..5 {
        fix.create("book", &format!("b{number}"), json!({"title": "t"})).await;
    }
    let model = newer();
    let killed = Double::new(Arc::new(fix.dynamo.table.clone()), Interrupted(20.into()));
    let killed = Constraints::new(Arc::new(killed), Arc::clone(&model), fix.env.clone());
    let broken = killed.reindex("book", "newest", NOW, |_| {}).await;
    assert!(matches!(broken, Err(BuildError::Table(_))), "{broken:?}");
    let new = indexes(&fix, &model);
    assert!(!is_ready(&new, "newest").await);
    let all = fix.all().await.len() as u64;
    let progress = new.reindex("book", "newest", NOW, |_| {}).await.unwrap();
    assert!(progress.resumed && progress.items < all, "{progress:?}");
    assert!(is_ready(&new, "newest").await);
    assert_eq!(rows(&fix, "i#book#newest").await.len(), 5);
    // Nothing is left of the run.
    assert!(rows(&fix, "m#").await.is_empty());
}

#[test]
fn a_fingerprint_sees_what_changes_the_bytes() {
    let model = newer();
    let (entity, by_title) = index(&model, "book", "by_title");
    let all: Vec<_> = entity.indexes.iter().map(|index| fingerprint(&model, entity, index)).collect();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    let mut turned = by_title.clone();
    turned.sort[0].descending = true;
    assert_ne!(fingerprint(&model, entity, by_title), fingerprint(&model, entity, &turned));
    let whole = Index { projection: None, ..by_title.clone() };
    assert_ne!(fingerprint(&model, entity, by_title), fingerprint(&model, entity, &whole));
}
