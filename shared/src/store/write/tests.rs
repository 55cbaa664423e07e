mod at_once;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::value::Record;
use crate::store::double::{Double, Fail, TableCall};
use crate::store::fence::{Element, Outcome};
use crate::store::table::{Attr, Item, Key, Returning, SharedTable, Table, TableError, TableName};
use crate::store::testing::{Fixture, Later};
use crate::store::{fence, gate, items, keys, settle, tags};

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
    let restricted = Err(WriteError::Restricted { mutation: 0, by: Some(book.ix) });
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
    let mut attempt = fix.writer.begin();
    let series_entity = fix.entity("series");
    let entry = steps::entry(&fix.env, series_entity, "s").with("m", Attr::N(0));
    let plan = build::TransactionPlan::in_steps(&fix.model, &late, entry, attempt.element.token()).unwrap();
    fix.writer.announce(&plan, &mut attempt, fix.deadline()).await.unwrap();
    let removal = attempt::Removal::of(series_entity, "s");
    fix.writer.close_all(&[removal], &mut attempt, fix.deadline()).await.unwrap();
    let built = fix.writer.fitting(&plan, &attempt).unwrap();
    fix.writer.commit(&late, built, &mut attempt, fix.deadline()).await.unwrap();
    fix.writer.settle(attempt.unsettled()).await;
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
    fix.writer.write(&batch(check(&ann.version), "b1"), fix.deadline()).await.unwrap().unsettled.settle(&fix.dynamo.table).await;
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
    // A record and its row each, and the fence.
    let batch = Batch { mutations: many(60), ..Batch::default() };
    assert_eq!(fix.writer.measure(&batch).unwrap().0, 121);
    assert!(matches!(fix.write(many(60)).await, Err(WriteError::TooLarge { actions: 121, .. })));
    assert_eq!(fix.write(many(49)).await.unwrap().actions, 99);
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
        .filter(|index| tags::has_tags(index))
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
        assert_eq!(settle::elements(&fix.dynamo.table, &fix.env, tag).await.unwrap(), 0);
        assert_eq!(settle::elements(&fix.dynamo.table, &later, tag).await.unwrap(), 1);
    }
    assert!(read().await.iter().all(|tag| tags::unsettled(tag).is_empty()));
    fix.writer.settle(written.unsettled).await; // Too late, and harmless.
    fix.delete("book", &book).await.unwrap();
    let second = read().await;
    for (first, second) in first.iter().zip(&second) {
        assert!(tags::stamp(Some(first)) < tags::stamp(Some(second)));
    }
    let note = fix.record("n", json!({}));
    let batch = Batch { mutations: vec![Mutation::create(fix.entity("note"), note)], ..Batch::default() };
    let plan = build::TransactionPlan::new(&fix.model, &batch).unwrap();
    assert_eq!(plan.tags.len(), 1, "no list of an entity that is never cached needs a tag, but others may embed it");
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
    // The record, its rows (id, by_title, by author, series and prequel), the row of its reference, the fence.
    assert_eq!((usage.of(Kind::TransactWrite), written.actions), (2, 8), "the first reference to an author looks for it");
    let announced = 4 + 1;
    assert_eq!(usage.of(Kind::Update), announced, "three partitions, the entity, the author's gate");
    assert_eq!(usage.write_units, 2.0 * 8.0 + 2.0 * 3.0 + 5.0, "two units for each started KB of each item of a transaction");
    let ((), usage) = measured(fix.writer.settle(written.unsettled)).await;
    assert_eq!((usage.total_calls(), usage.of(Kind::Update), usage.write_units), (5, 5, 5.0));
    // One that is announced at the same gate.
    let shard = |id: &str| keys::shard(id, fix.entity("author").shards);
    let id = (0..).map(|n| format!("c{n}")).find(|id| shard(id) == shard("b")).unwrap();
    let another = Mutation::create(fix.entity("book"), fix.record(&id, json!({"title": "t", "author_id": "ann"})));
    let (written, usage) = measured(fix.write(vec![another])).await;
    assert_eq!((written.unwrap().actions, usage.total_calls(), usage.write_units), (8, 11, 26.0));
    let (deleted, usage) = measured(fix.delete("book", &book)).await;
    // One action more: it has no gate. Two reads: who refers to it, and whether it has a gate.
    let deleted = (
        deleted.unwrap().actions,
        usage.of(Kind::TransactWrite),
        usage.of(Kind::Update),
        usage.of(Kind::Query) + usage.of(Kind::Get),
    );
    assert_eq!(deleted, (9, 1, 8, 2));
}

/// A writer whose clock goes ahead, so that what was left just now is overdue.
fn later(fix: &Fixture) -> Writer {
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(5)));
    Writer::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), Env { clock, random: fix.env.random.clone() })
}

async fn left(fix: &Fixture, write: crate::store::table::Write) {
    fix.dynamo.table.write(TableName::Data, write, crate::store::table::Returning::Nothing).await.unwrap();
}

#[tokio::test]
async fn a_reference_by_a_field_that_this_model_does_not_know_restricts() {
    let fix = Fixture::new().await;
    let ann = fix.create("author", "ann", json!({})).await;
    let row = keys::reference(fix.entity("author"), "ann", "essay", "author_id", "e1");
    let mut essay = items::record(fix.entity("note"), &fix.record("e1", json!({"author_id": "ann"})));
    essay.key = keys::record_of("essay", "e1");
    for item in [Item::new(row.clone()), essay.clone()] {
        left(&fix, crate::store::table::Write::Put { item, condition: None }).await;
    }
    assert_eq!(fix.delete("author", &ann).await, Err(WriteError::Restricted { mutation: 0, by: None }));
    // Without its record the row means nothing, and goes.
    left(&fix, crate::store::table::Write::Delete { key: essay.key, condition: None }).await;
    fix.delete("author", &ann).await.unwrap();
    assert!(fix.all().await.iter().all(|item| item.key != row));
}

#[tokio::test]
async fn a_deletion_ends_whoever_died_behind_the_gate_and_drops_rows_of_no_reference() {
    let fix = Fixture::new().await;
    let series = fix.create("series", "s", json!({})).await;
    fix.create("book", "b", json!({"title": "t", "series_id": "s"})).await;
    let dead = fence::Element::new(&fix.env);
    left(&fix, gate::announce(&keys::gate(fix.entity("series"), "s", 0), &dead)).await;
    let nobody = keys::reference(fix.entity("series"), "s", "book", "series_id", "nobody");
    left(&fix, crate::store::table::Write::Put { item: Item::new(nobody), condition: None }).await;
    fix.delete("series", &series).await.unwrap();
    fix.assert_holds(&[]).await;
    let table = &fix.dynamo.table;
    assert_eq!(fence::look_up(table, dead.token()).await.unwrap(), Some(fence::Outcome::Aborted), "it never has an effect");
}

#[tokio::test]
async fn a_gate_that_a_dead_deletion_has_closed_is_opened_by_whoever_comes_to_refer() {
    let fix = Fixture::new().await;
    let ann = fix.create("author", "ann", json!({})).await;
    let gate = keys::gate(fix.entity("author"), "ann", keys::shard("b", fix.entity("author").shards));
    let dead = fence::Element::new(&fix.env);
    left(&fix, gate::close(&gate, &dead)).await;
    let book = fix.record("b", json!({"title": "t", "author_id": "ann"}));
    let batch = Batch { mutations: vec![Mutation::create(fix.entity("book"), book.clone())], ..Batch::default() };
    let soon = fix.env.now().plus(Duration::from_millis(200));
    assert_eq!(fix.writer.write(&batch, soon).await.map(drop), Err(WriteError::Busy), "a young deletion is waited for");
    let writer = later(&fix);
    let written = writer.write(&batch, fix.deadline().plus(Duration::from_secs(5))).await.unwrap();
    writer.settle(written.unsettled).await;
    fix.assert_holds(&[("author", &ann), ("book", &book)]).await;
}

#[tokio::test]
async fn all_gates_of_a_record_are_closed_whatever_number_this_model_gives_it() {
    let fix = Fixture::new().await;
    let ann = fix.create("author", "ann", json!({})).await;
    // By ids that belong to several gates.
    let books: Vec<Record> = (0..6).map(|n| fix.record(&format!("b{n}"), json!({"title": "t", "author_id": "ann"}))).collect();
    for book in &books {
        fix.write(vec![Mutation::create(fix.entity("book"), book.clone())]).await.unwrap();
    }
    let gates = async || fix.all().await.into_iter().filter(|item| item.key.pk == "g#author#ann").count();
    assert!(gates().await > 1);
    for book in &books {
        fix.delete("book", book).await.unwrap();
    }
    // A model without `contention` knows of one gate only.
    let source = crate::store::testing::MODEL.replace("    contention: 1000\n", "");
    let model = Arc::new(crate::model::parse("model.yaml", &source).unwrap());
    let other = Writer::new(Arc::new(fix.dynamo.table.clone()), model.clone(), fix.env.clone());
    let batch = Batch { mutations: vec![Mutation::delete(model.by_name("author").unwrap(), ann)], ..Batch::default() };
    other.settle(other.write(&batch, fix.deadline()).await.unwrap().unsettled).await;
    assert_eq!(gates().await, 0);
}

#[tokio::test]
async fn what_dead_writers_left_in_a_gate_is_taken_out_by_later_ones() {
    let fix = Fixture::new().await;
    fix.create("series", "s", json!({})).await;
    fix.create("book", "first", json!({"title": "t", "series_id": "s"})).await;
    let gate = keys::gate(fix.entity("series"), "s", 0);
    let left = async || {
        let found = fix.dynamo.table.get(&[(TableName::Data, gate.clone())], true).await.unwrap().remove(0);
        gate::unsettled(&found.unwrap()).len()
    };
    for _ in 0..8 {
        let announced = gate::announce(&gate, &fence::Element::new(&fix.env));
        fix.dynamo.table.write(TableName::Data, announced, Returning::Nothing).await.unwrap();
    }
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(5)));
    let env = Env { clock, random: fix.env.random.clone() };
    let writer = Writer::new(Arc::new(fix.dynamo.table.clone()), fix.model.clone(), env.clone());
    for number in 0..200 {
        let book = fix.record(&format!("b{number}"), json!({"title": "t", "series_id": "s"}));
        let batch = Batch { mutations: vec![Mutation::create(fix.entity("book"), book)], ..Batch::default() };
        writer.settle(writer.write(&batch, env.now().plus(Duration::from_secs(20))).await.unwrap().unsettled).await;
        if left().await == 0 {
            return;
        }
    }
    panic!("{} elements stay", left().await);
}

#[tokio::test]
async fn a_committed_fence_proves_nothing_while_a_transaction_holds_an_item_of_it() {
    let fix = Fixture::new().await;
    let (element, now, tag) = (Element::new(&fix.env), fix.env.now(), keys::global_tag());
    let fence = fence::committed(element.token(), &[keys::fence("an item of the same commit")], now);
    let table: SharedTable = Arc::new(fix.dynamo.table.clone());
    table.write(TableName::Data, fence, Returning::Nothing).await.unwrap();
    let held = Fail::before(&[TableCall::GetTransaction], TableError::Busy("a transaction holds it".to_owned()));
    let held = Double::<Fail>::new(Arc::clone(&table), held);
    for (table, outcome, removed) in [(&held as &dyn Table, Outcome::Pending, 0), (&*table, Outcome::Committed, 1)] {
        assert_eq!(fence::decide(table, element.token(), now).await.unwrap(), outcome);
        assert_eq!(fence::look_up(table, element.token()).await.unwrap(), Some(outcome));
        assert_eq!(settle::remove(table, &fix.env, &tag, vec![element.text()]).await.unwrap(), removed);
    }
}
