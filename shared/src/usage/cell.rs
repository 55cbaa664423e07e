//! What is counted of the requests of one consumer, route and status class.

use serde::{Deserialize, Serialize};

use super::latency::Latency;

/// The hundreds of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
pub struct Class(u8);

impl Class {
    /// The class of a status.
    pub fn of(status: u16) -> Self {
        Self(u8::try_from(status / 100).unwrap_or(5))
    }

    /// `2xx`.
    pub fn name(self) -> String {
        format!("{}xx", self.0)
    }
}

impl From<Class> for u8 {
    fn from(class: Class) -> Self {
        class.0
    }
}

impl From<u8> for Class {
    fn from(hundreds: u8) -> Self {
        Self(hundreds)
    }
}

/// Outcome of the cache for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// It answered.
    Hit,
    /// It could have, but did not have it.
    Miss,
    /// The cache was not used.
    Bypass,
    /// Something that the answer depends on is written too often for it.
    Hot,
}

fn zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Sums. Names are short in the store, because there are many.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Requests answered, refused ones included.
    #[serde(rename = "n")]
    pub requests: u64,
    /// Of these, refused by a limit (429).
    #[serde(rename = "d", default, skip_serializing_if = "zero")]
    pub denied: u64,
    /// Of these, answered 403.
    #[serde(rename = "f", default, skip_serializing_if = "zero")]
    pub forbidden: u64,
    /// Of these, answered 404.
    #[serde(rename = "m", default, skip_serializing_if = "zero")]
    pub missing: u64,
    /// Of these, answered 400 or above without being denied: the caller's mistakes and ours.
    #[serde(rename = "e", default, skip_serializing_if = "zero")]
    pub errors: u64,
    /// Of these, answered 500 or above: ours alone.
    #[serde(rename = "x", default, skip_serializing_if = "zero")]
    pub failures: u64,
    /// Of these, answered by the cache.
    #[serde(rename = "h", default, skip_serializing_if = "zero")]
    pub hits: u64,
    /// Of these, looked up in the cache without success.
    #[serde(rename = "i", default, skip_serializing_if = "zero")]
    pub misses: u64,
    /// Of these, read past the cache because what they depend on is written all the time.
    #[serde(rename = "o", default, skip_serializing_if = "zero")]
    pub hot: u64,
    /// Bytes of bodies sent.
    #[serde(rename = "b", default, skip_serializing_if = "zero")]
    pub bytes: u64,
    /// Read capacity units.
    #[serde(rename = "r", default, skip_serializing_if = "zero")]
    pub read_units: f64,
    /// Write capacity units.
    #[serde(rename = "w", default, skip_serializing_if = "zero")]
    pub write_units: f64,
    /// How long they took.
    #[serde(rename = "l")]
    pub latency: Latency,
}

impl Numbers {
    /// Adds what others counted.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.denied += other.denied;
        self.forbidden += other.forbidden;
        self.missing += other.missing;
        self.errors += other.errors;
        self.failures += other.failures;
        self.hits += other.hits;
        self.misses += other.misses;
        self.hot += other.hot;
        self.bytes += other.bytes;
        self.read_units += other.read_units;
        self.write_units += other.write_units;
        self.latency.merge(&other.latency);
    }

    /// Capacity units of both kinds.
    pub fn units(&self) -> f64 {
        self.read_units + self.write_units
    }
}
