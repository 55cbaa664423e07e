//! Usage: who called what, how often, with what outcome, how fast and at what cost.
//!
//! ```text
//! a request -> Notes -> Counter (memory) -> flush: one Put of the volatile table, beside a later request
//!                                              |
//!              reporter: merge -> rollups per minute, hour, day and since ever; the flush is deleted in that transaction
//!                                              |
//!              read = rollups + flushes that are not merged yet: `/v1/_usage`, its metrics, its page
//! ```
//! **What can be lost**: counts that an instance has not flushed when it is killed, so at most [`counter::EVERY`] of its own
//! requests plus the time that it was frozen. A flush that is repeated never counts twice: it carries instance and sequence, and
//! the transaction that merges it remembers the last sequence per instance.

pub mod anomaly;
pub mod cell;
pub mod counter;
pub mod counts;
pub mod dashboard;
mod finished;
pub mod flush;
pub mod latency;
mod level;
pub mod merge;
pub mod metrics;
mod pack;
pub mod plan_stats;
pub mod publish;
pub mod query;
pub mod read;
pub mod request_metrics;
mod state;
pub mod tick;
mod total;
pub mod watch;

#[cfg(test)]
mod tests;

pub use cell::{Cache, Class, Numbers};
pub use counter::Counter;
pub use counts::{OTHERS, UsageCounts};
pub use finished::{Finished, NOBODY};
pub use flush::Usage;
pub use latency::Latency;
pub use level::Level;
pub use request_metrics::RequestMetrics;
