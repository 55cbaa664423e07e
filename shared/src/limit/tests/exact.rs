//! The limiter admits exactly what the plan means.

use super::reference::Reference;
use super::*;
use crate::limit::{LimitRefusal, Source};

fn busy_plan() -> RatePlan {
    let mut plan = plan(
        vec![
            rate("burst", 3, Duration::from_secs(1), 7),
            rate("minute", 97, Duration::from_secs(60), 40),
            Rate { only: vec![(ORDERS, Some(Operation::Create))], ..rate("creates", 7, Duration::from_secs(11), 2) },
        ],
        vec![quota("hour", 150, Window::Hour), quota("month", 260, Window::Month)],
    );
    plan.costs.push(Cost { entity: None, operation: Some(Operation::System), units: 0 });
    plan
}

/// One run: random gaps (bursts, pauses, hours of idleness), several instances, every decision compared.
/// Returns requests and calls.
async fn run(plan: RatePlan, seed: u64, requests: u64) -> (u64, u64) {
    let (_embedded, table) = store().await;
    let instances: Vec<Limiter> = (0..3).map(|_| limiter(&table, None)).collect();
    let subject = subject("c", &plan);
    let limits = plan.clone();
    let mut reference = Reference::new(plan);
    let mut sequence = Sequence(seed);
    let (mut offset, mut sent, mut calls) = (0, 0, 0);
    for _ in 0..requests {
        offset += match sequence.below(40) {
            0 => sequence.below(7_200_000_000),
            1..5 => sequence.below(20_000_000),
            5..20 => 0,
            _ => sequence.below(700_000),
        };
        let operation = Operation::ALL[usize::try_from(sequence.below(8)).unwrap()];
        let mut request = one(operation);
        request[0].count = 1 + sequence.below(2);
        let instance = &instances[usize::try_from(sequence.below(3)).unwrap()];
        let charge = subject.plan.charge(&request);
        let excessive = charge.rates.iter().zip(&limits.rates).any(|(cost, rate)| *cost > rate.burst)
            || limits.quotas.iter().any(|quota| charge.total > quota.limit);
        let answer = instance.admit(&subject, &request, at(offset)).await;
        sent += 1;
        if excessive {
            assert!(matches!(answer, Err(LimitRefusal::CostExceeds(_))), "seed {seed}, request {sent}");
            continue;
        }
        let expected = reference.admit(&charge.rates, charge.total, at(offset));
        match answer {
            Ok(admission) => {
                assert!(expected, "seed {seed}, request {sent}: admitted, but the plan denies");
                assert_eq!(admission.source, Source::Store);
                assert!(admission.calls <= 3, "seed {seed}, request {sent}: {} calls", admission.calls);
                calls += u64::from(admission.calls);
            }
            Err(LimitRefusal::Denied(denial)) => {
                assert!(!expected, "seed {seed}, request {sent}: {denial:?}, but the plan admits");
                calls += u64::from(denial.calls);
                if denial.calls == 0 {
                    // Remembered: true, but what other instances admitted since may lengthen the wait.
                    continue;
                }
                let retry = at(offset).plus(denial.retry_after());
                // One microsecond earlier it is denied still, then it is admitted (judged by a copy that sees nothing else).
                let mut copy = reference.clone();
                assert!(!copy.admit(&charge.rates, charge.total, Micros(retry.0 - 1)), "seed {seed}, request {sent}: {denial:?}");
                assert!(copy.admit(&charge.rates, charge.total, retry), "seed {seed}, request {sent}: {denial:?}");
            }
            Err(other) => panic!("seed {seed}, request {sent}: {other:?}"),
        }
    }
    (sent, calls)
}

#[tokio::test]
async fn every_decision_is_the_plans_over_random_arrivals_rollovers_and_instances() {
    let (mut sent, mut calls) = (0, 0);
    for seed in [1, 2, 3, 4] {
        let (more, cost) = run(busy_plan(), seed, 300).await;
        (sent, calls) = (sent + more, calls + cost);
    }
    assert!(calls * 10 <= sent * 12, "{calls} calls for {sent} requests");
}

/// Any plan that the model takes: up to three rates, two quotas, weights.
fn random_plan(sequence: &mut Sequence) -> RatePlan {
    let second = Duration::from_secs(1);
    let rates = (0..sequence.below(4)).map(|at| {
        let per = second * [1, 1, 7, 60][usize::try_from(sequence.below(4)).unwrap()];
        let mut made = rate(&format!("r{at}"), 1 + sequence.below(150), per, 1 + sequence.below(40));
        if sequence.below(3) == 0 {
            made.only = vec![(ORDERS, Some(Operation::Create))];
        }
        made
    });
    let rates = rates.collect();
    let windows = [Window::Hour, Window::Day, Window::Month];
    let quotas = (0..sequence.below(3)).map(|at| {
        let window = windows[usize::try_from(sequence.below(3)).unwrap()];
        quota(&format!("q{at}"), 1 + sequence.below(200), window)
    });
    let mut made = plan(rates, quotas.collect());
    for operation in [Operation::Read, Operation::Create] {
        made.costs.push(Cost { entity: None, operation: Some(operation), units: sequence.below(4) });
    }
    made
}

#[tokio::test]
async fn any_plan_is_kept_exactly_over_random_arrivals() {
    let count = std::env::var("HOLDFAST_PLANS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut sequence = Sequence(77);
    let (mut sent, mut calls) = (0, 0);
    for _ in 0..count {
        let plan = random_plan(&mut sequence);
        if plan.rates.is_empty() && plan.quotas.is_empty() {
            continue;
        }
        let (more, cost) = run(plan, sequence.below(1 << 40), 120).await;
        (sent, calls) = (sent + more, calls + cost);
    }
    assert!(calls * 10 <= sent * 12, "{calls} calls for {sent} requests");
}

#[tokio::test]
async fn a_steady_consumer_costs_one_call_a_request_and_a_repeated_denial_none() {
    let (embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let subject = subject("c", &plan(vec![rate("burst", 10, Duration::from_secs(1), 10)], vec![]));
    for step in 0..100 {
        limiter.admit(&subject, &one(Operation::Read), at(step * 150_000)).await.unwrap();
    }
    let used = embedded.table.meter().take().total_calls();
    assert!(used <= 101, "{used} calls for 100 requests");
    let later = at(1_000_000_000);
    let mut denied = 0;
    for _ in 0..60 {
        denied += u64::from(limiter.admit(&subject, &one(Operation::Read), later).await.is_err());
    }
    assert_eq!(denied, 50);
    assert!(embedded.table.meter().take().total_calls() <= 12, "the 50 denials are remembered");
}

#[tokio::test]
async fn forgotten_windows_do_not_pile_up() {
    let (_embedded, table) = store().await;
    let subject = subject("c", &plan(vec![], vec![quota("hour", 100, Window::Hour)]));
    let hour = 3_600_000_000;
    for day in 0..20 {
        // Each time another instance, that knows nothing: hours with gaps, so that "two windows back" never hits.
        limiter(&table, None).admit(&subject, &one(Operation::Read), at(day * 5 * hour)).await.unwrap();
    }
    // An instance that sees the item once more cleans it up.
    let last = limiter(&table, None);
    last.admit(&subject, &one(Operation::Read), at(100 * hour)).await.unwrap();
    last.admit(&subject, &one(Operation::Read), at(100 * hour + 1)).await.unwrap();
    last.admit(&subject, &one(Operation::Read), at(100 * hour + 2)).await.unwrap();
    let key = crate::store::keys::limiter("c");
    let item = table.get(&[(crate::store::table::TableName::Data, key)], true).await.unwrap().remove(0).unwrap();
    assert_eq!(item.attrs.keys().filter(|name| *name != crate::limit::item::UNITS).count(), 1, "{:?}", item.attrs);
}

#[tokio::test]
async fn a_cost_that_never_fits_is_told_apart_and_costs_nothing() {
    let (embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let subject = subject("c", &plan(vec![rate("burst", 1, Duration::from_secs(1), 9)], vec![quota("day", 5, Window::Day)]));
    embedded.table.meter().take();
    let call = |count| [Call { entity: ORDERS, operation: Operation::Read, count }];
    for (count, name, limit) in [(6, "day", 5), (10, "burst", 9)] {
        let Err(LimitRefusal::CostExceeds(excess)) = limiter.admit(&subject, &call(count), at(0)).await else {
            panic!("{count}")
        };
        assert_eq!((excess.name.as_str(), excess.cost, excess.limit), (name, count, limit));
    }
    assert_eq!(embedded.table.meter().take().total_calls(), 0);
    assert!(limiter.admit(&subject, &call(5), at(0)).await.is_ok());
}

/// A quota of nothing is used up from the beginning: waiting is the only advice, asking for less would not help.
#[tokio::test]
async fn a_quota_of_nothing_refuses_as_one_that_is_used_up() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, None);
    let subject = subject("c", &plan(vec![], vec![quota("hour", 0, Window::Hour)]));
    for _ in 0..2 {
        match limiter.admit(&subject, &one(Operation::Read), at(0)).await {
            Err(LimitRefusal::Denied(denial)) => assert!(denial.is_quota() && denial.violated[0].name == "hour"),
            other => panic!("{other:?}"),
        }
    }
}
