//! Each threshold is told once and reaches everybody, whatever dies in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;

use super::*;
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::{Env, Micros};
use crate::limit::{Admission, Call, LimitSubject, Limiter, LimiterSettings, Overrides, ResolvedPlan};
use crate::model::{Operation, Quota, Rate, RatePlan, Window};
use crate::store::double::{Double, Fail, TableCall};
use crate::store::table::*;

const NOW: Micros = Micros(1_806_537_540_000_000);

fn subject() -> LimitSubject {
    let plan = RatePlan {
        name: "p".into(),
        description: None,
        rates: vec![],
        quotas: vec![Quota { name: "day".into(), limit: 20, window: Window::Day }],
        costs: vec![],
        thresholds: vec![80, 95, 100],
        fail_open: false,
    };
    let plan = Arc::new(ResolvedPlan::new(&plan, &Overrides::new()).unwrap());
    LimitSubject { consumer: "c".into(), plan, key_id: None, used_key: None, epoch: 0 }
}

fn limiter(table: &SharedTable) -> Limiter {
    Limiter::new(Arc::clone(table), Env::still(NOW), LimiterSettings { hot: None })
}

async fn admit(limiter: &Limiter, count: u64, now: Micros) -> Admission {
    limiter.admit(&subject(), &[Call { entity: None, operation: Operation::Read, count }], now).await.unwrap()
}

async fn percents(table: &SharedTable, consumer: Option<&str>) -> Vec<u8> {
    let (notices, _) = list(table.as_ref(), consumer, 100, None, NOW).await.unwrap();
    let mut percents: Vec<u8> = notices
        .iter()
        .map(|notice| match &notice.notice.kind {
            Kind::Threshold { percent, .. } => *percent,
            other => panic!("{other:?}"),
        })
        .collect();
    percents.sort_unstable();
    percents
}

/// A store that fails the first transaction, before or after it commits.
fn faulty(table: &SharedTable, commits: bool) -> SharedTable {
    let reset = TableError::Unknown("reset by peer".into());
    let fail = if commits { Fail::after(&[TableCall::Transact], reset) } else { Fail::before(&[TableCall::Transact], reset) };
    Arc::new(Double::new(Arc::clone(table), fail.times(1)))
}

/// Everything that notices are sent to, with what arrived.
#[derive(Default)]
struct World {
    addresses: Mutex<Vec<String>>,
    /// Statuses that an address answers with, the last one for ever.
    answers: Mutex<HashMap<String, Vec<u16>>>,
    posted: Mutex<Vec<(String, HashMap<&'static str, String>, String)>>,
    published: Mutex<Vec<(String, String)>>,
}

impl World {
    /// Whom messages on the topic were for, in order.
    fn audiences(&self) -> Vec<String> {
        self.published.lock().unwrap().iter().map(|(_, audience)| audience.clone()).collect()
    }

    fn posts_to(&self, url: &str) -> usize {
        self.posted.lock().unwrap().iter().filter(|(of, ..)| of == url).count()
    }
}

impl Topic for World {
    fn publish<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), String>> {
        let audience = match message.audience {
            Audience::Operator => "operator",
            Audience::Consumer(address) => address,
            Audience::DeadLetter => "dead letter",
        };
        self.published.lock().unwrap().push((message.subject.to_owned(), audience.to_owned()));
        Box::pin(async { Ok(()) })
    }
}

impl Post for World {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, String>> {
        self.posted.lock().unwrap().push((url.to_owned(), headers.iter().cloned().collect(), body.to_owned()));
        let mut answers = self.answers.lock().unwrap();
        let status = answers.get_mut(url).map_or(204, |one| if one.len() > 1 { one.remove(0) } else { one[0] });
        Box::pin(async move { Ok(status) })
    }
}

impl Addresses for World {
    fn of<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Recipient, TableError>> {
        let addresses = self.addresses.lock().unwrap().clone();
        Box::pin(async { Ok(Recipient { addresses, secrets: vec![secret()] }) })
    }
    fn gone<'a>(&'a self, _: &'a str, address: &'a str) -> BoxFuture<'a, Result<(), TableError>> {
        self.addresses.lock().unwrap().retain(|one| one != address);
        Box::pin(async { Ok(()) })
    }
}

fn secret() -> webhook::Secret {
    webhook::Secret::of(b"a deployment's secret", "c", "salt")
}

fn channels(world: &Arc<World>) -> Channels {
    Channels { topic: world.clone(), post: world.clone(), addresses: world.clone(), breaker: Arc::default() }
}

async fn drained(table: &SharedTable, channels: &Channels, now: Micros) -> Delivered {
    let budget = Budget { notices: 10, until: Micros(i64::MAX) };
    deliver(table.as_ref(), &Env::system(), channels, budget, now).await.unwrap()
}

/// What the consumer's list says became of its notices.
async fn deliveries(table: &SharedTable, now: Micros) -> Vec<(String, Vec<String>)> {
    let (listed, _) = list(table.as_ref(), Some("c"), 100, None, now).await.unwrap();
    listed.into_iter().map(|one| (one.delivery.delivery, one.delivery.undelivered_to)).collect()
}

async fn store() -> (Embedded, SharedTable) {
    let embedded = Embedded::start().await;
    let table: SharedTable = Arc::new(embedded.table.clone());
    (embedded, table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_threshold_is_told_once_under_concurrency() {
    let (_embedded, table) = store().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let table = Arc::clone(&table);
        // Every request on an instance of its own: the worst case.
        tasks.spawn(async move {
            let due = match limiter(&table)
                .admit(&subject(), &[Call { entity: None, operation: Operation::Read, count: 1 }], NOW)
                .await
            {
                Ok(admission) => admission.due,
                Err(crate::limit::LimitRefusal::Denied(denial)) => denial.due,
                Err(other) => panic!("{other:?}"),
            };
            // Whoever loses leaves it to the others.
            let _told = enqueue(table.as_ref(), &Env::system(), "c", &due, NOW).await;
        });
    }
    tasks.join_all().await;
    assert_eq!(percents(&table, Some("c")).await, [80, 95, 100]);
    assert_eq!(percents(&table, None).await, [80, 95, 100]);
    // A new window is told anew.
    let tomorrow = NOW.plus(Duration::from_secs(86_400));
    let due = admit(&limiter(&table), 16, tomorrow).await.due;
    assert_eq!(enqueue(table.as_ref(), &Env::system(), "c", &due, tomorrow).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_crossing_whose_teller_died_is_found_by_another_instance_and_by_the_reporter() {
    let (_embedded, table) = store().await;
    assert_eq!(admit(&limiter(&table), 16, NOW).await.due.len(), 1);
    // Died here: nothing told. The reporter sees it without charging ...
    let standing = limiter(&table).standing(&subject(), NOW).await.unwrap();
    assert_eq!(standing.due[0].percents, [80]);
    // ... and so does the next request anywhere.
    let due = admit(&limiter(&table), 1, NOW).await.due;
    assert_eq!(due[0].percents, [80]);
    assert_eq!(enqueue(table.as_ref(), &Env::system(), "c", &due, NOW).await.unwrap().len(), 1);
    assert_eq!(enqueue(table.as_ref(), &Env::system(), "c", &standing.due, NOW).await.unwrap(), [], "told already");
    assert!(admit(&limiter(&table), 1, NOW).await.due.is_empty());
    assert_eq!(percents(&table, None).await, [80]);
}

#[tokio::test]
async fn an_unknown_outcome_of_telling_is_settled_once_either_way() {
    for commits in [false, true] {
        let (_embedded, table) = store().await;
        let faulty = faulty(&table, commits);
        let due = admit(&limiter(&table), 20, NOW).await.due;
        assert_eq!(enqueue(faulty.as_ref(), &Env::system(), "c", &due, NOW).await.unwrap().len(), 3);
        assert_eq!(percents(&table, None).await, [80, 95, 100], "commits: {commits}");
    }
}

#[tokio::test]
async fn a_notice_reaches_topic_mail_and_webhook_with_a_signature_that_verifies() {
    let (_embedded, table) = store().await;
    let world = Arc::new(World::default());
    let hook = "https://hooks.example.com/limits";
    *world.addresses.lock().unwrap() = vec!["mailto:a@example.com".into(), hook.into(), "https://169.254.169.254/".into()];
    let due = admit(&limiter(&table), 16, NOW).await.due;
    let told = enqueue(table.as_ref(), &Env::system(), "c", &due, NOW).await.unwrap();
    let channels = channels(&world);
    assert_eq!(deliveries(&table, NOW).await, [("pending".to_owned(), vec![])]);
    assert_eq!(drained(&table, &channels, NOW).await, Delivered { delivered: 1, ..Delivered::default() });
    assert_eq!(world.audiences(), ["operator", "a@example.com"]);
    assert_eq!(deliveries(&table, NOW).await, [("delivered".to_owned(), vec![])]);
    let posted = world.posted.lock().unwrap().clone();
    assert_eq!(posted.len(), 1, "an inner address is never called");
    let (url, headers, body) = &posted[0];
    assert_eq!((url.as_str(), &headers["webhook-id"]), (hook, &told[0].id));
    let stamp = headers["webhook-timestamp"].parse().unwrap();
    assert!(secret().verifies(&headers["webhook-id"], stamp, &headers["webhook-signature"], body, NOW.seconds()));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], "quota.threshold");
    assert_eq!(body["data"]["used"], 16);
    assert_eq!(body["data"]["resets_at"], "2027-04-01T00:00:00.000Z");
    assert_eq!(body["data"]["consumer"], "c");
    assert_eq!(drained(&table, &channels, NOW).await, Delivered::default(), "nothing is left");
}

#[tokio::test]
async fn what_fails_is_tried_again_later_for_those_only_who_lack_it_and_ends_as_a_dead_letter() {
    let (_embedded, table) = store().await;
    let world = Arc::new(World::default());
    let (down, gone) = ("https://down.example.com/", "https://gone.example.com/");
    *world.addresses.lock().unwrap() = vec![down.into(), gone.into()];
    *world.answers.lock().unwrap() = HashMap::from([(down.to_owned(), vec![500]), (gone.to_owned(), vec![410])]);
    let env = Env::system();
    let due = admit(&limiter(&table), 16, NOW).await.due;
    enqueue(table.as_ref(), &env, "c", &due, NOW).await.unwrap();
    let channels = channels(&world);
    let (mut now, mut all) = (NOW, Vec::new());
    for _ in 0..super::deliver::MAX_ATTEMPTS {
        all.push(drained(&table, &channels, now).await);
        // Not yet due again.
        assert_eq!(drained(&table, &channels, now).await, Delivered::default());
        now = now.plus(Duration::from_secs(6 * 3_600));
    }
    assert_eq!(all.iter().map(|one| one.put_off).sum::<u32>(), super::deliver::MAX_ATTEMPTS - 1);
    assert_eq!(all.last().unwrap().dead, 1);
    assert_eq!(world.audiences(), ["operator", "dead letter"], "the operator heard it once");
    assert_eq!(deliveries(&table, now).await, [("undeliverable".to_owned(), vec![down.to_owned()])]);
    assert_eq!(world.posts_to(gone), 1, "410 ends an address");
    let posted = world.posted.lock().unwrap().clone();
    let ids: std::collections::BTreeSet<_> = posted.iter().map(|(_, headers, _)| headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 1, "every repetition has the same id");
}

/// A reporter that died after sending and before noting it sends again, with the same id, once its claim has ended.
#[tokio::test]
async fn a_reporter_that_died_after_sending_repeats_under_the_same_id() {
    let (_embedded, table) = store().await;
    let env = Env::system();
    let due = admit(&limiter(&table), 16, NOW).await.due;
    enqueue(table.as_ref(), &env, "c", &due, NOW).await.unwrap();
    let row = async |now: Micros| {
        let shard = crate::store::keys::shard("c", outbox::SHARDS);
        let pk = crate::store::keys::outbox(shard, &[]).pk;
        let query = RangeQuery::partition(TableName::Data, pk);
        let page = table.query(query).await.unwrap();
        page.items.iter().filter_map(outbox::Entry::read).find(|entry| entry.next <= now)
    };
    // The claim of the one that died.
    let entry = row(NOW).await.unwrap();
    let claim = entry.put_off(1, NOW.plus(Duration::from_secs(120)), &[]);
    table.write(TableName::Data, claim, Returning::Nothing).await.unwrap();
    let world = Arc::new(World::default());
    let channels = channels(&world);
    *world.addresses.lock().unwrap() = vec!["https://hooks.example.com/".into()];
    assert_eq!(drained(&table, &channels, NOW).await, Delivered::default());
    let later = NOW.plus(Duration::from_secs(121));
    assert_eq!(drained(&table, &channels, later).await.delivered, 1);
    assert_eq!(world.posted.lock().unwrap()[0].1["webhook-id"], entry.notice.id);
    assert!(row(later).await.is_none());
}

fn denied(minutes: u32) -> Kind {
    Kind::Throttled { minutes, of: 15, limits: Vec::new() }
}

#[tokio::test]
async fn sustained_throttling_is_told_once_an_hour() {
    let (_embedded, table) = store().await;
    let env = Env::system();
    let minute = NOW.seconds() / 60;
    assert_eq!(lasting(&[minute, minute - 1, minute - 1, minute - 3, minute - 16], 2, 15, NOW), Some(2));
    assert_eq!(lasting(&[minute, minute - 1, minute - 16], 2, 15, NOW), None);
    assert!(enqueue_hourly(table.as_ref(), &env, "c", denied(5), NOW).await.unwrap().is_some());
    assert!(enqueue_hourly(table.as_ref(), &env, "c", denied(6), NOW).await.unwrap().is_none());
    let next = NOW.plus(Duration::from_secs(3_600));
    assert!(enqueue_hourly(table.as_ref(), &env, "c", denied(5), next).await.unwrap().is_some());
}

/// A receiver that is down costs its own notices' time alone: after three failures it is left alone, and such an attempt is none.
#[tokio::test]
async fn a_receiver_that_fails_again_and_again_is_left_alone_for_a_while() {
    let (_embedded, table) = store().await;
    let (world, env) = (Arc::new(World::default()), Env::system());
    let down = "https://down.example.com/";
    *world.addresses.lock().unwrap() = vec![down.into()];
    *world.answers.lock().unwrap() = HashMap::from([(down.to_owned(), vec![503, 503, 503, 204])]);
    for hour in 0..6 {
        let at = NOW.plus(Duration::from_secs(3_600 * hour));
        enqueue_hourly(table.as_ref(), &env, "c", denied(5), at).await.unwrap().unwrap();
    }
    let channels = channels(&world);
    let now = NOW.plus(Duration::from_secs(6 * 3_600));
    assert_eq!(drained(&table, &channels, now).await.put_off, 6);
    assert_eq!(world.posts_to(down), 3, "the other three did not wait for it");
    let later = now.plus(Duration::from_secs(61));
    let after = drained(&table, &channels, later).await;
    assert_eq!((after.delivered, after.put_off), (6, 0), "the first that got through closed the circuit");
    assert_eq!(world.posts_to(down), 3 + 6);
    assert_eq!(world.audiences(), ["operator"; 6], "and the operator heard each once");
}

#[tokio::test]
async fn sustained_throttling_is_found_in_the_minutes_with_denials() {
    let (_embedded, table) = store().await;
    let (env, limiter, subject) = (Env::system(), limiter(&table), subject());
    // A day begins a minute after NOW.
    let at = |minute: u64| NOW.plus(Duration::from_secs(60 * (2 + minute)));
    admit(&limiter, 20, at(0)).await;
    let mut told = Vec::new();
    for minute in 0..20 {
        // Denied for ten minutes, then silent.
        for _ in 0..if minute < 10 { 3 } else { 0 } {
            let call = [Call { entity: None, operation: Operation::Read, count: 1 }];
            let denied = limiter.admit(&subject, &call, at(minute)).await;
            let Err(crate::limit::LimitRefusal::Denied(denial)) = denied else { panic!("{denied:?}") };
            if denial.first_of_minute {
                watch::note_denied(table.as_ref(), &subject, &["day"], at(minute)).await.unwrap();
            }
        }
        for one in watch::watched(table.as_ref(), at(minute)).await.unwrap() {
            let count = watch::enqueue_due(table.as_ref(), &env, &limiter, &one, Some(&subject), at(minute)).await.unwrap();
            told.extend((count > 0).then_some((minute, count)));
        }
    }
    // The thresholds that the admission of 20 crossed and nobody told come at the first tick, the throttling when five whole
    // minutes had denials, and then not again within the hour.
    assert_eq!(told, [(0, 3), (5, 1)]);
    assert!(watch::watched(table.as_ref(), at(70)).await.unwrap().is_empty(), "nobody is watched for ever");
}

#[test]
fn pauses_grow_to_six_hours_and_are_never_the_same_for_all() {
    let env = Env::system();
    let mut before = Duration::ZERO;
    for attempts in 1..40 {
        let pause = super::deliver::backoff(attempts, &env);
        let whole = Duration::from_secs((10u64 << (attempts - 1).min(20)).min(21_600));
        assert!(pause >= whole / 2 && pause <= whole, "{attempts}: {pause:?}");
        assert!(pause * 2 >= before);
        before = pause;
    }
}

/// A consumer that uses 55 of 60 units a second is told before it is ever denied, and one that uses 40 is not.
#[tokio::test]
async fn a_rate_that_is_used_to_its_bound_is_told_before_anything_is_denied() {
    for (offered, expected) in [(55, true), (40, false)] {
        let (_embedded, table) = store().await;
        let (env, limiter) = (Env::system(), limiter(&table));
        let plan = RatePlan {
            name: "p".into(),
            description: None,
            rates: vec![Rate { name: "burst".into(), rate: 60, per: Duration::from_secs(60), burst: 60, only: vec![] }],
            quotas: vec![],
            costs: vec![],
            thresholds: vec![],
            fail_open: false,
        };
        let subject = LimitSubject { plan: Arc::new(ResolvedPlan::new(&plan, &Overrides::new()).unwrap()), ..subject() };
        let mut told = Vec::new();
        for minute in 0..9u64 {
            for nth in 0..offered {
                let at = NOW.plus(Duration::from_millis(60_000 * (2 + minute) + nth * 60_000 / offered));
                let call = [Call { entity: None, operation: Operation::Read, count: 1 }];
                let admission = limiter.admit(&subject, &call, at).await.unwrap();
                watch::note_near(table.as_ref(), &subject, &admission.near, at).await.unwrap();
            }
            let at = NOW.plus(Duration::from_secs(60 * (3 + minute)));
            for one in watch::watched(table.as_ref(), at).await.unwrap() {
                watch::enqueue_due(table.as_ref(), &env, &limiter, &one, Some(&subject), at).await.unwrap();
            }
            let (notices, _) = list(table.as_ref(), Some("c"), 10, None, at).await.unwrap();
            told = notices.into_iter().map(|one| one.notice.kind).filter(|kind| matches!(kind, Kind::Sustained { .. })).collect();
        }
        let [Kind::Sustained { minutes: 5, of: 15, limits }] = told.as_slice() else {
            assert!(!expected && told.is_empty(), "{offered}: {told:?}");
            continue;
        };
        assert!(expected, "{offered}: {told:?}");
        assert_eq!(
            (limits[0].name.as_str(), limits[0].kind.as_str(), limits[0].limit, limits[0].window_seconds),
            ("burst", "rate", 60, 60)
        );
    }
}
