//! A finished request, as it is counted.

use std::time::Duration;

use super::cell::Cache;
use super::plan_stats::PlanObservation;

/// Consumer of requests that were refused before one was known; no id of a consumer looks like this.
pub const NOBODY: &str = "-";

/// A request that has been answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finished {
    /// Consumer whose account it is on.
    pub consumer: String,
    /// Route: `GET /v1/orders/{id}`.
    pub route: String,
    /// Status of the answer.
    pub status: u16,
    /// Outcome of the cache.
    pub cache: Option<Cache>,
    /// Bytes of the body that was sent.
    pub bytes: u64,
    /// Read capacity units that it cost.
    pub read_units: f64,
    /// Write capacity units that it cost.
    pub write_units: f64,
    /// Time from its arrival in the function to its answer.
    pub duration: Duration,
    /// Used part of the tightest limit after it, thousandths.
    pub limit_used: u16,
    /// Hash of method, path and query.
    pub fingerprint: u64,
    /// Lists that it read.
    pub plans: Vec<PlanObservation>,
    /// Whether the cache was found to hold a wrong answer to it.
    pub stale: bool,
    /// Requests that the limiter admitted and refused without its store since the one before this.
    pub fallbacks: [u64; 2],
    /// Names of the deprecated things that it used.
    pub deprecated: Vec<String>,
}
