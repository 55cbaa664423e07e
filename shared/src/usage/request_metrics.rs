//! What the stages of one request note for the count: who it was, what was read, what is deprecated.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cell::Cache;
use super::finished::{Finished, NOBODY};
use super::plan_stats::PlanObservation;

/// Notes of one request. They may be taken from several places at once.
#[derive(Debug, Default)]
pub struct RequestMetrics(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    consumer: Option<String>,
    plans: Vec<PlanObservation>,
    deprecated: Vec<String>,
    stale: bool,
    cache: Option<Cache>,
    limit_used: u16,
}

/// Names of one request that are kept: a request that names more tells no more by it.
const MAX_NAMES: usize = 32;

impl RequestMetrics {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subject that is charged.
    pub fn consumer(&self, consumer: &str) {
        self.lock().consumer = Some(consumer.to_owned());
    }

    /// A list was read.
    pub fn plan(&self, plan: PlanObservation) {
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

    /// What the cache had to do with the answer.
    pub fn cache(&self, outcome: Cache) {
        self.lock().cache = Some(outcome);
    }

    /// Used part of the tightest limit, thousandths.
    pub fn limit_used(&self, thousandths: u16) {
        self.lock().limit_used = thousandths;
    }

    /// Subject that is charged, as far as it is known.
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
        done.cache = noted.cache;
        done.limit_used = noted.limit_used;
    }
}
