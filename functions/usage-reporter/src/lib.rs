//! The scheduled function: once a minute it finishes what others left.

use holdfast::app::App;
use holdfast::clock::Micros;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;

/// An event of EventBridge's schedule, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScheduledEvent {
    /// When the schedule fired, RFC 3339.
    pub time: Option<String>,
}

/// Handles one tick: cascades that a function did not live to finish are resumed, files that nothing refers to are deleted.
///
/// # Errors
/// What the table says; the next tick tries again.
pub async fn handle(app: &App, event: LambdaEvent<ScheduledEvent>) -> Result<(), holdfast::store::write::WriteError> {
    let deadline = Micros(i64::try_from(event.context.deadline).unwrap_or(i64::MAX).saturating_mul(1_000));
    let swept = app.writer.sweep(deadline).await?;
    let files = holdfast::files::sweep(app, deadline).await?;
    tracing::info!(time = event.payload.time, ?swept, ?files, "tick");
    Ok(())
}
