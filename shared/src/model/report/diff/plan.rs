//! Plans: what is admitted.

use std::collections::BTreeMap;

use super::super::describe;
use super::changes::Changes;
use crate::model::evolution::Pairs;
use crate::model::schema::{EntityIx, Model, Operation, Quota, Rate, RatePlan};

/// Adds all changes of plans.
pub(super) fn plans(changes: &mut Changes, Pairs { old, new }: Pairs<'_>) {
    for before in &old.plans {
        let place = format!("plan {}", before.name);
        match new.plan(&before.name) {
            None => changes.breaking(place, "removed", "a consumer that has it gets the default plan, and cannot be changed"),
            Some(after) => plan(changes, &place, (old, before), (new, after)),
        }
    }
    for after in new.plans.iter().filter(|after| old.plan(&after.name).is_none()) {
        changes.compatible(format!("plan {}", after.name), "added", "nobody has it yet");
    }
}

fn plan(changes: &mut Changes, place: &str, old: (&Model, &RatePlan), new: (&Model, &RatePlan)) {
    let ((_, before), (_, after)) = (old, new);
    rates(changes, place, old, new);
    quotas(changes, place, &before.quotas, &after.quotas);
    costs(changes, place, old, new);
    if before.thresholds != after.thresholds {
        changes.compatible(place, "thresholds changed", "notices come at other shares of a quota");
    }
    let open = (before.fail_open, after.fail_open);
    let what = format!("when_unavailable {}", if open.1 { "admit" } else { "refuse" });
    let why = ("requests are refused while limits cannot be checked", "requests are admitted while limits cannot be checked");
    changes.either(place, open, open.0, what, why);
    changes.documented(place, "description", &before.description, &after.description);
}

fn rates(changes: &mut Changes, place: &str, (old, before): (&Model, &RatePlan), (new, after): (&Model, &RatePlan)) {
    for rate in &after.rates {
        let Some(was) = before.rates.iter().find(|was| was.name == rate.name) else {
            changes.breaking(place, format!("rate {} added", rate.name), "a further limit");
            continue;
        };
        let shown = |rate: &Rate| format!("{} per {}, burst {}", rate.rate, describe::duration(rate.per), rate.burst);
        let what = format!("rate {}: {} -> {}", rate.name, shown(was), shown(rate));
        changes.either(place, (shown(was), shown(rate)), is_slower(was, rate), what, ("less is admitted", "no less is admitted"));
        let scopes = (scopes(old, was), scopes(new, rate));
        let what = format!("rate {} counts {} -> {}", rate.name, scopes.0, scopes.1);
        changes.either(place, scopes, true, what, ("other requests use it up", ""));
    }
    for gone in before.rates.iter().filter(|was| after.rates.iter().all(|rate| rate.name != was.name)) {
        changes.compatible(place, format!("rate {} removed", gone.name), "more is admitted");
    }
}

fn is_slower(was: &Rate, now: &Rate) -> bool {
    u128::from(now.rate) * was.per.as_nanos() < u128::from(was.rate) * now.per.as_nanos() || now.burst < was.burst
}

fn scopes(model: &Model, rate: &Rate) -> String {
    let named: Vec<String> = rate.only.iter().map(|(entity, operation)| scope(model, *entity, *operation)).collect();
    if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
}

/// `order.create`, `order`, `create`.
fn scope(model: &Model, entity: Option<EntityIx>, operation: Option<Operation>) -> String {
    let entity = entity.map(|ix| model.entity(ix).name.as_str());
    [entity, operation.map(Operation::name)].into_iter().flatten().collect::<Vec<_>>().join(".")
}

fn quotas(changes: &mut Changes, place: &str, before: &[Quota], after: &[Quota]) {
    for quota in after {
        match before.iter().find(|was| was.name == quota.name) {
            None => changes.breaking(place, format!("quota {} added", quota.name), "a further limit"),
            Some(was) => {
                let what = format!("quota {} {} -> {}", quota.name, was.limit, quota.limit);
                let why = ("less is admitted", "more is admitted");
                changes.either(place, (was.limit, quota.limit), quota.limit < was.limit, what, why);
            }
        }
    }
    for gone in before.iter().filter(|was| after.iter().all(|quota| quota.name != was.name)) {
        changes.compatible(place, format!("quota {} removed", gone.name), "more is admitted");
    }
}

fn costs(changes: &mut Changes, place: &str, old: (&Model, &RatePlan), new: (&Model, &RatePlan)) {
    let (before, after) = (units(old), units(new));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let cost = |costs: &BTreeMap<String, u64>| costs.get(name).copied();
        let shown = |units: Option<u64>| units.map_or_else(|| "as what it is part of".to_owned(), |units| units.to_string());
        let (was, now) = (cost(&before), cost(&after));
        let cheaper = matches!((was, now), (Some(was), Some(now)) if now < was);
        let why = ("the same requests may use up more of the limits", "the same requests use up less of the limits");
        changes.either(place, (was, now), !cheaper, format!("cost of {name} {} -> {}", shown(was), shown(now)), why);
    }
}

fn units((model, plan): (&Model, &RatePlan)) -> BTreeMap<String, u64> {
    plan.costs.iter().map(|cost| (scope(model, cost.entity, cost.operation), cost.units)).collect()
}
