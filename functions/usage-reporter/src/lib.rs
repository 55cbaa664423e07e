//! The scheduled function: once a minute it finishes what others left, and tells what there is to tell.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use holdfast::app::App;
use holdfast::aws::sns::SnsTopic;
use holdfast::aws::webhook_post::HttpsPost;
use holdfast::compose::startup::Startup;
use holdfast::core::clock::Micros;
use holdfast::core::deadline;
use holdfast::notify::breaker::Breaker;
use holdfast::notify::log::LogTopic;
use holdfast::notify::{Post, Topic};
use holdfast::reporter::expiring_keys;
use holdfast::reporter::notices::{self, Senders};
use holdfast::store::audit::export::{self, Archive, ExportError, Exported};
use holdfast::usage::publish::{self, Metrics};
use holdfast::usage::tick;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;

/// How long before the end of the invocation no delivery begins any more: as long as the slowest receiver may take.
const RESERVE: Duration = Duration::from_secs(10);

/// An event of EventBridge's schedule, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScheduledEvent {
    /// When the schedule fired, RFC 3339.
    pub time: Option<String>,
}

/// What a tick works with; made once per process.
pub struct Reporter {
    /// The parts of the API.
    pub app: Arc<App>,
    /// Destination of notices.
    pub senders: Senders,
    /// Where metrics go; `None`: nowhere.
    pub metrics: Option<Arc<dyn Metrics>>,
    /// Where the audit trail goes; `None`: it stays in the table alone.
    pub archive: Option<Arc<dyn Archive>>,
}

impl Reporter {
    /// The reporter of a deployment: its topic if it has one, else the log.
    pub fn of(startup: &Startup, app: Arc<App>) -> Self {
        let topic: Arc<dyn Topic> = match &startup.settings.notices_topic {
            Some(arn) => Arc::new(SnsTopic::new(&startup.aws, arn)),
            None => Arc::new(LogTopic),
        };
        let post: Arc<dyn Post> = Arc::new(HttpsPost::new());
        let breaker = Breaker::new(startup.settings.breaker_failures, startup.settings.breaker_rest);
        Self { app, senders: Senders { breaker: Arc::new(breaker), ..Senders::new(topic, post) }, metrics: None, archive: None }
    }

    /// With somewhere to publish metrics.
    #[must_use]
    pub fn publishing_to(self, metrics: Arc<dyn Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// With somewhere to export the audit trail to.
    #[must_use]
    pub fn archiving_to(self, archive: Arc<dyn Archive>) -> Self {
        Self { archive: Some(archive), ..self }
    }

    async fn export(&self, until: Micros) -> Result<Exported, ExportError> {
        match &self.archive {
            Some(archive) => export::export(&*self.app.table, &**archive, &self.app.env, until).await,
            None => Ok(Exported::default()),
        }
    }
}

/// The parts of a tick that failed; the next tick tries again.
#[derive(Debug)]
pub struct Failed(Vec<String>);

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Failed {}

impl Failed {
    /// Notes how a part went; what it gave, if it went well.
    fn note<T, E: Display>(&mut self, part: &str, outcome: Result<T, E>) -> Option<T> {
        outcome.map_err(|error| self.0.push(format!("{part}: {error}"))).ok()
    }
}

/// Handles one tick. Usage is merged and published, and looked through once an hour; the audit trail is exported. Sustained
/// throttling and thresholds that nobody told are told, what was told is delivered, cascades that a function did not live to
/// finish are resumed, files that nothing refers to are deleted. No part waits for another to go well.
///
/// # Errors
/// [`Failed`].
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "tick", skip_all)]
pub async fn handle(reporter: &Reporter, event: LambdaEvent<ScheduledEvent>) -> Result<(), Failed> {
    let app = &reporter.app;
    let deadline = deadline::of_invocation(event.context.deadline, app.env.now());
    let until = Micros(deadline.0.saturating_sub(i64::try_from(RESERVE.as_micros()).unwrap_or(0)));
    let mut failed = Failed(Vec::new());
    let told = failed.note("thresholds and throttling", notices::enqueue_watched(app, until).await);
    let delivered = failed.note("delivery of notices", notices::deliver(app, &reporter.senders, until).await);
    let dead = delivered.as_ref().map_or(0, |delivered| u64::from(delivered.dead));
    if let Some(metrics) = reporter.metrics.as_ref().filter(|_| dead > 0) {
        failed.note("dead letters", metrics.publish(vec![publish::undeliverable(dead, app.env.now().seconds())]).await);
    }
    let usage = failed.note("usage", tick::tick(&*app.table, &app.env, reporter.metrics.as_deref(), until).await);
    let expiring = failed.note("keys that end", expiring_keys::enqueue(app, until).await);
    let anomalies = failed.note("anomalies", notices::enqueue_anomalies(app).await);
    let exported = failed.note("audit export", reporter.export(until).await);
    let swept = failed.note("cascades", app.writer.sweep(deadline).await);
    let files = failed.note("files", holdfast::files::sweep(app, deadline).await);
    tracing::info!(
        time = event.payload.time,
        ?told,
        ?delivered,
        ?usage,
        ?expiring,
        ?anomalies,
        ?exported,
        ?swept,
        ?files,
        "tick"
    );
    if failed.0.is_empty() { Ok(()) } else { Err(failed) }
}
