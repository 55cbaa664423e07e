//! Changes of a model, by what they mean for clients and for stored data.

use std::fmt;

/// Class of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A client that worked may fail or see less.
    Breaking,
    /// Stored data has to follow: run `reindex`, or `verify --repair` or `migrate` if the reason says so.
    Backfill,
    /// No action is needed.
    Compatible,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Class.
    pub class: Class,
    /// Part of the model: `entity order`, `field order.total`, `role customer`.
    pub place: String,
    /// The change itself.
    pub what: String,
    /// Reason for the class.
    pub reason: String,
}

impl Class {
    /// `breaking`, `backfill` or `compatible`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Backfill => "backfill",
            Self::Compatible => "compatible",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<10}  {}: {} ({})", self.class.name(), self.place, self.what, self.reason)
    }
}

/// Collected changes.
#[derive(Default)]
pub(super) struct Changes {
    all: Vec<Change>,
}

impl Changes {
    fn add(&mut self, class: Class, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.all.push(Change { class, place: place.into(), what: what.into(), reason: reason.to_owned() });
    }

    /// Adds a change that may break a client.
    pub fn breaking(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Breaking, place, what, reason);
    }

    /// Adds a change that needs no action.
    pub fn compatible(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Compatible, place, what, reason);
    }

    /// Adds a change that stored data has to follow.
    pub fn backfill(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Backfill, place, what, reason);
    }
    /// All changes, each once: breaking ones first, then those that need a backfill.
    pub fn finish(mut self) -> Vec<Change> {
        self.all.sort();
        self.all.dedup();
        self.all
    }
}
