//! Flushing, merging and reading on an embedded DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use super::merge::merge;
use super::read::{series, totals};
use super::*;
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::Env;
use crate::identity::auth::tests::support::{NOW, Seeded, Set};
use crate::store::double::{Double, Fail, TableCall};
use crate::store::keys;
use crate::store::table::*;

struct World {
    _db: Embedded,
    table: SharedTable,
    clock: Arc<Set>,
    env: Env,
}

impl World {
    async fn new() -> Self {
        let db = Embedded::start().await;
        let clock = Arc::new(Set::at(NOW));
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(11)) };
        Self { table: Arc::new(db.table.clone()), _db: db, clock, env }
    }

    fn instance(&self) -> Usage {
        Usage::new(self.table.clone(), self.env.clone())
    }

    async fn merge(&self) -> merge::Merged {
        merge(&*self.table, &self.env, self.env.now().seconds() + 60).await.unwrap()
    }

    /// Requests in the series of a level, and since ever.
    async fn requests(&self, level: Level, consumer: Option<&str>) -> u64 {
        let day = Level::Day.start(NOW);
        let sheets = series(&*self.table, &self.env, level, consumer, (day, day + 2 * 86_400)).await.unwrap();
        sheets.values().map(UsageCounts::requests).sum()
    }

    async fn everywhere(&self, consumer: Option<&str>) -> [u64; 3] {
        let mut found = [0; 3];
        for (at, level) in Level::ALL.into_iter().enumerate() {
            found[at] = self.requests(level, consumer).await;
        }
        found
    }

    async fn ever(&self) -> u64 {
        let total = totals(&*self.table, &self.env).await.unwrap();
        total.cells.iter().filter(|((consumer, ..), _)| consumer.is_empty()).map(|(_, numbers)| numbers.requests).sum()
    }
}

fn by(consumer: &str, status: u16) -> Finished {
    Finished {
        consumer: consumer.into(),
        route: "GET /v1/books".into(),
        status,
        duration: Duration::from_millis(12),
        read_units: 0.5,
        ..Finished::default()
    }
}

#[tokio::test]
async fn what_is_flushed_is_read_at_once_and_the_same_after_it_was_merged() {
    let world = World::new().await;
    let (one, two) = (world.instance(), world.instance());
    for n in 0..30 {
        one.count(by("a", 200));
        two.count(by(if n % 3 == 0 { "b" } else { "a" }, if n % 10 == 0 { 429 } else { 200 }));
        world.clock.advance(7);
    }
    one.flush().await.unwrap();
    two.flush().await.unwrap();
    let unmerged = (world.everywhere(None).await, world.everywhere(Some("b")).await, world.ever().await);
    assert_eq!(unmerged, ([60; 3], [10; 3], 60));
    let merged = world.merge().await;
    assert_eq!(merged.added.values().map(UsageCounts::requests).sum::<u64>(), 60);
    assert_eq!((world.everywhere(None).await, world.everywhere(Some("b")).await, world.ever().await), unmerged);
    assert_eq!(world.merge().await, merge::Merged::default(), "nothing is left");
    let hours = series(&*world.table, &world.env, Level::Hour, Some("b"), (NOW, NOW + 3_600)).await.unwrap();
    let total = hours[&NOW].total();
    assert_eq!((total.denied, total.errors, total.units()), (1, 0, 5.0));
    assert!((total.latency.quantile(0.5).unwrap() - 12.0).abs() < 0.12);
}

#[tokio::test]
async fn a_flush_that_comes_again_after_it_was_merged_is_not_counted_again() {
    let world = World::new().await;
    let usage = world.instance();
    usage.count(by("a", 200));
    usage.flush().await.unwrap();
    let waiting = world.table.query(flush_partition(&usage)).await.unwrap().items;
    world.merge().await;
    // The same Put, delayed in the network.
    for item in &waiting {
        let write = Write::Put { item: item.clone(), condition: None };
        world.table.write(TableName::Volatile, write, Returning::Nothing).await.unwrap();
    }
    assert_eq!((waiting.len(), world.everywhere(Some("a")).await, world.ever().await), (1, [1; 3], 1));
    assert_eq!(world.merge().await.flushes, 0);
    assert_eq!((world.everywhere(None).await, world.ever().await), ([1; 3], 1));
    assert!(world.table.query(flush_partition(&usage)).await.unwrap().items.is_empty(), "and it is gone");
}

fn flush_partition(usage: &Usage) -> RangeQuery {
    RangeQuery::partition(TableName::Volatile, keys::usage_flushes(usage.instance()[0] % keys::USAGE_SHARDS))
}

#[tokio::test]
async fn reporters_that_overlap_add_everything_once() {
    let world = World::new().await;
    let instances: Vec<Usage> = (0..12).map(|_| world.instance()).collect();
    for round in 0..8 {
        for (n, usage) in instances.iter().enumerate() {
            usage.count(by(&format!("c{}", (n + round) % 5), 200));
            usage.flush().await.unwrap();
        }
        world.clock.advance(45);
    }
    let runs = (0..4).map(|_| world.merge());
    let merged = futures::future::join_all(runs).await;
    // One may have given way to the others: the next tick does the rest.
    let rest = world.merge().await;
    let added: u64 = merged.iter().chain([&rest]).flat_map(|one| one.added.values()).map(UsageCounts::requests).sum();
    assert_eq!((added, world.everywhere(None).await, world.ever().await), (96, [96; 3], 96));
    let by_consumer: u64 =
        futures::future::join_all((0..5).map(|n| world.requests(Level::Day, Some(["c0", "c1", "c2", "c3", "c4"][n]))))
            .await
            .iter()
            .sum();
    assert_eq!(by_consumer, 96);
}

#[tokio::test]
async fn reading_while_merging_never_shows_less_than_before() {
    let world = World::new().await;
    let usage = world.instance();
    let mut sent = 0;
    for _ in 0..6 {
        for _ in 0..5 {
            usage.count(by("a", 200));
            sent += 1;
        }
        usage.flush().await.unwrap();
        let (_, seen, ever) = futures::join!(world.merge(), world.requests(Level::Minute, None), world.ever());
        assert_eq!((seen, ever), (sent, sent));
        world.clock.advance(20);
    }
}

#[tokio::test]
async fn many_consumers_are_merged_in_several_transactions() {
    let world = World::new().await;
    let usage = world.instance();
    for n in 0..120 {
        usage.count(by(&format!("c{n}"), 200));
    }
    usage.flush().await.unwrap();
    let merged = world.merge().await;
    assert!(merged.transactions >= 5, "{}", merged.transactions);
    assert_eq!((world.everywhere(None).await, world.everywhere(Some("c77")).await, world.ever().await), ([120; 3], [1; 3], 120));
}

/// An intercept that loses answers to writes.
fn losing() -> Fail {
    Fail::after(&[TableCall::Write, TableCall::Transact], TableError::Unknown("the answer is lost".into()))
}

#[tokio::test]
async fn a_flush_that_fails_is_repeated_and_one_whose_answer_is_lost_counts_once() {
    let world = World::new().await;
    let losing = Arc::new(Double::new(world.table.clone(), losing().times(0)));
    let down = Fail::before(&[TableCall::Write], TableError::Busy("down".into()));
    let flaky = Arc::new(Double::new(losing.clone(), down));
    let usage = Usage::new(flaky.clone(), world.env.clone());
    usage.count(by("a", 200));
    assert!(usage.flush().await.is_err());
    assert_eq!(world.ever().await, 0);
    flaky.next(0);
    losing.next(2);
    usage.count(by("a", 200));
    usage.flush().await.unwrap();
    world.merge().await;
    assert_eq!((world.everywhere(Some("a")).await, world.ever().await), ([2; 3], 2));
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_not_made_twice() {
    let world = World::new().await;
    let flaky = Double::new(world.table.clone(), losing().times(1));
    let usage = world.instance();
    usage.count(by("a", 200));
    usage.flush().await.unwrap();
    assert!(merge(&flaky, &world.env, world.env.now().seconds() + 60).await.is_err());
    assert_eq!(merge(&flaky, &world.env, world.env.now().seconds() + 60).await.unwrap().flushes, 0);
    assert_eq!((world.everywhere(None).await, world.ever().await), ([1; 3], 1));
}

/// An instance that is killed never calls anything again.
#[tokio::test]
async fn a_killed_instance_loses_no_more_than_it_had_not_flushed() {
    let world = World::new().await;
    let usage = world.instance();
    for second in 0..20 {
        usage.count(by("a", 200));
        usage.flush_beside();
        // The flush is a task of its own; on one thread it runs when the test waits.
        while usage.is_flushing() {
            tokio::task::yield_now().await;
        }
        if second < 19 {
            world.clock.advance(1);
        }
    }
    drop(usage);
    let kept = world.requests(Level::Minute, Some("a")).await;
    assert!((20 - counter::EVERY.as_secs() - 1..20).contains(&kept), "{kept} of 20");
}

#[tokio::test]
async fn what_is_older_than_its_level_is_kept_is_not_shown() {
    let world = World::new().await;
    let usage = world.instance();
    usage.count(by("a", 200));
    usage.flush().await.unwrap();
    world.merge().await;
    world.clock.advance(Level::Minute.kept() + 3_600);
    assert_eq!(world.everywhere(None).await, [0, 1, 1]);
    world.clock.advance(Level::Hour.kept());
    assert_eq!(world.everywhere(None).await, [0, 0, 1]);
}

#[test]
fn a_sheet_of_all_is_folded_without_losing_a_request() {
    let mut sheet = UsageCounts::default();
    for n in 0..400u32 {
        for _ in 0..=n / 40 {
            sheet.add(by(&format!("c{n:03}"), 200));
        }
    }
    let before = sheet.total();
    sheet.fold(100);
    assert!(sheet.cells.len() <= 100, "{}", sheet.cells.len());
    assert_eq!(
        (sheet.total().requests, sheet.consumers().contains("c399"), sheet.consumers().contains("c000")),
        (before.requests, true, false)
    );
    assert!(sheet.consumers().contains(OTHERS) && sheet.folded.contains("c000"));
}

/// A consumer that calls steadily for three weeks and then ten times as much is found, by what the rollups hold.
#[tokio::test]
async fn an_odd_hour_is_found_in_the_rollups() {
    let world = World::new().await;
    let hour = Level::Hour.start(NOW) - 3_600;
    for back in [7 * 86_400, 14 * 86_400, 21 * 86_400, 0] {
        for consumer in ["even", "odd", "gone"] {
            let requests = match (consumer, back) {
                ("odd", 0) => 900,
                ("gone", 0) => 0,
                _ => 80,
            };
            let mut sheet = UsageCounts::default();
            for n in 0..requests {
                sheet.add(Finished { fingerprint: n, ..by(consumer, 200) });
            }
            for (level, of) in [(Level::Hour, None), (Level::Hour, Some(consumer)), (Level::Day, Some(consumer))] {
                let key = keys::usage_rollup(level.letter(), of, level.start(hour - back));
                let before = world.table.get(&[(TableName::Volatile, key.clone())], true).await.unwrap().remove(0);
                let mut all = before.and_then(|item| pack::sheet(&item, 0)).unwrap_or_default();
                all.merge(&sheet);
                let write = Write::Put { item: pack::item(key, &all, None), condition: None };
                world.table.write(TableName::Volatile, write, Returning::Nothing).await.unwrap();
            }
        }
    }
    world.clock.advance(600);
    assert_eq!(watch::due(&*world.table, world.env.now()).await.unwrap(), Some(hour));
    let found = watch::find_anomalies(&*world.table, &world.env, hour).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| (one.consumer.as_str(), one.anomaly.sign)).collect();
    assert_eq!(found, [("gone", anomaly::Sign::Silence), ("odd", anomaly::Sign::Spike)]);
    watch::done(&*world.table, hour).await.unwrap();
    assert_eq!(watch::due(&*world.table, world.env.now()).await.unwrap(), None);
}
