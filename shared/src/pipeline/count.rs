//! The end of a request: it is counted, and told to the log.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderMap;

use crate::app::App;
use crate::core::clock::Micros;
use crate::http::{ApiRequest, ApiResponse};
use crate::store::meter::Consumed;
use crate::usage::{Cache, Finished, RequestMetrics};

/// What a request took.
pub(super) struct Spent {
    /// When it came.
    pub(super) begun: Micros,
    /// The name of its route.
    pub(super) route: String,
    /// What its calls to the tables cost.
    pub(super) cost: Consumed,
    /// The trace of its spans, if there are any.
    pub(super) trace: Option<String>,
}

/// Counts a request that has been answered. Nothing here waits.
pub(super) fn count(
    app: &App,
    request: &ApiRequest,
    correlation: &str,
    response: &ApiResponse,
    spent: Spent,
    metrics: RequestMetrics,
) {
    let mut done = Finished {
        route: spent.route,
        status: response.status().as_u16(),
        cache: text(response.headers(), "cache-status").and_then(Cache::of),
        bytes: response.body().len() as u64,
        read_units: spent.cost.read_units,
        write_units: spent.cost.write_units,
        duration: app.env.now().since(spent.begun),
        limit_used: limit_used(response.headers()).unwrap_or(0),
        fingerprint: fingerprint(request),
        fallbacks: app.limiter.take_fallbacks(),
        ..Finished::default()
    };
    metrics.fill(&mut done);
    log(app, request, correlation, spent.trace.as_deref(), &done);
    app.usage.count(done);
}

/// One line per request, for machines. Neither credentials nor content: the address is that of the table of routes.
fn log(app: &App, request: &ApiRequest, correlation: &str, trace_id: Option<&str>, done: &Finished) {
    tracing::info!(
        target: "holdfast::request",
        correlation_id = correlation,
        trace_id = trace_id.or_else(|| trace(&request.headers)),
        consumer = done.consumer,
        route = done.route,
        status = done.status,
        duration_ms = done.duration.as_secs_f64() * 1_000.0,
        bytes = done.bytes,
        units = done.read_units + done.write_units,
        cold_start = app.usage.is_first(),
        "request"
    );
}

/// The trace that a request belongs to: of W3C's `traceparent`, or of X-Ray's header.
fn trace(headers: &HeaderMap) -> Option<&str> {
    let w3c = text(headers, "traceparent").and_then(|value| value.split('-').nth(1));
    let xray = || text(headers, "x-amzn-trace-id")?.split(';').find_map(|part| part.trim().strip_prefix("Root="));
    w3c.or_else(xray).filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What the answer leaves used of the tightest limit, thousandths.
fn limit_used(headers: &HeaderMap) -> Option<u16> {
    let number = |name| text(headers, name)?.parse::<u64>().ok();
    let (limit, left) = (number("x-ratelimit-limit")?.max(1), number("x-ratelimit-remaining")?);
    u16::try_from(u128::from(limit.saturating_sub(left)) * 1_000 / u128::from(limit)).ok()
}

/// Tells whether requests are the same: equal on all instances of one build.
fn fingerprint(request: &ApiRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    (request.method.as_str(), &request.path, &request.query).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_value;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), header_value(value))).collect()
    }

    #[test]
    fn a_trace_is_taken_from_either_header_and_never_anything_else() {
        let w3c = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let xray = ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1");
        assert_eq!(trace(&headers(&[xray])), Some("1-67891233-abcdef012345678912345678"));
        assert_eq!(trace(&headers(&[w3c, xray])), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trace(&headers(&[("traceparent", "00-<script>-1")])), None);
        assert_eq!(trace(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_used_of_a_limit_stands_on_the_answer() {
        let of = |limit, left| limit_used(&headers(&[("x-ratelimit-limit", limit), ("x-ratelimit-remaining", left)]));
        assert_eq!((of("10", "4"), of("10", "0"), of("10", "10"), of("0", "0")), (Some(600), Some(1000), Some(0), Some(1000)));
        assert_eq!(limit_used(&HeaderMap::new()), None);
    }
}
