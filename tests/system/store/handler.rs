//! A handler as short as it can be: what a request with an `Idempotency-Key` does.

use holdfast::core::clock::Env;
use holdfast::store::idempotency::{self, Answer, Keys, Match};
use holdfast::store::table::{Attr, Item, Key, SharedTable, TableError, TableName};
use holdfast::store::write::{AttachedWrites, Batch, Mutation, WriteError};
use holdfast::store::{items, keys};
use serde_json::{Value, json};

use super::Store;

/// A request of a client.
#[derive(Debug, Clone)]
pub enum Request {
    /// A new author, with an id that the server makes.
    Create,
    /// Another address for the author `ann`, and one more in its count.
    Update,
    /// The book `b0` gets another author.
    Move,
    /// The author `old`, to whom nobody refers.
    Delete,
    /// A series with its books, whose notes stay.
    Cascade(&'static str),
    /// A new author with a book, at once.
    Bulk,
    /// One more in an author's count.
    Increment(&'static str),
    /// A book with this id in a series.
    Book(String, &'static str),
}

/// Does a request as the pipeline does: the key's row first, then the write with its answer, which is settled.
pub async fn handle(store: &Store, table: &SharedTable, request: &Request, env: &Env) -> Result<Answer, WriteError> {
    handle_with(store, table, request, env, "key").await
}

/// As [`handle`], with an idempotency key.
pub async fn handle_with(
    store: &Store,
    table: &SharedTable,
    request: &Request,
    env: &Env,
    key: &str,
) -> Result<Answer, WriteError> {
    let secret = Keys::new(*b"a secret of this deployment");
    let scope = secret.scope("consumer", "subject", key);
    let print = secret.fingerprint("POST", &format!("{request:?}"), None);
    if let Some(stored) = idempotency::load(table.as_ref(), env, &scope).await?
        && let Match::Replay(answer) = stored.compare(&print, env.now())
    {
        return Ok(answer);
    }
    let (mutations, body) = effect(store, table, request, env).await?;
    let answer = Answer { status: 200, headers: [].into(), body: body.to_string().into_bytes() };
    let rows = idempotency::items(&scope, &print, &answer, env.now()).map_err(|error| TableError::Broken(error.to_string()))?;
    let audit = Item::new(Key::new("a#2026-11-21#0", env.bytes::<16>())).with("w", Attr::S(format!("{request:?}")));
    let batch = Batch {
        mutations,
        riders: AttachedWrites { idempotency: rows, audit: vec![audit], ..AttachedWrites::default() },
        ..Batch::default()
    };
    let writer = store.writer(table);
    match writer.write_unchecked(&batch, store.deadline()).await {
        Ok(written) => {
            writer.settle(written.unsettled).await;
            Ok(answer)
        }
        Err(WriteError::IdempotencyRow(Some(row))) => {
            match idempotency::complete(table.as_ref(), env, &scope, &row).await?.compare(&print, env.now()) {
                Match::Replay(answer) => Ok(answer),
                other => panic!("{other:?}"),
            }
        }
        Err(error) => Err(error),
    }
}

async fn effect(store: &Store, table: &SharedTable, request: &Request, env: &Env) -> Result<(Vec<Mutation>, Value), WriteError> {
    let (author, book, series) = (store.entity("author"), store.entity("book"), store.entity("series"));
    let read = async |entity: &holdfast::model::Entity, id: &str| {
        let found = table.get(&[(TableName::Data, keys::record(entity, id))], true).await?.remove(0);
        found.as_ref().and_then(items::decode).ok_or(WriteError::Changed { mutation: 0, current: None })
    };
    let id = env.uuid_v7().to_string();
    Ok(match request {
        Request::Create => {
            let record = store.record(&id, json!({"email": "new@example.org", "tally": 0}));
            (vec![Mutation::create(author, record)], json!({"id": id}))
        }
        Request::Update => {
            let before = read(author, "ann").await?;
            let count = before.fields["tally"].as_i64().unwrap_or(0) + 1;
            let after = store.record("ann", json!({"email": "other@example.org", "tally": count}));
            (vec![Mutation::update(author, before, after)], json!({"tally": count}))
        }
        Request::Move => {
            let before = read(book, "b0").await?;
            let mut after = before.clone();
            after.version = holdfast::model::value::new_version(env);
            after.fields.insert("author_id".to_owned(), json!("bob"));
            (vec![Mutation::update(book, before, after)], json!({"moved": true}))
        }
        Request::Delete => (vec![Mutation::delete(author, read(author, "old").await?)], Value::Null),
        Request::Cascade(id) => (vec![Mutation::delete(series, read(series, id).await?)], Value::Null),
        Request::Increment(id) => {
            let before = read(author, id).await?;
            let tally = before.fields["tally"].as_i64().unwrap_or(0) + 1;
            let after = store.record(id, json!({"tally": tally}));
            (vec![Mutation::update(author, before, after)], json!({"tally": tally}))
        }
        Request::Book(id, series) => {
            let record = store.record(id, json!({"title": id, "series_id": series}));
            (vec![Mutation::create(book, record)], json!({"id": id}))
        }
        Request::Bulk => {
            let child = store.record(&format!("{id}-1"), json!({"title": "t", "author_id": id}));
            let parent = store.record(&id, json!({"email": "new@example.org", "tally": 0}));
            (vec![Mutation::create(book, child), Mutation::create(author, parent)], json!({"id": id}))
        }
    })
}
