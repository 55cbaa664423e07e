//! Notices.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::clock::{Env, Micros};
use crate::limit::WindowState;

/// A message to a consumer, the operator, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, UUIDv7: `webhook-id`, the same in every repetition.
    pub id: String,
    /// Time of discovery, RFC 3339.
    pub at: String,
    /// Whom it concerns; `None`: the operator alone.
    pub consumer: Option<String>,
    /// Kind, with its details.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Kinds of notices; timestamps are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Kind {
    /// A threshold of a quota is reached.
    #[serde(rename = "quota.threshold")]
    Threshold {
        /// The quota's name.
        quota: String,
        /// `hour`, `day` or `month`.
        window: String,
        /// The threshold, per cent.
        percent: u8,
        /// Units used when it was found.
        used: u64,
        /// Units per window.
        limit: u64,
        /// Start of the window.
        window_start: String,
        /// Time of expiry.
        resets_at: String,
        /// When nothing will be left at the present pace, if that is before the window ends.
        runs_out_at: Option<String>,
    },
    /// Requests were denied in many of the last minutes: sustained throttling.
    #[serde(rename = "requests.throttled")]
    Throttled {
        /// Minutes in which some were denied.
        minutes: u32,
        /// Minutes considered.
        of: u32,
        /// The limits that denied them, as they stood when this was found.
        #[serde(default)]
        limits: Vec<Limit>,
    },
    /// A rate was used to 80 per cent and more over many of the last minutes: soon requests will be denied.
    #[serde(rename = "rate.sustained")]
    Sustained {
        /// Minutes in which it was.
        minutes: u32,
        /// Minutes considered.
        of: u32,
        /// The rates.
        limits: Vec<Limit>,
    },
    /// A consumer's usage deviates from its baseline.
    #[serde(rename = "usage.anomaly")]
    Anomaly {
        /// The hour of the deviation.
        hour: String,
        /// `spike`, `silence`, `errors`, `probing`, `loop`, `new_routes`.
        sign: String,
        /// Observed value: requests, or a share between 0 and 1.
        seen: serde_json::Number,
        /// Baseline, in the same unit.
        usual: serde_json::Number,
        /// Description for people.
        evidence: String,
    },
    /// An API key ends soon.
    #[serde(rename = "key.expiring")]
    KeyExpiring {
        /// Its public id.
        key_id: String,
        /// Time of creation.
        created_at: String,
        /// Time of expiry.
        expires_at: String,
    },
    /// Many invalid credentials from one address or on one key.
    #[serde(rename = "credentials.suspicious")]
    Suspicious {
        /// The address (a /64 for IPv6).
        address: Option<String>,
        /// The public id of the key.
        key_id: Option<String>,
        /// Number within a minute.
        count: u32,
    },
}

/// A limit of a consumer, as it stood when a notice was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Name of the rate or quota.
    pub name: String,
    /// `rate` or `quota`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Units used.
    pub used: u64,
    /// Units at once, or in the window.
    pub limit: u64,
    /// Length of a quota's window, or the time in which all of a rate refills; rounded up.
    pub window_seconds: u64,
    /// When all of it is there again, RFC 3339.
    pub reset_at: String,
}

impl Limit {
    /// Of a window that stands so now.
    pub fn of(window: &WindowState, now: Micros) -> Self {
        let seconds = window.window.as_secs() + u64::from(window.window.subsec_nanos() > 0);
        Self {
            name: window.name.clone(),
            kind: if window.quota { "quota" } else { "rate" }.to_owned(),
            used: window.limit.saturating_sub(window.remaining),
            limit: window.limit,
            window_seconds: seconds,
            reset_at: now.plus(window.reset).rfc3339(),
        }
    }
}

/// The limits of a notice, for people.
fn by(limits: &[Limit]) -> String {
    let named = |limit: &Limit| format!("{} {} ({} units in {} s)", limit.kind, limit.name, limit.limit, limit.window_seconds);
    let named: Vec<String> = limits.iter().map(named).collect();
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

impl Kind {
    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "quota.threshold",
            Self::Throttled { .. } => "requests.throttled",
            Self::Sustained { .. } => "rate.sustained",
            Self::Anomaly { .. } => "usage.anomaly",
            Self::KeyExpiring { .. } => "key.expiring",
            Self::Suspicious { .. } => "credentials.suspicious",
        }
    }
}

impl Notice {
    /// A notice that is found now.
    pub fn new(env: &Env, consumer: Option<&str>, kind: Kind, now: Micros) -> Self {
        Self { id: env.uuid_v7().to_string(), at: now.rfc3339(), consumer: consumer.map(str::to_owned), kind }
    }

    /// The body of a webhook, in the form that Standard Webhooks recommends: `type`, `timestamp`, `data`.
    pub fn payload(&self) -> Value {
        let mut payload = serde_json::to_value(&self.kind).unwrap_or_default();
        payload["timestamp"] = json!(self.at);
        if let Some(consumer) = &self.consumer {
            payload["data"]["consumer"] = json!(consumer);
        }
        payload
    }

    /// One line for people.
    pub fn subject(&self) -> String {
        let who = self.consumer.as_deref().unwrap_or("the API");
        match &self.kind {
            Kind::Threshold { quota, percent, used, limit, .. } => {
                format!("{who}: {percent} % of quota {quota} used ({used} of {limit})")
            }
            Kind::Throttled { minutes, of, limits } => {
                format!("{who}: requests denied in {minutes} of {of} minutes{}", by(limits))
            }
            Kind::Sustained { minutes, of, limits } => {
                format!("{who}: at least 80 % of a rate used in {minutes} of {of} minutes{}", by(limits))
            }
            Kind::Anomaly { evidence, .. } => format!("{who}: {evidence}"),
            Kind::KeyExpiring { key_id, expires_at, .. } => format!("{who}: API key {key_id} ends at {expires_at}"),
            Kind::Suspicious { address, key_id, count } => {
                let from = address.as_deref().or(key_id.as_deref()).unwrap_or_default();
                format!("{count} invalid credentials within a minute: {from}")
            }
        }
    }
}
