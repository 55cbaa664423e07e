//! A histogram of durations that can be merged: the buckets of DDSketch (Masson et al., VLDB 2019), of which few are ever used,
//! so they are kept sparse.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::Config;

/// Relative error of a percentile.
pub const ACCURACY: f64 = 0.01;
/// The shortest duration that is told apart from zero, milliseconds.
const LEAST: f64 = 0.001;

/// Durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// How many fell into each bucket.
    #[serde(rename = "b")]
    buckets: BTreeMap<i32, u64>,
    /// Their sum, milliseconds.
    #[serde(rename = "s")]
    sum: f64,
}

/// The buckets: their borders grow by the same factor.
fn buckets() -> Config {
    Config::new(ACCURACY, 2048, LEAST)
}

impl Latency {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let millis = duration.as_secs_f64() * 1_000.0;
        *self.buckets.entry(buckets().key(millis.max(LEAST))).or_default() += 1;
        self.sum += millis;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.sum += other.sum;
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Their sum, milliseconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The duration below which a share of all lie, milliseconds, within [`ACCURACY`]; `None` where there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within the count"
        )]
        let rank = (share.clamp(0.0, 1.0) * last as f64) as u64;
        let mut below = 0;
        for (value, count) in self.values() {
            below += count;
            if below > rank {
                return Some(value);
            }
        }
        None
    }

    /// Representative values, milliseconds, ascending, and how many durations each stands for.
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> {
        let config = buckets();
        self.buckets.iter().map(move |(bucket, count)| (config.value(*bucket), *count))
    }

    /// How many durations are at most this long, milliseconds; exact to a bucket.
    pub fn up_to(&self, millis: f64) -> u64 {
        self.values().take_while(|(value, _)| *value <= millis).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sketches_ddsketch::DDSketch;

    /// A long-tailed series, always the same.
    fn durations(count: u32) -> Vec<f64> {
        (0..count).map(|n| 0.4 + f64::from(n * 7919 % count).powf(1.7) / 900.0).collect()
    }

    fn of(millis: &[f64]) -> Latency {
        let mut latency = Latency::default();
        millis.iter().for_each(|ms| latency.add(Duration::from_secs_f64(ms / 1_000.0)));
        latency
    }

    #[test]
    fn percentiles_are_within_one_per_cent_of_the_exact_ones() {
        let mut series = durations(10_000);
        let latency = of(&series);
        series.sort_by(f64::total_cmp);
        for (share, at) in [(0.5, 4_999), (0.9, 8_999), (0.95, 9_499), (0.99, 9_899)] {
            let (found, exact) = (latency.quantile(share).unwrap(), series[at]);
            assert!((found - exact).abs() <= exact * 0.0101, "{share}: {found} for {exact}");
        }
        assert_eq!((latency.count(), Latency::default().quantile(0.5)), (10_000, None));
        assert_eq!(latency.up_to(f64::INFINITY), 10_000);
    }

    #[test]
    fn it_agrees_with_the_dense_sketch_of_the_crate() {
        let series = durations(3_000);
        let (latency, mut dense) = (of(&series), DDSketch::new(buckets()));
        // Durations are whole nanoseconds.
        series.iter().for_each(|ms| dense.add(Duration::from_secs_f64(ms / 1_000.0).as_secs_f64() * 1_000.0));
        for share in [0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
            assert_eq!(latency.quantile(share), dense.quantile(share).unwrap(), "{share}");
        }
    }

    #[test]
    fn merging_in_any_order_is_counting_together() {
        let series = durations(999);
        let (mut one, two) = (of(&series[..400]), of(&series[400..]));
        one.merge(&two);
        let together = of(&series);
        assert_eq!(one.buckets, together.buckets);
        assert!((one.sum - together.sum).abs() < 1e-6);
    }
}
