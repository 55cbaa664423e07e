//! A sheet of counts: of an instance since its last flush, or of a minute, an hour, a day.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cell::{Cache, Class, Numbers};
use super::finished::Finished;
use super::plan_stats::PlanStats;

/// Stands for consumers that have no place of their own in a sheet of all.
pub const OTHERS: &str = "~others";

/// Consumer, route (`GET /v1/orders/{id}`), status class.
pub type CellKey = (String, String, Class);

/// Counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UsageCounts {
    /// By consumer, route and class.
    #[serde(rename = "c", with = "pairs")]
    pub cells: BTreeMap<CellKey, Numbers>,
    /// By consumer.
    #[serde(rename = "u", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub habits: BTreeMap<String, HourlyBaseline>,
    /// By consumer and normalised plan.
    #[serde(rename = "p", default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<(String, String), PlanStats>,
    /// Uses of what is deprecated, by consumer and name (`book.sku`, `voucher`).
    #[serde(rename = "o", default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub deprecated: BTreeMap<(String, String), u64>,
    /// Consumers that are counted under [`OTHERS`] here.
    #[serde(rename = "f", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub folded: BTreeSet<String>,
    /// Requests that were counted but could not be flushed in time and had to be dropped.
    #[serde(rename = "z", default)]
    pub lost: u64,
    /// Hits of the cache that were read anew and found wrong. This must stay 0.
    #[serde(rename = "y", default)]
    pub stale: u64,
    /// Requests that the limiter admitted and refused without its store, as their plans say (fail open or closed).
    #[serde(rename = "b", default)]
    pub fallbacks: [u64; 2],
}

/// What is known of a consumer besides its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HourlyBaseline {
    /// The most that was used of its tightest limit at the end of a request, thousandths.
    #[serde(rename = "u", default)]
    pub limit_used: u16,
    /// The request that was repeated most.
    #[serde(rename = "v", default)]
    pub repeated: Vote,
}

/// The majority among requests, if there is one (Boyer and Moore): its share of n requests is at least `lead / n`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vote {
    /// Hash of method, path and query.
    #[serde(rename = "h", default)]
    pub hash: u64,
    /// Its route.
    #[serde(rename = "r", default)]
    pub route: String,
    /// By how many requests it is ahead of all others together.
    #[serde(rename = "n", default)]
    pub lead: u64,
}

impl Vote {
    fn merge(&mut self, other: &Self) {
        if self.hash == other.hash {
            self.lead += other.lead;
        } else if other.lead > self.lead {
            *self = Self { lead: other.lead - self.lead, ..other.clone() };
        } else {
            self.lead -= other.lead;
        }
    }
}

impl UsageCounts {
    /// Counts a request.
    pub fn add(&mut self, done: Finished) {
        let numbers = self.cells.entry((done.consumer.clone(), done.route.clone(), Class::of(done.status))).or_default();
        numbers.requests += 1;
        numbers.denied += u64::from(done.status == 429);
        numbers.forbidden += u64::from(done.status == 403);
        numbers.missing += u64::from(done.status == 404);
        numbers.errors += u64::from(done.status >= 400 && done.status != 429);
        numbers.failures += u64::from(done.status >= 500);
        numbers.hits += u64::from(done.cache == Some(Cache::Hit));
        numbers.misses += u64::from(done.cache == Some(Cache::Miss));
        numbers.hot += u64::from(done.cache == Some(Cache::Hot));
        numbers.bytes += done.bytes;
        numbers.read_units += done.read_units;
        numbers.write_units += done.write_units;
        numbers.latency.add(done.duration);
        self.stale += u64::from(done.stale);
        self.add_fallbacks(done.fallbacks);
        for plan in done.plans {
            let seen = PlanStats { units: done.read_units + done.write_units, ..plan.stats };
            self.plans.entry((done.consumer.clone(), plan.form)).or_default().merge(&seen);
        }
        for name in done.deprecated {
            *self.deprecated.entry((done.consumer.clone(), name)).or_default() += 1;
        }
        let repeated = Vote { hash: done.fingerprint, route: done.route, lead: 1 };
        let habit = self.habits.entry(done.consumer).or_default();
        habit.limit_used = habit.limit_used.max(done.limit_used);
        habit.repeated.merge(&repeated);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (key, numbers) in &other.cells {
            self.cells.entry(key.clone()).or_default().merge(numbers);
        }
        for (consumer, habit) in &other.habits {
            let mine = self.habits.entry(consumer.clone()).or_default();
            mine.limit_used = mine.limit_used.max(habit.limit_used);
            mine.repeated.merge(&habit.repeated);
        }
        for (key, plan) in &other.plans {
            self.plans.entry(key.clone()).or_default().merge(plan);
        }
        for (key, count) in &other.deprecated {
            *self.deprecated.entry(key.clone()).or_default() += count;
        }
        self.folded.extend(other.folded.iter().cloned());
        self.lost += other.lost;
        self.stale += other.stale;
        self.add_fallbacks(other.fallbacks);
    }

    fn add_fallbacks(&mut self, more: [u64; 2]) {
        self.fallbacks[0] += more[0];
        self.fallbacks[1] += more[1];
    }

    /// The part of one consumer.
    pub fn of(&self, consumer: &str) -> Self {
        let mine = |of: &String| of == consumer;
        Self {
            cells: self.cells.iter().filter(|((of, ..), _)| mine(of)).map(|(key, value)| (key.clone(), value.clone())).collect(),
            habits: self.habits.iter().filter(|(of, _)| mine(of)).map(|(key, value)| (key.clone(), value.clone())).collect(),
            plans: self.plans.iter().filter(|((of, _), _)| mine(of)).map(|(key, value)| (key.clone(), value.clone())).collect(),
            deprecated: self
                .deprecated
                .iter()
                .filter(|((of, _), _)| mine(of))
                .map(|(key, count)| (key.clone(), *count))
                .collect(),
            folded: BTreeSet::new(),
            lost: 0,
            stale: 0,
            fallbacks: [0; 2],
        }
    }

    /// Its consumers.
    pub fn consumers(&self) -> BTreeSet<&str> {
        self.cells.keys().map(|(consumer, ..)| consumer.as_str()).collect()
    }

    /// All cells together.
    pub fn total(&self) -> Numbers {
        let mut total = Numbers::default();
        self.cells.values().for_each(|numbers| total.merge(numbers));
        total
    }

    /// Requests.
    pub fn requests(&self) -> u64 {
        self.cells.values().map(|numbers| numbers.requests).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.lost == 0
    }

    /// Keeps at most `most` cells and as many plans by counting the consumers with the fewest requests as [`OTHERS`]: a sheet of
    /// all has to fit into one item. Sums by route and class stay exact, and each consumer has a sheet of its own.
    pub fn fold(&mut self, most: usize) {
        if self.cells.len() > most {
            let mut consumers: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
            for ((consumer, ..), numbers) in &self.cells {
                let sum = consumers.entry(consumer).or_default();
                *sum = (sum.0 + numbers.requests, sum.1 + 1);
            }
            let mut ranked: Vec<(u64, usize, String)> = consumers
                .into_iter()
                .filter(|(name, _)| *name != OTHERS)
                .map(|(name, (requests, cells))| (requests, cells, name.to_owned()))
                .collect();
            ranked.sort_unstable_by(|a, b| b.cmp(a));
            // A quarter is left for what comes next and for the others' own cells.
            let (mut taken, room) = (0, most * 3 / 4);
            let fits = |(_, cells, _): &&(u64, usize, String)| {
                taken += cells;
                taken <= room
            };
            let keep = ranked.iter().take_while(fits).count();
            for (_, _, consumer) in ranked.split_off(keep) {
                self.fold_one(consumer);
            }
        }
        while self.plans.len() > most {
            let least = self.plans.iter().min_by(|a, b| a.1.millis.total_cmp(&b.1.millis)).map(|(key, _)| key.clone());
            let Some(least) = least else { break };
            self.plans.remove(&least);
        }
        while self.deprecated.len() > most {
            let Some(((_, name), count)) = self.deprecated.pop_last() else { break };
            *self.deprecated.entry((OTHERS.to_owned(), name)).or_default() += count;
        }
    }

    fn fold_one(&mut self, consumer: String) {
        let cells: Vec<CellKey> = self.cells.keys().filter(|(of, ..)| *of == consumer).cloned().collect();
        for key in cells {
            if let Some(numbers) = self.cells.remove(&key) {
                self.cells.entry((OTHERS.to_owned(), key.1, key.2)).or_default().merge(&numbers);
            }
        }
        self.habits.remove(&consumer);
        self.folded.insert(consumer);
    }
}

/// A map whose keys are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
