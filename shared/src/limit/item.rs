//! The limiter's item: one per consumer, and what an instance reads from it.
//!
//! | attribute | holds |
//! |---|---|
//! | `r<ticks>.<unit>:<rate>` | the TAT of a rate, in its ticks |
//! | `q:<quota>:<start>` | units counted in the window that began at `start` (seconds since 1970) |
//! | `n:<quota>:<start>` | highest threshold notified in that window, per cent |
//! | `n:throttled` | start of the last hour in which sustained throttling was notified |
//! | `units` | all units ever debited: what two sights of it differ by is the consumer's demand over all instances |
//! | `u:<rate>` | as many, of a rate that only some operations meet |
//! | `n:sustained` | start of the last hour in which a rate near its bound was notified |
//! | `k:<key>` | minute in which a key was last used (seconds since 1970) |
//! | `disabled` | there while the consumer is disabled |
//! | `revoked` | ids of revoked keys |
//! | `epoch` | grows with every change of the consumer; absent: 0 |
//!
//! The last three are written by `crate::identity::consumer`, in the transaction of every change.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::{Charge, LimitRate, ResolvedPlan};
use super::window::Span;
use crate::core::clock::Micros;
use crate::model::Window;
use crate::store::table::{Attr, Expr, Item, Key, Write};

/// Attribute: units ever debited.
pub const UNITS: &str = "units";
/// Attribute: the consumer is disabled.
pub const DISABLED: &str = "disabled";
/// Attribute: revoked keys.
pub const REVOKED: &str = "revoked";
/// Attribute: the consumer's epoch.
pub const EPOCH: &str = "epoch";
/// Attribute: the last hour in which sustained throttling was notified.
pub const THROTTLED: &str = "n:throttled";

/// The attribute that counts a quota's window.
pub fn count_name(quota: &str, start: i64) -> String {
    format!("q:{quota}:{start}")
}

/// Attribute: the minute in which a key was last used. It rides on what is written anyway.
pub fn used_name(key_id: &str) -> String {
    format!("k:{key_id}")
}

/// The minute of a moment, as [`used_name`] holds it.
pub fn minute(now: Micros) -> i64 {
    now.seconds().div_euclid(60).saturating_mul(60)
}

/// Attribute: the highest threshold notified of a quota's window.
pub fn notified_name(quota: &str, start: i64) -> String {
    format!("n:{quota}:{start}")
}

/// Attribute: the last hour in which a rate near its bound was notified.
pub const SUSTAINED: &str = "n:sustained";

/// The attribute that counts the units of a rate's requests: those of all, or of some operations.
pub fn counter(rate: &LimitRate) -> String {
    if rate.only.is_empty() { UNITS.to_owned() } else { format!("u:{}", rate.name) }
}

/// What an instance knows of a consumer's item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// All whole numbers of the item by attribute.
    pub numbers: BTreeMap<String, i64>,
    /// Whether the consumer is disabled.
    pub disabled: bool,
    /// Revoked keys.
    pub revoked: Vec<String>,
    /// The consumer's epoch.
    pub epoch: i64,
}

impl State {
    /// What the item says; an item that does not exist says nothing.
    pub fn read(item: Option<&Item>) -> Self {
        let Some(item) = item else { return Self::default() };
        let numbers = item.attrs.iter().filter_map(|(name, value)| Some((name.clone(), value.as_n()?))).collect();
        Self {
            numbers,
            disabled: item.attrs.contains_key(DISABLED),
            revoked: item.attrs.get(REVOKED).and_then(Attr::as_ss).map(<[String]>::to_vec).unwrap_or_default(),
            epoch: item.n(EPOCH).unwrap_or(0),
        }
    }

    /// The TAT that the attribute holds; the beginning of time where there is none.
    pub fn tat(&self, attribute: &str) -> i64 {
        self.numbers.get(attribute).copied().unwrap_or(0)
    }

    /// Units ever debited, over all instances; `None` for an item that none has charged yet.
    pub fn units(&self) -> Option<i64> {
        self.numbers.get(UNITS).copied()
    }

    /// Units counted in a window.
    pub fn count(&self, quota: &str, start: i64) -> u64 {
        self.numbers.get(&count_name(quota, start)).map_or(0, |count| u64::try_from(*count).unwrap_or(0))
    }

    /// The highest threshold notified of a window; 0: none.
    pub fn notified(&self, quota: &str, start: i64) -> i64 {
        self.numbers.get(&notified_name(quota, start)).copied().unwrap_or(0)
    }

    /// TATs of a rate as it was before it was changed, once all that they owe has drained: they say no more than none would.
    pub fn drained(&self, rate: &LimitRate, now: Micros) -> Vec<(String, i64)> {
        let suffix = format!(":{}", rate.name);
        let old = self.numbers.iter().filter(|(name, _)| **name != rate.attribute);
        let drained = old.filter(|(name, tat)| {
            let form = name.strip_suffix(&suffix).and_then(|form| form.strip_prefix('r')?.split_once('.'));
            let ticks = form.and_then(|(ticks, _)| ticks.parse::<i64>().ok());
            ticks.is_some_and(|ticks| **tat <= now.0.saturating_mul(ticks))
        });
        drained.map(|(name, tat)| (name.clone(), *tat)).collect()
    }

    /// Attributes of windows of a quota that nobody will look at again: those that began before the previous window.
    pub fn stale(&self, quota: &str, window: Window, now: Micros) -> Vec<String> {
        let oldest = Span::of(window, now).start_before(window, 1);
        ["q", "n"]
            .iter()
            .flat_map(|kind| {
                let prefix = format!("{kind}:{quota}:");
                self.numbers
                    .keys()
                    .filter(|name| {
                        name.strip_prefix(&prefix).and_then(|start| start.parse().ok()).is_some_and(|start: i64| start < oldest)
                    })
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl State {
    /// A rate of the charge whose TAT lies further ahead than the plan can have put it (five seconds are left to wrong clocks),
    /// with the TAT of a bucket that is just empty.
    pub fn overgrown(&self, plan: &ResolvedPlan, charge: &Charge, now: Micros) -> Option<(String, i64)> {
        plan.rates.iter().zip(&charge.rates).filter(|(_, cost)| **cost > 0).find_map(|(rate, _)| {
            let full = rate.gcra.bound(now, 0);
            let suspicious = full.saturating_add(rate.gcra.span(Duration::from_secs(5)));
            (self.tat(&rate.attribute) > suspicious).then(|| (rate.attribute.clone(), full))
        })
    }
}

/// The update that notes the use of a key where nothing is charged that could carry it.
pub fn note_of_use(key: Key, key_id: &str, now: Micros) -> Write {
    let update = Expr::new("SET #k = :k").name("#k", used_name(key_id)).value(":k", Attr::N(minute(now)));
    Write::Update { key, update, condition: None }
}

/// The update that brings an overgrown TAT down, if nobody did yet.
pub fn change_of_overgrown(key: Key, state: &State, (attribute, full): &(String, i64)) -> Write {
    let update = Expr::new("SET #t = :full").name("#t", attribute).value(":full", Attr::N(*full));
    let condition = Expr::new("#t = :seen").name("#t", attribute).value(":seen", Attr::N(state.tat(attribute)));
    Write::Update { key, update, condition: Some(condition) }
}
