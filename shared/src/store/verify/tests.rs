use std::time::Duration;

use serde_json::json;

use super::*;
use crate::store::table::{Attr, Expr, Returning, Table, Write};
use crate::store::testing::{Fixture, Later};
use crate::store::write::OWNER;
use crate::store::{fence, gate, references};

async fn run(fix: &Fixture, repair: bool) -> Report {
    let verifier = Verifier::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), fix.env.clone(), repair);
    verifier.run(fix.deadline(), |_| {}).await.unwrap()
}

/// Something of everything: 3 authors, 6 books, a series, notes.
async fn filled() -> Fixture {
    let fix = Fixture::new().await;
    for (at, name) in ["ann", "bob", "cyd"].iter().enumerate() {
        fix.create("author", name, json!({"email": format!("{name}@example.org"), "rank": at})).await;
    }
    fix.create("series", "s", json!({})).await;
    for number in 0..6 {
        let author = ["ann", "bob"][number % 2];
        let book = json!({"title": format!("t{number}"), "author_id": author, "series_id": "s"});
        fix.create("book", &format!("b{number}"), book).await;
        fix.create("note", &format!("n{number}"), json!({"book_id": format!("b{number}")})).await;
    }
    fix
}

async fn damage(fix: &Fixture, write: Write) {
    fix.dynamo.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
}

async fn delete(fix: &Fixture, key: Key) {
    damage(fix, Write::Delete { key, condition: None }).await;
}

/// Breaks something, and expects exactly these kinds to be found, repaired, and gone.
async fn expect(fix: &Fixture, kinds: &[Kind], repairable: bool) {
    let found = run(fix, false).await;
    let mut seen: Vec<Kind> = found.listed.iter().map(|problem| problem.kind).collect();
    seen.sort();
    assert_eq!(seen, kinds, "{:#?}", found.listed);
    assert_eq!(found.repaired, 0);
    let mended = run(fix, true).await;
    if repairable {
        assert_eq!(mended.repaired, mended.problems, "{:#?}", mended.listed);
        assert_eq!(run(fix, false).await.problems, 0);
    } else {
        assert!(mended.repaired < mended.problems);
    }
}

#[tokio::test]
async fn a_sound_table_has_no_problems() {
    let fix = filled().await;
    let report = run(&fix, false).await;
    assert_eq!((report.problems, report.records, report.foreign), (0, 16, 0), "{:#?}", report.listed);
}

#[tokio::test]
async fn rows_that_are_missing_wrong_or_left_over_are_found_and_mended() {
    let fix = filled().await;
    let book = fix.entity("book");
    let record = fix.read("book", "b1").await.unwrap();
    let row = |name: &str| items::row(&fix.model, book, book.by_index(name).unwrap(), &record);
    delete(&fix, row("by_title").key).await;
    expect(&fix, &[Kind::RowMissing], true).await;
    damage(&fix, Write::Put { item: row("id").with(keys::DOCUMENT, Attr::S("{}".to_owned())), condition: None }).await;
    expect(&fix, &[Kind::RowWrong], true).await;
    let elsewhere = fix.record("b1", json!({"title": "another"}));
    let index = book.by_index("by_title").unwrap();
    damage(&fix, Write::Put { item: items::row(&fix.model, book, index, &elsewhere), condition: None }).await;
    expect(&fix, &[Kind::RowOrphan], true).await;
    let nobody = fix.record("b9", json!({"title": "another"}));
    damage(&fix, Write::Put { item: items::row(&fix.model, book, index, &nobody), condition: None }).await;
    expect(&fix, &[Kind::RowOrphan], true).await;
}

#[tokio::test]
async fn unique_rows_that_are_missing_or_left_over_are_mended_and_duplicates_reported() {
    let fix = filled().await;
    let author = fix.entity("author");
    let key = |email: &str| {
        let field = author.by_field("email").unwrap();
        keys::unique(author, "email", &crate::store::write::unique_hash(&fix.model, field, &json!(email)))
    };
    delete(&fix, key("ann@example.org")).await;
    expect(&fix, &[Kind::UniqueMissing], true).await;
    let item = Item::new(key("old@example.org")).with(OWNER, Attr::S("ann".to_owned()));
    damage(&fix, Write::Put { item, condition: None }).await;
    expect(&fix, &[Kind::UniqueOrphan], true).await;
    let item = Item::new(key("ann@example.org")).with(OWNER, Attr::S("bob".to_owned()));
    damage(&fix, Write::Put { item, condition: None }).await;
    // Whose it is by its row is not the one that has it: the wrong row goes, then the right one can come.
    expect(&fix, &[Kind::UniqueTwice, Kind::UniqueOrphan], false).await;
    expect(&fix, &[Kind::UniqueMissing], true).await;
}

#[tokio::test]
async fn rows_of_references_that_are_missing_or_left_over_are_found_and_mended() {
    let fix = filled().await;
    let (author, book) = (fix.entity("author"), fix.entity("book"));
    delete(&fix, keys::reference(author, "ann", "book", "author_id", "b0")).await;
    expect(&fix, &[Kind::ReferenceMissing], true).await;
    let field = book.by_field("author_id").unwrap();
    let row = |parent: &str, id: &str| references::row(author, parent, book, field, crate::model::OnDelete::Restrict, id);
    for left in [row("cyd", "b0"), row("ann", "b9")] {
        damage(&fix, Write::Put { item: left, condition: None }).await;
        expect(&fix, &[Kind::ReferenceOrphan], true).await;
    }
    let foreign = keys::reference(author, "ann", "loan", "author_id", "l1");
    damage(&fix, Write::Put { item: Item::new(foreign), condition: None }).await;
    assert_eq!((run(&fix, true).await.problems, run(&fix, false).await.foreign), (0, 1), "another version knows");
}

#[tokio::test]
async fn gates_of_nobody_are_removed_and_what_died_behind_a_gate_is_settled() {
    let fix = filled().await;
    let element = fence::Element::new(&fix.env);
    let nobody = keys::gate(fix.entity("author"), "nobody", 0);
    damage(&fix, gate::announce(&nobody, &element)).await;
    damage(&fix, gate::confirm(&nobody)).await;
    assert_eq!(run(&fix, false).await.problems, 0, "its writer may still be at work");
    damage(&fix, gate::settle(&nobody, vec![element.text()])).await;
    expect(&fix, &[Kind::GateOrphan], true).await;
    let ann = keys::gate(fix.entity("author"), "ann", 0);
    damage(&fix, gate::announce(&ann, &element)).await;
    damage(&fix, gate::close(&ann, &element)).await;
    damage(&fix, gate::announce(&nobody, &element)).await;
    damage(&fix, gate::settle(&nobody, vec![element.text()])).await;
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(5)));
    let later = Env { clock, random: fix.env.random.clone() };
    let table = Arc::new(fix.dynamo.table.clone());
    let verifier = |repair| Verifier::new(table.clone(), Arc::clone(&fix.model), later.clone(), repair);
    let noted = verifier(false).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((noted.problems, noted.unsettled), (0, 2), "a crash leaves them: {:#?}", noted.listed);
    let strict = verifier(false).strict().run(fix.deadline(), |_| {}).await.unwrap();
    assert!(strict.listed.len() == 2 && strict.listed.iter().all(|problem| problem.kind == Kind::GateUnsettled));
    verifier(true).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!(verifier(false).strict().run(fix.deadline(), |_| {}).await.unwrap().problems, 0);
    let left = fix.dynamo.table.get(&[(TableName::Data, nobody), (TableName::Data, ann)], true).await.unwrap();
    assert!(left[0].is_none() && gate::closed(left[1].as_ref().unwrap()).is_none());
}

#[tokio::test]
async fn a_tombstone_that_nobody_knows_of_is_taken_up() {
    let fix = filled().await;
    let series = fix.entity("series");
    let tombstone = items::tombstone(keys::record(series, "gone"), "token");
    damage(&fix, Write::Put { item: tombstone, condition: None }).await;
    assert_eq!(run(&fix, false).await.listed[0].kind, Kind::CascadeAbandoned);
    let repaired = run(&fix, true).await;
    assert_eq!((repaired.problems, repaired.repaired), (1, 1));
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(120)));
    let later = Env { clock, random: fix.env.random.clone() };
    let writer = Writer::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), later);
    assert_eq!(writer.sweep(fix.deadline()).await.unwrap().finished, 1);
    assert_eq!(run(&fix, false).await.problems, 0);
    fix.create("series", "gone", json!({})).await;
}

#[tokio::test]
async fn a_reference_to_nobody_is_reported_and_left_to_a_person() {
    let fix = filled().await;
    let book = fix.read("book", "b1").await.unwrap();
    let entity = fix.entity("book");
    for (key, _) in verifier(&fix).expected(entity, &book) {
        delete(&fix, key).await;
    }
    delete(&fix, keys::gate(entity, "b1", 0)).await;
    delete(&fix, keys::record(entity, "b1")).await;
    expect(&fix, &[Kind::Dangling], false).await;
}

fn verifier(fix: &Fixture) -> Verifier {
    Verifier::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), fix.env.clone(), false)
}

#[tokio::test]
async fn a_dead_writers_tags_are_settled_and_all_tags_differ_after_a_repair() {
    let fix = filled().await;
    let batch = crate::store::write::Batch {
        mutations: vec![crate::store::write::Mutation::create(fix.entity("series"), fix.record("t", json!({})))],
        ..Default::default()
    };
    let abandoned = fix.writer.write(&batch, fix.deadline()).await.unwrap();
    assert_eq!(run(&fix, false).await.problems, 0, "its writer may still be at work");
    let clock = Arc::new(Later(fix.env.clock.clone(), Duration::from_secs(5)));
    let later = Env { clock, random: fix.env.random.clone() };
    let verifier = |repair| Verifier::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), later.clone(), repair);
    let versions = async || {
        let tags = fix.all().await.into_iter().filter(|item| item.key.pk.starts_with("t#"));
        tags.map(|tag| (tag.key.clone(), tag.s("v").unwrap_or_default().to_owned())).collect::<Vec<_>>()
    };
    let before = versions().await;
    let noted = verifier(false).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((noted.problems, noted.unsettled, noted.settled), (0, 1, 0), "a crash leaves them, a reader settles them");
    let strict = verifier(false).strict().run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((strict.problems, strict.repaired, strict.unsettled), (1, 0, 0), "whoever knows of no crash hears of them");
    assert!(strict.listed.iter().all(|problem| problem.kind == Kind::TagUnsettled));
    assert_eq!(versions().await, before, "without repair nothing is written");
    let report = verifier(true).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((report.problems, report.unsettled, report.settled), (0, 0, 1));
    assert!(before.iter().zip(versions().await).all(|(before, after)| before.0 == after.0 && before.1 != after.1));
    assert_eq!(verifier(false).strict().run(fix.deadline(), |_| {}).await.unwrap().problems, 0);
    drop(abandoned);
}

#[tokio::test]
async fn a_damaged_record_is_reported() {
    let fix = filled().await;
    let update = Expr::new("SET #d = :d").name("#d", keys::DOCUMENT).value(":d", Attr::S("{".to_owned()));
    damage(&fix, Write::Update { key: keys::record(fix.entity("note"), "n0"), update, condition: None }).await;
    let report = run(&fix, false).await;
    assert!(report.listed.iter().any(|problem| problem.kind == Kind::Damaged && problem.record == "note/n0"));
}
