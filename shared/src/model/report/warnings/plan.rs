//! Plans: limits that refuse everything, and limits that never do.

use super::Warnings;
use crate::model::schema::{Cost, Model, RatePlan, Window};

impl Warnings {
    pub(super) fn plan(&mut self, place: &str, model: &Model, plan: &RatePlan) {
        for cost in &plan.costs {
            self.cost(place, model, plan, cost);
        }
        if plan.quotas.is_empty() && self.said(&format!("{place}.thresholds")).is_some() {
            self.add(format!("{place}.thresholds"), "they are shares of a quota, and there is none");
        }
        let limit = |window: Window| plan.quotas.iter().find(|quota| quota.window == window).map(|quota| quota.limit);
        let windows = [("hour", Window::Hour), ("day", Window::Day), ("month", Window::Month)];
        for (at, (name, window)) in windows.iter().enumerate() {
            let longer = windows[at + 1..]
                .iter()
                .find(|(_, other)| limit(*other).zip(limit(*window)).is_some_and(|(long, short)| long <= short));
            if let Some((longer, _)) = longer {
                self.add(
                    format!("{place}.quotas.{name}"),
                    format!("it is never reached: the quota of the {longer} is no greater"),
                );
            }
        }
    }

    fn cost(&mut self, place: &str, model: &Model, plan: &RatePlan, cost: &Cost) {
        let entity = cost.entity.map(|ix| model.entity(ix).name.as_str());
        let operation = cost.operation.map(|operation| operation.name());
        let name = [entity, operation].into_iter().flatten().collect::<Vec<_>>().join(".");
        let quota = plan.quotas.iter().find(|quota| quota.limit < cost.units).map(|quota| format!("quotas.{}", quota.name));
        let too_small = quota.or_else(|| {
            let mut rates =
                plan.rates.iter().filter(|rate| rate.only.is_empty() || rate.only.contains(&(cost.entity, cost.operation)));
            rates.find(|rate| rate.burst < cost.units).map(|rate| format!("rates.{}", rate.name))
        });
        if let Some(limit) = too_small {
            self.add(
                format!("{place}.costs"),
                format!("`{name}: {}` is more than `{limit}` ever allows: it is always refused", cost.units),
            );
        }
    }
}
