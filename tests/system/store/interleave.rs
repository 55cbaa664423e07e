//! Random writes, cascades, reindexing, deaths and retries at the same time, through the proxy on a bad day. In the end the
//! table is sound and holds exactly the effects that were acknowledged.
//!
//! `HOLDFAST_ROUNDS=250` makes ten thousand requests of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use holdfast::store::constraints::{BuildError, Constraints};
use holdfast::store::table::SharedTable;
use holdfast::store::write::WriteError;
use holdfast_tests::crash::{End, crashing};
use holdfast_tests::proxy::Faults;
use serde_json::json;

use super::Store;
use super::handler::{Request, handle_with};

const AUTHORS: [&str; 2] = ["ann", "bob"];
const SERIES: [&str; 4] = ["s0", "s1", "s2", "s3"];
const CLIENTS: usize = 4;
const REQUESTS: usize = 10;

/// Randomness of a test: the same for the same seed.
struct Seeded(std::sync::Mutex<u64>);

impl Seeded {
    fn below(&self, bound: u32) -> u32 {
        holdfast::core::clock::Random::below(self, bound)
    }
}

impl holdfast::core::clock::Random for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for byte in buffer {
            // A linear congruential generator modulo 2^64 (Knuth's MMIX); its high bits are good enough to choose by.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = u8::try_from(*state >> 56).unwrap();
        }
    }
}

fn request(chance: &Seeded, client: usize, number: usize) -> Request {
    match chance.below(10) {
        0..4 => Request::Increment(AUTHORS[chance.below(2) as usize]),
        4..9 => Request::Book(format!("b{client}-{number}"), SERIES[chance.below(4) as usize]),
        _ => Request::Cascade(SERIES[chance.below(4) as usize]),
    }
}

/// Sends a request as a client does that does not give up: with the same key, however often its handler dies. Whether it had
/// its effect; `false` where it was refused for good.
async fn insist(store: &Store, chance: &Seeded, request: &Request, key: &str) -> bool {
    loop {
        let outcome = if chance.below(3) == 0 {
            let end = if chance.below(2) == 0 { End::Before } else { End::After };
            let crashing = crashing(Arc::clone(&store.table), 1 + chance.below(8), end);
            let dying: SharedTable = Arc::clone(&crashing) as SharedTable;
            match crashing.until_end(handle_with(store, &dying, request, &store.env, key)).await {
                Some(outcome) => outcome,
                None => continue,
            }
        } else {
            handle_with(store, &store.table, request, &store.env, key).await
        };
        match outcome {
            Ok(_) => return true,
            Err(WriteError::ReferenceMissing { .. } | WriteError::Exists { .. }) => return false,
            Err(WriteError::Changed { current: None, .. }) => return false,
            Err(WriteError::Changed { .. } | WriteError::Busy | WriteError::Unknown) => {}
            Err(error) => panic!("{request:?}: {error}"),
        }
    }
}

async fn round(seed: u64) {
    let store = Arc::new(Store::behind_proxy(Faults::bad_day_with_late_requests(seed)).await);
    let indexes = Constraints::new(Arc::clone(&store.table), Arc::clone(&store.model), store.env.clone());
    indexes.before_write(store.deadline()).await.unwrap();
    for author in AUTHORS {
        store.create("author", author, json!({"tally": 0})).await;
    }
    for series in SERIES {
        store.create("series", series, json!({})).await;
    }
    let clients = (0..CLIENTS).map(|client| {
        let store = Arc::clone(&store);
        let chance = Seeded(std::sync::Mutex::new(seed * 1000 + client as u64));
        tokio::spawn(async move {
            let mut done = Vec::new();
            for number in 0..REQUESTS {
                let request = request(&chance, client, number);
                if insist(&store, &chance, &request, &format!("{client}-{number}")).await {
                    done.push(request);
                }
            }
            done
        })
    });
    let reindex = async {
        for _ in 0..3 {
            match indexes.reindex("book", "by_title", Duration::ZERO, |_| {}).await {
                Ok(_) | Err(BuildError::Table(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (done, ()) = futures::join!(join_all(clients), reindex);
    let done: Vec<Request> = done.into_iter().flat_map(Result::unwrap).collect();
    store.assert_sound().await;
    assert_effects(&store, &done).await;
    indexes.reindex("book", "by_title", Duration::ZERO, |_| {}).await.unwrap();
    store.assert_sound().await;
}

/// Exactly what was acknowledged, read from the data.
async fn assert_effects(store: &Store, done: &[Request]) {
    let mut tallies: BTreeMap<&str, i64> = AUTHORS.into_iter().map(|author| (author, 0)).collect();
    let mut series: BTreeSet<&str> = SERIES.into();
    let mut books = BTreeMap::new();
    for request in done {
        match request {
            Request::Increment(author) => *tallies.get_mut(author).unwrap() += 1,
            Request::Cascade(gone) => assert!(series.remove(gone), "{gone} was deleted twice"),
            Request::Book(id, of) => assert_eq!(books.insert(id.clone(), *of), None),
            other => panic!("{other:?}"),
        }
    }
    books.retain(|_, of| series.contains(of));
    for (author, tally) in tallies {
        assert_eq!(store.read("author", author).await.unwrap().fields["tally"], json!(tally), "{author}");
    }
    let ids = async |prefix: &str| -> BTreeSet<String> {
        let items = store.all(prefix).await.into_iter();
        items.map(|item| item.s("i").unwrap().to_owned()).collect()
    };
    assert_eq!(ids("r#book#").await, books.into_keys().collect());
    assert_eq!(ids("r#series#").await, series.into_iter().map(str::to_owned).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_together_the_acknowledged_effects_are_there_once() {
    let rounds = std::env::var("HOLDFAST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    for seed in 1..=rounds {
        eprintln!("seed {seed}");
        round(seed).await;
    }
}
