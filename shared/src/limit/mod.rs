//! Limits: every consumer's rates and quotas, exact at any concurrency, in one item and one conditional update.
//!
//! ```text
//! model::RatePlan + overrides -> plan (ResolvedPlan, Charge)
//! gcra, window            -> verdict (pure)          what a state means for a charge
//! expression              -> item                    the update that is right only where its belief is
//! limiter (memory, lease, debit, fallback, health)   admits
//! shown, headers, threshold, predict                  seen and heard
//! address                                            before anybody is known
//! ```

pub mod address;
mod admission;
mod allowance;
mod debit;
pub mod expression;
pub mod fallback;
pub mod gcra;
pub mod headers;
mod health;
pub mod item;
pub mod lease;
mod leases;
mod limiter;
mod memory;
pub mod plan;
pub mod predict;
mod shown;
pub mod threshold;
pub mod verdict;
pub mod window;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Denial, LimitRefusal, LimitSubject, Source};
pub use health::Health;
pub use limiter::{LimitStatus, Limiter, LimiterSettings};
pub use plan::{BadLimit, Call, Charge, Override, Overrides, ResolvedPlan};
pub use predict::Forecast;
pub use threshold::Crossing;
pub use verdict::{Excess, LimitViolation, WindowState};
