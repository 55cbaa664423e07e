//! Whatever the model, the callers, the writes and the reads: every answer is the one that there would be without a cache.
//!
//! `HOLDFAST_CACHE_WORLDS=500` is the long run, `HOLDFAST_CACHE_SEED=7` runs one world again.

use std::collections::HashSet;

use futures::future::join_all;
use holdfast::cache::Event;
use serde_json::Value;

use super::random::{Shape, caller};
use super::{Caller, Instance, Seen, World};
use holdfast_tests::rng::Rng;

/// Steps of one world: about as many reads compared as steps.
const STEPS: usize = 150;
const INSTANCES: usize = 3;

/// What a world came to.
#[derive(Default)]
struct Tally {
    compared: usize,
    hits: u64,
    not_modified: usize,
    refused: usize,
    writes: usize,
}

/// Compares one read on a caching instance with one past the cache, and the conditional read behind it.
async fn compare(
    instance: &Instance,
    plain: &Instance,
    caller: &Caller,
    address: &str,
    tally: &mut Tally,
) -> Result<Seen, String> {
    let (cached, fresh) = (instance.get(caller, address).await, plain.get_fresh(caller, address).await);
    tally.compared += 1;
    tally.refused += usize::from(fresh.status >= 400);
    if cached.content() != fresh.content() {
        return Err(format!("{address} of {caller:?}\n{} {}\n{} {}", cached.cache(), cached.text(), fresh.status, fresh.text()));
    }
    let etag = fresh.header("etag");
    if !etag.is_empty() {
        let headers = [("if-none-match", etag)];
        let again = instance.call(caller, &format!("GET {address}"), &headers, &Value::Null).await;
        let both = [("if-none-match", etag), ("cache-control", "no-cache")];
        let plain = plain.call(caller, &format!("GET {address}"), &both, &Value::Null).await;
        if again.content() != plain.content() || again.status != 304 {
            return Err(format!("{address} of {caller:?}, conditional: {} instead of {}", again.status, plain.status));
        }
        tally.not_modified += 1;
    }
    Ok(fresh)
}

/// Runs one world; what is wrong, if anything is.
async fn run(seed: u64) -> Result<Tally, String> {
    let mut rng = Rng::new(seed);
    let shape = Shape::random(&mut rng);
    let world = World::new(&shape.yaml).await;
    let instances: Vec<Instance> = (0..INSTANCES).map(|_| world.instance()).collect();
    let plain = world.instance();
    let root = Caller::new("root", &["admin"]);
    let callers: Vec<Caller> = (0..4).map(|_| caller(&mut rng)).collect();
    // Reads that come again and again, or nothing would ever be a hit.
    let addresses: Vec<String> = (0..12).map(|_| shape.read(&mut rng)).collect();
    // What is refused is compared too, but less often.
    let mut dull = HashSet::new();
    let mut tally = Tally::default();
    for _ in 0..STEPS {
        let instance = &instances[rng.below(INSTANCES)];
        if rng.percent(25) {
            let (line, body) = shape.write(&mut rng);
            let seen = instance.call(&root, &line, &[], &body).await;
            if seen.status >= 500 {
                return Err(format!("{line} {body}: {}", seen.text()));
            }
            tally.writes += 1;
        } else if rng.percent(3) {
            instance.done(&root, "POST _cache/purge", &shape.purge(&mut rng)).await;
        } else {
            let mut pair = (rng.below(callers.len()), rng.below(addresses.len()));
            if dull.contains(&pair) && rng.percent(80) {
                pair = (rng.below(callers.len()), rng.below(addresses.len()));
            }
            let (caller, address) = (&callers[pair.0], &addresses[pair.1]);
            let seen = compare(instance, &plain, caller, address, &mut tally).await?;
            if seen.status >= 400 {
                dull.insert(pair);
            }
            // The next page, by the cursor that either gives.
            if let Some(cursor) = seen.json()["next_cursor"].as_str() {
                let separator = if address.contains('?') { '&' } else { '?' };
                compare(instance, &plain, caller, &format!("{address}{separator}cursor={cursor}"), &mut tally).await?;
            }
        }
    }
    for instance in &instances {
        instance.idle().await;
        tally.hits += instance.app.cache.counters.hits();
        if instance.app.cache.counters.of(Event::Failure) > 0 {
            return Err("the cache failed".to_owned());
        }
    }
    Ok(tally)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_the_one_without_a_cache() {
    let seeds: Vec<u64> = match number("HOLDFAST_CACHE_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("HOLDFAST_CACHE_WORLDS").unwrap_or(24)).collect(),
    };
    let mut sum = Tally::default();
    for chunk in seeds.chunks(4) {
        let worlds = chunk.iter().map(|seed| tokio::spawn(run(*seed)));
        for (seed, outcome) in chunk.iter().zip(join_all(worlds).await) {
            let tally = outcome.unwrap().unwrap_or_else(|wrong| panic!("HOLDFAST_CACHE_SEED={seed}: {wrong}"));
            sum.compared += tally.compared;
            sum.hits += tally.hits;
            sum.not_modified += tally.not_modified;
            sum.refused += tally.refused;
            sum.writes += tally.writes;
        }
    }
    let Tally { compared, hits, not_modified, refused, writes } = sum;
    println!("{compared} reads compared, {not_modified} conditional, {hits} hits, {refused} refused, {writes} writes");
    assert!(seeds.len() < 10 || hits > 500 && not_modified > 500 && refused * 10 < compared * 6, "it says little");
}
