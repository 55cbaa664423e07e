//! Plans: rates, quotas, costs, thresholds.

use std::time::Duration;

use crate::model::schema::{Cost, Entity, EntityIx, Operation, Quota, Rate, RatePlan, Window};
use crate::model::source::{At, Node, Reader, keys};
use crate::model::suggest::nearest;

/// Maximum number of units: the sum of two stays exact in a JSON number.
const MAX_UNITS: i64 = 1 << 50;

/// Entity and operation that a cost or a rate is for; `None`: all.
type CostScope = (Option<EntityIx>, Option<Operation>);

/// Default thresholds: early enough to act, late, and too late.
const THRESHOLDS: [u8; 3] = [80, 95, 100];

impl Reader<'_> {
    /// All plans.
    pub(super) fn plans(&mut self, node: &Node, entities: &[Entity]) -> Vec<RatePlan> {
        let mut plans = Vec::new();
        for (key, body) in self.named(node, "`plans`") {
            let plan = self.plan(key, body, entities);
            if plan.is_none() {
                self.broken("plans", key.value);
            }
            plans.extend(plan);
        }
        plans
    }

    fn plan(&mut self, key: At<&str>, body: &Node, entities: &[Entity]) -> Option<RatePlan> {
        let name = self.name(key.spot, "a plan", key.value);
        let keys = self.keys(body, "a plan", &keys::PLAN)?;
        let rates = keys.get("rates").map(|node| self.rates(node, entities)).unwrap_or_default();
        let quotas = keys.get("quotas").map(|node| self.quotas(node)).unwrap_or_default();
        for quota in &quotas {
            if rates.iter().any(|rate| rate.name == quota.name) {
                self.mistake(
                    keys.spot("quotas"),
                    format!("a rate and a quota are both named `{}`", quota.name),
                    "rename one of the two",
                );
            }
        }
        let says_none = keys.get("rates").is_none_or(|node| self.named(node, "`rates`").is_empty());
        if says_none {
            self.mistake(
                key.spot,
                format!("plan `{}` has no rate", key.value),
                "add `rates: {burst: {rate: 10, per: 1s, burst: 20}}`",
            );
        }
        Some(RatePlan {
            name: name?.value,
            description: keys.get("description").and_then(|node| self.text(node, "`description`")).map(|text| text.value),
            rates,
            quotas,
            costs: keys.get("costs").map(|node| self.costs(node, entities)).unwrap_or_default(),
            thresholds: keys.get("thresholds").map_or_else(|| THRESHOLDS.to_vec(), |node| self.thresholds(node)),
            fail_open: keys
                .get("when_unavailable")
                .and_then(|node| self.word(node, "behaviour (`admit` or `refuse`)", &[("admit", true), ("refuse", false)]))
                .unwrap_or(true),
        })
    }

    fn units(&mut self, node: &Node, label: &str) -> Option<u64> {
        self.integer(node, label, 1, MAX_UNITS).and_then(|units| u64::try_from(units).ok())
    }

    fn rates(&mut self, node: &Node, entities: &[Entity]) -> Vec<Rate> {
        self.named(node, "`rates`").into_iter().filter_map(|(key, body)| self.rate(key, body, entities)).collect()
    }

    fn rate(&mut self, key: At<&str>, body: &Node, entities: &[Entity]) -> Option<Rate> {
        let name = self.name(key.spot, "a rate", key.value);
        let keys = self.keys(body, "a rate", &keys::RATE)?;
        if keys.get("rate").is_none() {
            self.mistake(key.spot, format!("rate `{}` needs `rate`", key.value), "for example `{rate: 10, per: 1s, burst: 20}`");
        }
        let rate = keys.get("rate").and_then(|node| self.units(node, "`rate` (units)"));
        let per = keys.get("per").map_or(Some(Duration::from_secs(1)), |node| self.duration(node, "`per`"));
        let burst = keys.get("burst").map_or(rate, |node| self.units(node, "`burst` (units)"));
        // The limiter counts in microseconds per unit.
        if rate.zip(per).is_some_and(|(rate, per)| u128::from(rate) > per.as_micros()) {
            self.mistake(keys.spot("rate"), "more than one unit a microsecond", "a smaller `rate` or a longer `per`");
        }
        let only = keys.get("only").map(|node| self.texts(node, "an operation")).unwrap_or_default();
        let only = only.iter().filter_map(|text| self.scope(text, entities)).collect();
        Some(Rate { name: name?.value, rate: rate?, per: per?, burst: burst?, only })
    }

    fn quotas(&mut self, node: &Node) -> Vec<Quota> {
        let windows = [("hour", Window::Hour), ("day", Window::Day), ("month", Window::Month)];
        let mut quotas = Vec::new();
        for (key, body) in self.named(node, "`quotas`") {
            match windows.iter().find(|(name, _)| *name == key.value) {
                Some((name, window)) => {
                    if let Some(limit) = self.units(body, "a quota (units)") {
                        quotas.push(Quota { name: (*name).to_owned(), limit, window: *window });
                    }
                }
                None => {
                    let help = nearest(key.value, windows.iter().map(|(name, _)| *name));
                    self.mistake(key.spot, format!("unknown window `{}`", key.value), help);
                }
            }
        }
        quotas
    }

    /// `list: 2`, `order: 3`, `order.create: 5`.
    fn costs(&mut self, node: &Node, entities: &[Entity]) -> Vec<Cost> {
        let mut costs = Vec::new();
        for (key, body) in self.named(node, "`costs`") {
            let key = At { spot: key.spot, value: key.value.to_owned() };
            let (scope, units) = (self.scope(&key, entities), self.units(body, "a cost (units)"));
            if let (Some((entity, operation)), Some(units)) = (scope, units) {
                costs.push(Cost { entity, operation, units });
            }
        }
        costs
    }

    /// An operation, an entity, or both: `entity.operation`.
    fn scope(&mut self, text: &At<String>, entities: &[Entity]) -> Option<CostScope> {
        let operation = |name: &str| Operation::ALL.into_iter().find(|operation| operation.name() == name);
        let entity = |name: &str| entities.iter().find(|entity| entity.name == name).map(|entity| entity.ix);
        let found = match text.value.split_once('.') {
            Some((left, right)) => entity(left).zip(operation(right)).map(|(entity, operation)| (Some(entity), Some(operation))),
            None => operation(&text.value)
                .map(|operation| (None, Some(operation)))
                .or_else(|| entity(&text.value).map(|entity| (Some(entity), None))),
        };
        let entity = text.value.split_once('.').map_or(text.value.as_str(), |(entity, _)| entity);
        if found.is_none() && !self.is_broken("entities", entity) {
            let known = Operation::ALL.map(Operation::name).into_iter().chain(entities.iter().map(|entity| entity.name.as_str()));
            let help = nearest(&text.value, known);
            self.mistake(text.spot, format!("`{}` is no operation, entity or `entity.operation`", text.value), help);
        }
        found
    }

    fn thresholds(&mut self, node: &Node) -> Vec<u8> {
        let mut percents: Vec<u8> = self
            .items(node)
            .iter()
            .filter_map(|item| self.integer(item, "a threshold (per cent of a quota)", 1, 100))
            .filter_map(|percent| u8::try_from(percent).ok())
            .collect();
        percents.sort_unstable();
        percents.dedup();
        percents
    }
}
