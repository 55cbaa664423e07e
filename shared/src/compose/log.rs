//! The log of a function: JSON lines where Lambda asks for them.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::aws::otlp::OtlpSender;
use crate::core::clock::Env;
use crate::core::config::Variables;
use crate::core::telemetry::{Traces, TracesError};

/// Begins the log of a process by Lambda's own variables (`AWS_LAMBDA_LOG_LEVEL`, `AWS_LAMBDA_LOG_FORMAT`, else `RUST_LOG`), and the
/// export of its spans where a collector is named.
///
/// # Errors
/// [`TracesError`]; the log has begun nevertheless.
pub fn start_log(variables: &dyn Variables, service: &str, env: &Env) -> Result<Option<Traces>, TracesError> {
    let level = variables.get("AWS_LAMBDA_LOG_LEVEL").or_else(|| variables.get("RUST_LOG"));
    let level = level.and_then(|level| level.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let lines = fmt::layer().with_target(false).without_time();
    let lines = match variables.get("AWS_LAMBDA_LOG_FORMAT") {
        Some(format) if format.eq_ignore_ascii_case("json") => lines.json().boxed(),
        _ => lines.boxed(),
    };
    let traces = Traces::of(variables, service, env.clone(), OtlpSender::new());
    let spans = traces.as_ref().ok().and_then(Option::as_ref).map(Traces::layer);
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    traces
}
