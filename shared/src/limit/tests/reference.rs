//! What a plan means, written down as plainly as possible and without any of the limiter's own arithmetic: rates as token buckets in
//! exact fractions, quotas as counters that are thrown away when the calendar says so.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::core::clock::Micros;
use crate::model::{RatePlan, Window};

/// A token bucket: `tokens / per` tokens, where `per` is the period in microseconds, so that filling is whole-numbered.
#[derive(Clone)]
struct Bucket {
    scaled: i128,
    at: i64,
}

/// The plan's meaning for one consumer.
#[derive(Clone)]
pub struct Reference {
    plan: RatePlan,
    buckets: Vec<Bucket>,
    counts: HashMap<(usize, String), u64>,
}

impl Reference {
    pub fn new(plan: RatePlan) -> Self {
        let buckets = plan.rates.iter().map(|rate| Bucket { scaled: full(rate), at: 0 }).collect();
        Self { plan, buckets, counts: HashMap::new() }
    }

    /// Whether a request is admitted, with what it costs against each rate and against the quotas.
    pub fn admit(&mut self, rates: &[u64], total: u64, now: Micros) -> bool {
        for (rate, bucket) in self.plan.rates.iter().zip(&mut self.buckets) {
            let refill = i128::from(now.0 - bucket.at) * i128::from(rate.rate);
            bucket.scaled = full(rate).min(bucket.scaled.saturating_add(refill));
            bucket.at = now.0;
        }
        let names: Vec<_> = self.plan.quotas.iter().enumerate().map(|(ix, quota)| (ix, calendar(quota.window, now))).collect();
        let price = |ix: usize| i128::from(rates[ix]) * i128::try_from(self.plan.rates[ix].per.as_micros()).unwrap();
        let rates_fit = self.buckets.iter().enumerate().all(|(ix, bucket)| rates[ix] == 0 || bucket.scaled >= price(ix));
        let quotas_fit =
            total == 0 || names.iter().all(|name| self.counts.get(name).unwrap_or(&0) + total <= self.plan.quotas[name.0].limit);
        if !rates_fit || !quotas_fit {
            return false;
        }
        for ix in 0..self.buckets.len() {
            self.buckets[ix].scaled -= price(ix);
        }
        for name in names {
            *self.counts.entry(name).or_default() += total;
        }
        true
    }
}

fn full(rate: &crate::model::Rate) -> i128 {
    i128::from(rate.burst) * i128::try_from(rate.per.as_micros()).unwrap()
}

fn calendar(window: Window, now: Micros) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(now.0.div_euclid(1_000_000)).unwrap();
    match window {
        Window::Hour => format!("{} {}", moment.date(), moment.hour()),
        Window::Day => moment.date().to_string(),
        Window::Month => format!("{} {}", moment.year(), moment.month()),
    }
}
