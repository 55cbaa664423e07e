//! Many clients at once, several instances over one store.

use super::*;
use crate::limit::LimitRefusal;

/// Sends `clients` concurrent requests of each consumer through the instances in turn, all at one moment; counts what was admitted.
async fn volley(instances: &[Arc<Limiter>], subjects: &[LimitSubject], clients: usize, now: Micros) -> Vec<u64> {
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let which = client % subjects.len();
        let (limiter, subject) = (Arc::clone(&instances[client % instances.len()]), subjects[which].clone());
        tasks.spawn(async move {
            match limiter.admit(&subject, &one(Operation::Read), now).await {
                Ok(admission) => (which, admission.cost),
                Err(LimitRefusal::Denied(_)) => (which, 0),
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    let mut admitted = vec![0; subjects.len()];
    for (which, units) in tasks.join_all().await {
        admitted[which] += units;
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_get_exactly_what_three_plans_allow() {
    let (_embedded, table) = store().await;
    let instances: Vec<_> = (0..4).map(|_| Arc::new(limiter(&table, None))).collect();
    let second = Duration::from_secs(1);
    let weighted = {
        let mut plan = plan(vec![rate("burst", 4, second, 9)], vec![]);
        plan.costs = vec![Cost { entity: None, operation: Some(Operation::Read), units: 2 }];
        plan
    };
    let subjects = [
        subject("a", &plan(vec![rate("burst", 3, second, 10)], vec![])),
        subject("b", &plan(vec![rate("burst", 5, second, 20)], vec![quota("day", 77, Window::Day)])),
        subject("c", &weighted),
    ];
    let mut admitted = vec![0; 3];
    for step in 0..31u64 {
        let more =
            volley(&instances, &subjects, 64, Micros(START - 30_000_000).plus(second * u32::try_from(step).unwrap())).await;
        admitted.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    // 30 seconds: burst + rate * time; the quota; in twos: 8 of 9 at first, then the odd token carries over: 9 + 4 * 30 = 129.
    assert_eq!(admitted, [10 + 3 * 30, 77, 128]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_in_between_takes_effect_at_once_and_exactly() {
    let (_embedded, table) = store().await;
    let instances: Vec<_> = (0..4).map(|_| Arc::new(limiter(&table, None))).collect();
    let second = Duration::from_secs(1);
    let slow = subject("a", &plan(vec![rate("burst", 1, second, 5)], vec![quota("day", 100, Window::Day)]));
    assert_eq!(volley(&instances, &[slow], 64, at(0)).await, [5]);
    // 50 a second from now on: a rate that was changed begins full, quotas go on.
    let fast = subject("a", &plan(vec![rate("burst", 50, second, 500)], vec![quota("day", 40, Window::Day)]));
    assert_eq!(volley(&instances, std::slice::from_ref(&fast), 64, at(2_000_000)).await, [35], "the quota is 40, 5 are used");
}

/// Quarters of a second until the consumer is known to be hot.
const WARM: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_leases_it_is_never_more_and_little_less() {
    let (embedded, table) = store().await;
    let instances: Vec<_> = (0..2).map(|_| Arc::new(limiter(&table, Some(20)))).collect();
    let second = Duration::from_secs(1);
    let subjects = [subject("a", &plan(vec![rate("burst", 40, second, 90)], vec![quota("day", 700, Window::Day)]))];
    let (mut admitted, mut previous) = (0, 0);
    for step in 0..60u32 {
        if step == WARM {
            embedded.table.meter().take();
        }
        let now = Micros(START - 40_000_000).plus(second / 4 * step);
        admitted += volley(&instances, &subjects, 64, now).await[0];
        let allowed = (90 + u64::from(step) * 10).min(700);
        assert!(admitted <= allowed, "{admitted} after {step} quarters of a second");
        previous = allowed;
    }
    // 690 are allowed; what leases hold back is at most a second's demand of each instance, and far less at the limit.
    assert!(admitted * 10 >= previous * 9, "{admitted} of {previous}");
    assert!(embedded.table.meter().take().total_calls() < 64 * (60 - u64::from(WARM)) / 10);
}
