//! The allowance by which consumers look after their limits: one rate of its own, the same for everybody, in the consumer's item.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::gcra::Gcra;
use super::plan::{LimitRate, ResolvedPlan};

/// One a second, and a minute's worth at once.
const PER: Duration = Duration::from_secs(1);
const BURST: u64 = 60;
/// No rate of a model has this name.
const NAME: &str = "!allowance";

static OPEN: LazyLock<Arc<ResolvedPlan>> = LazyLock::new(|| Arc::new(plan(true)));
static CLOSED: LazyLock<Arc<ResolvedPlan>> = LazyLock::new(|| Arc::new(plan(false)));

/// The allowance of a plan that fails open, or closed.
pub(super) fn of(fail_open: bool) -> Arc<ResolvedPlan> {
    Arc::clone(if fail_open { &OPEN } else { &CLOSED })
}

fn plan(fail_open: bool) -> ResolvedPlan {
    let rate = |gcra: Gcra| LimitRate {
        name: NAME.to_owned(),
        gcra,
        rate: 1,
        per: PER,
        only: Vec::new(),
        attribute: format!("r{}.{}:{NAME}", gcra.ticks(), gcra.unit()),
    };
    let rates = Gcra::new(1, PER, BURST).into_iter().map(rate).collect();
    ResolvedPlan { name: NAME.to_owned(), rates, quotas: Vec::new(), costs: Vec::new(), thresholds: Vec::new(), fail_open }
}
