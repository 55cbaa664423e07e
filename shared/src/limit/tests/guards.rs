//! Disabled, revoked, changed, unreachable.

use futures::future::BoxFuture;

use super::*;
use crate::limit::item::{DISABLED, EPOCH, REVOKED};
use crate::limit::{Admission, Refusal, Source};
use crate::store::keys;
use crate::store::table::*;

async fn set(table: &SharedTable, update: Expr) {
    let write = Write::Update { key: keys::limiter("c"), update, condition: None };
    table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
}

fn wide() -> Plan {
    plan(vec![rate("burst", 1_000, Duration::from_secs(1), 1_000)], vec![])
}

#[tokio::test]
async fn disabled_revoked_and_changed_are_refused_from_the_next_request_on() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let mut subject = subject("c", &wide());
    subject.key_id = Some("k1".into());
    let ask = async |subject: &LimitSubject, now| limiter.admit(subject, &one(Operation::Read), at(now)).await;
    assert!(ask(&subject, 0).await.is_ok());

    set(&table, Expr::new("SET #r = :r").name("#r", REVOKED).value(":r", Attr::Ss(vec!["k1".into()]))).await;
    assert_eq!(ask(&subject, 1).await, Err(Refusal::Revoked));
    subject.key_id = Some("k2".into());
    assert!(ask(&subject, 2).await.is_ok());

    set(&table, Expr::new("SET #e = :e").name("#e", EPOCH).value(":e", Attr::N(4))).await;
    assert_eq!(ask(&subject, 3).await, Err(Refusal::NewEpoch { current: 4 }));
    subject.epoch = 4;
    assert!(ask(&subject, 4).await.is_ok());

    set(&table, Expr::new("SET #d = :d").name("#d", DISABLED).value(":d", Attr::Bool(true))).await;
    assert_eq!(ask(&subject, 5).await, Err(Refusal::Disabled));
    set(&table, Expr::new("REMOVE #d").name("#d", DISABLED)).await;
    assert_eq!(ask(&subject, 6).await, Err(Refusal::Disabled), "remembered for a second");
    assert!(ask(&subject, 1_000_006).await.is_ok());
}

#[tokio::test]
async fn a_free_operation_meets_the_guards_and_no_limit() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let mut plan = plan(vec![rate("burst", 1, Duration::from_secs(1), 1)], vec![]);
    plan.costs = vec![Cost { entity: None, operation: Some(Operation::Read), units: 0 }];
    let subject = subject("c", &plan);
    for _ in 0..3 {
        assert!(limiter.admit(&subject, &one(Operation::Read), at(0)).await.is_ok());
    }
    set(&table, Expr::new("SET #d = :d").name("#d", DISABLED).value(":d", Attr::Bool(true))).await;
    assert_eq!(limiter.admit(&subject, &one(Operation::Read), at(0)).await, Err(Refusal::Disabled));
}

#[tokio::test]
async fn a_faster_plan_is_not_held_up_by_what_a_slower_one_left() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let slow = subject("c", &plan(vec![rate("burst", 1, Duration::from_secs(86_400), 10)], vec![]));
    for _ in 0..10 {
        limiter.admit(&slow, &one(Operation::Read), at(0)).await.unwrap();
    }
    let fast = subject("c", &plan(vec![rate("burst", 10, Duration::from_secs(1), 20)], vec![]));
    // Ten days are booked; the new plan begins with an empty bucket and refills at its own rate.
    let Err(Refusal::Denied(denial)) = limiter.admit(&fast, &one(Operation::Read), at(1)).await else { panic!() };
    assert_eq!(denial.retry_after(), Duration::from_millis(100));
    assert!(limiter.admit(&fast, &one(Operation::Read), at(100_001)).await.is_ok());
}

/// A store that cannot be reached.
struct Dead(SharedTable);

impl Table for Dead {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.0.get(keys, consistent)
    }
    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.0.get_transaction(keys)
    }
    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        self.0.query(query)
    }
    fn write<'a>(&'a self, _: TableName, _: Write, _: Returning) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(async { Err(TableError::Unknown("reset".into())) })
    }
    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        self.0.write_batch(writes)
    }
    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        self.0.transact(transaction)
    }
    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<(Vec<Item>, Option<Key>), TableError>> {
        self.0.scan(table, after, segment)
    }
}

#[tokio::test]
async fn without_the_store_a_plan_fails_as_it_says() {
    let (_embedded, table) = store().await;
    let dead: SharedTable = Arc::new(Dead(table));
    let limiter = limiter(&dead, None);
    let mut plan = plan(vec![rate("burst", 100, Duration::from_secs(1), 100)], vec![]);
    let closed = subject("c", &plan);
    assert_eq!(limiter.admit(&closed, &one(Operation::Read), at(0)).await, Err(Refusal::Unavailable));
    plan.fail_open = true;
    let open = subject("c", &plan);
    let mut admitted = 0;
    for _ in 0..100 {
        match limiter.admit(&open, &one(Operation::Read), at(0)).await {
            Ok(Admission { source: Source::Fallback, .. }) => admitted += 1,
            Err(Refusal::Denied(denial)) => assert_eq!(denial.retry_after(), Duration::from_millis(100)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 10, "a tenth of the burst");
    assert_eq!(limiter.health().failures, 101);
    assert_eq!(limiter.health().failing_since, Some(at(0)));
}

/// A store whose first writes meet a transaction that holds the item.
struct Held(SharedTable, std::sync::atomic::AtomicU32);

impl Table for Held {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.0.get(keys, consistent)
    }
    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.0.get_transaction(keys)
    }
    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        self.0.query(query)
    }
    fn write<'a>(&'a self, table: TableName, write: Write, how: Returning) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.1.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Box::pin(async { Err(TableError::Busy("TransactionConflict".into())) });
        }
        self.0.write(table, write, how)
    }
    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        self.0.write_batch(writes)
    }
    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        self.0.transact(transaction)
    }
    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<(Vec<Item>, Option<Key>), TableError>> {
        self.0.scan(table, after, segment)
    }
}

#[tokio::test]
async fn a_conflict_with_a_transaction_is_waited_out_and_charged_once() {
    let (_embedded, table) = store().await;
    let held: SharedTable = Arc::new(Held(Arc::clone(&table), 2.into()));
    let subject = subject("c", &plan(vec![], vec![quota("day", 10, Window::Day)]));
    let admission = limiter(&held, None).admit(&subject, &one(Operation::Read), at(0)).await.unwrap();
    assert_eq!((admission.calls, admission.source), (3, Source::Store));
    assert_eq!(admission.windows[0].remaining, 9);
}

/// An instance that gets no requests after an outage is found to be well again by whoever asks for its readiness.
#[tokio::test]
async fn a_probe_ends_the_failure_that_the_last_request_met() {
    let (_embedded, table) = store().await;
    let held: SharedTable = Arc::new(Held(Arc::clone(&table), 7.into()));
    let subject = subject("c", &wide());
    let limiter = limiter(&held, None);
    assert_eq!(limiter.admit(&subject, &one(Operation::Read), at(0)).await, Err(Refusal::Unavailable));
    assert_eq!((limiter.health().failing_since, limiter.health().refused), (Some(at(0)), 1));
    assert!(limiter.probe(at(1)).await.is_err(), "the seventh call fails too");
    assert_eq!(limiter.health().failing_since, Some(at(0)));
    limiter.probe(at(2)).await.unwrap();
    assert_eq!(limiter.health().failing_since, None);
}
