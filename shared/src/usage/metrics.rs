//! `/v1/_usage/metrics`: the counts since ever as OpenMetrics text (openmetrics.io, 1.0), or in the text format that came before it
//! (Prometheus, 0.0.4), which tools such as `promtool check metrics` read. Counters never fall.

use std::collections::BTreeSet;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::{Registry, Unit};

use super::cell::Numbers;
use super::counts::UsageCounts;

/// Its media type.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type of [`classic`].
pub const CLASSIC_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets of durations, seconds: those that Prometheus' clients use, down to a millisecond.
const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A metric of a count: its name, what it means, its value.
type Count = (&'static str, &'static str, fn(&Numbers) -> u64);

/// By route and status class.
const BY_ROUTE: [Count; 7] = [
    ("requests", "Requests answered, refused ones included", |numbers| numbers.requests),
    ("denied", "Requests refused by a limit", |numbers| numbers.denied),
    ("errors", "Requests answered 400 or above, but not refused by a limit", |numbers| numbers.errors),
    ("cache_hits", "Reads answered by the cache", |numbers| numbers.hits),
    ("cache_misses", "Reads that the cache could not answer", |numbers| numbers.misses),
    ("cache_hot", "Reads past the cache of what is written all the time", |numbers| numbers.hot),
    ("response_bytes", "Bytes of bodies sent", |numbers| numbers.bytes),
];

/// By consumer and status class.
const BY_CONSUMER: [Count; 3] = [
    ("consumer_requests", "Requests of a consumer", |numbers| numbers.requests),
    ("consumer_denied", "Requests of a consumer refused by a limit", |numbers| numbers.denied),
    ("consumer_errors", "Requests of a consumer answered 400 or above, but not refused by a limit", |numbers| numbers.errors),
];

/// The metrics as text; of one consumer alone where one is named.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn text(total: UsageCounts, consumer: Option<&str>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("holdfast");
    registry.register_collector(Box::new(Totals { sheet: total, consumer: consumer.map(str::to_owned) }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// OpenMetrics as the older text format has it: a counter is called as its samples are, there are no units and no end.
pub fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let counters: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (hash, kind, name, rest) = (words.next(), words.next(), words.next(), words.next());
        match (hash, kind, name, rest) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(name) => {
                out.extend(["# ", kind, " ", name, "_total ", rest]);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[derive(Debug)]
struct Totals {
    sheet: UsageCounts,
    consumer: Option<String>,
}

type Labels = Vec<(&'static str, String)>;

impl Totals {
    /// Numbers by route and class.
    fn routes(&self) -> impl Iterator<Item = (Labels, &Numbers)> {
        let mine = self.sheet.cells.iter().filter(|((consumer, ..), _)| consumer.is_empty());
        mine.map(|((_, route, class), numbers)| (vec![("route", route.clone()), ("class", class.name())], numbers))
    }

    /// Numbers by consumer and class.
    fn consumers(&self) -> impl Iterator<Item = (Labels, &Numbers)> {
        let wanted = |consumer: &String| self.consumer.as_ref().map_or(!consumer.is_empty(), |one| one == consumer);
        let mine = self.sheet.cells.iter().filter(move |((consumer, ..), _)| wanted(consumer));
        mine.map(|((consumer, _, class), numbers)| (vec![("consumer", consumer.clone()), ("class", class.name())], numbers))
    }

    fn units(&self, encoder: &mut DescriptorEncoder, name: &str, help: &str, units: fn(&Numbers) -> f64) -> std::fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, numbers) in self.routes() {
            ConstCounter::new(units(numbers)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn durations(&self, encoder: &mut DescriptorEncoder) -> std::fmt::Result {
        let help = "From a request's arrival in the function to its answer";
        let mut metric = encoder.encode_descriptor("request_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, Numbers { latency, .. }) in self.routes() {
            let mut below = 0;
            let mut buckets = Vec::new();
            for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
                let up_to = latency.up_to(bound * 1_000.0);
                buckets.push((bound, up_to - below));
                below = up_to;
            }
            let sum = latency.sum() / 1_000.0;
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, latency.count(), &buckets, None)?;
        }
        Ok(())
    }
}

impl Collector for Totals {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        for (name, help, value) in BY_CONSUMER {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, numbers) in self.consumers() {
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&value(numbers), None)?;
            }
        }
        if self.consumer.is_some() {
            return Ok(());
        }
        for (name, help, value) in BY_ROUTE {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, numbers) in self.routes() {
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&value(numbers), None)?;
            }
        }
        self.units(&mut encoder, "read_units", "Read capacity units of the tables", |numbers| numbers.read_units)?;
        self.units(&mut encoder, "write_units", "Write capacity units of the tables", |numbers| numbers.write_units)?;
        self.durations(&mut encoder)?;
        let mut metric = encoder.encode_descriptor("deprecated_uses", "Uses of what is deprecated", None, MetricType::Counter)?;
        for ((_, name), uses) in &self.sheet.deprecated {
            let labels: Labels = vec![("name", name.clone())];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(uses, None)?;
        }
        let help = "Hits of the cache that were read anew and found wrong";
        let mut metric = encoder.encode_descriptor("stale_reads", help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&self.sheet.stale, None)?;
        let help = "Requests that the limiter admitted or refused without its store";
        let mut metric = encoder.encode_descriptor("limiter_fallbacks", help, None, MetricType::Counter)?;
        for (outcome, count) in ["admitted", "refused"].into_iter().zip(&self.sheet.fallbacks) {
            metric.encode_family(&[("outcome", outcome)])?.encode_counter::<NoLabelSet, u64, u64>(count, None)?;
        }
        let help = "Requests whose counts had to be dropped";
        let mut metric = encoder.encode_descriptor("usage_lost", help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&self.sheet.lost, None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::usage::Finished;
    use crate::usage::total::add_to_total;

    fn total() -> UsageCounts {
        let mut sheet = UsageCounts::default();
        for (consumer, status, millis) in [("a", 200, 3), ("a", 429, 1), ("we\"ird\\\n", 404, 80)] {
            let duration = Duration::from_millis(millis);
            let route = "GET /v1/books".to_owned();
            sheet.add(Finished { consumer: consumer.into(), route, status, duration, read_units: 0.5, ..Finished::default() });
        }
        let mut total = UsageCounts::default();
        add_to_total(&mut total, &sheet);
        total
    }

    #[test]
    fn counters_and_histograms_in_the_text_format() {
        let text = text(total(), None).unwrap();
        for line in [
            "# TYPE holdfast_requests counter",
            "holdfast_requests_total{route=\"GET /v1/books\",class=\"2xx\"} 1",
            "holdfast_denied_total{route=\"GET /v1/books\",class=\"4xx\"} 1",
            "holdfast_errors_total{route=\"GET /v1/books\",class=\"4xx\"} 1",
            "holdfast_read_units_total{route=\"GET /v1/books\",class=\"4xx\"} 1.0",
            "holdfast_consumer_requests_total{consumer=\"we\\\"ird\\\\\\n\",class=\"4xx\"} 1",
            "# UNIT holdfast_request_duration_seconds seconds",
            "holdfast_request_duration_seconds_bucket{le=\"0.0025\",route=\"GET /v1/books\",class=\"2xx\"} 0",
            "holdfast_request_duration_seconds_bucket{le=\"0.005\",route=\"GET /v1/books\",class=\"2xx\"} 1",
            "holdfast_request_duration_seconds_count{route=\"GET /v1/books\",class=\"4xx\"} 2",
            "holdfast_usage_lost_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_older_format_calls_counters_as_their_samples() {
        let text = classic(&text(total(), None).unwrap());
        for line in [
            "# HELP holdfast_requests_total Requests answered, refused ones included",
            "# TYPE holdfast_requests_total counter",
            "holdfast_requests_total{route=\"GET /v1/books\",class=\"2xx\"} 1",
            "# TYPE holdfast_request_duration_seconds histogram",
            "holdfast_limiter_fallbacks_total{outcome=\"refused\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
    }

    #[test]
    fn a_caller_without_the_permission_sees_itself_alone() {
        let text = text(total(), Some("a")).unwrap();
        assert!(text.contains("holdfast_consumer_requests_total{consumer=\"a\",class=\"2xx\"} 1"));
        assert!(!text.contains("ird") && !text.contains("route="), "{text}");
    }
}
