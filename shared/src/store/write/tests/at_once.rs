//! Writes on a table that commits atomically: one transaction, nothing announced, and what is announced by others still counts.

use super::*;
use crate::store::idempotency;
use crate::store::meter::{Kind, measured};

async fn fixture() -> Fixture {
    let mut fix = Fixture::new().await;
    let table = fix.dynamo.table.clone().committing_atomically();
    fix.writer = Writer::new(Arc::new(table), Arc::clone(&fix.model), fix.env.clone());
    fix
}

/// A writer over another way to the same table.
fn writer(fix: &Fixture, fail: Fail, env: Env) -> Writer {
    let table = fix.dynamo.table.clone().committing_atomically();
    Writer::new(Arc::new(Double::new(Arc::new(table), fail)), Arc::clone(&fix.model), env)
}

async fn tag(fix: &Fixture, tag: &Key) -> Item {
    let found = fix.dynamo.table.get(&[(TableName::Data, tag.clone())], true).await.unwrap().remove(0);
    found.unwrap_or_else(|| Item::new(tag.clone()))
}

#[tokio::test]
async fn creates_and_changes_are_one_call_and_leave_exactly_their_items() {
    let fix = fixture().await;
    let ann = fix.create("author", "ann", json!({"email": "ann@example.org"})).await;
    let book = Mutation::create(fix.entity("book"), fix.record("b1", json!({"title": "One", "author_id": "ann"})));
    let record = book.after.clone().unwrap();
    let (written, usage) = measured(fix.write(vec![book])).await;
    // The record, five rows, the row of its reference; the author and its gate; four tags.
    assert_eq!((written.unwrap().actions, usage.total_calls(), usage.of(Kind::TransactWrite)), (13, 1, 1));
    fix.assert_holds(&[("author", &ann), ("book", &record)]).await;
    let (moved, usage) = measured(fix.update("book", &record, json!({"title": "Two", "author_id": null}))).await;
    assert_eq!(usage.total_calls(), 1);
    fix.assert_holds(&[("author", &ann), ("book", &moved.unwrap())]).await;
    assert!(fix.all().await.iter().all(|item| !item.key.pk.starts_with("tf#")), "there is nobody to need a fence");
}

#[tokio::test]
async fn every_commit_changes_what_its_tags_say_and_none_is_ever_unsettled() {
    let fix = fixture().await;
    let entity = keys::entity_tag(fix.entity("series"), 0);
    let mut stamps = vec![tags::stamp(Some(&tag(&fix, &entity).await)).1];
    let first = fix.create("series", "s", json!({"title": "a"})).await;
    stamps.push(tags::stamp(Some(&tag(&fix, &entity).await)).1);
    fix.update("series", &first, json!({"title": "b"})).await.unwrap();
    let found = tag(&fix, &entity).await;
    stamps.push(tags::stamp(Some(&found)).1);
    assert_eq!((stamps, tags::unsettled(&found).len()), (vec![0, 1, 2], 0));
    // A refusal changes nothing, so what is cached stays right.
    let again = fix.write(vec![Mutation::create(fix.entity("series"), fix.record("s", json!({})))]).await;
    assert_eq!(again, Err(WriteError::Exists { mutation: 0 }));
    assert_eq!(tags::stamp(Some(&tag(&fix, &entity).await)).1, 2);
}

#[tokio::test]
async fn a_reference_needs_its_target_and_keeps_it() {
    let fix = fixture().await;
    let (author, book) = (fix.entity("author"), fix.entity("book"));
    let field = book.by_field("author_id").unwrap().ix;
    let by = |id: &str, author: &str| fix.record(id, json!({"title": "t", "author_id": author}));
    let orphan = fix.write(vec![Mutation::create(book, by("b0", "nobody"))]).await;
    assert_eq!(orphan, Err(WriteError::ReferenceMissing { mutation: 0, field }));
    let ann = fix.create("author", "ann", json!({})).await;
    // Another gate than the first would be this book's; the first is what a deletion asks.
    let id = (0..).map(|n| format!("b{n}")).find(|id| keys::shard(id, author.shards) > 0).unwrap();
    let one = by(&id, "ann");
    fix.write(vec![Mutation::create(book, one.clone())]).await.unwrap();
    assert_eq!(fix.delete("author", &ann).await, Err(WriteError::Restricted { mutation: 0, by: Some(book.ix) }));
    let (bob, two) = (fix.record("bob", json!({})), by("b9", "bob"));
    fix.write(vec![Mutation::create(book, two.clone()), Mutation::create(author, bob.clone())]).await.unwrap();
    fix.assert_holds(&[("author", &ann), ("author", &bob), ("book", &one), ("book", &two)]).await;
    fix.write(vec![Mutation::delete(book, one), Mutation::delete(author, ann)]).await.unwrap();
    fix.assert_holds(&[("author", &bob), ("book", &two)]).await;
}

#[tokio::test]
async fn a_gate_that_a_dead_deletion_has_closed_is_opened_and_one_of_the_gone_stays_closed() {
    let fix = fixture().await;
    let (author, book) = (fix.entity("author"), fix.entity("book"));
    let field = book.by_field("author_id").unwrap().ix;
    let ann = fix.create("author", "ann", json!({})).await;
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(5)));
    let at_once = writer(&fix, Fail::before(&[], TableError::Busy(String::new())), Env { clock, random: fix.env.random.clone() });
    // The deletion died when it had closed the first of several gates, and these books announce themselves at others.
    let at = |shard: u16| (0..).map(|n| format!("b{n}")).find(|id| keys::shard(id, author.shards) == shard).unwrap();
    let mut books = Vec::new();
    for (way, id) in [(at_once, at(1)), (later(&fix), at(2))] {
        left(&fix, gate::close(&keys::gate(author, "ann", 0), &Element::new(&fix.env))).await;
        let record = fix.record(&id, json!({"title": "t", "author_id": "ann"}));
        let batch = Batch { mutations: vec![Mutation::create(book, record.clone())], ..Batch::default() };
        way.settle(way.write(&batch, fix.deadline()).await.unwrap().unsettled).await;
        books.push(record);
    }
    fix.assert_holds(&[("author", &ann), ("book", &books[0]), ("book", &books[1])]).await;

    left(&fix, crate::store::table::Write::Put { item: gate::of_gone(author, "ann"), condition: None }).await;
    let another = Mutation::create(book, fix.record("c", json!({"title": "t", "author_id": "ann"})));
    assert_eq!(fix.write(vec![another]).await, Err(WriteError::ReferenceMissing { mutation: 0, field }));
}

#[tokio::test]
async fn references_that_come_and_the_deletion_of_their_target_never_both_succeed() {
    let fix = fixture().await;
    let (author, book) = (fix.entity("author"), fix.entity("book"));
    for round in 0..30 {
        let (id, one, two) = (format!("a{round}"), format!("b{round}"), format!("c{round}"));
        let ann = fix.create("author", &id, json!({})).await;
        let create =
            |child: &str| fix.write(vec![Mutation::create(book, fix.record(child, json!({"title": "t", "author_id": id})))]);
        let (first, deleted, second) = tokio::join!(create(&one), fix.delete("author", &ann), create(&two));
        assert_ne!(first.is_ok() || second.is_ok(), deleted.is_ok(), "{first:?} {deleted:?} {second:?}");
        assert_eq!(fix.read("author", &id).await.is_some(), deleted.is_err());
    }
    assert_eq!(author.shards, 3, "several gates");
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_told_so_and_a_repetition_finds_it_by_its_key_alone() {
    let fix = fixture().await;
    let keys = idempotency::Keys::new(*b"secret");
    let (scope, print) = (keys.scope("c", "s", "k"), keys.fingerprint("POST", "/v1/series", None));
    let answer = idempotency::Answer { status: 201, headers: [].into(), body: b"{}".to_vec() };
    let batch = |id: &str| Batch {
        mutations: vec![Mutation::create(fix.entity("series"), fix.record(id, json!({})))],
        riders: AttachedWrites {
            idempotency: idempotency::items(&scope, &print, &answer, fix.env.now()).unwrap(),
            ..AttachedWrites::default()
        },
        ..Batch::default()
    };
    let lost = Fail::after(&[TableCall::Transact], TableError::Unknown("lost".to_owned()));
    let soon = fix.env.now().plus(Duration::from_millis(200));
    assert_eq!(writer(&fix, lost, fix.env.clone()).write(&batch("s"), soon).await, Err(WriteError::Unknown));
    let again = fix.writer.write(&batch("t"), fix.deadline()).await;
    let Err(WriteError::IdempotencyRow(Some(row))) = again else { panic!("{again:?}") };
    let (stored, usage) = measured(idempotency::complete(&fix.dynamo.table, &fix.env, &scope, &row)).await;
    assert_eq!(stored.unwrap().compare(&print, fix.env.now()), idempotency::Match::Replay(answer.clone()));
    assert_eq!(usage.total_calls(), 0, "it committed with its effect, so nothing has to be proven");
    assert_eq!((fix.read("series", "s").await.is_some(), fix.read("series", "t").await), (true, None));
}

#[tokio::test]
async fn what_fits_only_without_a_fence_is_refused_as_dynamodb_would() {
    let fix = fixture().await;
    // A note with neither tags of partitions nor references: a record and its rows.
    let note = fix.entity("note");
    let per_note = 1 + note.indexes.iter().filter(|index| index.is_stored()).count();
    let notes =
        |count: usize| (0..count).map(|n| Mutation::create(note, fix.record(&format!("n{n}"), json!({})))).collect::<Vec<_>>();
    let most = (MAX_ACTIONS - 1) / per_note;
    assert!(fix.write(notes(most)).await.is_ok());
    let refused = fix.write(notes(MAX_ACTIONS / per_note + 1)).await;
    assert!(matches!(refused, Err(WriteError::TooLarge { .. })), "{refused:?}");
}
