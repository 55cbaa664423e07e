//! The secret that a consumer verifies its webhooks with.
//!
//! It is derived from the deployment's master key and a random salt, which stands in the consumer's row: the secret itself is stored
//! nowhere and shown once, in the answer to the change that made it. A change makes one when it gives a consumer its first
//! `https:` address, or when it asks for a new one (`"webhook_secret": "new"`). The one before signs beside it for a day, so that
//! a receiver changes over without missing a notice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::clock::{Env, Micros};
use crate::notify::webhook::Secret;

/// How long the secret before the present one signs too.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// From what a consumer's secrets are derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salts {
    /// Of the present secret.
    pub salt: String,
    /// The consumer's version that brought it: whoever made that version is shown the secret.
    pub version: String,
    /// Of the secret before, and the second since 1970 at which it ends.
    pub previous: Option<(String, i64)>,
}

impl Salts {
    /// The salts of a consumer's next version. `wanted`: a new secret is asked for.
    pub(super) fn next(present: Option<&Self>, notify: &[String], wanted: bool, version: &str, env: &Env) -> Option<Self> {
        if !notify.iter().any(|address| address.starts_with("https://")) {
            return None;
        }
        if let Some(present) = present.filter(|_| !wanted) {
            return Some(present.clone());
        }
        let salt = hex::encode(env.bytes::<16>());
        let previous = present.map(|present| (present.salt.clone(), env.now().plus(OVERLAP).seconds()));
        Some(Self { salt, version: version.to_owned(), previous })
    }

    /// The secrets that sign at `now`, the present one first.
    pub fn secrets(&self, master: &[u8], consumer: &str, now: Micros) -> Vec<Secret> {
        let previous = self.previous.iter().filter(|(_, until)| *until > now.seconds()).map(|(salt, _)| salt);
        [&self.salt].into_iter().chain(previous).map(|salt| Secret::of(master, consumer, salt)).collect()
    }

    /// The secret, for whoever made the version that brought it.
    pub fn fresh(&self, master: &[u8], consumer: &str, version: &str) -> Option<Secret> {
        (self.version == version).then(|| Secret::of(master, consumer, &self.salt))
    }
}
