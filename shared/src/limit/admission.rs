//! What the limiter is asked, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use super::item::State;
use super::plan::ResolvedPlan;
use super::threshold::Crossing;
use super::verdict::{Excess, LimitViolation, WindowState};

/// Whom a request is charged to.
#[derive(Debug, Clone)]
pub struct LimitSubject {
    /// The consumer; of a publishable key that is limited by itself its `store::keys::account_of_key`.
    pub consumer: String,
    /// Its plan with its overrides.
    pub plan: Arc<ResolvedPlan>,
    /// The key that was used, if one was: a revoked one is refused.
    pub key_id: Option<String>,
    /// The key whose use is noted.
    pub used_key: Option<String>,
    /// The epoch of the consumer that plan and roles were taken from; 0 where it was never changed.
    pub epoch: i64,
}

impl LimitSubject {
    /// Whether the consumer may call at all.
    pub(super) fn guard(&self, state: &State) -> Option<LimitRefusal> {
        guard(state, self.key_id.as_deref(), self.epoch)
    }
}

/// Where an admission came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The consumer's item, by this request's own update.
    Store,
    /// Units that this instance had debited before.
    Lease,
    /// The conservative limit in memory, while the store cannot be reached.
    Fallback,
}

/// A request that may go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// How the windows stand afterwards.
    pub windows: Vec<WindowState>,
    /// Units that it cost.
    pub cost: u64,
    /// Updates that it took.
    pub calls: u32,
    /// Where it came from.
    pub source: Source,
    /// Thresholds to tell: pass them to `notify::enqueue` beside the request's own work.
    pub due: Vec<Crossing>,
    /// Rates that were near their bound, and in which minute: pass them to `notify::watch::note_near`.
    pub near: Vec<(i64, String)>,
}

/// A request that may not go on.
#[derive(Debug, Clone, PartialEq)]
pub enum LimitRefusal {
    /// 429: a limit is reached.
    Denied(Denial),
    /// 422 `cost_exceeds_limit`: no waiting would help.
    CostExceeds(Excess),
    /// The consumer is disabled.
    Disabled,
    /// The key is revoked.
    Revoked,
    /// The consumer was changed: load it again and ask again.
    NewEpoch {
        /// The epoch that holds now.
        current: i64,
    },
    /// 503: the store cannot be reached and the plan fails closed.
    Unavailable,
}

/// Why and until when a request is denied.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The limits that it violates, never empty.
    pub violated: Vec<LimitViolation>,
    /// How the windows stand.
    pub windows: Vec<WindowState>,
    /// Units that it would have cost.
    pub cost: u64,
    /// Updates that it took; 0: remembered.
    pub calls: u32,
    /// Thresholds to tell, as in [`Admission::due`].
    pub due: Vec<Crossing>,
    /// Whether it is this instance's first of the minute: pass the consumer to `crate::notify::watch::note`.
    pub first_of_minute: bool,
}

impl Denial {
    /// When the request would be admitted if nothing else is sent; exact.
    pub fn retry_after(&self) -> Duration {
        self.violated.iter().map(|violation| violation.wait).max().unwrap_or(Duration::ZERO)
    }

    /// Whether a quota, not a rate, is what takes longest.
    pub fn is_quota(&self) -> bool {
        self.violated.iter().any(|violation| violation.quota)
    }
}

/// Whether the consumer may call at all.
pub(super) fn guard(state: &State, key_id: Option<&str>, epoch: i64) -> Option<LimitRefusal> {
    if state.disabled {
        return Some(LimitRefusal::Disabled);
    }
    if key_id.is_some_and(|key_id| state.revoked.iter().any(|revoked| revoked == key_id)) {
        return Some(LimitRefusal::Revoked);
    }
    // An item without an epoch was never changed, whatever the caller read (a restore may have lost it).
    (state.epoch != 0 && state.epoch != epoch).then_some(LimitRefusal::NewEpoch { current: state.epoch })
}
