//! The handler ends before or after its n-th call to the store, for every n of every kind of write. Then the table is sound,
//! and the client's retry has exactly one effect and gets one answer. The same suite must notice mechanisms that are broken.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast::store::table::SharedTable;
use holdfast::store::write::{Mutation, WriteError};
use holdfast_tests::crash::{End, crashing};
use serde_json::json;

use super::Store;
use super::broken::{Mechanism, perhaps_broken};
use super::handler::{Request, handle};

/// What a client can see of the data: authors by address with their counts, books with their authors, notes with their books.
type Snapshot = BTreeMap<String, String>;

async fn filled() -> Store {
    let store = Store::plain().await;
    let author = |id: &str, email: Option<&str>| store.record(id, json!({"email": email, "tally": 0}));
    let entity = store.entity("author");
    let authors = [author("ann", Some("ann@example.org")), author("bob", None), author("old", Some("old@example.org"))];
    store.write(authors.into_iter().map(|record| Mutation::create(entity, record)).collect()).await.unwrap();
    // A handful of transactions, because this is done anew for each end of a handler.
    let mut mutations = vec![Mutation::create(store.entity("series"), store.record("small", json!({})))];
    for number in 0..3 {
        let series = (number > 0).then_some("small");
        let book = json!({"title": "t", "author_id": "ann", "series_id": series});
        mutations.push(Mutation::create(store.entity("book"), store.record(&format!("b{number}"), book)));
        let note = json!({"book_id": format!("b{number}")});
        mutations.push(Mutation::create(store.entity("note"), store.record(&format!("n{number}"), note)));
    }
    store.write(mutations).await.unwrap();
    store
}

async fn with_large_series() -> Store {
    let store = filled().await;
    store.create("series", "large", json!({})).await;
    let book = |number: usize| store.record(&format!("l{number}"), json!({"title": "t", "series_id": "large"}));
    for chunk in 0..7 {
        let books = (chunk * 8..chunk * 8 + 8).map(|number| Mutation::create(store.entity("book"), book(number)));
        store.write(books.collect()).await.unwrap();
    }
    store
}

async fn sight(store: &Store) -> Snapshot {
    let mut seen = Snapshot::new();
    for item in store.all("r#").await {
        let Some(record) = holdfast::store::items::stored(Some(&item)).unwrap() else { continue };
        let kind = item.key.pk.split('#').nth(1).unwrap().to_owned();
        let field = |name: &str| record.fields.get(name).map(ToString::to_string).unwrap_or_default();
        let made = record.id.len() > 10; // By the server: another one with each attempt.
        let id = if made { "made" } else { &record.id };
        let author = if field("author_id").len() > 12 { "made".to_owned() } else { field("author_id") };
        let text = format!("{} {} {author} {} {}", field("email"), field("tally"), field("series_id"), field("book_id"));
        *seen.entry(format!("{kind} {id} {text}")).or_default() += "x";
    }
    seen.insert("audit entries".to_owned(), store.all("a#").await.len().to_string());
    seen
}

/// Ends a handler at each call in turn; the first thing that is wrong, if anything is.
async fn suite(
    fill: impl AsyncFn() -> Store,
    request: Request,
    broken: Option<Mechanism>,
    calls: impl Iterator<Item = u32>,
) -> Result<u32, String> {
    // What it comes to when nobody dies.
    let store = fill().await;
    let untouched = sight(&store).await;
    let first = handle(&store, &store.table, &request, &store.env).await.unwrap();
    let expected = sight(&store).await;
    let again = handle(&store, &store.table, &request, &store.env).await.unwrap();
    assert_eq!((first.status, sight(&store).await), (again.status, expected.clone()));
    for call in calls {
        for end in [End::Before, End::After] {
            let at = format!("{request:?}, {end:?} call {call}");
            let store = fill().await;
            let before = tags(&store).await;
            let crashing = crashing(Arc::clone(&store.table), call, end);
            let dying: SharedTable = Arc::clone(&crashing) as SharedTable;
            let dying = perhaps_broken(dying, broken);
            let outcome = crashing.until_end(handle(&store, &dying, &request, &store.env)).await;
            let Some(outcome) = outcome.map_or_else(|| Some(None), |done| (end == End::Before).then_some(Some(done))) else {
                continue; // It was done before that call, and nothing is left of it but the call after the last.
            };
            let done = outcome.is_some();
            if sight(&store).await != untouched && tags(&store).await == before {
                return Err(format!("{at}: an effect that no tag tells"));
            }
            let report = store.verified().await;
            if report.problems > 0 {
                return Err(format!("{at}: {:?}", report.listed));
            }
            let answer = match handle(&store, &store.table, &request, &store.env).await {
                Ok(answer) => answer,
                Err(WriteError::BeingDeleted { .. }) => return Err(format!("{at}: the sweep left something")),
                Err(error) => return Err(format!("{at}: the retry fails: {error}")),
            };
            let second = handle(&store, &store.table, &request, &store.env).await.map_err(|error| format!("{at}: {error}"))?;
            if second != answer {
                return Err(format!("{at}: two answers"));
            }
            store.verified().await;
            if sight(&store).await != expected {
                return Err(format!("{at}: {:#?} instead of {expected:#?}", sight(&store).await));
            }
            if done {
                return Ok(call);
            }
        }
    }
    Ok(0)
}

async fn tags(store: &Store) -> BTreeMap<String, String> {
    let tags = store.all("t#e#").await.into_iter();
    tags.map(|tag| (format!("{:?}", tag.key), tag.n("c").unwrap_or_default().to_string())).collect()
}

async fn survives(request: Request) {
    let calls = suite(filled, request, None, 1..).await.unwrap();
    assert!(calls > 2, "a write makes several calls, and each was an end");
}

#[tokio::test]
async fn a_create_is_whole_or_nothing() {
    survives(Request::Create).await;
}

#[tokio::test]
async fn an_update_is_whole_or_nothing() {
    survives(Request::Update).await;
}

#[tokio::test]
async fn a_change_of_reference_is_whole_or_nothing() {
    survives(Request::Move).await;
}

#[tokio::test]
async fn a_delete_is_whole_or_nothing() {
    survives(Request::Delete).await;
}

#[tokio::test]
async fn a_cascade_is_whole_or_nothing() {
    survives(Request::Cascade("small")).await;
}

#[tokio::test]
async fn a_bulk_is_whole_or_nothing() {
    survives(Request::Bulk).await;
}

#[tokio::test]
async fn a_cascade_beyond_one_transaction_is_taken_up_wherever_it_was_left() {
    let calls = [1, 2, 3, 5, 6, 8, 13, 40].into_iter();
    suite(with_large_series, Request::Cascade("large"), None, calls).await.unwrap();
}

#[tokio::test]
async fn the_suite_notices_each_mechanism_that_is_broken() {
    for (prefix, request) in [
        ("k#", Request::Create),
        ("k#", Request::Update),
        ("f#", Request::Move),
        ("tf#", Request::Create),
        ("i#", Request::Create),
        ("u#", Request::Update),
        ("a#", Request::Create),
    ] {
        let noticed = suite(filled, request.clone(), Some(Mechanism::Outside(prefix)), 1..).await;
        assert!(noticed.is_err(), "{prefix} outside the transaction of {request:?} stays unnoticed: {noticed:?}");
    }
    let noticed = suite(filled, Request::Create, Some(Mechanism::AnnouncedLate), 1..).await;
    assert!(noticed.is_err(), "a commit before its announcement stays unnoticed: {noticed:?}");
}
