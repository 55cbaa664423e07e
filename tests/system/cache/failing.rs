//! A cache that is down, slow, full of rubbish or out of date slows nothing down for long and breaks nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast::cache::{CacheSettings, Event};
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::store::double::{Double, FoundItems, Intercept, Keys};
use holdfast::store::table::{Attr, Item, Returning, SharedTable, TableError, TableName, Write};
use holdfast_tests::crash::{End, crashing};
use serde_json::json;

use super::{Caller, Instance, World, patient};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    timestamps: false
    fields:
      title: {type: string, max: 5000}
  page:
    id: string
    cache: {bounded: 5s}
    timestamps: false
    fields:
      text: {type: string, max: 50}
roles:
  admin: {all: true, system: all}
";

pub(super) fn root() -> Caller {
    Caller::new("root", &["admin"])
}

pub(super) async fn filled() -> World {
    let world = World::new(MODEL).await;
    let instance = world.instance();
    for id in ["a", "b"] {
        instance.done(&root(), "POST books", &json!({"id": id, "title": id})).await;
        instance.done(&root(), "POST pages", &json!({"id": id, "text": id})).await;
    }
    world
}

/// A clock that a test sets forward.
#[derive(Default)]
struct Set(AtomicI64);

impl Set {
    fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> Micros {
        Micros(Env::system().now().0 + self.0.load(Ordering::SeqCst))
    }
}

fn with_clock(world: &World, table: &SharedTable, settings: CacheSettings) -> (Instance, Arc<Set>) {
    let clock = Arc::new(Set::default());
    let env = Env { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Env::system() };
    (world.instance_over(table, env, settings), clock)
}

/// A volatile table that does not answer, or refuses, while it is down.
#[derive(Default)]
struct Down {
    refuses: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicU64,
}

impl Intercept for Down {
    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        async move {
            if keys.iter().any(|(table, _)| *table == TableName::Volatile) {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if self.refuses.load(Ordering::SeqCst) {
                    return Err(TableError::Busy("throttled".to_owned()));
                }
                if self.hangs.load(Ordering::SeqCst) {
                    return std::future::pending().await;
                }
            }
            table.get(keys, consistent).await
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        if name == TableName::Volatile && self.refuses.load(Ordering::SeqCst) {
            return async { Err(TableError::Broken("no such table".to_owned())) }.boxed();
        }
        table.write(name, write, returning)
    }
}

#[tokio::test]
async fn a_cache_that_is_down_is_a_miss_and_is_left_alone_for_a_moment() {
    let world = filled().await;
    let down = Arc::new(Down::default());
    let table: SharedTable = Arc::new(Double::<Down>::new(Arc::clone(&world.direct), Arc::clone(&down)));
    let settings = CacheSettings { timeout: Duration::from_millis(50), ..patient() };
    let (instance, clock) = with_clock(&world, &table, settings);
    let expected = instance.get_fresh(&root(), "books").await.content();
    for broken in [&down.refuses, &down.hangs] {
        broken.store(true, Ordering::SeqCst);
        let asked = down.asked.load(Ordering::SeqCst);
        for _ in 0..3 {
            let seen = instance.get(&root(), "books").await;
            assert_eq!((seen.cache(), seen.content()), ("fwd=miss", expected.clone()));
        }
        assert_eq!(down.asked.load(Ordering::SeqCst), asked + 1, "it is asked once and then left alone");
        broken.store(false, Ordering::SeqCst);
        clock.forward(Duration::from_secs(2));
    }
    assert_eq!(instance.app.cache.counters.of(Event::Failure), 6);
    // On a loaded machine a look may take longer than this test's patience.
    let mut said = String::new();
    for _ in 0..50 {
        clock.forward(Duration::from_secs(2));
        said = instance.get(&root(), "books").await.cache().to_owned();
        if said == "hit" {
            break;
        }
    }
    assert_eq!(said, "hit", "it comes back by itself");
}

#[tokio::test]
async fn entries_that_cannot_be_stored_fail_nobody() {
    let world = filled().await;
    let down = Arc::new(Down::default());
    let table: SharedTable = Arc::new(Double::<Down>::new(Arc::clone(&world.direct), Arc::clone(&down)));
    let (instance, _) = with_clock(&world, &table, patient());
    down.hangs.store(false, Ordering::SeqCst);
    let first = instance.get(&root(), "books").await;
    down.refuses.store(true, Ordering::SeqCst);
    instance.idle().await;
    assert_eq!((first.status, instance.get(&root(), "books?limit=1").await.status), (200, 200));
}

async fn entries(world: &World) -> Vec<Item> {
    let (items, _) = world.direct.scan(TableName::Volatile, None, (0, 1)).await.unwrap();
    items.into_iter().filter(|item| item.key.pk.starts_with("z#")).collect()
}

#[tokio::test]
async fn rubbish_in_an_entry_is_a_miss() {
    let world = filled().await;
    let instance = world.instance();
    let addresses = ["books", "books?limit=1&count=true"];
    for address in addresses {
        assert_eq!(instance.get(&root(), address).await.cache(), "fwd=miss; stored");
    }
    instance.idle().await;
    let good = entries(&world).await;
    assert_eq!(good.len(), 2);
    let mut spoilt: Vec<Vec<Item>> = Vec::new();
    // Each attribute missing, of another type, or with other content.
    let names: BTreeSet<&String> = good.iter().flat_map(|item| item.attrs.keys()).collect();
    for name in names {
        let mut missing = good.clone();
        missing.iter_mut().for_each(|item| drop(item.attrs.remove(name)));
        let mut typed = good.clone();
        typed.iter_mut().for_each(|item| drop(item.attrs.insert((*name).clone(), Attr::Bool(true))));
        let mut changed = good.clone();
        changed.iter_mut().for_each(|item| match item.attrs.get_mut(name) {
            Some(Attr::B(bytes)) => bytes.reverse(),
            Some(Attr::S(text)) => text.push('x'),
            Some(Attr::N(number)) => *number += 1,
            _ => {}
        });
        spoilt.extend([missing, typed, changed]);
    }
    // Each at the other's place; and what another version of the code may have put there.
    spoilt.push(vec![Item { key: good[0].key.clone(), ..good[1].clone() }, Item { key: good[1].key.clone(), ..good[0].clone() }]);
    spoilt.push(good.iter().map(|item| Item::new(item.key.clone()).with("form", Attr::N(7))).collect());
    let expected =
        [world.instance().get_fresh(&root(), addresses[0]).await, world.instance().get_fresh(&root(), addresses[1]).await];
    for items in spoilt {
        let shown = format!("{:?}", items[0].attrs);
        let writes = items.into_iter().map(|item| (TableName::Volatile, Write::Put { item, condition: None }));
        world.direct.write_batch(writes.collect()).await.unwrap();
        let new = world.instance();
        for (address, expected) in addresses.iter().zip(&expected) {
            let seen = new.get(&root(), address).await;
            // What only says when it was made can be lost without harm.
            assert_eq!(seen.content(), expected.content(), "{shown}");
        }
        new.idle().await;
        let writes = good.iter().map(|item| (TableName::Volatile, Write::Put { item: item.clone(), condition: None }));
        world.direct.write_batch(writes.collect()).await.unwrap();
    }
    assert_eq!(world.instance().get(&root(), "books").await.cache(), "hit", "what is whole is used");
}

#[tokio::test]
async fn an_entry_past_its_time_is_not_used_though_the_table_still_has_it() {
    let world = filled().await;
    let (instance, clock) = with_clock(&world, &world.direct, patient());
    instance.get(&root(), "books").await;
    instance.idle().await;
    clock.forward(CacheSettings::default().ttl + Duration::from_secs(1));
    assert_eq!(entries(&world).await.len(), 1);
    assert_eq!(instance.get(&root(), "books").await.cache(), "fwd=miss; stored", "not from memory");
    instance.idle().await;
    let (other, clock) = with_clock(&world, &world.direct, patient());
    clock.forward(3 * CacheSettings::default().ttl);
    assert_eq!(other.get(&root(), "books").await.cache(), "fwd=miss; stored", "not from the table");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_served_and_not_kept() {
    let world = filled().await;
    let instance = world.instance();
    // Does not pack: random letters.
    let mut rng = holdfast_tests::rng::Rng::new(5);
    for number in 0..100 {
        let title: String = (0..5000).map(|_| char::from(b'0' + u8::try_from(rng.below(75)).unwrap())).collect();
        instance.done(&root(), "POST books", &json!({"id": format!("n{number:03}"), "title": title})).await;
    }
    for _ in 0..2 {
        let seen = instance.get(&root(), "books?limit=100").await;
        assert_eq!((seen.status, seen.cache()), (200, "fwd=miss"));
    }
    instance.idle().await;
    assert_eq!(entries(&world).await, []);
    assert_eq!(instance.app.cache.counters.of(Event::TooLarge), 2);
}

#[tokio::test]
async fn bounded_answers_need_no_call_within_their_bound_and_are_checked_after_it() {
    let world = filled().await;
    let (instance, clock) = with_clock(&world, &world.direct, patient());
    let writer = world.instance();
    instance.get(&root(), "pages").await;
    writer.done(&root(), "PATCH pages/a", &json!({"text": "new"})).await;
    let (seen, usage) = holdfast::store::meter::measured(instance.get(&root(), "pages")).await;
    // The one call asks whether a caller whom no plan limits may still call.
    assert_eq!((seen.cache(), usage.total_calls(), seen.text().contains("new")), ("hit", 1, false));
    clock.forward(Duration::from_secs(5));
    let seen = instance.get(&root(), "pages").await;
    assert_eq!((seen.cache(), seen.text().contains("new")), ("fwd=miss; stored", true));
    assert_eq!(instance.app.cache.counters.of(Event::HitUnchecked), 1);
    // A purge on this instance counts at once.
    instance.done(&root(), "POST _cache/purge", &json!({"entity": "page"})).await;
    assert_eq!(instance.get(&root(), "pages").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn what_a_dead_writer_left_keeps_the_cache_out_until_somebody_settles_it() {
    let world = filled().await;
    let (instance, clock) = with_clock(&world, &world.direct, patient());
    instance.get(&root(), "books").await;
    // The writer ends with its transaction: it does not come to removing its elements.
    for call in 1.. {
        let crashing = crashing(Arc::clone(&world.direct), call, End::After);
        let dying: SharedTable = Arc::clone(&crashing) as SharedTable;
        let writer = world.instance_over(&dying, Env::system(), patient());
        let body = json!({"title": format!("by {call}")});
        let done = crashing.until_end(writer.call(&root(), "PATCH books/a", &[], &body)).await;
        assert!(done.is_none(), "no call was the transaction");
        if world.instance().get_fresh(&root(), "books").await.text().contains("by ") {
            break;
        }
    }
    for _ in 0..2 {
        let seen = instance.get(&root(), "books").await;
        assert_eq!((seen.cache(), seen.text().contains("by ")), ("fwd=miss", true));
    }
    assert_eq!(instance.app.cache.counters.of(Event::Unsettled), 2);
    clock.forward(Duration::from_secs(3));
    assert_eq!(instance.get(&root(), "books").await.cache(), "fwd=miss");
    instance.idle().await;
    assert_eq!(instance.get(&root(), "books").await.cache(), "fwd=miss; stored", "the reader before has settled it");
    assert_eq!(instance.get(&root(), "books").await.cache(), "hit");
}

#[tokio::test]
async fn a_sampled_hit_that_is_wrong_is_noticed_and_not_served() {
    let world = filled().await;
    let (instance, _) = with_clock(&world, &world.direct, CacheSettings { sample: 1_000_000, ..patient() });
    instance.get(&root(), "books").await;
    assert_eq!(instance.get(&root(), "books").await.cache(), "hit");
    assert_eq!(instance.app.cache.counters.of(Event::SampleSame), 1);
    // Somebody changes a row past every writer.
    let (items, _) = world.direct.scan(TableName::Data, None, (0, 1)).await.unwrap();
    let mut row = items.into_iter().find(|item| item.key.pk == "i#book#id").unwrap();
    row.attrs.insert("d".to_owned(), Attr::S("{\"title\":\"forged\"}".to_owned()));
    world.direct.write_batch(vec![(TableName::Data, Write::Put { item: row, condition: None })]).await.unwrap();
    let seen = instance.get(&root(), "books").await;
    assert!(seen.text().contains("forged"));
    assert_eq!(instance.app.cache.counters.of(Event::SampleStale), 1);
    assert_eq!(instance.get(&root(), "books").await.cache(), "fwd=miss; stored", "and forgotten");
}
