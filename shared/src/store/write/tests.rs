use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::store::table::{Attr, Item, Key, Table, TableName};
use crate::store::testing::{Fixture, Later};
use crate::store::{items, keys, tags};

#[tokio::test]
async fn a_record_leaves_exactly_its_own_items() {
    let fix = Fixture::new().await;
    let ann = fix.create("author", "ann", json!({"email": "ann@example.org", "rank": 1})).await;
    fix.assert_holds(&[("author", &ann)]).await;
    assert_eq!(fix.read("author", "ann").await, Some(ann.clone()));
    let book = fix.create("book", "b1", json!({"title": "One", "author_id": "ann"})).await;
    fix.assert_holds(&[("author", &ann), ("book", &book)]).await;
    let ann = fix.update("author", &ann, json!({"email": "a@example.org", "rank": null})).await.unwrap();
    let moved = fix.update("book", &book, json!({"title": "Two", "author_id": null})).await.unwrap();
    fix.assert_holds(&[("author", &ann), ("book", &moved)]).await;
    fix.delete("book", &moved).await.unwrap();
    fix.delete("author", &ann).await.unwrap();
    fix.assert_holds(&[]).await;
}

#[tokio::test]
async fn rows_carry_what_the_index_projects() {
    let fix = Fixture::new().await;
    let book = fix.create("book", "b1", json!({"title": "One", "author_id": null})).await;
    let entity = fix.entity("book");
    for (name, fields) in [("by_title", json!({"title": "One"})), ("id", Value::Object(book.fields.clone()))] {
        let key = keys::index_row(&fix.model, entity, entity.by_index(name).unwrap(), &book);
        let row = fix.dynamo.table.get(&[(TableName::Data, key)], true).await.unwrap().remove(0).unwrap();
        let row = items::decode(&row).unwrap();
        assert_eq!((row.id, row.version, Value::Object(row.fields)), (book.id.clone(), book.version.clone(), fields));
    }
}

#[tokio::test]
async fn a_write_that_was_computed_from_another_state_is_refused() {
    let fix = Fixture::new().await;
    let old = fix.create("author", "ann", json!({"rank": 1})).await;
    let again = fix.write(vec![Mutation::create(fix.entity("author"), fix.record("ann", json!({})))]).await;
    assert_eq!(again, Err(WriteError::Exists { mutation: 0 }));
    let new = fix.update("author", &old, json!({"rank": 2})).await.unwrap();
    let changed = Err(WriteError::Changed { mutation: 0, current: Some(Box::new(new.clone())) });
    assert_eq!(fix.update("author", &old, json!({"rank": 3})).await.map(drop), changed.clone());
    assert_eq!(fix.delete("author", &old).await.map(drop), changed);
    fix.delete("author", &new).await.unwrap();
    let gone = Err(WriteError::Changed { mutation: 0, current: None });
    assert_eq!(fix.update("author", &new, json!({})).await.map(drop), gone.clone());
    assert_eq!(fix.delete("author", &new).await.map(drop), gone);
    fix.assert_holds(&[]).await;
}

#[tokio::test]
async fn a_unique_value_has_one_owner_and_nulls_have_none() {
    let fix = Fixture::new().await;
    let email = fix.entity("author").by_field("email").unwrap().ix;
    let ann = fix.create("author", "ann", json!({"email": "x@example.org"})).await;
    let bob = fix.create("author", "bob", json!({"email": null})).await;
    let taken = Err(WriteError::Unique { mutation: 0, field: email });
    assert_eq!(fix.update("author", &bob, json!({"email": "x@example.org"})).await, taken);
    // Two records swap their values within one write.
    let bob = fix.update("author", &bob, json!({"email": "y@example.org"})).await.unwrap();
    let (ann2, bob2) =
        (fix.record("ann", json!({"email": "y@example.org"})), fix.record("bob", json!({"email": "x@example.org"})));
    let author = fix.entity("author");
    fix.write(vec![Mutation::update(author, ann, ann2.clone()), Mutation::update(author, bob, bob2.clone())]).await.unwrap();
    fix.assert_holds(&[("author", &ann2), ("author", &bob2)]).await;
    let both = ["c", "d"].map(|id| Mutation::create(author, fix.record(id, json!({"email": "z@example.org"}))));
    assert_eq!(fix.write(both.to_vec()).await, Err(WriteError::Unique { mutation: 1, field: email }));
    let twice = vec![Mutation::delete(author, ann2.clone()), Mutation::delete(author, ann2.clone())];
    assert_eq!(fix.write(twice).await, Err(WriteError::Contradiction { mutation: 1 }));
}

#[tokio::test]
async fn a_reference_needs_its_target_and_restrict_keeps_it() {
    let fix = Fixture::new().await;
    let book = fix.entity("book");
    let field = book.by_field("author_id").unwrap().ix;
    let orphan = Mutation::create(book, fix.record("b0", json!({"title": "t", "author_id": "nobody"})));
    assert_eq!(fix.write(vec![orphan]).await, Err(WriteError::ReferenceMissing { mutation: 0, field }));
    let ann = fix.create("author", "ann", json!({})).await;
    let one = fix.create("book", "b1", json!({"title": "t", "author_id": "ann"})).await;
    let restricted = Err(WriteError::Restricted { mutation: 0, by: book.ix });
    assert_eq!(fix.delete("author", &ann).await, restricted);
    // Both at once, in either order, and a new parent with its child.
    let (author, both) = (fix.entity("author"), |a, b| vec![a, b]);
    let (bob, two) = (fix.record("bob", json!({})), fix.record("b2", json!({"title": "t", "author_id": "bob"})));
    fix.write(both(Mutation::create(book, two.clone()), Mutation::create(author, bob.clone()))).await.unwrap();
    fix.assert_holds(&[("author", &ann), ("author", &bob), ("book", &one), ("book", &two)]).await;
    fix.write(both(Mutation::delete(author, bob), Mutation::delete(book, two))).await.unwrap();
    let three = fix.record("b3", json!({"title": "t", "author_id": "ann"}));
    let dangling = fix.write(both(Mutation::delete(author, ann.clone()), Mutation::create(book, three))).await;
    assert_eq!(dangling, Err(WriteError::ReferenceMissing { mutation: 1, field }));
    fix.assert_holds(&[("author", &ann), ("book", &one)]).await;
}

#[tokio::test]
async fn a_delete_takes_and_frees_what_refers_to_it() {
    let fix = Fixture::new().await;
    let series = fix.create("series", "s", json!({})).await;
    fix.create("book", "b1", json!({"title": "1", "series_id": "s"})).await;
    fix.create("book", "b2", json!({"title": "2", "series_id": "s", "sequel_to_id": "b1"})).await;
    let free = fix.create("book", "b3", json!({"title": "3", "sequel_to_id": "b2"})).await;
    for (id, book) in [("n1", "b1"), ("n2", "b2"), ("n3", "b3")] {
        fix.create("note", id, json!({"book_id": book})).await;
    }
    let written = fix.delete("series", &series).await.unwrap();
    assert!(!written.cascading);
    let freed = fix.read("book", "b3").await.unwrap();
    assert_ne!(freed.version, free.version);
    assert_eq!(freed.fields["sequel_to_id"], Value::Null);
    let note = fix.read("note", "n3").await.unwrap();
    fix.assert_holds(&[("book", &freed), ("note", &note)]).await;
    // A record that refers to itself goes too.
    let own = fix.record("own", json!({"title": "o", "sequel_to_id": "own"}));
    fix.write(vec![Mutation::create(fix.entity("book"), own.clone())]).await.unwrap();
    fix.delete("book", &own).await.unwrap();
    fix.assert_holds(&[("book", &freed), ("note", &note)]).await;
}

#[tokio::test]
async fn a_cascade_beyond_one_transaction_is_completed_and_nothing_comes_back() {
    let fix = Fixture::new().await;
    let series = fix.create("series", "s", json!({})).await;
    let ann = fix.create("author", "ann", json!({})).await;
    for number in 0..60 {
        let book = json!({"title": "t", "series_id": "s", "author_id": "ann"});
        fix.create("book", &format!("b{number}"), book).await;
        fix.create("note", &format!("n{number}"), json!({"book_id": format!("b{number}")})).await;
    }
    // No time for the children: the record is gone, they are found by the sweep alone.
    let late = Batch { mutations: vec![Mutation::delete(fix.entity("series"), series)], ..Batch::default() };
    let plan = build::TransactionPlan::closing(
        &fix.model,
        &late,
        Some(build::Closing {
            mutation: 0,
            forced: false,
            tombstone: Item::new(keys::tombstone(fix.entity("series"), "s"))
                .with("e", Attr::S("series".to_owned()))
                .with("i", Attr::S("s".to_owned()))
                .with("m", Attr::N(0)),
        }),
    );
    let written = fix.writer.commit(&late, &plan.unwrap(), fix.deadline()).await.unwrap();
    fix.writer.clear(written.unsettled).await;
    assert_eq!(fix.read("series", "s").await, None);
    let again = fix.write(vec![Mutation::create(fix.entity("series"), fix.record("s", json!({})))]).await;
    assert_eq!(again, Err(WriteError::BeingDeleted { mutation: 0 }));
    let field = fix.entity("book").by_field("series_id").unwrap().ix;
    let child = Mutation::create(fix.entity("book"), fix.record("new", json!({"title": "t", "series_id": "s"})));
    assert_eq!(fix.write(vec![child]).await, Err(WriteError::ReferenceMissing { mutation: 0, field }));
    let swept = fix.writer.sweep(fix.deadline()).await.unwrap();
    assert_eq!(swept, Swept { finished: 1, remaining: 0 });
    fix.assert_holds(&[("author", &ann)]).await;
    let series = fix.create("series", "s", json!({})).await;
    fix.assert_holds(&[("author", &ann), ("series", &series)]).await;
}

#[tokio::test]
async fn a_large_cascade_completes_by_itself_where_time_allows() {
    let fix = Fixture::new().await;
    let book = fix.create("book", "b", json!({"title": "t"})).await;
    let note = |number| Mutation::create(fix.entity("note"), fix.record(&format!("n{number}"), json!({"book_id": "b"})));
    for chunk in 0..6 {
        fix.write((chunk * 10..chunk * 10 + 10).map(note).collect()).await.unwrap();
    }
    let written = fix.delete("book", &book).await.unwrap();
    assert!(!written.cascading);
    fix.assert_holds(&[]).await;
}

#[tokio::test]
async fn a_permission_read_from_another_record_must_still_hold() {
    let fix = Fixture::new().await;
    let ann = fix.create("author", "ann", json!({"rank": 1})).await;
    let author = fix.entity("author");
    let check = |version: &str| Check { entity: author.ix, id: "ann".to_owned(), version: version.to_owned() };
    let batch = |check, id: &str| Batch {
        mutations: vec![Mutation::create(fix.entity("book"), fix.record(id, json!({"title": "t"})))],
        checks: vec![check],
        ..Batch::default()
    };
    fix.writer.write(&batch(check(&ann.version), "b1"), fix.deadline()).await.unwrap().unsettled.clear(&fix.dynamo.table).await;
    let stale = fix.writer.write(&batch(check("another"), "b2"), fix.deadline()).await;
    assert_eq!(stale.map(drop), Err(WriteError::CheckFailed { check: 0 }));
    let itself = Batch {
        mutations: vec![Mutation::update(author, ann.clone(), fix.record("ann", json!({})))],
        checks: vec![check("another")],
        ..Batch::default()
    };
    assert_eq!(fix.writer.write(&itself, fix.deadline()).await.map(drop), Err(WriteError::CheckFailed { check: 0 }));
}

#[tokio::test]
async fn what_cannot_fit_is_refused_with_the_numbers() {
    let fix = Fixture::new().await;
    let many = |count: usize| -> Vec<Mutation> {
        (0..count).map(|n| Mutation::create(fix.entity("series"), fix.record(&format!("s{n}"), json!({})))).collect()
    };
    // A record, its row, its guard each, and two tags in common.
    let batch = Batch { mutations: many(40), ..Batch::default() };
    assert_eq!(fix.writer.measure(&batch).unwrap().0, 122);
    assert!(matches!(fix.write(many(40)).await, Err(WriteError::TooLarge { actions: 122, .. })));
    assert_eq!(fix.write(many(32)).await.unwrap().actions, 98);
}

#[tokio::test]
async fn tags_change_with_every_write_and_stay_unsettled_until_cleared() {
    let fix = Fixture::new().await;
    let book = fix.record("b", json!({"title": "t"}));
    let batch = Batch { mutations: vec![Mutation::create(fix.entity("book"), book.clone())], ..Batch::default() };
    let written = fix.writer.write(&batch, fix.deadline()).await.unwrap();
    let entity = fix.entity("book");
    let mut tags: Vec<Key> = entity
        .indexes
        .iter()
        .filter(|index| index.is_stored())
        .map(|index| keys::partition_tag(&keys::index_row(&fix.model, entity, index, &book).pk, keys::shard("b", entity.shards)))
        .collect();
    tags.push(keys::entity_tag(entity, keys::shard("b", entity.shards)));
    let read = async || {
        let keys: Vec<_> = tags.iter().map(|tag| (TableName::Data, tag.clone())).collect();
        fix.dynamo.table.get(&keys, true).await.unwrap().into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    let first = read().await;
    assert!(first.iter().all(|tag| tags::unsettled(tag).len() == 1));
    // Young elements are left alone, overdue ones go once the commit is known to have finished.
    let later = Later(fix.env.clock.clone(), Duration::from_secs(3));
    let later = Env { clock: Arc::new(later), random: fix.env.random.clone() };
    for tag in &first {
        assert_eq!(tags::settle(&fix.dynamo.table, &fix.env, tag).await.unwrap(), 0);
        assert_eq!(tags::settle(&fix.dynamo.table, &later, tag).await.unwrap(), 1);
    }
    assert!(read().await.iter().all(|tag| tags::unsettled(tag).is_empty()));
    fix.writer.clear(written.unsettled).await; // Too late, and harmless.
    fix.delete("book", &book).await.unwrap();
    let second = read().await;
    for (first, second) in first.iter().zip(&second) {
        assert_ne!(first.s(tags::VERSION), second.s(tags::VERSION));
    }
    let note = fix.record("n", json!({}));
    let batch = Batch { mutations: vec![Mutation::create(fix.entity("note"), note)], ..Batch::default() };
    let plan = build::TransactionPlan::new(&fix.model, &batch).unwrap().transaction(&fix.env, String::new());
    let tags = plan.purposes.iter().filter(|purpose| **purpose == build::Purpose::Tag).count();
    assert_eq!(tags, 1, "no list of an entity that is never cached needs a tag, but others may embed it");
}

#[tokio::test]
async fn a_write_costs_what_the_arithmetic_says() {
    use crate::store::meter::{Kind, measured};
    let fix = Fixture::new().await;
    fix.create("author", "ann", json!({})).await;
    let book = fix.record("b", json!({"title": "t", "author_id": "ann"}));
    let batch = Batch { mutations: vec![Mutation::create(fix.entity("book"), book.clone())], ..Batch::default() };
    let (written, usage) = measured(fix.writer.write(&batch, fix.deadline())).await;
    let written = written.unwrap();
    // The record, its rows (id, by_title, by author, series and prequel), its guard, the author's guard, six tags.
    assert_eq!((usage.total_calls(), usage.of(Kind::TransactWrite), written.actions), (1, 1, 14));
    assert_eq!(usage.write_units, 28.0, "two units for each started KB of each item");
    let ((), usage) = measured(fix.writer.clear(written.unsettled)).await;
    assert_eq!((usage.total_calls(), usage.of(Kind::Update), usage.write_units), (6, 6, 6.0));
    let (deleted, usage) = measured(fix.delete("book", &book)).await;
    assert_eq!((deleted.unwrap().actions, usage.of(Kind::TransactWrite), usage.of(Kind::Update)), (14, 1, 6));
}
