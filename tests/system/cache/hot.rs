//! A tag that is written all the time: readers go past the cache and are told so, writers only count, and both come back in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::store::fence::Element;
use holdfast::store::heat::{self, Heat};
use holdfast::store::table::{Item, Returning, TableName, Write};
use holdfast::store::tags;
use serde_json::{Value, json};

use super::{Caller, Instance, World, patient};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    fields: {n: integer}
roles:
  admin: {all: true}
";

/// A clock that a test sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

impl Set {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

struct Hot {
    world: World,
    env: Env,
    clock: Arc<Set>,
    root: Caller,
    instance: Instance,
}

impl Hot {
    async fn begin() -> Self {
        let (world, system) = (World::new(MODEL).await, Env::system());
        let clock = Arc::new(Set(AtomicI64::new(system.now().0)));
        let env = Env { clock: clock.clone(), random: system.random };
        let instance = world.instance_over(&world.direct, env.clone(), patient());
        let root = Caller::new("root", &["admin"]);
        instance.done(&root, "POST books", &json!({"id": "b", "n": 0})).await;
        Self { world, env, clock, root, instance }
    }

    async fn write(&self, write: Write) -> Item {
        self.world.direct.write(TableName::Data, write, Returning::New).await.unwrap().unwrap()
    }

    /// More writers at a time than a tag has room for.
    async fn crowd(&self) {
        let tag = tags::of_entity(self.world.model.by_name("book").unwrap()).remove(0);
        for _ in 0..=heat::MAX_ELEMENTS {
            self.write(tags::announce(&tag, &Element::new(&self.env))).await;
        }
        // The next writer sees it.
        self.put(1).await;
    }

    async fn put(&self, n: i64) {
        self.instance.done(&self.root, "PUT books/b", &json!({"n": n})).await;
    }

    /// The list's number, and what the cache says of it.
    async fn list(&self) -> (Value, String) {
        let seen = self.instance.get(&self.root, "books").await;
        self.instance.idle().await;
        (seen.json()["data"][0]["n"].clone(), seen.cache().to_owned())
    }

    async fn tag(&self) -> Item {
        let tag = tags::of_entity(self.world.model.by_name("book").unwrap()).remove(0);
        self.world.direct.get(&[(TableName::Data, tag)], true).await.unwrap().remove(0).unwrap()
    }
}

#[tokio::test]
async fn what_is_written_all_the_time_is_read_past_the_cache_until_it_has_cooled() {
    let hot = Hot::begin().await;
    assert_eq!(hot.list().await.1, "fwd=miss; stored");
    assert_eq!(hot.list().await.1, "hit");
    hot.crowd().await;
    assert_eq!(heat::of(&hot.tag().await, hot.env.now()), Heat::Hot);
    // Everything that was announced is over; only the mark is left.
    hot.clock.pass(Duration::from_secs(5));
    hot.list().await;
    assert_eq!(tags::unsettled(&hot.tag().await), [""; 0]);
    for n in 2..5 {
        hot.put(n).await;
        assert_eq!(tags::unsettled(&hot.tag().await), [""; 0]);
        assert_eq!(hot.list().await, (json!(n), "fwd=bypass; detail=hot".to_owned()));
    }
    // Nobody writes any more. A reader sees it first, and does not trust the tag before every write that only counted is over.
    hot.clock.pass(heat::WINDOW);
    hot.list().await;
    assert_eq!(heat::of(&hot.tag().await, hot.env.now()), Heat::Cooling);
    hot.clock.pass(heat::SETTLED - Duration::from_secs(1));
    assert_eq!(hot.list().await, (json!(4), "fwd=bypass; detail=hot".to_owned()));
    hot.clock.pass(Duration::from_secs(1));
    assert_eq!(hot.list().await.1, "fwd=miss; stored");
    hot.put(5).await;
    assert_eq!(hot.list().await, (json!(5), "fwd=miss; stored".to_owned()));
    assert_eq!(hot.list().await, (json!(5), "hit".to_owned()));
}
