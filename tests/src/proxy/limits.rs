//! What one item takes in a second.

use std::collections::HashMap;
use std::time::Instant;

/// Units that an item has left, as a bucket that fills evenly and holds what comes in a second.
struct Bucket {
    left: f64,
    at: Instant,
}

#[derive(Default)]
pub(crate) struct Limits(HashMap<String, Bucket>);

impl Limits {
    /// Whether an item has something left of so many units a second.
    pub(crate) fn admits(&mut self, key: &str, per_second: f64) -> bool {
        self.bucket(key, per_second).left > 0.0
    }

    /// Takes what a call has cost. It may leave a debt, because the cost is known only then.
    pub(crate) fn charge(&mut self, key: &str, units: f64, per_second: f64) {
        self.bucket(key, per_second).left -= units;
    }

    fn bucket(&mut self, key: &str, per_second: f64) -> &mut Bucket {
        let now = Instant::now();
        let bucket = self.0.entry(key.to_owned()).or_insert(Bucket { left: per_second, at: now });
        let filled = now.duration_since(bucket.at).as_secs_f64() * per_second;
        bucket.left = (bucket.left + filled).min(per_second);
        bucket.at = now;
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_takes_so_many_units_a_second_and_pays_its_debts() {
        let mut limits = Limits::default();
        let mut admitted = 0;
        while limits.admits("a", 10.0) {
            limits.charge("a", 1.0, 10.0);
            admitted += 1;
            assert!(admitted < 100);
        }
        assert!((10..13).contains(&admitted), "{admitted}");
        assert!(limits.admits("b", 10.0), "each has its own");
        limits.charge("b", 1000.0, 10.0);
        assert!(!limits.admits("b", 10.0));
    }
}
