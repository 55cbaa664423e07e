//! Statistics of lists, by their form.

use serde::{Deserialize, Serialize};

/// Totals of the lists of one form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanStats {
    /// Requests.
    #[serde(rename = "n")]
    pub calls: u64,
    /// Rows read.
    #[serde(rename = "x")]
    pub examined: u64,
    /// Records shown.
    #[serde(rename = "s")]
    pub returned: u64,
    /// Capacity units of these requests.
    #[serde(rename = "u")]
    pub units: f64,
    /// Time until the page was read, milliseconds.
    #[serde(rename = "t")]
    pub millis: f64,
    /// The index that would help, as a model declares it; empty if none would.
    #[serde(rename = "i", default, skip_serializing_if = "String::is_empty")]
    pub index: String,
}

impl PlanStats {
    /// Adds other totals.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.examined += other.examined;
        self.returned += other.returned;
        self.units += other.units;
        self.millis += other.millis;
        if self.index.is_empty() {
            self.index.clone_from(&other.index);
        }
    }
}

/// A list that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanObservation {
    /// Form: `order: status[eq] sort -placed_at by by_status`.
    pub form: String,
    /// Totals of this list alone.
    pub stats: PlanStats,
}
