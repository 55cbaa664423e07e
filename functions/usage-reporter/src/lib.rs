//! The scheduled function: once a minute.

use serde::Deserialize;

/// An event of EventBridge's schedule, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScheduledEvent {
    /// When the schedule fired, RFC 3339.
    pub time: Option<String>,
}

/// Handles one tick.
pub async fn handle(event: ScheduledEvent) {
    tracing::info!(time = event.time, "tick");
}
