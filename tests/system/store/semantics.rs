//! What the proxy claims of itself, and what the store makes of it.

use std::sync::Arc;
use std::time::Duration;

use holdfast::core::clock::Env;
use holdfast::store::table::{Attr, Expr, Item, Key, Reason, Returning, TableError, TableName, Transaction, Write};
use holdfast::store::write::{Batch, Mutation};
use holdfast::store::{settle, tags};
use holdfast_tests::proxy::Faults;
use serde_json::json;

use super::{Later, Store};

/// Commits that take their time.
fn slow(seed: u64) -> Faults {
    Faults { between_items: Duration::from_millis(60), locked_after: Duration::from_millis(1), ..Faults::none(seed) }
}

fn put(key: &Key) -> (TableName, Write) {
    (TableName::Data, Write::Put { item: Item::new(key.clone()).with("n", Attr::N(1)), condition: None })
}

#[tokio::test]
async fn a_commit_is_seen_item_by_item_and_holds_its_items() {
    let store = Store::behind_proxy(slow(7)).await;
    let keys: Vec<Key> = (0..12u8).map(|byte| Key::new("p", vec![byte])).collect();
    let transaction = |token: &str| Transaction { token: token.to_owned(), writes: keys.iter().map(put).collect() };
    let asked: Vec<_> = keys.iter().map(|key| (TableName::Data, key.clone())).collect();
    let (table, first) = (Arc::clone(&store.table), transaction("first"));
    let commit = tokio::spawn(async move { table.transact(first).await });
    loop {
        let seen = store.table.get(&asked, true).await.unwrap().iter().flatten().count();
        assert!(seen < 12, "it was never seen in part");
        if seen > 0 {
            break;
        }
    }
    assert!(matches!(store.table.get_transaction(&asked).await, Err(TableError::Busy(_))));
    let (_, single) = put(&keys[3]);
    assert!(matches!(store.table.write(TableName::Data, single, Returning::Nothing).await, Err(TableError::Busy(_))));
    let other = Transaction { token: "other".to_owned(), writes: vec![put(&Key::new("q", [1])), put(&keys[3])] };
    assert_eq!(store.table.transact(other.clone()).await, Err(TableError::Cancelled(vec![Reason::None, Reason::Conflict])));
    assert!(matches!(store.table.transact(transaction("first")).await, Err(TableError::Unknown(_))), "it is in progress");
    commit.await.unwrap().unwrap();
    store.table.transact(transaction("first")).await.unwrap();
    assert_eq!(store.proxy.as_ref().unwrap().tally().repeated, 1);
    let changed = Transaction { token: "first".to_owned(), ..other };
    assert!(matches!(store.table.transact(changed).await, Err(TableError::Broken(text)) if text.contains("Idempotent")));
}

#[tokio::test]
async fn a_failed_condition_leaves_nothing_and_tells_its_action() {
    let store = Store::behind_proxy(Faults::none(8)).await;
    let (here, there) = (Key::new("p", [1]), Key::new("p", [2]));
    store.table.transact(Transaction { token: "a".to_owned(), writes: vec![put(&here)] }).await.unwrap();
    let absent = || Some(Expr::new("attribute_not_exists(pk)"));
    let writes = vec![
        put(&there),
        (TableName::Data, Write::Put { item: Item::new(here.clone()), condition: absent() }),
        (TableName::Data, Write::Check { key: Key::new("p", [3]), condition: Expr::new("attribute_not_exists(pk)") }),
    ];
    // The lock of the first outlives its answer for a moment.
    let mut refused = Ok(());
    for attempt in 0..100 {
        refused = store.table.transact(Transaction { token: format!("b{attempt}"), writes: writes.clone() }).await;
        if !matches!(&refused, Err(TableError::Cancelled(reasons)) if reasons.contains(&Reason::Conflict)) {
            break;
        }
    }
    let old = Item::new(here.clone()).with("n", Attr::N(1));
    let reasons = vec![Reason::None, Reason::ConditionFailed(Some(old)), Reason::None];
    assert_eq!(refused, Err(TableError::Cancelled(reasons)));
    assert_eq!(store.table.get(&[(TableName::Data, there)], true).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_tag_is_not_settled_while_its_commit_is_half_visible() {
    let store = Arc::new(Store::behind_proxy(slow(9)).await);
    let entity = store.entity("series").ix;
    let entity = store.model.entity(entity);
    let clock = Arc::new(Later(store.env.clock.clone(), Duration::from_secs(10)));
    let later = Env { clock, random: store.env.random.clone() };
    let tag = tags::of_entity(entity).remove(0);
    let record = store.record("s", json!({}));
    let batch = Batch { mutations: vec![Mutation::create(entity, record)], ..Batch::default() };
    let (writer, deadline) = (store.writer(&store.table), store.deadline());
    let commit = tokio::spawn(async move { writer.write_unchecked(&batch, deadline).await });
    // The tag is found with the element of the write before all of it is visible, or right after.
    let (mut refused, mut settled) = (0, 0);
    while settled == 0 {
        let found = store.table.get(&[(TableName::Data, tag.clone())], true).await.unwrap().remove(0);
        let Some(found) = found else { continue };
        let finished = commit.is_finished();
        settled = settle::elements(store.table.as_ref(), &later, &found).await.unwrap();
        if settled == 0 {
            refused += 1;
        } else {
            let key = [(TableName::Data, holdfast::store::keys::record(entity, "s"))];
            assert!(store.table.get(&key, true).await.unwrap()[0].is_some(), "settled, so all is visible ({finished})");
        }
        assert!(refused < 10_000);
    }
    let written = commit.await.unwrap().unwrap();
    assert_eq!(settled, 1);
    written.unsettled.settle(store.table.as_ref()).await;
}

#[tokio::test]
async fn an_entitys_tag_waits_for_the_rows_that_are_read_on_its_word() {
    for seed in 0..3 {
        let store = Arc::new(Store::behind_proxy(Faults { free_each: true, ..slow(20 + seed) }).await);
        // Books are embedded in their authors, so answers read their index rows and depend on their entity alone.
        let book = store.model.entity(store.entity("book").ix);
        let clock = Arc::new(Later(store.env.clock.clone(), Duration::from_secs(10)));
        let later = Env { clock, random: store.env.random.clone() };
        let tag = [(TableName::Data, tags::of_entity(book).remove(0))];
        let record = store.record("b", json!({"title": "t"}));
        let rows: Vec<_> = book
            .indexes
            .iter()
            .map(|index| (TableName::Data, holdfast::store::keys::index_row(&store.model, book, index, &record)))
            .collect();
        let batch = Batch { mutations: vec![Mutation::create(book, record)], ..Batch::default() };
        let (writer, deadline) = (store.writer(&store.table), store.deadline());
        let commit = tokio::spawn(async move { writer.write_unchecked(&batch, deadline).await });
        loop {
            let Some(found) = store.table.get(&tag, true).await.unwrap().remove(0) else { continue };
            if settle::elements(store.table.as_ref(), &later, &found).await.unwrap() > 0 {
                let seen = store.table.get(&rows, true).await.unwrap();
                assert!(seen.iter().all(Option::is_some), "settled before all rows were there (seed {seed})");
                break;
            }
        }
        commit.await.unwrap().unwrap().unsettled.settle(store.table.as_ref()).await;
    }
}
