//! Leases on the embedded store: what was debited is used once, and what is left over of one is not lost to the next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::core::clock::{Env, Micros};
use holdfast::limit::{Admission, Call, LimitSubject, Limiter, LimiterSettings, Overrides, ResolvedPlan, Source};
use holdfast::model::{Cost, Operation, Quota, Rate, RatePlan, Window};
use holdfast::store::double::{Double, Intercept};
use holdfast::store::keys;
use holdfast::store::table::{Item, Returning, SharedTable, TableError, TableName, Write};
use holdfast_local::embedded::Dynamo;
use tokio::sync::Semaphore;

/// 2027-03-31T12:00:00Z.
const START: Micros = Micros(1_806_494_400_000_000);
/// Requests a second that make a consumer hot.
const HOT: u64 = 5;

/// What happens to a write.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// It waits until it may go on; then its answer may get lost.
    Waits {
        lost: bool,
    },
    /// Nothing reaches the store.
    Shut,
}

/// Where all writes go through.
struct Door {
    way: Mutex<Way>,
    arrived: Semaphore,
    goes_on: Semaphore,
}

impl Door {
    fn be(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

impl Intercept for Door {
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        let way = *self.way.lock().unwrap();
        Box::pin(async move {
            match way {
                Way::Open => table.write(name, write, returning).await,
                Way::Shut => Err(TableError::Broken("shut".into())),
                Way::Waits { lost } => {
                    self.arrived.add_permits(1);
                    self.goes_on.acquire().await.unwrap().forget();
                    let answer = table.write(name, write, returning).await;
                    if lost { Err(TableError::Unknown("lost".into())) } else { answer }
                }
            }
        })
    }
}

/// One instance on a store, and what it was given.
struct World {
    limiter: Arc<Limiter>,
    door: Arc<Door>,
    direct: SharedTable,
    subject: LimitSubject,
    _dynamo: Dynamo,
}

impl World {
    /// With a rate that nothing here exhausts and one that only creations meet; a list costs three units, all else one.
    async fn start() -> Self {
        let dynamo = Dynamo::in_memory().await.unwrap();
        let table = super::store::table(&dynamo.endpoint);
        table.create_tables().await.unwrap();
        let direct: SharedTable = Arc::new(table);
        let door = Arc::new(Door { way: Mutex::new(Way::Open), arrived: Semaphore::new(0), goes_on: Semaphore::new(0) });
        let table = Arc::new(Double::<Door>::new(Arc::clone(&direct), Arc::clone(&door)));
        let limiter = Arc::new(Limiter::new(table, Env::still(Micros(0)), LimiterSettings { hot: Some(HOT) }));
        let rate = |name: &str, only| Rate { name: name.into(), rate: 1_000, per: Duration::from_secs(1), burst: 2_000, only };
        let plan = RatePlan {
            name: "p".into(),
            description: None,
            rates: vec![rate("all", vec![]), rate("changes", vec![(None, Some(Operation::Create))])],
            quotas: vec![Quota { name: "day".into(), limit: 100_000, window: Window::Day }],
            costs: vec![Cost { entity: None, operation: Some(Operation::List), units: 3 }],
            thresholds: vec![],
            fail_open: false,
        };
        let plan = Arc::new(ResolvedPlan::new(&plan, &Overrides::new()).unwrap());
        let subject = LimitSubject { consumer: "c".into(), plan, key_id: None, used_key: None, epoch: 0 };
        Self { limiter, door, direct, subject, _dynamo: dynamo }
    }

    /// What a request of this operation gets.
    fn admit(&self, operation: Operation, now: Micros) -> impl Future<Output = Option<Admission>> + Send + 'static {
        let (limiter, subject) = (Arc::clone(&self.limiter), self.subject.clone());
        async move { limiter.admit(&subject, &[Call { entity: None, operation, count: 1 }], now).await.ok() }
    }

    /// Units that so many requests are admitted with, one after the other.
    async fn spend(&self, operation: Operation, requests: u64, now: Micros) -> u64 {
        let mut units = 0;
        for _ in 0..requests {
            units += self.admit(operation, now).await.map_or(0, |admission| admission.cost);
        }
        units
    }

    /// Uses up what is left of a lease: units.
    async fn drain(&self, now: Micros) -> u64 {
        self.door.be(Way::Shut);
        let mut units = 0;
        while let Some(admission) = self.admit(Operation::Read, now).await {
            assert_eq!(admission.source, Source::Lease);
            units += admission.cost;
        }
        self.door.be(Way::Open);
        units
    }

    /// Units that the quota counted.
    async fn counted(&self) -> u64 {
        let item = self.direct.get(&[(TableName::Data, keys::limiter("c"))], true).await.unwrap().remove(0).unwrap();
        let counts = item.attrs.iter().filter(|(name, _)| name.starts_with("q:day:"));
        counts.map(|(_, value)| u64::try_from(value.as_n().unwrap()).unwrap()).sum()
    }

    /// A consumer that has been hot for more than a second: the units of it, and the moment.
    async fn hot(&self) -> (u64, Micros) {
        let mut units = 0;
        for tenth in 0..12 {
            units += self.spend(Operation::Read, 2, START.plus(Duration::from_millis(100 * tenth))).await;
        }
        (units, START.plus(Duration::from_millis(1_200)))
    }
}

/// A lease that a request outgrows pays for part of the next one. Until that is granted, whoever comes finds it empty.
#[tokio::test]
async fn what_a_lease_carries_over_is_used_once() {
    // Lists cost three: with one of these numbers of requests for one, two are left that no list can use.
    for (odd, lost) in [(0, false), (1, false), (2, false), (0, true), (1, true), (2, true)] {
        let world = World::start().await;
        let (mut admitted, now) = world.hot().await;
        admitted += world.spend(Operation::Read, odd, now).await;
        world.door.be(Way::Waits { lost });
        let outgrown = loop {
            let mut list = tokio::spawn(world.admit(Operation::List, now));
            tokio::select! {
                biased;
                permit = world.door.arrived.acquire() => {
                    permit.unwrap().forget();
                    break list;
                }
                done = &mut list => admitted += done.unwrap().unwrap().cost,
            }
        };
        let meanwhile: Vec<_> = (0..3).map(|_| tokio::spawn(world.admit(Operation::Read, now))).collect();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        world.door.be(Way::Open);
        world.door.goes_on.add_permits(1);
        for task in [outgrown].into_iter().chain(meanwhile) {
            admitted += task.await.unwrap().unwrap().cost;
        }
        admitted += world.drain(now).await;
        let counted = world.counted().await;
        // A debit whose answer is lost is used by nobody.
        let as_it_should = if lost { admitted <= counted } else { admitted == counted };
        assert!(as_it_should, "{odd} {lost}: {admitted} of {counted}");
    }
}

/// Reads and creations meet different rates and so have leases of their own. What each left over pays for its next one, however
/// many of the other kind there were between.
#[tokio::test]
async fn leases_of_two_kinds_keep_what_they_left_over() {
    let world = World::start().await;
    let (mut admitted, begun) = world.hot().await;
    let mut leased = false;
    for round in 0..20 {
        let now = begun.plus(Duration::from_millis(1_100 * round));
        for operation in [Operation::Read, Operation::Create] {
            admitted += world.spend(operation, 30, now).await;
            leased |= world.admit(operation, now).await.is_some_and(|admission| {
                admitted += admission.cost;
                admission.source == Source::Lease
            });
        }
    }
    assert!(leased, "without a lease this shows nothing");
    let lost = world.counted().await - admitted;
    assert!(lost <= 2 * 62, "{lost} units of 1240 were debited and are gone: more than a second's demand for each kind");
}

/// What was to be carried over into a lease that the store did not grant is there as before.
#[tokio::test]
async fn a_lease_that_is_not_granted_takes_nothing() {
    let mut left = 0;
    // Lists take three at a time, so that nothing, one and two are left of these.
    for odd in 0..3 {
        let world = World::start().await;
        let (_, now) = world.hot().await;
        world.spend(Operation::Read, odd, now).await;
        world.door.be(Way::Shut);
        while let Some(admission) = world.admit(Operation::List, now).await {
            assert_eq!(admission.source, Source::Lease);
        }
        left += world.drain(now).await;
    }
    assert_eq!(left, 3);
}
