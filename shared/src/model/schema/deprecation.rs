//! Deprecations of entities and fields (RFC 9745, RFC 8594), in words and as members of a document.

use serde_json::Value;

use super::operation::Operation;

/// Deprecation of an entity, of some operations on it, or of a field (RFC 9745, RFC 8594).
#[derive(Debug, Clone, PartialEq)]
pub struct Deprecation {
    /// Moment from which it is deprecated, seconds since 1970.
    pub since: i64,
    /// Moment after which it may be gone, seconds since 1970.
    pub sunset: Option<i64>,
    /// Replacement, in words.
    pub replacement: Option<String>,
    /// Operations on the entity that are deprecated; empty: all of them.
    pub operations: Vec<Operation>,
}

impl Deprecation {
    /// `Deprecated since 2026-01-01, may be gone after 2027-06-30; in its place: catalogue_id.`
    pub fn in_words(&self) -> String {
        let mut text = "Deprecated".to_owned();
        if let Some(day) = day(self.since) {
            text.push_str(&format!(" since {day}"));
        }
        if let Some(day) = self.sunset.and_then(day) {
            text.push_str(&format!(", may be gone after {day}"));
        }
        if let Some(replacement) = &self.replacement {
            text.push_str(&format!("; in its place: {replacement}"));
        }
        text + "."
    }

    /// Adds the members `x-deprecated-since` and `x-sunset` (dates) and `x-replacement`, for programs.
    pub fn annotate(&self, place: &mut Value) {
        let members = [
            ("x-deprecated-since", day(self.since)),
            ("x-sunset", self.sunset.and_then(day)),
            ("x-replacement", self.replacement.clone()),
        ];
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            place[name] = Value::String(value);
        }
    }
}

/// The date of a moment, in UTC.
fn day(seconds: i64) -> Option<String> {
    time::OffsetDateTime::from_unix_timestamp(seconds).ok().map(|moment| moment.date().to_string())
}
