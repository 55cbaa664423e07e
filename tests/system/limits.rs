//! Limits are exact over a DynamoDB that conflicts, throttles and loses answers: 64 clients at a time, three consumers, four instances,
//! thirty seconds of injected time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast::core::clock::{Env, Micros};
use holdfast::limit::{Call, LimitRefusal, LimitSubject, Limiter, LimiterSettings, Overrides, ResolvedPlan, Source};
use holdfast::model::{Cost, Operation, Quota, Rate, RatePlan, Window};
use holdfast::notify;
use holdfast::store::keys;
use holdfast::store::table::{SharedTable, TableName};
use holdfast_local::embedded::Dynamo;
use holdfast_tests::proxy::{Faults, Proxy};

/// 2027-03-31T12:00:00Z.
const START: Micros = Micros(1_806_494_400_000_000);
const CLIENTS: usize = 64;

/// An embedded store behind the proxy, and instances of the limiter on it.
struct World {
    instances: Vec<Arc<Limiter>>,
    table: SharedTable,
    direct: SharedTable,
    proxy: Proxy,
    env: Env,
    /// Calls of the instances that ended in a decision, and decisions.
    calls: AtomicU64,
    decisions: AtomicU64,
    _dynamo: Dynamo,
}

impl World {
    async fn start(faults: Faults, instances: usize, hot: Option<u64>) -> Self {
        let dynamo = Dynamo::in_memory().await.unwrap();
        let direct = super::store::table(&dynamo.endpoint);
        direct.create_tables().await.unwrap();
        let proxy = Proxy::start(&dynamo.endpoint, faults).await.unwrap();
        let (table, env): (SharedTable, _) = (Arc::new(super::store::table(&proxy.endpoint)), Env::still(Micros(0)));
        let instance = || Arc::new(Limiter::new(Arc::clone(&table), env.clone(), LimiterSettings { hot }));
        let instances = (0..instances).map(|_| instance()).collect();
        let (calls, decisions) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { instances, table, direct: Arc::new(direct), proxy, env, calls, decisions, _dynamo: dynamo }
    }

    /// One client's request at a moment: asked again until there is a decision. Units admitted; and units whose debit may or may
    /// not have happened, because the answer was lost.
    async fn decided(&self, instance: usize, subject: &LimitSubject, now: Micros) -> (u64, u64) {
        let call = [Call { entity: None, operation: Operation::Read, count: 1 }];
        let cost = subject.plan.charge(&call).total;
        let mut unknown = 0;
        loop {
            let (due, calls, units) = match self.instances[instance].admit(subject, &call, now).await {
                Ok(admission) => (admission.due, admission.calls, admission.cost),
                Err(LimitRefusal::Denied(denial)) => (denial.due, denial.calls, 0),
                Err(LimitRefusal::Unavailable) => {
                    unknown += cost;
                    continue;
                }
                Err(other) => panic!("{other:?}"),
            };
            self.calls.fetch_add(u64::from(calls), Ordering::Relaxed);
            self.decisions.fetch_add(1, Ordering::Relaxed);
            // Transactions on the very items that the updates want.
            let _told = notify::enqueue(self.table.as_ref(), &self.env, &subject.consumer, &due, now).await;
            return (units, unknown);
        }
    }

    /// All clients at once; admitted and unknown units by consumer.
    async fn volley(self: &Arc<Self>, subjects: &[LimitSubject], now: Micros) -> Vec<(u64, u64)> {
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let (which, instance) = (client % subjects.len(), client % self.instances.len());
            let (world, subject) = (Arc::clone(self), subjects[which].clone());
            tasks.spawn(async move { (which, world.decided(instance, &subject, now).await) });
        }
        let mut sums = vec![(0, 0); subjects.len()];
        for (which, (admitted, unknown)) in tasks.join_all().await {
            sums[which].0 += admitted;
            sums[which].1 += unknown;
        }
        sums
    }

    /// Units that a quota counted, from the item itself.
    async fn counted(&self, consumer: &str, quota: &str) -> u64 {
        let item = self.direct.get(&[(TableName::Data, keys::limiter(consumer))], true).await.unwrap().remove(0).unwrap();
        let counts = item.attrs.iter().filter(|(name, _)| name.starts_with(&format!("q:{quota}:")));
        counts.map(|(_, value)| u64::try_from(value.as_n().unwrap()).unwrap()).sum()
    }
}

fn rate(rate: u64, burst: u64) -> Rate {
    Rate { name: "burst".into(), rate, per: Duration::from_secs(1), burst, only: vec![] }
}

fn subject(consumer: &str, rates: Vec<Rate>, quota: Option<u64>, units: u64) -> LimitSubject {
    let quotas = quota.map(|limit| Quota { name: "day".into(), limit, window: Window::Day }).into_iter().collect();
    let costs = vec![Cost { entity: None, operation: Some(Operation::Read), units }];
    let plan = RatePlan {
        name: "p".into(),
        description: None,
        rates,
        quotas,
        costs,
        thresholds: (1..=50).map(|percent| percent * 2).collect(),
        fail_open: false,
    };
    let plan = Arc::new(ResolvedPlan::new(&plan, &Overrides::new()).unwrap());
    LimitSubject { consumer: consumer.into(), plan, key_id: None, used_key: None, epoch: 0 }
}

/// Conflicts and throttling, nothing lost.
fn busy(seed: u64) -> Faults {
    Faults { throttle: 0.05, delay: Duration::from_millis(1), ..Faults::none(seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_seconds_of_conflicts_and_throttling_admit_exactly_what_the_plans_allow() {
    let world = Arc::new(World::start(busy(51), 4, None).await);
    let mut subjects = [
        subject("rate", vec![rate(3, 10)], None, 1),
        subject("quota", vec![rate(5, 20)], Some(97), 1),
        subject("weights", vec![rate(4, 9)], Some(1_000), 2),
    ];
    let mut admitted = [0; 3];
    for second in 0..=30u64 {
        if second == 15 {
            // An override: from now on ten a second, on top of what the bucket holds.
            subjects[0] = subject("rate", vec![rate(10, 10)], None, 1);
        }
        let now = START.plus(Duration::from_secs(second));
        for (sum, (more, _)) in admitted.iter_mut().zip(world.volley(&subjects, now).await) {
            *sum += more;
        }
    }
    // The bucket of ten; three a second until the 14th; at the 15th all ten are there again at the new rate, and each second.
    let rate_alone = 10 + 14 * 3 + 16 * 10;
    // Nine at first, in twos: 8; then 4 a second, and the odd one stays in the bucket.
    assert_eq!(admitted, [rate_alone, 97, 8 + 4 * 30]);
    assert_eq!(world.counted("quota", "day").await, 97);
    assert_eq!(world.counted("weights", "day").await, 8 + 4 * 30);
    let trouble = world.proxy.tally();
    assert!(trouble.conflicts > 20 && trouble.throttled > 20, "there was no trouble: {trouble:?}");
    // All at one moment is the worst that there is for the belief of an instance; faults cost calls too.
    let (calls, decisions) = (world.calls.load(Ordering::Relaxed), world.decisions.load(Ordering::Relaxed));
    assert!(calls <= decisions * 3, "{calls} calls for {decisions} decisions");
}

/// A lost answer leaves a debit that nobody used: never more is admitted, and the store counts exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_never_admit_more_and_the_count_stays_exact() {
    let world = Arc::new(World::start(Faults::bad_day(52), 4, None).await);
    let subjects = [subject("a", vec![rate(5, 20)], Some(1_000_000), 1), subject("b", vec![rate(50, 60)], Some(200), 1)];
    let mut sums = [(0, 0); 2];
    for second in 0..=10u64 {
        let more = world.volley(&subjects, START.plus(Duration::from_secs(second))).await;
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = (sum.0 + more.0, sum.1 + more.1));
    }
    for ((admitted, unknown), (allowed, name)) in sums.into_iter().zip([(20 + 5 * 10, "a"), (200, "b")]) {
        assert_eq!(world.counted(name, "day").await, allowed, "{name}: what was debited is what the plan allows");
        assert!(admitted <= allowed && admitted + unknown >= allowed, "{name}: {admitted} and {unknown} of {allowed}");
    }
    assert!(world.proxy.tally().lost > 20, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_never_admit_more_on_a_bad_day() {
    let world = Arc::new(World::start(Faults::bad_day(53), 2, Some(20)).await);
    let subjects = [subject("a", vec![rate(40, 90)], Some(700), 1)];
    let mut admitted = 0;
    let mut until_hot = (0, 0);
    let spent = || (world.calls.load(Ordering::Relaxed), world.decisions.load(Ordering::Relaxed));
    for step in 0..60u64 {
        let now = START.plus(Duration::from_millis(250 * step));
        if step == 5 {
            // A consumer is hot after a second of it.
            until_hot = spent();
        }
        admitted += world.volley(&subjects, now).await[0].0;
        let allowed = (90 + step * 10).min(700);
        assert!(admitted <= allowed, "{admitted} after {step} quarters of a second");
    }
    assert!(world.counted("a", "day").await <= 700);
    let (calls, decisions) = (spent().0 - until_hot.0, spent().1 - until_hot.1);
    assert!(calls * 3 < decisions, "leases save calls: {calls} for {decisions}");
}

/// One consumer at fifty times its limit: what another gets is what it gets alone, request by request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_neighbour_changes_no_decision_about_others() {
    let mut runs = Vec::new();
    for noisy in [false, true] {
        let world = Arc::new(World::start(busy(54), 2, Some(20)).await);
        let (loud, quiet) = (subject("loud", vec![rate(20, 20)], None, 1), subject("quiet", vec![rate(4, 8)], None, 1));
        let mut decisions = Vec::new();
        for tick in 0..80u64 {
            let now = START.plus(Duration::from_millis(100 * tick));
            let mut noise = tokio::task::JoinSet::new();
            for request in 0..if noisy { 100 } else { 0 } {
                let (world, loud) = (Arc::clone(&world), loud.clone());
                noise.spawn(async move { world.decided(request % 2, &loud, now).await });
            }
            // Every fifth tick more than its limit.
            for request in 0..if tick % 5 == 0 { 3 } else { 0 } {
                decisions.push(world.decided(request % 2, &quiet, now).await.0);
            }
            noise.join_all().await;
        }
        runs.push(decisions);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&0) && runs[0].contains(&1), "some were denied: {:?}", runs[0]);
}

#[tokio::test]
async fn without_trouble_a_decision_comes_from_the_store() {
    let world = World::start(Faults::none(55), 1, None).await;
    let call = [Call { entity: None, operation: Operation::Read, count: 1 }];
    let admission = world.instances[0].admit(&subject("a", vec![rate(1, 1)], None, 1), &call, START).await.unwrap();
    assert_eq!((admission.source, admission.calls), (Source::Store, 1));
}
