//! Leases never admit more than the plan, cost little, and lose little.

use super::*;
use crate::limit::LimitRefusal;

/// The most units that any interval holds beyond `burst + rate * length`; admissions are (moment, units), in order.
fn most_over(admitted: &[(u64, u64)], per_second: u64, burst: u64) -> i128 {
    // In token-microseconds: the greatest sum over intervals that begin and end with an admission.
    let mut worst = i128::MIN;
    for first in 0..admitted.len() {
        let mut sum = 0i128;
        for (moment, units) in &admitted[first..] {
            sum += i128::from(*units) * 1_000_000;
            let allowed = i128::from(burst) * 1_000_000 + i128::from(moment - admitted[first].0) * i128::from(per_second);
            worst = worst.max(sum - allowed);
        }
    }
    worst
}

#[tokio::test]
async fn no_interval_admits_more_than_burst_and_rate_whatever_the_arrivals() {
    for seed in [11, 12, 13] {
        let (_embedded, table) = store().await;
        let instances: Vec<Limiter> = (0..2).map(|_| limiter(&table, Some(20))).collect();
        let subject = subject("c", &plan(vec![rate("burst", 60, Duration::from_secs(1), 150)], vec![]));
        let mut sequence = Sequence(seed);
        let (mut offset, mut admitted, mut leased) = (0, Vec::new(), 0);
        for _ in 0..1_500 {
            offset += match sequence.below(200) {
                0 => sequence.below(4_000_000),
                1..100 => 0,
                _ => sequence.below(25_000),
            };
            let which = usize::try_from(sequence.below(5) / 4).unwrap();
            if let Ok(admission) = instances[which].admit(&subject, &one(Operation::Read), at(offset)).await {
                admitted.push((offset, admission.cost));
                leased += u32::from(admission.calls == 0);
            }
        }
        assert!(leased > 300, "only {leased} of {} came from leases", admitted.len());
        assert!(most_over(&admitted, 60, 150) <= 0, "seed {seed}");
    }
}

#[tokio::test]
async fn a_hot_consumer_costs_under_a_tenth_of_a_call_within_and_at_its_limit() {
    for (per_second, demand) in [(200, 100), (100, 120), (50, 400)] {
        let (embedded, table) = store().await;
        let limiter = limiter(&table, Some(20));
        let subject = subject("c", &plan(vec![rate("burst", per_second, Duration::from_secs(1), 2 * per_second)], vec![]));
        let mut admitted = 0;
        for step in 0..demand * 10 {
            if step == demand {
                // The first second warms up: until then the consumer is not known to be hot.
                embedded.table.meter().take();
            }
            admitted += u64::from(limiter.admit(&subject, &one(Operation::Read), at(step * 1_000_000 / demand)).await.is_ok());
        }
        let calls = embedded.table.meter().take().total_calls();
        assert!(calls * 10 < demand * 9, "{calls} calls for {} requests at {per_second}/s", demand * 9);
        let allowed = (demand * 10).min(2 * per_second + per_second * 10);
        assert!(admitted <= allowed && admitted * 100 >= allowed * 85, "{admitted} of {allowed}");
    }
}

/// Under-admission is bounded: what a quota loses is at most one second's demand of the instance and window, as `lease` says.
#[tokio::test]
async fn a_quota_loses_at_most_a_seconds_demand_an_instance() {
    let (_embedded, table) = store().await;
    let subject = subject("c", &plan(vec![], vec![quota("day", 1_000, Window::Day)]));
    let (first, second) = (limiter(&table, Some(20)), limiter(&table, Some(20)));
    let mut admitted = 0u64;
    // 50 a second for five seconds on one instance, which then falls silent with its lease.
    for step in 0..250 {
        admitted += u64::from(first.admit(&subject, &one(Operation::Read), at(60_000_000 + step * 20_000)).await.is_ok());
    }
    assert_eq!(admitted, 250);
    let mut refused = 0;
    for step in 0..2_000 {
        match second.admit(&subject, &one(Operation::Read), at(70_000_000 + step * 20_000)).await {
            Ok(_) => admitted += 1,
            Err(LimitRefusal::Denied(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && admitted <= 1_000);
    assert!(admitted >= 1_000 - 2 * 50, "{admitted}");
}

#[tokio::test]
async fn a_revocation_reaches_a_hot_consumer_within_a_second() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, Some(20));
    let mut subject = subject("c", &plan(vec![rate("burst", 1_000, Duration::from_secs(1), 3_000)], vec![]));
    subject.key_id = Some("k".into());
    for step in 0..200 {
        limiter.admit(&subject, &one(Operation::Read), at(step * 10_000)).await.unwrap();
    }
    let update = crate::store::table::Expr::new("SET #r = :r")
        .name("#r", crate::limit::item::REVOKED)
        .value(":r", crate::store::table::Attr::Ss(vec!["k".into()]));
    let write = crate::store::table::Write::Update { key: crate::store::keys::limiter("c"), update, condition: None };
    table.write(crate::store::table::TableName::Data, write, crate::store::table::Returning::Nothing).await.unwrap();
    let revoked = at(2_000_000);
    let refused =
        async |after: u64| limiter.admit(&subject, &one(Operation::Read), revoked.plus(Duration::from_micros(after))).await;
    let mut last = Ok(());
    for step in 0..=100 {
        last = refused(step * 10_000).await.map(|_| ());
    }
    assert_eq!(last, Err(LimitRefusal::Revoked));
}

/// A burst out of idleness is a consumer's right, however many requests come at once and whoever answers them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_out_of_idleness_is_admitted_whole() {
    for (per_second, burst) in [(50, 100), (10, 20), (20, 20), (100, 200)] {
        let (_embedded, table) = store().await;
        let limiter = Arc::new(limiter(&table, Some(20)));
        let subject = subject("c", &plan(vec![rate("burst", per_second, Duration::from_secs(1), burst)], vec![]));
        for pause in [0, 60_000_000] {
            let requests = (0..2 * burst).map(|_| {
                let (limiter, subject) = (Arc::clone(&limiter), subject.clone());
                tokio::spawn(async move { u64::from(limiter.admit(&subject, &one(Operation::Read), at(pause)).await.is_ok()) })
            });
            let admitted: u64 = futures::future::join_all(requests).await.into_iter().map(Result::unwrap).sum();
            assert_eq!(admitted, burst, "at {per_second} a second");
        }
    }
}

/// One item takes about 1,000 write units a second. A consumer at 5,000 requests a second over 200 instances is hot on none of
/// them that asks for more than 25 a second; the item tells each of them what all ask for.
#[tokio::test]
async fn a_consumer_that_is_spread_thinly_over_200_instances_is_leased_to() {
    const INSTANCES: u64 = 200;
    const SECONDS: u64 = 10;
    let (embedded, table) = store().await;
    // Hot by its own demand only far above what an instance sees here.
    let instances: Vec<Limiter> = (0..INSTANCES).map(|_| limiter(&table, Some(1_000))).collect();
    let limits = plan(vec![rate("burst", 10_000, Duration::from_secs(1), 20_000)], vec![quota("day", 10_000_000, Window::Day)]);
    let subject = subject("c", &limits);
    let mut calls = Vec::new();
    for second in 0..SECONDS {
        embedded.table.meter().take();
        for step in 0..25 * INSTANCES {
            let offset = second * 1_000_000 + step * 1_000_000 / (25 * INSTANCES);
            let limiter = &instances[usize::try_from(step % INSTANCES).unwrap()];
            limiter.admit(&subject, &one(Operation::Read), at(offset)).await.unwrap();
        }
        calls.push(embedded.table.meter().take().total_calls());
    }
    let (total, admitted) = (calls.iter().sum::<u64>(), 25 * INSTANCES * SECONDS);
    assert!(total * 5 <= admitted, "{total} calls for {admitted} requests, by second: {calls:?}");
    assert!(calls[2..].iter().all(|calls| *calls <= 500), "under half of what one item takes: {calls:?}");
}

/// What makes a consumer hot over all instances has to last for a second: a burst out of idleness is admitted whole here too.
#[tokio::test]
async fn a_burst_over_many_instances_is_no_reason_for_leases() {
    let (_embedded, table) = store().await;
    let instances: Vec<Limiter> = (0..50).map(|_| limiter(&table, Some(20))).collect();
    let subject = subject("c", &plan(vec![rate("burst", 100, Duration::from_secs(1), 500)], vec![]));
    let mut admitted = 0;
    for step in 0..700usize {
        let outcome = instances[step % 50].admit(&subject, &one(Operation::Read), at(0)).await;
        admitted += u64::from(outcome.is_ok());
    }
    assert_eq!(admitted, 500);
}

/// Requests that stay within the rate are not refused for what leases debited and did not use.
#[tokio::test]
async fn a_steady_consumer_within_its_rate_is_never_refused() {
    for (offered, seed) in [(58, 1), (58, 2), (50, 3), (59, 4)] {
        let (_embedded, table) = store().await;
        let limiter = limiter(&table, Some(20));
        let subject = subject("c", &plan(vec![rate("burst", 60, Duration::from_secs(1), 60)], vec![]));
        let (mut sequence, mut refused) = (Sequence(seed), 0);
        for step in 0..offered * 20 {
            // Requests come a little early or late.
            let offset = step * 1_000_000 / offered + sequence.below(12_000);
            refused += u64::from(limiter.admit(&subject, &one(Operation::Read), at(offset)).await.is_err());
        }
        assert_eq!(refused, 0, "of {} at {offered} a second", offered * 20);
    }
}

/// What a lease leaves over goes into the next charge: a quota is used to its last unit, in whatever pace.
#[tokio::test]
async fn a_quota_is_used_to_its_last_unit_after_a_burst_and_a_pause() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, Some(20));
    let subject = subject("c", &plan(vec![], vec![quota("day", 1_000, Window::Day)]));
    let mut admitted = 0u64;
    let mut ask = async |offset: u64| {
        let answer = limiter.admit(&subject, &one(Operation::Read), at(60_000_000 + offset)).await;
        admitted += u64::from(answer.is_ok());
        admitted
    };
    for step in 0..300 {
        ask(step * 5_000).await;
    }
    for step in 0..900 {
        ask(100_000_000 + step * 2_000_000).await;
    }
    assert_eq!(ask(3_000_000_000).await, 1_000);
}

/// Four keys of one consumer, each with leases of its own: what one leaves over the others use.
#[tokio::test]
async fn what_a_lease_of_one_key_left_over_is_used_by_another() {
    let (_embedded, table) = store().await;
    let limiter = limiter(&table, Some(20));
    let limits = plan(vec![], vec![quota("day", 2_000, Window::Day)]);
    let subjects: Vec<LimitSubject> =
        (0..4).map(|key| LimitSubject { key_id: Some(format!("k{key}")), ..subject("c", &limits) }).collect();
    let mut admitted = 0u64;
    for step in 0..4_000u64 {
        let subject = &subjects[usize::try_from(step / 150 % 4).unwrap()];
        let offset = 60_000_000 + step * 6_000 + step / 600 * 1_500_000;
        admitted += u64::from(limiter.admit(subject, &one(Operation::Read), at(offset)).await.is_ok());
    }
    assert_eq!(admitted, 2_000);
}

/// An instance that ends gives back what it has left, so that others can use it.
#[tokio::test]
async fn an_instance_that_ends_gives_back_what_it_has_left() {
    let (_embedded, table) = store().await;
    let subject = subject("c", &plan(vec![], vec![quota("day", 1_000, Window::Day), quota("month", 5_000, Window::Month)]));
    let (first, second) = (limiter(&table, Some(20)), limiter(&table, Some(20)));
    let mut admitted = 0u64;
    for step in 0..250 {
        admitted += u64::from(first.admit(&subject, &one(Operation::Read), at(60_000_000 + step * 20_000)).await.is_ok());
    }
    first.give_back().await;
    first.give_back().await;
    for step in 0..2_000 {
        admitted += u64::from(second.admit(&subject, &one(Operation::Read), at(70_000_000 + step * 20_000)).await.is_ok());
    }
    second.give_back().await;
    assert_eq!(admitted, 1_000);
    let item = table.get(&[(crate::store::table::TableName::Data, crate::store::keys::limiter("c"))], true).await.unwrap();
    let counts = |item: &crate::store::table::Item| {
        item.attrs.iter().filter(|(name, _)| name.starts_with("q:")).map(|(_, count)| count.as_n().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(counts(item[0].as_ref().unwrap()), [1_000, 1_000]);
}

/// One answer never contradicts the next, whoever is admitted from what: nothing above its limit, nothing that rises without a
/// refill, nothing left where a request is refused, and something where one would be admitted.
#[tokio::test]
async fn every_answer_of_a_flood_tells_the_truth() {
    for (seed, count, gap) in [(1, 2_000, 6_000), (2, 1_500, 40_000), (3, 3_000, 2_000), (4, 1_000, 90_000)] {
        let (_embedded, table) = store().await;
        let limiter = limiter(&table, Some(20));
        let limits = plan(vec![rate("burst", 60, Duration::from_secs(1), 60)], vec![quota("day", 1_500, Window::Day)]);
        let subjects = [None, Some("k")].map(|key| LimitSubject { key_id: key.map(Into::into), ..subject("c", &limits) });
        let (mut sequence, mut offset, mut before) = (Sequence(seed), 60_000_000, None::<(u64, u64, u64)>);
        for _ in 0..count {
            offset += sequence.below(gap) + if sequence.below(300) == 0 { 3_000_000 } else { 0 };
            let subject = &subjects[usize::try_from(sequence.below(5) / 4).unwrap()];
            let (windows, refused) = match limiter.admit(subject, &one(Operation::Read), at(offset)).await {
                Ok(admission) => (admission.windows, Vec::new()),
                Err(LimitRefusal::Denied(denial)) => (denial.windows, denial.violated),
                Err(other) => panic!("{other:?}"),
            };
            let left = |name: &str| windows.iter().find(|window| window.name == name).unwrap().remaining;
            for violation in &refused {
                assert_eq!(left(&violation.name), 0, "seed {seed}: {violation:?} in {windows:?}");
            }
            let (burst, day) = (left("burst"), left("day"));
            assert!(burst <= 60 && day <= 1_500, "seed {seed}: {windows:?}");
            if let Some((then, burst_then, day_then)) = before {
                let refilled = (offset - then) * 60 / 1_000_000 + 1;
                assert!(burst <= burst_then + refilled, "seed {seed}: burst {burst_then} -> {burst} in {} us", offset - then);
                assert!(day <= day_then.max(1), "seed {seed}: day {day_then} -> {day}");
            }
            if refused.is_empty() && before.is_some_and(|(_, burst_then, day_then)| burst_then == 0 && day_then == 0) {
                panic!("seed {seed}: admitted where nothing was left");
            }
            before = Some((offset, burst, day));
            let standing = limiter.standing(subject, at(offset)).await.unwrap();
            assert_eq!(standing.windows.iter().map(|window| window.remaining).collect::<Vec<_>>(), [burst, day], "seed {seed}");
        }
    }
}
