//! What the page of usage shows, from sheets. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cell::Numbers;
use super::counts::UsageCounts;
use super::finished::NOBODY;
use super::plan_stats::PlanStats;
use super::query::rounded;
use crate::core::clock::Micros;

/// Lines of a table.
const TOP: usize = 10;

/// List prices of AWS in us-east-1 on demand, November 2026, US dollars; free tiers and discounts are left out.
mod price {
    /// A million read request units of DynamoDB (standard table class).
    pub(super) const READ_UNITS: f64 = 0.125;
    /// A million write request units of DynamoDB.
    pub(super) const WRITE_UNITS: f64 = 0.625;
    /// A million requests of an HTTP API.
    pub(super) const GATEWAY: f64 = 1.00;
    /// A million invocations of a function.
    pub(super) const INVOCATIONS: f64 = 0.20;
    /// A gigabyte-second of a function on arm64.
    pub(super) const COMPUTE: f64 = 0.000_013_333_4;
    /// Gigabytes of memory that the functions have.
    pub(super) const MEMORY: f64 = 0.5;
    /// A gigabyte sent to the internet.
    pub(super) const TRANSFER: f64 = 0.09;
}

/// One point of time per sheet.
pub fn series(sheets: &BTreeMap<i64, UsageCounts>) -> Vec<Value> {
    let point = |(start, sheet): (&i64, &UsageCounts)| {
        let mut point = outcome(&sheet.total());
        point["start"] = json!(Micros(start.saturating_mul(1_000_000)).rfc3339());
        point
    };
    sheets.iter().map(point).collect()
}

/// What happened to requests.
fn outcome(numbers: &Numbers) -> Value {
    let quantile = |share| numbers.latency.quantile(share).map(rounded);
    json!({
        "requests": numbers.requests,
        "denied": numbers.denied,
        "errors": numbers.errors,
        "failures": numbers.failures,
        "cache_hits": numbers.hits,
        "cache_misses": numbers.misses,
        "cache_hot": numbers.hot,
        "bytes": numbers.bytes,
        "units": rounded(numbers.units()),
        "p50_ms": quantile(0.5),
        "p90_ms": quantile(0.9),
        "p95_ms": quantile(0.95),
        "p99_ms": quantile(0.99),
    })
}

/// Totals, tables and the cost of everything together.
pub fn summary(sheets: &BTreeMap<i64, UsageCounts>) -> Value {
    let mut all = UsageCounts::default();
    sheets.values().for_each(|sheet| all.merge(sheet));
    let total = all.total();
    json!({
        "total": outcome(&total),
        "routes": table(grouped(&all, |(_, route, _)| Some(route.clone())), "route"),
        "consumers": consumers(&all),
        "plans": plans(&all),
        "deprecated": deprecated(&all),
        "cost": cost(&total),
    })
}

fn grouped(sheet: &UsageCounts, by: impl Fn(&super::counts::CellKey) -> Option<String>) -> BTreeMap<String, Numbers> {
    let mut groups: BTreeMap<String, Numbers> = BTreeMap::new();
    for (key, numbers) in &sheet.cells {
        if let Some(group) = by(key) {
            groups.entry(group).or_default().merge(numbers);
        }
    }
    groups
}

/// The groups with the most requests.
fn table(groups: BTreeMap<String, Numbers>, name: &str) -> Vec<Value> {
    let mut groups: Vec<(String, Numbers)> = groups.into_iter().collect();
    groups.sort_by(|a, b| b.1.requests.cmp(&a.1.requests).then(a.0.cmp(&b.0)));
    let line = |(of, numbers): (String, Numbers)| {
        let mut line = outcome(&numbers);
        line[name] = json!(of);
        line
    };
    groups.into_iter().take(TOP).map(line).collect()
}

fn consumers(sheet: &UsageCounts) -> Vec<Value> {
    let mut lines = table(grouped(sheet, |(consumer, ..)| (consumer != NOBODY).then(|| consumer.clone())), "consumer");
    for line in &mut lines {
        let used = line["consumer"].as_str().and_then(|consumer| sheet.habits.get(consumer)).map(|habit| habit.limit_used);
        line["limit_used"] = json!(used.map(|used| f64::from(used) / 1_000.0));
    }
    lines
}

/// The plans that took most time, whoever used them.
fn plans(sheet: &UsageCounts) -> Vec<Value> {
    let mut forms: BTreeMap<&str, PlanStats> = BTreeMap::new();
    for ((_, form), plan) in &sheet.plans {
        forms.entry(form).or_default().merge(plan);
    }
    let mut forms: Vec<(&str, PlanStats)> = forms.into_iter().collect();
    forms.sort_by(|a, b| b.1.millis.total_cmp(&a.1.millis));
    let line = |(form, plan): (&str, PlanStats)| {
        #[expect(clippy::cast_precision_loss, reason = "a mean of counts far below 2^53")]
        let mean = |sum: f64| rounded(sum / plan.calls.max(1) as f64);
        json!({
            "plan": form,
            "calls": plan.calls,
            "examined": plan.examined,
            "returned": plan.returned,
            "mean_ms": mean(plan.millis),
            "mean_units": mean(plan.units),
            "index": Some(&plan.index).filter(|index| !index.is_empty()),
        })
    };
    forms.into_iter().take(TOP).map(line).collect()
}

fn deprecated(sheet: &UsageCounts) -> Vec<Value> {
    let mut uses: Vec<(&(String, String), &u64)> = sheet.deprecated.iter().collect();
    uses.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let line = |((consumer, name), uses): (&(String, String), &u64)| json!({"name": name, "consumer": consumer, "uses": uses});
    uses.into_iter().take(2 * TOP).map(line).collect()
}

/// What it costs about, US dollars.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn cost(total: &Numbers) -> Value {
    let millions = |count: f64| count / 1e6;
    let requests = total.requests as f64;
    let parts = [
        ("tables", millions(total.read_units) * price::READ_UNITS + millions(total.write_units) * price::WRITE_UNITS),
        ("functions", millions(requests) * price::INVOCATIONS + total.latency.sum() / 1_000.0 * price::MEMORY * price::COMPUTE),
        ("gateway", millions(requests) * price::GATEWAY),
        ("transfer", total.bytes as f64 / 1e9 * price::TRANSFER),
    ];
    let sum: f64 = parts.iter().map(|(_, dollars)| dollars).sum();
    let to_millionths = |dollars: f64| (dollars * 1e6).round() / 1e6;
    let parts: serde_json::Map<String, Value> =
        parts.iter().map(|(name, dollars)| ((*name).to_owned(), json!(to_millionths(*dollars)))).collect();
    json!({"dollars": to_millionths(sum), "parts": parts, "read_units": rounded(total.read_units), "write_units": rounded(total.write_units)})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::usage::Finished;
    use crate::usage::plan_stats::PlanObservation;

    #[test]
    fn tables_are_ranked_and_costs_are_sums() {
        let mut sheet = UsageCounts::default();
        for (consumer, route, status, times) in
            [("a", "GET /v1/books", 200, 5), ("b", "GET /v1/orders", 429, 2), (NOBODY, "OTHER", 404, 3)]
        {
            for _ in 0..times {
                let seen = PlanStats {
                    calls: 1,
                    examined: 50,
                    returned: 5,
                    millis: 4.0,
                    index: "by_x: {equality: [x]}".into(),
                    ..PlanStats::default()
                };
                sheet.add(Finished {
                    consumer: consumer.into(),
                    route: route.into(),
                    status,
                    duration: Duration::from_millis(10),
                    read_units: 1.0,
                    write_units: 1.0,
                    bytes: 1_000,
                    limit_used: 250,
                    plans: vec![PlanObservation { form: format!("{route} plan"), stats: seen }],
                    deprecated: vec!["book.sku".into()],
                    ..Finished::default()
                });
            }
        }
        let summary = summary(&BTreeMap::from([(0, sheet.clone()), (60, sheet)]));
        assert_eq!(summary["total"]["requests"], 20);
        assert_eq!(summary["routes"][0]["route"], "GET /v1/books");
        let consumers: Vec<&str> =
            summary["consumers"].as_array().unwrap().iter().map(|line| line["consumer"].as_str().unwrap()).collect();
        assert_eq!((consumers, &summary["consumers"][0]["limit_used"]), (vec!["a", "b"], &json!(0.25)));
        let plan = &summary["plans"][0];
        assert_eq!(
            (&plan["calls"], &plan["examined"], &plan["mean_ms"], &plan["mean_units"]),
            (&json!(10), &json!(500), &json!(4.0), &json!(2.0))
        );
        assert_eq!((&plan["index"], &summary["deprecated"][0]["uses"]), (&json!("by_x: {equality: [x]}"), &json!(10)));
        let cost = &summary["cost"];
        let parts: f64 = cost["parts"].as_object().unwrap().values().map(|part| part.as_f64().unwrap()).sum();
        assert!((cost["dollars"].as_f64().unwrap() - parts).abs() < 2e-6 && parts > 0.000_03, "{cost}");
    }
}
