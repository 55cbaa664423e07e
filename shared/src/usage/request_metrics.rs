//! What the stages of one request note for the count: who it was, what was read, what is deprecated.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cell::Cache;
use super::counts::{NOBODY, PlanStats};

/// A request that has been answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finished {
    /// On whose account.
    pub consumer: String,
    /// Its route: `GET /v1/orders/{id}`.
    pub route: String,
    /// Its status.
    pub status: u16,
    /// What the cache did.
    pub cache: Option<Cache>,
    /// Bytes of the body that was sent.
    pub bytes: u64,
    /// Read capacity units that it cost.
    pub read_units: f64,
    /// Write capacity units that it cost.
    pub write_units: f64,
    /// From its arrival in the function to its answer.
    pub duration: Duration,
    /// What it left used of the tightest limit, thousandths.
    pub limit_used: u16,
    /// Hash of method, path and query.
    pub fingerprint: u64,
    /// Lists that it read.
    pub plans: Vec<SeenPlan>,
    /// Whether the cache was found to hold a wrong answer to it.
    pub stale: bool,
    /// Requests that the limiter admitted and refused without its store since the one before this.
    pub fallbacks: [u64; 2],
    /// What it used although it is deprecated.
    pub deprecated: Vec<String>,
}

/// A list that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPlan {
    /// Its form: `order: status[eq] sort -placed_at by by_status`.
    pub form: String,
    /// What it took.
    pub seen: PlanStats,
}

/// Notes of one request. They may be taken from several places at once.
#[derive(Debug, Default)]
pub struct RequestMetrics(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    consumer: Option<String>,
    plans: Vec<SeenPlan>,
    deprecated: Vec<String>,
    stale: bool,
}

/// Names of one request that are kept: a request that names more tells no more by it.
const MAX_NAMES: usize = 32;

impl RequestMetrics {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who pays.
    pub fn consumer(&self, consumer: &str) {
        self.lock().consumer = Some(consumer.to_owned());
    }

    /// A list was read.
    pub fn plan(&self, plan: SeenPlan) {
        self.lock().plans.push(plan);
    }

    /// Something deprecated was used.
    pub fn deprecated(&self, name: String) {
        let mut noted = self.lock();
        if noted.deprecated.len() < MAX_NAMES && !noted.deprecated.contains(&name) {
            noted.deprecated.push(name);
        }
    }

    /// The cache held a wrong answer.
    pub fn stale(&self) {
        self.lock().stale = true;
    }

    /// Who pays, as far as it is known.
    pub fn who(&self) -> String {
        self.lock().consumer.clone().unwrap_or_else(|| NOBODY.to_owned())
    }

    /// Puts what was noted into the count.
    pub fn fill(self, done: &mut Finished) {
        let noted = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.consumer = noted.consumer.unwrap_or_else(|| NOBODY.to_owned());
        done.plans = noted.plans;
        done.deprecated = noted.deprecated;
        done.stale = noted.stale;
    }
}
