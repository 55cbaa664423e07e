//! What hits, misses, writes and purges cost, in calls and in waits.

use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast::core::clock::Env;
use holdfast::store::double::{Double, Intercept};
use holdfast::store::meter::{Consumed, Kind, measured};
use holdfast::store::table::{Item, Key, Returning, SharedTable, TableError, TableName, Write};
use holdfast_tests::waits::Waits;
use serde_json::json;

use super::{Caller, Instance, World, patient};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    fields:
      name: {type: string, max: 50, required: true}
      country: {type: string, max: 2, filter: scan}
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
    indexes:
      by_title: {sort: title}
  note:
    id: string
    cache: off
    fields:
      text: {type: string, max: 50}
      book: {ref: book, on_delete: set_null, inverse: notes}
roles:
  admin: {all: true, system: all}
  german: {entities: {book: {view: {rows: {author.country: DE}}}}}
";

/// Entries are stored while nobody waits, so that goes past the counter.
struct Unseen(SharedTable);

impl Intercept for Unseen {
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        if name == TableName::Volatile { self.0.write(name, write, returning) } else { table.write(name, write, returning) }
    }
}

fn admin() -> Caller {
    Caller::new("root", &["admin"])
}

async fn filled() -> World {
    let world = World::new(MODEL).await;
    let (instance, admin) = (world.instance(), admin());
    for (id, country) in [("ann", "DE"), ("bob", "FR")] {
        instance.done(&admin, "POST authors", &json!({"id": id, "name": id, "country": country})).await;
    }
    for number in 0..4 {
        let author = if number % 2 == 0 { "ann" } else { "bob" };
        let book = json!({"id": format!("b{number}"), "title": format!("title {number}"), "author_id": author});
        instance.done(&admin, "POST books", &book).await;
    }
    world
}

/// An instance that counts, with its counter.
fn counting(world: &World) -> (Instance, Arc<Double<Waits>>) {
    let waits = Arc::new(Double::new(Arc::clone(&world.direct), Waits::default()));
    let counted: SharedTable = Arc::clone(&waits) as SharedTable;
    let table: SharedTable = Arc::new(Double::new(counted, Unseen(Arc::clone(&world.direct))));
    (world.instance_over(&table, Env::system(), patient()), waits)
}

/// What the cache says, the waits and the calls of one read.
async fn cost(instance: &Instance, waits: &Double<Waits>, caller: &Caller, address: &str) -> (String, u32, Consumed) {
    waits.take();
    let (seen, usage) = measured(instance.get(caller, address)).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    let cost = (seen.cache().to_owned(), waits.take(), usage);
    instance.idle().await;
    cost
}

#[tokio::test]
async fn a_hit_costs_one_wait_on_a_warm_and_on_a_new_instance() {
    let world = filled().await;
    let german = Caller::new("g", &["german"]);
    for (caller, address) in [
        (admin(), "books?sort=title"),
        (admin(), "books?include=author&limit=2"),
        (admin(), "authors?include=books"),
        (german, "books"),
        (admin(), "books/b1?include=author"),
    ] {
        let (first, waits) = counting(&world);
        let (said, ..) = cost(&first, &waits, &caller, address).await;
        assert_eq!(said, "fwd=miss; stored", "{address}");

        let (said, waited, usage) = cost(&first, &waits, &caller, address).await;
        // Beside it, at the same time: whether a caller whom no plan limits may still call (ADR 15).
        assert_eq!((said.as_str(), waited, usage.total_calls(), usage.of(Kind::BatchGet)), ("hit", 1, 2, 1), "{address} warm");

        let (second, waits) = counting(&world);
        let (said, waited, usage) = cost(&second, &waits, &caller, address).await;
        assert_eq!((said.as_str(), waited), ("hit", 1), "{address} new");
        // Beside it, once for an instance: states of indexes, and for lists the secret of cursors.
        assert!(usage.total_calls() <= 4, "{usage:?}");
        let (said, waited, usage) = cost(&second, &waits, &caller, address).await;
        assert_eq!((said.as_str(), waited, usage.total_calls()), ("hit", 1, 2), "{address} warm from the table");
    }
}

#[tokio::test]
async fn a_list_that_is_not_cached_costs_two_waits() {
    let world = filled().await;
    let (instance, waits) = counting(&world);
    cost(&instance, &waits, &admin(), "books").await;
    for (address, expected) in [("books?limit=3", 2), ("books?limit=2&include=author", 3)] {
        let (said, waited, _) = cost(&instance, &waits, &admin(), address).await;
        assert_eq!((said.as_str(), waited), ("fwd=miss; stored", expected), "{address}");
    }
    // Past the cache it is what it would be without one.
    let fresh = instance.call(&admin(), "GET books?limit=3", &[("cache-control", "max-age=0, No-Cache")], &json!(null)).await;
    assert_eq!(fresh.cache(), "fwd=bypass");
}

#[tokio::test]
async fn a_record_by_id_stays_one_wait_and_says_nothing_of_the_cache() {
    let world = filled().await;
    let (instance, waits) = counting(&world);
    for _ in 0..2 {
        let (said, waited, usage) = cost(&instance, &waits, &admin(), "books/b1").await;
        assert_eq!((said.as_str(), waited, usage.total_calls()), ("", 1, 2), "the record, and whether the caller may call");
    }
}

#[tokio::test]
async fn what_the_model_keeps_out_of_the_cache_is_never_in_it() {
    let world = filled().await;
    let instance = world.instance();
    for address in ["notes", "notes", "books?include=notes", "books?include=notes", "books/b1?include=notes"] {
        assert_eq!(instance.get(&admin(), address).await.cache(), "fwd=bypass", "{address}");
    }
    instance.idle().await;
    assert_eq!(entries(&world).await, 0);
}

/// Entries in the table.
async fn entries(world: &World) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let (items, next) = world.direct.scan(TableName::Volatile, after, (0, 1)).await.unwrap();
        count += items.iter().filter(|item| item.key.pk.starts_with("z#")).count();
        after = next;
        if after.is_none() {
            return count;
        }
    }
}

#[tokio::test]
async fn writes_and_purges_cost_the_same_with_ten_and_with_ten_thousand_entries() {
    let world = filled().await;
    // With a clock that stands still, so that the states of indexes are read once.
    let env = Env::still(Env::system().now());
    let (instance, admin) = (world.instance_over(&world.direct, env, patient()), admin());
    instance.done(&admin, "PATCH books/b1", &json!({"title": "moved by nobody"})).await;
    let mut costs = Vec::new();
    for wanted in [10_usize, 10_000] {
        // Real entries, and as many more as are wanted, made of one of them.
        for limit in 1..=5 {
            instance.get(&admin, &format!("books?limit={limit}")).await;
            instance.get(&admin, &format!("books?limit={limit}&include=author")).await;
        }
        instance.idle().await;
        let (items, _) = world.direct.scan(TableName::Volatile, None, (0, 1)).await.unwrap();
        let one = items.into_iter().find(|item| item.key.pk.starts_with("z#")).unwrap();
        let copies = (entries(&world).await..wanted).map(|number| {
            let item = Item { key: Key::new(format!("z#copy{number}"), one.key.sk.clone()), ..one.clone() };
            (TableName::Volatile, Write::Put { item, condition: None })
        });
        world.direct.write_batch(copies.collect()).await.unwrap();
        assert!(entries(&world).await >= wanted);
        let patch = json!({"title": format!("moved by {wanted:05}")});
        let (_, write) = measured(instance.done(&admin, "PATCH books/b1", &patch)).await;
        let mut cost = vec![write];
        for target in [json!({"entity": "book", "id": "b1"}), json!({"entity": "author"}), json!({"all": true})] {
            cost.push(measured(instance.done(&admin, "POST _cache/purge", &target)).await.1);
        }
        costs.push(cost);
        assert_eq!(instance.get(&admin, "books?limit=1").await.cache(), "fwd=miss; stored");
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(
        costs[0][3].total_calls(),
        4,
        "a purge of all is announced, commits and is settled, behind a look at whether the caller may call"
    );
}
