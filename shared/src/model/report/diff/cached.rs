//! How old an answer may be.

use std::time::Duration;

use super::super::describe;
use super::changes::Changes;
use crate::model::schema::CacheMode;

/// Adds a change of `cache`: it breaks clients where answers may be older than they were.
pub(super) fn mode(changes: &mut Changes, place: &str, was: CacheMode, now: CacheMode) {
    let older = oldest(now) > oldest(was);
    let what = format!("cache {} -> {}", shown(was), shown(now));
    let why = (
        "an answer, also one that embeds it, may be older than the last acknowledged write",
        "no answer is older than it could be; what was cached is void at the first write",
    );
    changes.either(place, (was, now), older, what, why);
}

fn oldest(mode: CacheMode) -> Duration {
    match mode {
        CacheMode::Off | CacheMode::Strict => Duration::ZERO,
        CacheMode::Bounded(age) => age,
    }
}

fn shown(mode: CacheMode) -> String {
    match mode {
        CacheMode::Off => "off".to_owned(),
        CacheMode::Strict => "strict".to_owned(),
        CacheMode::Bounded(age) => format!("bounded {}", describe::duration(age)),
    }
}

/// Adds a change of `public`: it breaks clients where shared caches may keep answers for longer.
pub(super) fn public(changes: &mut Changes, place: &str, was: Option<Duration>, now: Option<Duration>) {
    let shown = |age: Option<Duration>| age.map_or_else(|| "none".to_owned(), describe::duration);
    let what = format!("public {} -> {}", shown(was), shown(now));
    let why = (
        "answers to callers without credentials may be that old",
        "shared caches keep answers for a shorter time; what they have stays until it is that old",
    );
    changes.either(place, (was, now), now > was, what, why);
}
