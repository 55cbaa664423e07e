//! End of a request: its count, and its line in the log.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderMap;

use crate::app::App;
use crate::http::{ApiRequest, ApiResponse};
use crate::pipeline::RequestContext;
use crate::pipeline::context::Who;
use crate::store::meter::Consumed;
use crate::usage::Finished;

/// Counts a request that has been answered: with the capacity that it `consumed` and the trace of its spans. Nothing here waits.
pub(super) fn count(cx: RequestContext<'_>, response: &ApiResponse, consumed: Consumed, trace_id: Option<&str>) {
    let RequestContext { app, request, begun, correlation, route, metrics, who, .. } = cx;
    let mut done = Finished {
        route,
        status: response.status().as_u16(),
        bytes: response.body().len() as u64,
        read_units: consumed.read_units,
        write_units: consumed.write_units,
        duration: app.env.now().since(begun),
        fingerprint: fingerprint(request),
        fallbacks: app.limiter.take_fallbacks(),
        ..Finished::default()
    };
    metrics.fill(&mut done);
    log(app, request, (&correlation, trace_id), who.get(), &done);
    app.usage.count(done);
}

/// One line per request, for machines. Neither credentials nor content: the address is that of the table of routes.
fn log(app: &App, request: &ApiRequest, (correlation, trace_id): (&str, Option<&str>), who: Option<&Who>, done: &Finished) {
    tracing::info!(
        target: "holdfast::request",
        correlation_id = correlation,
        trace_id = trace_id.or_else(|| trace(&request.headers)),
        consumer = done.consumer,
        subject = who.map(|who| who.subject.as_str()),
        key_id = who.and_then(|who| who.key_id.as_deref()),
        scope = who.and_then(|who| who.scope.as_deref()),
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

/// Hash that is equal for equal requests, on all instances of one build.
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
}
