//! Disabled, revoked, changed, unreachable.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::core::clock::Clock;
use crate::limit::item::{DISABLED, EPOCH, REVOKED};
use crate::limit::{Admission, LimitRefusal, Source};
use crate::store::double::{Double, Fail, TableCall};
use crate::store::keys;
use crate::store::table::*;

async fn set(table: &SharedTable, update: Expr) {
    let write = Write::Update { key: keys::limiter("c"), update, condition: None };
    table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
}

fn wide() -> RatePlan {
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
    assert_eq!(ask(&subject, 1).await, Err(LimitRefusal::Revoked));
    subject.key_id = Some("k2".into());
    assert!(ask(&subject, 2).await.is_ok());

    set(&table, Expr::new("SET #e = :e").name("#e", EPOCH).value(":e", Attr::N(4))).await;
    assert_eq!(ask(&subject, 3).await, Err(LimitRefusal::NewEpoch { current: 4 }));
    subject.epoch = 4;
    assert!(ask(&subject, 4).await.is_ok());

    set(&table, Expr::new("SET #d = :d").name("#d", DISABLED).value(":d", Attr::Bool(true))).await;
    assert_eq!(ask(&subject, 5).await, Err(LimitRefusal::Disabled));
    set(&table, Expr::new("REMOVE #d").name("#d", DISABLED)).await;
    assert_eq!(ask(&subject, 6).await, Err(LimitRefusal::Disabled), "remembered for a second");
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
    assert_eq!(limiter.admit(&subject, &one(Operation::Read), at(0)).await, Err(LimitRefusal::Disabled));
}

#[tokio::test]
async fn a_smaller_burst_is_not_held_up_by_what_a_greater_one_let_through() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let of = |burst| subject("c", &plan(vec![rate("burst", 10, Duration::from_secs(1), burst)], vec![]));
    let call = [Call { entity: ORDERS, operation: Operation::Read, count: 1_000 }];
    limiter.admit(&of(1_000), &call, at(0)).await.unwrap();
    // A hundred seconds are booked; the new plan begins with an empty bucket and refills at its own rate.
    let small = of(20);
    let Err(LimitRefusal::Denied(denial)) = limiter.admit(&small, &one(Operation::Read), at(1)).await else { panic!() };
    assert_eq!(denial.retry_after(), Duration::from_millis(100));
    assert!(limiter.admit(&small, &one(Operation::Read), at(100_001)).await.is_ok());
}

#[tokio::test]
async fn without_the_store_a_plan_fails_as_it_says() {
    let (_embedded, table) = store().await;
    let dead: SharedTable = Arc::new(Double::new(table, Fail::before(&[TableCall::Write], TableError::Unknown("reset".into()))));
    let limiter = limiter(&dead, None);
    let mut plan = plan(vec![rate("burst", 100, Duration::from_secs(1), 100)], vec![]);
    let closed = subject("c", &plan);
    assert_eq!(limiter.admit(&closed, &one(Operation::Read), at(0)).await, Err(LimitRefusal::Unavailable));
    plan.fail_open = true;
    let open = subject("c", &plan);
    let mut admitted = 0;
    for _ in 0..100 {
        match limiter.admit(&open, &one(Operation::Read), at(0)).await {
            Ok(Admission { source: Source::Fallback, .. }) => admitted += 1,
            Err(LimitRefusal::Denied(denial)) => assert_eq!(denial.retry_after(), Duration::from_millis(100)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 10, "a tenth of the burst");
    assert_eq!(limiter.health().failures, 101);
    assert_eq!(limiter.health().failing_since, Some(at(0)));
}

/// A store whose first writes meet a transaction that holds the item.
fn held(table: &SharedTable, times: u32) -> SharedTable {
    let conflict = TableError::Busy("TransactionConflict".into());
    Arc::new(Double::new(Arc::clone(table), Fail::before(&[TableCall::Write], conflict).times(times)))
}

#[tokio::test]
async fn a_conflict_with_a_transaction_is_waited_out_and_charged_once() {
    let (_embedded, table) = store().await;
    let held = held(&table, 2);
    let subject = subject("c", &plan(vec![], vec![quota("day", 10, Window::Day)]));
    let admission = limiter(&held, None).admit(&subject, &one(Operation::Read), at(0)).await.unwrap();
    assert_eq!((admission.calls, admission.source), (3, Source::Store));
    assert_eq!(admission.windows[0].remaining, 9);
}

/// An instance that gets no requests after an outage is found to be well again by whoever asks for its readiness.
#[tokio::test]
async fn a_probe_ends_the_failure_that_the_last_request_met() {
    let (_embedded, table) = store().await;
    let held = held(&table, 7);
    let subject = subject("c", &wide());
    let limiter = limiter(&held, None);
    assert_eq!(limiter.admit(&subject, &one(Operation::Read), at(0)).await, Err(LimitRefusal::Unavailable));
    assert_eq!((limiter.health().failing_since, limiter.health().refused), (Some(at(0)), 1));
    assert!(limiter.probe(at(1)).await.is_err(), "the seventh call fails too");
    assert_eq!(limiter.health().failing_since, Some(at(0)));
    limiter.probe(at(2)).await.unwrap();
    assert_eq!(limiter.health().failing_since, None);
}

/// A clock that a test sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_request_that_was_held_up_is_not_refused_for_what_others_used_meanwhile() {
    let (_embedded, table) = store().await;
    let subject = subject("c", &plan(vec![rate("burst", 10, Duration::from_secs(1), 10)], vec![]));
    let clock = Arc::new(Set(at(0).0.into()));
    let limiter =
        Limiter::new(Arc::clone(&table), Env { clock: Arc::clone(&clock) as _, ..Env::system() }, LimiterSettings { hot: None });
    for step in 0..20 {
        limiter.admit(&subject, &one(Operation::Read), at(step * 100_000)).await.unwrap();
    }
    // It began when the clock said 0 and gets its turn two seconds later, when others have used 20 of 30.
    clock.0.store(at(2_000_000).0, Ordering::SeqCst);
    assert!(limiter.admit(&subject, &one(Operation::Read), at(0)).await.is_ok());
}

#[tokio::test]
async fn nobody_is_refused_by_memory_before_the_item_has_refused() {
    let (_embedded, table) = store().await;
    let (first, second) = (limiter(&table, None), limiter(&table, None));
    let mut subject = subject("c", &plan(vec![rate("burst", 1, Duration::from_secs(60), 3)], vec![]));
    for _ in 0..3 {
        first.admit(&subject, &one(Operation::Read), at(0)).await.unwrap();
    }
    // Somebody gives the consumer more: the change is in the item, and this instance has not heard of it.
    set(&table, Expr::new("SET #e = :e").name("#e", EPOCH).value(":e", Attr::N(1))).await;
    let answer = first.admit(&subject, &one(Operation::Read), at(1)).await;
    assert_eq!(answer, Err(LimitRefusal::NewEpoch { current: 1 }));
    subject.epoch = 1;
    let more = plan(vec![rate("burst", 1, Duration::from_secs(60), 4)], vec![]);
    subject.plan = Arc::new(ResolvedPlan::new(&more, &Overrides::new()).unwrap());
    first.admit(&subject, &one(Operation::Read), at(2)).await.unwrap();
    assert!(matches!(first.admit(&subject, &one(Operation::Read), at(3)).await, Err(LimitRefusal::Denied(_))));
    first.forget("c");
    assert!(matches!(second.admit(&subject, &one(Operation::Read), at(4)).await, Err(LimitRefusal::Denied(_))));
}

#[tokio::test]
async fn a_rate_that_was_changed_begins_full_and_leaves_nothing_behind() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let of = |per: u64, burst| subject("c", &plan(vec![rate("burst", 1, Duration::from_secs(per), burst)], vec![]));
    let admitted = async |subject: &LimitSubject, now| {
        let mut count = 0;
        while limiter.admit(subject, &one(Operation::Read), at(now)).await.is_ok() {
            count += 1;
        }
        count
    };
    let (slow, fast) = (of(60, 10), of(1, 50));
    assert_eq!(admitted(&slow, 0).await, 10);
    assert_eq!(admitted(&fast, 1_500_000).await, 50, "ten used units of another rate are no debt of this one");
    // Back before the old rate's debt has drained: it is still owed. Long after: nothing of it is left in the item.
    assert_eq!(admitted(&slow, 62_000_000).await, 1);
    let late = 86_400_000_000;
    for now in [late, late + 1, late + 2] {
        limiter.admit(&fast, &one(Operation::Read), at(now)).await.unwrap();
    }
    let item = table.get(&[(TableName::Data, keys::limiter("c"))], true).await.unwrap().remove(0).unwrap();
    assert_eq!(item.attrs.keys().filter(|name| *name != crate::limit::item::UNITS).count(), 1, "{:?}", item.attrs);
}
