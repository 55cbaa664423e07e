use std::time::Duration;

use serde_json::json;

use super::*;
use crate::store::table::{Attr, Expr, Returning, Table, Write};
use crate::store::testing::{Fixture, Later};
use crate::store::write::{COUNT, OWNER, RESTRICTING};

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
async fn a_sound_table_has_no_problems_however_few_counters_there_are() {
    let fix = filled().await;
    let report = run(&fix, false).await;
    assert_eq!((report.problems, report.records, report.scans, report.foreign), (0, 16, 1, 0), "{:#?}", report.listed);
    let verifier = Verifier::new(Arc::new(fix.dynamo.table.clone()), Arc::clone(&fix.model), fix.env.clone(), false);
    let report = verifier.with_counters(1).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((report.problems, report.records), (0, 16));
    assert!(report.scans > 1);
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
async fn guards_that_are_missing_wrong_or_left_over_are_found_and_mended() {
    let fix = filled().await;
    let author = fix.entity("author");
    let guards = fix.all().await.into_iter().filter(|item| item.key.pk == "g#author#ann");
    let used = guards.into_iter().find(|guard| guard.n(COUNT) > Some(0)).unwrap();
    let changed = used.clone().with(COUNT, Attr::N(7));
    damage(&fix, Write::Put { item: changed, condition: None }).await;
    expect(&fix, &[Kind::GuardCount], true).await;
    damage(&fix, Write::Put { item: used.clone().with(RESTRICTING, Attr::N(0)), condition: None }).await;
    expect(&fix, &[Kind::GuardCount], true).await;
    delete(&fix, keys::guard(fix.entity("book"), "b0", 0)).await;
    expect(&fix, &[Kind::GuardMissing, Kind::GuardCount], true).await;
    let nobody = Item::new(keys::guard(author, "nobody", 0)).with(COUNT, Attr::N(0)).with(RESTRICTING, Attr::N(0));
    damage(&fix, Write::Put { item: nobody, condition: None }).await;
    expect(&fix, &[Kind::GuardOrphan], true).await;
    assert_eq!(run(&fix, false).await.problems, 0);
}

#[tokio::test]
async fn a_reference_to_nobody_is_reported_and_left_to_a_person() {
    let fix = filled().await;
    let series = fix.read("series", "s").await.unwrap();
    let entity = fix.entity("series");
    for (key, _) in verifier(&fix).expected(entity, &series) {
        delete(&fix, key).await;
    }
    delete(&fix, keys::record(entity, "s")).await;
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
        tags.map(|tag| (tag.key.clone(), tag.s("v").unwrap().to_owned())).collect::<Vec<_>>()
    };
    let before = versions().await;
    let noted = verifier(false).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((noted.problems, noted.unsettled, noted.settled), (0, 2, 0), "a crash leaves them, a reader settles them");
    let strict = verifier(false).strict().run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((strict.problems, strict.repaired, strict.unsettled), (2, 0, 0), "whoever knows of no crash hears of them");
    assert!(strict.listed.iter().all(|problem| problem.kind == Kind::TagUnsettled));
    assert_eq!(versions().await, before, "without repair nothing is written");
    let report = verifier(true).run(fix.deadline(), |_| {}).await.unwrap();
    assert_eq!((report.problems, report.unsettled, report.settled), (0, 0, 2));
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
