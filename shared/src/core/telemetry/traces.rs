//! Spans in memory, and their export: beside a later request, never on its way, and never by a thread of its own, which Lambda would
//! freeze at any moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use crate::core::clock::{Env, Micros};
use crate::core::config::Variables;

/// The variable of OpenTelemetry that names the collector; `/v1/traces` is added to it.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// How long a collector may take.
pub const TIMEOUT: Duration = Duration::from_secs(3);
/// How long spans stay in memory while requests come.
const EVERY: Duration = Duration::from_secs(5);
/// Spans that are sent at once when there are so many.
const MANY: usize = 512;
/// Spans that are kept at most; more are dropped and counted.
const MAX_SPANS: usize = 4_096;

/// Exports the spans of a process. Best effort: what a collector does not take is lost.
#[derive(Clone)]
pub struct Traces {
    kept: Arc<Kept>,
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    provider: SdkTracerProvider,
    /// Held during an export.
    turn: Arc<tokio::sync::Mutex<()>>,
    env: Env,
}

/// Spans that have ended.
#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<SpanData>>,
    dropped: AtomicU64,
    since: Mutex<Option<Micros>>,
}

/// Reason why there are no traces although an endpoint is named.
#[derive(Debug)]
pub struct TracesError(String);

impl std::fmt::Display for TracesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{ENDPOINT}: {}", self.0)
    }
}

impl std::error::Error for TracesError {}

impl Traces {
    /// Those of a service, if the environment names a collector. No call is made.
    ///
    /// # Errors
    /// [`TracesError`] where what it names is no address.
    pub fn of(
        variables: &dyn Variables,
        service: &str,
        env: Env,
        client: impl HttpClient + 'static,
    ) -> Result<Option<Self>, TracesError> {
        match variables.get(ENDPOINT).filter(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => Self::to(&endpoint, service, env, client).map(Some),
            None => Ok(None),
        }
    }

    /// Those of a service, to a collector (`http://collector:4318`). Its headers and a sampler may stand in the variables that
    /// OpenTelemetry's SDK reads for itself (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`).
    ///
    /// # Errors
    /// [`TracesError`] where that is no address.
    pub fn to(endpoint: &str, service: &str, env: Env, client: impl HttpClient + 'static) -> Result<Self, TracesError> {
        let builder = opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(client);
        let builder = builder.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/'))).with_timeout(TIMEOUT);
        let mut exporter = builder.with_protocol(Protocol::HttpBinary).build().map_err(|error| TracesError(error.to_string()))?;
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        exporter.set_resource(&resource);
        let kept = Arc::new(Kept::default());
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(Keeper(kept.clone())).build();
        Ok(Self { kept, exporter: Arc::new(exporter), provider, turn: Arc::default(), env })
    }

    /// The layer of a subscriber that collects spans, and nothing else.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.provider.tracer("holdfast");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    }

    /// Best effort: exports what is due in a task of its own, beside the calls of the request that has just come.
    pub fn flush_beside(&self) {
        let Ok(turn) = self.turn.clone().try_lock_owned() else { return };
        let Some(spans) = self.kept.due(self.env.now()) else { return };
        let traces = self.clone();
        tokio::spawn(async move {
            traces.send(spans).await;
            drop(turn);
        });
    }

    /// Best effort: exports everything, at the end of a process or of a tick.
    pub async fn flush(&self) {
        let _turn = self.turn.lock().await;
        let spans = self.kept.take();
        if !spans.is_empty() {
            self.send(spans).await;
        }
    }

    async fn send(&self, spans: Vec<SpanData>) {
        let dropped = self.kept.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped: there were too many");
        }
        let lost = spans.len();
        if let Err(error) = self.exporter.export(spans).await {
            tracing::warn!(%error, lost, "spans could not be exported");
        }
    }
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans that are to be sent now.
    fn due(&self, now: Micros) -> Option<Vec<SpanData>> {
        let count = self.spans.lock().unwrap_or_else(PoisonError::into_inner).len();
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
        (count > 0 && (count >= MANY || now >= since.plus(EVERY))).then(|| self.take())
    }
}

#[derive(Debug)]
struct Keeper(Arc<Kept>);

impl SpanProcessor for Keeper {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let mut spans = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() < MAX_SPANS {
            spans.push(span);
        } else {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
