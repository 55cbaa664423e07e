//! Many at a time, through the proxy: no lost update, one winner, no orphan, and a sound table, read from the data.

use std::sync::Arc;

use futures::future::join_all;
use holdfast::store::gate;
use holdfast::store::items;
use holdfast::store::write::{Mutation, WriteError};
use holdfast_tests::proxy::Faults;
use serde_json::json;

use super::Store;

/// How many write at a time; `HOLDFAST_WRITERS=200` is the long run.
fn writers() -> usize {
    std::env::var("HOLDFAST_WRITERS").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

async fn all_at_once<T, F>(store: &Arc<Store>, work: impl Fn(Arc<Store>, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks = (0..writers()).map(|number| tokio::spawn(work(Arc::clone(store), number)));
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_loses_no_update() {
    let store = Arc::new(Store::behind_proxy(Faults::bad_day_with_late_requests(1)).await);
    store.create("author", "ann", json!({"tally": 0})).await;
    let told = all_at_once(&store, |store, _| async move {
        loop {
            let before = store.read("author", "ann").await.unwrap();
            let count = before.fields["tally"].as_i64().unwrap() + 1;
            let after = store.record("ann", json!({"tally": count}));
            match store.write(vec![Mutation::update(store.entity("author"), before, after)]).await {
                Ok(()) => return true,
                Err(WriteError::Changed { .. } | WriteError::Busy) => {}
                Err(WriteError::Unknown) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    let certain = i64::try_from(told.iter().filter(|told| **told).count()).unwrap();
    let count = store.read("author", "ann").await.unwrap().fields["tally"].as_i64().unwrap();
    assert!((certain..=i64::try_from(writers()).unwrap()).contains(&count), "{count}, {certain} told");
    store.assert_sound().await;
    let tally = store.proxy.as_ref().unwrap().tally();
    assert!(tally.conflicts > 0 && tally.lost > 0, "there was no trouble: {tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unique_value_has_one_winner() {
    let store = Arc::new(Store::behind_proxy(Faults::bad_day_with_late_requests(2)).await);
    let outcomes = all_at_once(&store, |store, number| async move {
        let record = store.record(&format!("a{number}"), json!({"email": "the@example.org"}));
        store.write(vec![Mutation::create(store.entity("author"), record)]).await
    })
    .await;
    assert_eq!(store.all("r#author#").await.len(), 1);
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() <= 1);
    for outcome in outcomes {
        assert!(
            matches!(outcome, Ok(()) | Err(WriteError::Unique { .. } | WriteError::Unknown | WriteError::Busy)),
            "{outcome:?}"
        );
    }
    store.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_that_is_being_deleted_leaves_no_orphan() {
    for seed in 0..3 {
        let store = Arc::new(Store::behind_proxy(Faults::bad_day_with_late_requests(10 + seed)).await);
        for (entity, id) in [("author", "ann"), ("series", "s")] {
            store.create(entity, id, json!({})).await;
        }
        let outcomes = all_at_once(&store, |store, number| async move {
            if number % 6 == 5 {
                let (entity, id) = if number % 12 == 5 { ("author", "ann") } else { ("series", "s") };
                let Some(record) = store.read(entity, id).await else { return Ok(()) };
                return store.write(vec![Mutation::delete(store.entity(entity), record)]).await;
            }
            let field = if number % 2 == 0 { "author_id" } else { "series_id" };
            let parent = if number % 2 == 0 { "ann" } else { "s" };
            let book = store.record(&format!("b{number}"), json!({"title": "t", field: parent}));
            store.write(vec![Mutation::create(store.entity("book"), book)]).await
        })
        .await;
        for outcome in outcomes {
            assert!(
                matches!(
                    outcome,
                    Ok(())
                        | Err(WriteError::ReferenceMissing { .. }
                            | WriteError::Restricted { .. }
                            | WriteError::Changed { .. }
                            | WriteError::Busy
                            | WriteError::Unknown)
                ),
                "{outcome:?}"
            );
        }
        let parents = (store.read("author", "ann").await, store.read("series", "s").await);
        for book in store.all("r#book#").await {
            let book = items::decode(&book).unwrap();
            assert!(book.fields.get("author_id").is_none() || parents.0.is_some(), "an orphan: {book:?}");
            assert!(book.fields.get("series_id").is_none() || parents.1.is_some(), "an orphan: {book:?}");
        }
        store.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_of_references_are_those_of_the_children() {
    let store = Arc::new(Store::behind_proxy(Faults::bad_day_with_late_requests(3)).await);
    store.create("author", "ann", json!({})).await;
    let outcomes = all_at_once(&store, |store, number| async move {
        let book = store.record(&format!("b{number}"), json!({"title": "t", "author_id": "ann"}));
        store.write(vec![Mutation::create(store.entity("book"), book.clone())]).await?;
        if number % 3 == 0 {
            store.write(vec![Mutation::delete(store.entity("book"), book)]).await?;
        }
        Ok::<_, WriteError>(())
    })
    .await;
    for outcome in outcomes {
        assert!(matches!(outcome, Ok(()) | Err(WriteError::Busy | WriteError::Unknown)), "{outcome:?}");
    }
    assert_eq!(store.all("f#author#ann").await.len(), store.all("r#book#").await.len());
    store.assert_sound().await;
    let gates = store.all("g#author#ann").await;
    assert!(gates.len() > 1 && gates.iter().all(|gate| gate::unsettled(gate).is_empty()), "{gates:?}");
}
