//! A plan as the limiter needs it: exact rates, quotas, and what a request costs; with a consumer's overrides applied.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gcra::Gcra;
use crate::model::{Cost, EntityIx, Operation, Quota, Rate, RatePlan, Window};

/// A consumer's own values, by the name of a rate or quota of its plan.
pub type Overrides = BTreeMap<String, Override>;

/// What replaces a rate's or a quota's value. Members that are absent stay as the plan has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Of a rate: units per the plan's period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Of a rate: units that may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Of a quota: units per window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What is wrong with a plan or an override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLimit {
    /// The rate or quota, as it stands in `overrides`.
    pub name: String,
    /// The member, or nothing for the whole.
    pub member: Option<&'static str>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A rate, ready to use.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitRate {
    /// Name in the headers.
    pub name: String,
    /// The arithmetic.
    pub gcra: Gcra,
    /// Units per `per`, for documents.
    pub rate: u64,
    /// See `rate`.
    pub per: Duration,
    /// Only these operations count; empty: all.
    pub only: Vec<(Option<EntityIx>, Option<Operation>)>,
    /// Attribute of the limiter's item that holds the TAT. It names the ticks, because times in other ticks mean nothing, and what one
    /// unit takes, because the time that a slower rate's debt needs says nothing about this one: a rate that was changed begins full.
    pub attribute: String,
}

/// A quota, ready to use.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitQuota {
    /// Name in the headers.
    pub name: String,
    /// Units per window.
    pub limit: u64,
    /// The window.
    pub window: Window,
}

/// A plan with a consumer's overrides applied: what the limiter enforces.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedPlan {
    /// The plan's name.
    pub name: String,
    /// Rates.
    pub rates: Vec<LimitRate>,
    /// Quotas.
    pub quotas: Vec<LimitQuota>,
    /// Costs of operations.
    pub costs: Vec<Cost>,
    /// Percentages of a quota at which consumer and operator are notified, ascending.
    pub thresholds: Vec<u8>,
    /// What happens while the store cannot be reached.
    pub fail_open: bool,
}

/// Some operations of one kind in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// On which entity; `None` for system resources.
    pub entity: Option<EntityIx>,
    /// Which operation.
    pub operation: Operation,
    /// How many of them: 1, or what a `_bulk` holds.
    pub count: u64,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Units that count against each rate, in the order of [`ResolvedPlan::rates`]; 0: the rate does not concern the request.
    pub rates: Vec<u64>,
    /// Units that count against every quota.
    pub total: u64,
}

impl ResolvedPlan {
    /// The plan with a consumer's overrides.
    ///
    /// # Errors
    /// Every rate and quota that cannot be had, and every override that names nothing or does not fit, all at once.
    pub fn new(plan: &RatePlan, overrides: &Overrides) -> Result<Self, Vec<BadLimit>> {
        let mut faults = unknown_names(plan, overrides);
        let rates = plan.rates.iter().filter_map(|rate| resolve_rate(rate, overrides.get(&rate.name), &mut faults)).collect();
        let quotas = plan.quotas.iter().map(|quota| resolve_quota(quota, overrides.get(&quota.name), &mut faults)).collect();
        let mut thresholds = plan.thresholds.clone();
        thresholds.sort_unstable();
        thresholds.dedup();
        let resolved =
            Self { name: plan.name.clone(), rates, quotas, costs: plan.costs.clone(), thresholds, fail_open: plan.fail_open };
        if faults.is_empty() { Ok(resolved) } else { Err(faults) }
    }

    /// The plan with the `overrides` that a consumer's record holds. What no longer fits (a deployment may have renamed a rate since
    /// the record was written) is left out: the plan's own value then holds.
    ///
    /// # Errors
    /// Faults of the plan itself.
    pub fn of(plan: &RatePlan, overrides: Option<&serde_json::Value>) -> Result<Self, Vec<BadLimit>> {
        let mut kept = Overrides::new();
        for (name, value) in overrides.and_then(serde_json::Value::as_object).into_iter().flatten() {
            let Ok(own) = serde_json::from_value::<Override>(value.clone()) else { continue };
            let alone = Overrides::from([(name.clone(), own)]);
            if Self::new(plan, &alone).is_ok() {
                kept.extend(alone);
            }
        }
        Self::new(plan, &kept)
    }

    /// What an operation costs: the most specific statement of the plan (entity and operation, then entity, then operation,
    /// then neither), else 1.
    pub fn weight(&self, entity: Option<EntityIx>, operation: Operation) -> u64 {
        self.costs
            .iter()
            .filter(|cost| cost.entity.is_none_or(|of| Some(of) == entity))
            .filter(|cost| cost.operation.is_none_or(|of| of == operation))
            .max_by_key(|cost| (cost.entity.is_some(), cost.operation.is_some()))
            .map_or(1, |cost| cost.units)
    }

    /// What a request costs that makes these calls.
    pub fn charge(&self, calls: &[Call]) -> Charge {
        let mut charge = Charge { rates: vec![0; self.rates.len()], total: 0 };
        for call in calls {
            let units = self.weight(call.entity, call.operation).saturating_mul(call.count);
            charge.total = charge.total.saturating_add(units);
            for (rate, sum) in self.rates.iter().zip(&mut charge.rates) {
                if rate.concerns(call) {
                    *sum = sum.saturating_add(units);
                }
            }
        }
        charge
    }

    /// The least that a request can cost unless it is free: with less than this left a quota is used up.
    pub fn least_cost(&self) -> u64 {
        let default =
            if self.costs.iter().any(|cost| cost.entity.is_none() && cost.operation.is_none()) { None } else { Some(1) };
        self.costs.iter().map(|cost| cost.units).chain(default).filter(|units| *units > 0).min().unwrap_or(1)
    }
}

impl LimitRate {
    /// Whether a call counts against it.
    pub fn concerns(&self, call: &Call) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|(entity, operation)| {
                entity.is_none_or(|of| Some(of) == call.entity) && operation.is_none_or(|of| of == call.operation)
            })
    }
}

fn unknown_names(plan: &RatePlan, overrides: &Overrides) -> Vec<BadLimit> {
    let known: Vec<&str> =
        plan.rates.iter().map(|rate| rate.name.as_str()).chain(plan.quotas.iter().map(|quota| quota.name.as_str())).collect();
    overrides
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| BadLimit {
            name: name.clone(),
            member: None,
            message: format!("plan `{}` has no rate or quota of this name; it has: {}", plan.name, known.join(", ")),
        })
        .collect()
}

fn resolve_rate(rate: &Rate, own: Option<&Override>, faults: &mut Vec<BadLimit>) -> Option<LimitRate> {
    if own.is_some_and(|own| own.limit.is_some()) {
        faults.push(misplaced(&rate.name, "limit", "a rate has `rate` and `burst`"));
    }
    let units = own.and_then(|own| own.rate).unwrap_or(rate.rate);
    let burst = own.and_then(|own| own.burst).unwrap_or(rate.burst);
    match Gcra::new(units, rate.per, burst) {
        Ok(gcra) => Some(LimitRate {
            name: rate.name.clone(),
            gcra,
            rate: units,
            per: rate.per,
            only: rate.only.clone(),
            attribute: format!("r{}.{}:{}", gcra.ticks(), gcra.unit(), rate.name),
        }),
        Err(why) => {
            faults.push(BadLimit { name: rate.name.clone(), member: None, message: why.to_string() });
            None
        }
    }
}

fn resolve_quota(quota: &Quota, own: Option<&Override>, faults: &mut Vec<BadLimit>) -> LimitQuota {
    if own.is_some_and(|own| own.rate.is_some()) {
        faults.push(misplaced(&quota.name, "rate", "a quota has `limit`"));
    }
    if own.is_some_and(|own| own.burst.is_some()) {
        faults.push(misplaced(&quota.name, "burst", "a quota has `limit`"));
    }
    let limit = own.and_then(|own| own.limit).unwrap_or(quota.limit);
    if i64::try_from(limit).is_err() {
        faults.push(BadLimit {
            name: quota.name.clone(),
            member: Some("limit"),
            message: "a quota is at most 2^63 - 1".to_owned(),
        });
    }
    LimitQuota { name: quota.name.clone(), limit, window: quota.window }
}

fn misplaced(name: &str, member: &'static str, right: &str) -> BadLimit {
    BadLimit { name: name.to_owned(), member: Some(member), message: format!("`{member}` does not belong here: {right}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> RatePlan {
        let orders = Some(EntityIx(0));
        RatePlan {
            name: "basic".into(),
            description: None,
            rates: vec![
                Rate { name: "burst".into(), rate: 50, per: Duration::from_secs(1), burst: 100, only: vec![] },
                Rate {
                    name: "creates".into(),
                    rate: 1,
                    per: Duration::from_secs(1),
                    burst: 5,
                    only: vec![(orders, Some(Operation::Create)), (None, Some(Operation::Delete))],
                },
            ],
            quotas: vec![Quota { name: "day".into(), limit: 1_000, window: Window::Day }],
            costs: vec![
                Cost { entity: None, operation: None, units: 2 },
                Cost { entity: None, operation: Some(Operation::List), units: 3 },
                Cost { entity: orders, operation: None, units: 4 },
                Cost { entity: orders, operation: Some(Operation::Create), units: 5 },
            ],
            thresholds: vec![95, 80, 100, 80],
            fail_open: false,
        }
    }

    #[test]
    fn the_most_specific_cost_wins() {
        let plan = ResolvedPlan::new(&plan(), &Overrides::new()).unwrap();
        assert_eq!(plan.weight(Some(EntityIx(0)), Operation::Create), 5);
        assert_eq!(plan.weight(Some(EntityIx(0)), Operation::List), 4);
        assert_eq!(plan.weight(Some(EntityIx(1)), Operation::List), 3);
        assert_eq!(plan.weight(None, Operation::System), 2);
        assert_eq!(plan.least_cost(), 2);
        assert_eq!(plan.thresholds, [80, 95, 100]);
    }

    #[test]
    fn a_bulk_costs_what_its_operations_cost_against_the_rates_that_concern_them() {
        let plan = ResolvedPlan::new(&plan(), &Overrides::new()).unwrap();
        let charge = plan.charge(&[
            Call { entity: Some(EntityIx(0)), operation: Operation::Create, count: 3 },
            Call { entity: Some(EntityIx(0)), operation: Operation::Update, count: 2 },
            Call { entity: Some(EntityIx(1)), operation: Operation::Delete, count: 1 },
        ]);
        assert_eq!(charge, Charge { rates: vec![15 + 8 + 2, 15 + 2], total: 25 });
    }

    #[test]
    fn an_override_that_no_longer_fits_is_left_out() {
        let own = serde_json::json!({"burst": {"rate": 7}, "week": {"limit": 1}, "day": {"limit": "x"}});
        let resolved = ResolvedPlan::of(&plan(), Some(&own)).unwrap();
        assert_eq!((resolved.rates[0].rate, resolved.quotas[0].limit), (7, 1_000));
    }

    #[test]
    fn overrides_replace_by_name_and_every_fault_is_told() {
        let own: Overrides = serde_json::from_str(r#"{"burst": {"rate": 7, "burst": 9}, "day": {"limit": 5}}"#).unwrap();
        let resolved = ResolvedPlan::new(&plan(), &own).unwrap();
        assert_eq!(resolved.rates[0].gcra, Gcra::new(7, Duration::from_secs(1), 9).unwrap());
        assert_eq!(resolved.rates[1].gcra.burst(), 5);
        assert_eq!(resolved.quotas[0].limit, 5);

        let wrong = r#"{"burst": {"limit": 7}, "day": {"rate": 5}, "creates": {"rate": 0}, "week": {"limit": 1}}"#;
        let faults = ResolvedPlan::new(&plan(), &serde_json::from_str(wrong).unwrap()).unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| (fault.name.as_str(), fault.member)).collect();
        assert_eq!(places, [("week", None), ("burst", Some("limit")), ("creates", None), ("day", Some("rate"))]);
        assert!(serde_json::from_str::<Overrides>(r#"{"burst": {"per": 7}}"#).is_err());
    }
}
