//! Traces: a span per request, stage and call of an SDK, in the context that a caller sent (W3C `traceparent`) and that calls pass on.
//!
//! Spans are those of the `tracing` crate under one target. They exist only where [`Traces`] listens for that target, which it does where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is set: without it a span costs one look at a number, and nothing is made at a start.

mod traces;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use traces::{TIMEOUT, Traces, TracesError};

/// Target of the spans that are exported; it stands as a literal in the attributes of stages.
pub const TARGET: &str = "holdfast::trace";

/// The span of a request, in the trace that its headers name or in a new one. It is called by its route of the
/// table of routes: no address of a caller's stands in it.
pub fn request(headers: &HeaderMap, method: &str, route: &str) -> Span {
    let span = tracing::trace_span!(
        target: TARGET,
        "request",
        otel.name = tracing::field::Empty,
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty,
        holdfast.correlation_id = tracing::field::Empty,
        holdfast.consumer = tracing::field::Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", route).record("http.route", route.split_once(' ').map_or("", |(_, path)| path));
        // It fails only where nobody exports spans.
        let _unheard = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers)));
    }
    span
}

/// The span of an authorizer's work, in the trace that the request names or in a new one.
pub fn authorization(traceparent: Option<&str>) -> Span {
    let span = tracing::trace_span!(target: TARGET, "authorize", otel.kind = "server");
    let named = traceparent.and_then(|value| HeaderValue::from_str(value).ok());
    if let Some(value) = named.filter(|_| !span.is_disabled()) {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value)]);
        let _unheard = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(&headers)));
    }
    span
}

/// Attributes of a request that are known at its end.
pub fn answered(span: &Span, status: u16, correlation: &str, consumer: &str) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status).record("holdfast.correlation_id", correlation);
    span.record("holdfast.consumer", consumer);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The trace that a span belongs to, as 32 hexadecimal digits.
pub fn trace_id(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}
