//! Rate plans: rates, quotas and costs.

use std::time::Duration;

use super::operation::Operation;
use super::positions::EntityIx;

/// A plan: the rates and quotas of a consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct RatePlan {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Rates, each a token bucket (GCRA).
    pub rates: Vec<Rate>,
    /// Quotas per calendar window in UTC.
    pub quotas: Vec<Quota>,
    /// Costs of operations; default 1.
    pub costs: Vec<Cost>,
    /// Percentages of a quota at which consumer and operator are notified.
    pub thresholds: Vec<u8>,
    /// Whether requests are admitted, within a conservative limit in memory, while the store cannot be reached.
    pub fail_open: bool,
}

/// A rate with a burst.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Name in the headers.
    pub name: String,
    /// Units of cost per period.
    pub rate: u64,
    /// Period that `rate` refers to.
    pub per: Duration,
    /// Units that may be used at once.
    pub burst: u64,
    /// Entities and operations that the rate counts; empty: all. It makes a tighter rate for single operations.
    pub only: Vec<(Option<EntityIx>, Option<Operation>)>,
}

/// A quota per calendar window.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// Name in the headers.
    pub name: String,
    /// Units of cost per window.
    pub limit: u64,
    /// Calendar window.
    pub window: Window,
}

/// Calendar window in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// Cost of operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Entity; `None`: all.
    pub entity: Option<EntityIx>,
    /// Operation; `None`: all.
    pub operation: Option<Operation>,
    /// Units of cost.
    pub units: u64,
}
