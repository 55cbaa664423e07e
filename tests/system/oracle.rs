//! Every answer is the one of a world in which nothing exists that the caller may not see.
//!
//! `HOLDFAST_ORACLE_CASES=1000` runs longer, `HOLDFAST_ORACLE_FIRST=5000` begins elsewhere, `HOLDFAST_ORACLE_SEED=17` repeats one.

use holdfast_tests::oracle::{Size, Tally, run};

const SIZE: Size = Size { records: 10, callers: 3, reads: 30, writes: 12 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_differs_from_that_of_a_world_without_what_the_caller_may_not_see() {
    let first = number("HOLDFAST_ORACLE_FIRST").unwrap_or(1);
    let seeds = match number("HOLDFAST_ORACLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("HOLDFAST_ORACLE_CASES").unwrap_or(12),
    };
    let (mut total, mut failures) = (Tally::default(), Vec::new());
    for seed in seeds.clone() {
        match run(seed, SIZE).await {
            Ok(tally) => total += tally,
            Err(why) => failures.push((seed, why)),
        }
    }
    eprintln!("{seeds:?}: {total:?}");
    if let Some((_, first)) = failures.first() {
        let others: Vec<String> =
            failures.iter().map(|(seed, why)| format!("{seed}: {}", why.lines().take(3).collect::<String>())).collect();
        panic!("{first}\n\n{} of {seeds:?} failed:\n{}", failures.len(), others.join("\n"));
    }
    // A test in which nothing is answered, refused or written would prove nothing.
    if seeds.end - seeds.start >= 10 {
        let reads = total.answered + total.unserved + total.refused;
        assert!(total.answered * 2 > reads && total.refused * 20 > reads && total.rows > total.answered, "{total:?}");
        assert!(total.written * 8 > total.unwritten && total.unwritten > 0, "{total:?}");
    }
}
