//! What the reporter does for notices at each tick: finds out what nobody told (thresholds, throttling, anomalies of usage), and
//! delivers what was told.

use std::sync::Arc;

use crate::app::App;
use crate::core::clock::Micros;
use crate::identity::consumer::{ConsumerError, Consumers, Recipients};
use crate::limit::{LimitSubject, ResolvedPlan};
use crate::notify::breaker::Breaker;
use crate::notify::watch::{self, Watched};
use crate::notify::{self, Budget, Channels, Delivered, Kind, Notice, Post, Topic};
use crate::store::keys;
use crate::store::table::TableError;
use crate::usage::Level;
use crate::usage::watch::{self as habits, Finding};

/// Most notices of one tick.
const MAX_NOTICES: usize = 500;

/// How a reporter sends: made once per process.
#[derive(Clone)]
pub struct Senders {
    /// The operator's topic.
    pub topic: Arc<dyn Topic>,
    /// Webhooks.
    pub post: Arc<dyn Post>,
    /// Which receivers are left alone for a while.
    pub breaker: Arc<Breaker>,
}

impl Senders {
    /// Senders to a topic and to webhooks.
    pub fn new(topic: Arc<dyn Topic>, post: Arc<dyn Post>) -> Self {
        Self { topic, post, breaker: Arc::default() }
    }
}

/// Tells what there is to tell of everybody who is being denied. How many notices.
///
/// # Errors
/// The store's, the first of them, when all have been looked at.
pub async fn enqueue_watched(app: &App, until: Micros) -> Result<usize, TableError> {
    let now = app.env.now();
    let (mut told, mut first) = (0, None);
    for one in watch::watched(&*app.table, now).await? {
        if app.env.now() >= until {
            break;
        }
        let outcome = async {
            let subject = subject(app, &one).await?;
            watch::enqueue_due(&*app.table, &app.env, &app.limiter, &one, subject.as_ref(), now).await
        };
        match outcome.await {
            Ok(count) => told += count,
            Err(error) => {
                tracing::warn!(consumer = one.consumer, %error, "a consumer could not be told yet");
                first = first.or(Some(error));
            }
        }
    }
    first.map_or(Ok(told), Err)
}

/// What a watched consumer is limited by: its own plan and overrides, or the plan that it was charged by.
async fn subject(app: &App, one: &Watched) -> Result<Option<LimitSubject>, TableError> {
    let consumers = Consumers { table: &*app.table, model: &app.model, env: &app.env, riders: &|_| Vec::new() };
    let record = match consumers.get(&one.consumer).await {
        Ok(record) => Some(record),
        Err(ConsumerError::NotFound) => None,
        Err(error) => return Err(TableError::Broken(error.to_string())),
    };
    let name = record.as_ref().and_then(|record| record.plan.as_deref()).unwrap_or(&one.plan);
    let Some(plan) = app.model.plan(name) else { return Ok(None) };
    let plan = ResolvedPlan::of(plan, record.as_ref().and_then(|record| record.overrides.as_ref()));
    let plan = plan.map_err(|faults| TableError::Broken(format!("plan {name}: {faults:?}")))?;
    Ok(Some(LimitSubject { consumer: one.consumer.clone(), plan: Arc::new(plan), key_id: None, used_key: None, epoch: 0 }))
}

/// Looks for anomalies in the last whole hour of usage, once, and enqueues a notice of each; their number.
///
/// # Errors
/// The store's; the next tick examines the hour again, and what was told already is not told again.
pub async fn enqueue_anomalies(app: &App) -> Result<usize, TableError> {
    let now = app.env.now();
    let Some(hour) = habits::due(&*app.table, now).await? else { return Ok(0) };
    let mut told = 0;
    for finding in habits::find_anomalies(&*app.table, &app.env, hour).await? {
        told += usize::from(tell_anomaly(app, &finding, now).await?);
    }
    habits::done(&*app.table, hour).await?;
    Ok(told)
}

/// Tells a finding unless the same was told of the consumer that day. Whether it was told here.
async fn tell_anomaly(app: &App, finding: &Finding, now: Micros) -> Result<bool, TableError> {
    let Finding { consumer, hour, anomaly } = finding;
    let number = |value: f64| serde_json::Number::from_f64((value * 1_000.0).round() / 1_000.0).unwrap_or_else(|| 0.into());
    let kind = Kind::Anomaly {
        hour: Micros(hour.saturating_mul(1_000_000)).rfc3339(),
        sign: anomaly.sign.name().to_owned(),
        seen: number(anomaly.seen),
        usual: number(anomaly.usual),
        evidence: anomaly.evidence.clone(),
    };
    let notice = Notice::new(&app.env, Some(consumer), kind, now);
    let mark = keys::usage_told(consumer, anomaly.sign.name(), Level::Day.start(*hour));
    notify::enqueue_first(&*app.table, &app.env, mark, hour + 7 * 86_400, &notice, now).await
}

/// Delivers notices that are due.
///
/// # Errors
/// The store's.
pub async fn deliver(app: &App, senders: &Senders, until: Micros) -> Result<Delivered, TableError> {
    let recipients = Recipients {
        table: app.table.clone(),
        model: app.model.clone(),
        env: app.env.clone(),
        master: app.secrets().await?.webhook,
    };
    let channels = Channels {
        topic: senders.topic.clone(),
        post: senders.post.clone(),
        addresses: Arc::new(recipients),
        breaker: senders.breaker.clone(),
    };
    notify::deliver(&*app.table, &app.env, &channels, Budget { notices: MAX_NOTICES, until }, app.env.now()).await
}
