//! Changes of a model, by what they mean for clients and for stored data.

use std::fmt;

use serde_json::{Value, json};

use crate::model::evolution::Step;

/// Class of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A client that worked may fail or see less.
    Breaking,
    /// Right for clients once the steps over stored data are done, each in its time.
    Migration,
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

/// All that changes between two models. `model diff` prints its `Display`, or [`Diff::json`].
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// Changes, each once: those that break clients first.
    pub changes: Vec<Change>,
    /// Steps over stored data, in their order.
    pub steps: Vec<Step>,
    /// Whether every cached answer is read anew once: entries belong to one model, whatever differs in it but for its formatting.
    pub voids_cached_answers: bool,
}

impl Class {
    /// `breaking`, `migration` or `compatible`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Migration => "migration",
            Self::Compatible => "compatible",
        }
    }
}

impl Change {
    /// `{"class": "breaking", "place": "field order.total", "what": "removed", "reason": "..."}`
    pub fn json(&self) -> Value {
        json!({"class": self.class.name(), "place": self.place, "what": self.what, "reason": self.reason})
    }
}

impl Diff {
    /// Whether a client may break.
    pub fn breaks_clients(&self) -> bool {
        self.changes.iter().any(|change| change.class == Class::Breaking)
    }

    /// Whether stored data needs a step.
    pub fn needs_migration(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether the release cannot be rolled back once its steps have begun.
    pub fn is_one_way(&self) -> bool {
        self.steps.iter().any(|step| step.work.is_one_way())
    }

    /// All of it: `changes`, `steps`, and what follows from them.
    pub fn json(&self) -> Value {
        json!({
            "breaks_clients": self.breaks_clients(),
            "needs_migration": self.needs_migration(),
            "one_way": self.is_one_way(),
            "voids_cached_answers": self.voids_cached_answers,
            "changes": self.changes.iter().map(Change::json).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<10}  {}: {} ({})", self.class.name(), self.place, self.what, self.reason)
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() && self.steps.is_empty() {
            return writeln!(out, "no difference");
        }
        for change in &self.changes {
            writeln!(out, "{change}")?;
        }
        if !self.steps.is_empty() {
            writeln!(out, "\nsteps over stored data, before or after the deployment (`holdfast migrate`):")?;
            for step in &self.steps {
                writeln!(out, "{step}")?;
            }
        }
        writeln!(
            out,
            "\nEvery cached answer is read anew once, and a list that is under way may have to begin again (400 for its cursor)."
        )
    }
}

/// Collected changes.
#[derive(Default)]
pub(super) struct Changes {
    all: Vec<Change>,
}

impl Changes {
    /// Number of changes so far.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Adds a change.
    pub fn add(&mut self, class: Class, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.all.push(Change { class, place: place.into(), what: what.into(), reason: reason.to_owned() });
    }

    /// Adds a change that may break a client.
    pub fn breaking(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Breaking, place, what, reason);
    }

    /// Adds a change that is right once stored data has followed.
    pub fn migration(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Migration, place, what, reason);
    }

    /// Adds a change that needs no action.
    pub fn compatible(&mut self, place: impl Into<String>, what: impl Into<String>, reason: &str) {
        self.add(Class::Compatible, place, what, reason);
    }

    /// Adds a change that breaks clients in one direction only; nothing if nothing changed.
    pub fn either<T: PartialEq>(&mut self, place: &str, (was, now): (T, T), breaks: bool, what: String, why: (&str, &str)) {
        if was == now {
            return;
        }
        let (class, reason) = if breaks { (Class::Breaking, why.0) } else { (Class::Compatible, why.1) };
        self.add(class, place, what, reason);
    }

    /// Adds a change for each element that is no longer in a list, which breaks clients, and for each that is new, which does not.
    pub fn listed(&mut self, place: &str, what: &str, (was, now): (&[String], &[String]), why: (&str, &str)) {
        for gone in was.iter().filter(|one| !now.contains(one)) {
            self.breaking(place, format!("{what} {gone} removed"), why.0);
        }
        for added in now.iter().filter(|one| !was.contains(one)) {
            self.compatible(place, format!("{what} {added} added"), why.1);
        }
    }

    /// Adds what only documents show.
    pub fn documented<T: PartialEq>(&mut self, place: &str, what: &str, was: &T, now: &T) {
        if was != now {
            self.compatible(place, format!("{what} changed"), "documents say so");
        }
    }

    /// All changes, each once, by class.
    pub fn finish(mut self) -> Vec<Change> {
        self.all.sort();
        self.all.dedup();
        self.all
    }
}
