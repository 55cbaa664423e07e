//! What the reporter publishes of what it merged: few series, because dimensions cost money.
//!
//! | dimensions besides the deployment | metrics |
//! |---|---|
//! | none | `Requests`, `Denied`, `Errors`, `Failures`, `Latency`, `CacheHits`, `CacheReads`, `ReadUnits`, `WriteUnits`, `DeprecatedUses`, `StaleReads`, `UsageLost`, `LimiterFallbackAdmitted`, `LimiterFallbackRefused`, `PublishGaps`; `UndeliverableNotices` when there are some |
//! | route, class | `RouteLatency` (its sample count is the number of requests) |
//! | consumer: the 50 with the most requests of the hour | `ConsumerRequests`, `ConsumerDenied`, `ConsumerLimitUsed` |

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::cell::Numbers;
use super::counts::UsageCounts;
use super::finished::NOBODY;

/// Consumers with metrics of their own.
const TOP: usize = 50;

/// Units of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// Hundredths.
    Percent,
}

/// Values of a metric in one minute.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// Its name.
    pub name: &'static str,
    /// What it is about, besides the deployment.
    pub dimensions: Vec<(&'static str, String)>,
    /// Seconds since 1970.
    pub at: i64,
    /// Values and how often each was measured, so that percentiles can be told.
    pub values: Vec<(f64, u64)>,
    /// Their unit.
    pub unit: Unit,
}

/// Something that takes metrics: CloudWatch, or the list of a test.
pub trait Metrics: Send + Sync {
    /// Publishes all of them; each at most once, whatever the outcome.
    fn publish<'a>(&'a self, data: Vec<Datum>) -> BoxFuture<'a, Result<(), String>>;
}

/// The metrics of what was merged, by minute since 1970; `gaps`: merges before this one that may not have been published. `top`:
/// consumers that have metrics of their own.
pub fn data(added: &BTreeMap<i64, UsageCounts>, top: &[String], gaps: u64, now: i64) -> Vec<Datum> {
    let mut data: Vec<Datum> = added.iter().flat_map(|(minute, sheet)| of_minute(minute * 60, sheet, top)).collect();
    data.push(count("PublishGaps", Vec::new(), now, gaps));
    data
}

/// The consumers with the most requests in some sheets.
pub fn top<'a>(sheets: impl IntoIterator<Item = &'a UsageCounts>) -> Vec<String> {
    let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
    for ((consumer, ..), numbers) in
        sheets.into_iter().flat_map(|sheet| &sheet.cells).filter(|((consumer, ..), _)| consumer != NOBODY)
    {
        *requests.entry(consumer).or_default() += numbers.requests;
    }
    let mut ranked: Vec<(&str, u64)> = requests.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked.into_iter().take(TOP).map(|(consumer, _)| consumer.to_owned()).collect()
}

/// Notices that became dead letters.
pub fn undeliverable(notices: u64, now: i64) -> Datum {
    count("UndeliverableNotices", Vec::new(), now, notices)
}

fn of_minute(at: i64, sheet: &UsageCounts, top: &[String]) -> Vec<Datum> {
    let total = sheet.total();
    let mut data = vec![
        count("Requests", Vec::new(), at, total.requests),
        count("Denied", Vec::new(), at, total.denied),
        count("Errors", Vec::new(), at, total.errors),
        count("Failures", Vec::new(), at, total.failures),
        count("CacheHits", Vec::new(), at, total.hits),
        count("CacheReads", Vec::new(), at, total.hits + total.misses),
        count("DeprecatedUses", Vec::new(), at, sheet.deprecated.values().sum()),
        count("StaleReads", Vec::new(), at, sheet.stale),
        count("UsageLost", Vec::new(), at, sheet.lost),
        count("LimiterFallbackAdmitted", Vec::new(), at, sheet.fallbacks[0]),
        count("LimiterFallbackRefused", Vec::new(), at, sheet.fallbacks[1]),
        number("ReadUnits", at, total.read_units),
        number("WriteUnits", at, total.write_units),
        latency("Latency", Vec::new(), at, &total),
    ];
    for ((route, class), numbers) in by_route(sheet) {
        data.push(latency("RouteLatency", vec![("Route", route), ("Class", class)], at, &numbers));
    }
    for consumer in top.iter().filter(|consumer| sheet.habits.contains_key(*consumer)) {
        let dimensions = || vec![("Consumer", consumer.clone())];
        let total = sheet.of(consumer).total();
        let used = sheet.habits.get(consumer).map_or(0, |habit| habit.limit_used);
        data.push(count("ConsumerRequests", dimensions(), at, total.requests));
        data.push(count("ConsumerDenied", dimensions(), at, total.denied));
        let values = vec![(f64::from(used) / 10.0, 1)];
        data.push(Datum { name: "ConsumerLimitUsed", dimensions: dimensions(), at, values, unit: Unit::Percent });
    }
    data
}

fn by_route(sheet: &UsageCounts) -> BTreeMap<(String, String), Numbers> {
    let mut routes: BTreeMap<(String, String), Numbers> = BTreeMap::new();
    for ((_, route, class), numbers) in &sheet.cells {
        routes.entry((route.clone(), class.name())).or_default().merge(numbers);
    }
    routes
}

/// Counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn count(name: &'static str, dimensions: Vec<(&'static str, String)>, at: i64, value: u64) -> Datum {
    Datum { name, dimensions, at, values: vec![(value as f64, 1)], unit: Unit::Count }
}

fn number(name: &'static str, at: i64, value: f64) -> Datum {
    Datum { name, dimensions: Vec::new(), at, values: vec![(value, 1)], unit: Unit::Count }
}

fn latency(name: &'static str, dimensions: Vec<(&'static str, String)>, at: i64, numbers: &Numbers) -> Datum {
    Datum { name, dimensions, at, values: numbers.latency.values().collect(), unit: Unit::Milliseconds }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::usage::Finished;

    #[test]
    fn the_metrics_say_what_was_counted() {
        let mut sheet = UsageCounts::default();
        for n in 0..60u16 {
            for _ in 0..=n {
                let status = if n == 7 { 429 } else { 200 };
                let (consumer, route) = (format!("c{n:02}"), "GET /v1/books".to_owned());
                let duration = Duration::from_millis(u64::from(n) + 1);
                sheet.add(Finished { consumer, route, status, duration, limit_used: n * 10, ..Finished::default() });
            }
        }
        sheet.add(Finished { consumer: "c59".into(), status: 503, fallbacks: [3, 2], ..Finished::default() });
        let best = top([&sheet]);
        assert_eq!((best.len(), best[0].as_str(), best.contains(&"c09".to_owned())), (50, "c59", false));
        let data = data(&BTreeMap::from([(2, sheet)]), &best, 3, 500);
        let one = |name: &str| {
            let found: Vec<&Datum> = data.iter().filter(|datum| datum.name == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].clone()
        };
        assert_eq!((one("Requests").values, one("Requests").at), (vec![(1_831.0, 1)], 120));
        assert_eq!((one("Denied").values, one("Errors").values), (vec![(8.0, 1)], vec![(1.0, 1)]));
        assert_eq!(
            (one("LimiterFallbackAdmitted").values, one("LimiterFallbackRefused").values),
            (vec![(3.0, 1)], vec![(2.0, 1)])
        );
        assert_eq!(one("PublishGaps").values, [(3.0, 1)]);
        let latencies: u64 = one("Latency").values.iter().map(|(_, count)| count).sum();
        assert_eq!(latencies, 1_831);
        let routes: Vec<&Datum> = data.iter().filter(|datum| datum.name == "RouteLatency").collect();
        assert_eq!(routes.len(), 3, "by class");
        let used = data.iter().find(|datum| datum.name == "ConsumerLimitUsed" && datum.dimensions[0].1 == "c59").unwrap();
        assert_eq!(used.values, [(59.0, 1)]);
        assert_eq!(data.iter().filter(|datum| datum.name.starts_with("Consumer")).count(), 150);
    }
}
