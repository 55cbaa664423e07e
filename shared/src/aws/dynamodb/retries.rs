//! How many repetitions a process may afford: when a store is down, repeating everything keeps it down.
//!
//! As in the SDK's standard mode: each repetition costs [`COST`] of [`CAPACITY`] tokens, a success gives back what its own
//! repetition cost, or [`EARNED`] if it needed none. While nothing succeeds there are 100 repetitions, then none.

use std::sync::atomic::{AtomicU32, Ordering};

/// Tokens of a process that has seen no trouble.
const CAPACITY: u32 = 500;
/// Tokens of one repetition.
const COST: u32 = 5;
/// Tokens that a success at the first attempt brings.
const EARNED: u32 = 1;

/// The repetitions that are left.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }
}

impl RetryBudget {
    /// Takes one repetition; whether there was one left.
    pub(super) fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(COST)).is_ok()
    }

    /// A call has succeeded, `repeated` or at once.
    pub(super) fn earn(&self, repeated: bool) {
        let earned = if repeated { COST } else { EARNED };
        let more = |left: u32| (left < CAPACITY).then(|| left.saturating_add(earned).min(CAPACITY));
        // Full already: nothing to earn.
        let _full = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_succeeds_there_are_a_hundred_repetitions() {
        let budget = RetryBudget::default();
        assert_eq!((0..1000).filter(|_| budget.take()).count(), 100);
        for _ in 0..COST {
            assert!(!budget.take());
            budget.earn(false);
        }
        assert!(budget.take() && !budget.take(), "five successes pay for one");
    }

    #[test]
    fn repetitions_that_help_cost_nothing() {
        let budget = RetryBudget::default();
        for _ in 0..1000 {
            assert!(budget.take());
            budget.earn(true);
        }
        budget.earn(false);
        assert_eq!((0..1000).filter(|_| budget.take()).count(), 100, "and never more than at first");
    }
}
