//! What is legal in a model and hardly meant: printed by `model check` after the mistakes, of which there are none by then.
//!
//! - Owns: the warnings, by subject, each with its place in the file.
//! - May import: [`crate::model::schema`], and of `source` the document, for places and for what a file says in so many words.
//! - Never here: anything that a right model may well mean. A warning that is usually wrong is turned off by not being read.

mod auth;
mod condition;
mod entity;
mod field;
mod plan;
mod role;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use crate::model::schema::Model;
use crate::model::source::Document;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of keys in the file: `entities.book.fields.title`.
    pub place: String,
    /// The effect, and what would be right.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// The warnings about a model, in the order of the file.
pub fn warnings(model: &Model) -> Vec<Warning> {
    let mut found = Warnings { file: Document::read("", &model.source).ok(), list: Vec::new() };
    found.documents(model);
    for entity in &model.entities {
        found.entity(&format!("entities.{}", entity.name), model, entity);
    }
    found.roles(model);
    for plan in &model.plans {
        found.plan(&format!("plans.{}", plan.name), model, plan);
    }
    found.auth(model);
    found.settings(model);
    found.list.sort_by_key(|warning| (warning.line, warning.column));
    found.list
}

struct Warnings {
    /// The file; `None` where a model was not read from one.
    file: Option<Document>,
    list: Vec<Warning>,
}

impl Warnings {
    fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        let (place, message) = (place.into(), message.into());
        let spot = self.file.as_ref().map(|file| file.mistake(&pointer(&place), ""));
        let (line, column) = spot.map_or((1, 1), |spot| (spot.line, spot.column));
        self.list.push(Warning { line, column, place, message });
    }

    /// What the file says at a place.
    fn said(&self, place: &str) -> Option<&Value> {
        self.file.as_ref()?.value.pointer(&pointer(place))
    }

    fn documents(&mut self, model: &Model) {
        if model.name.trim().is_empty() {
            self.add("name", "it is empty, and the title of all documents");
        }
    }

    fn settings(&mut self, model: &Model) {
        let scans = |field: &crate::model::schema::Field| field.scan;
        let scanned = model.entities.iter().any(|entity| entity.fields.iter().any(scans));
        if model.limits.examine == 0 && scanned {
            self.add("limits.examine", "with 0 no row is read beyond those that are returned: `filter: scan` has no effect");
        }
        if model.cors.origins.len() > 1 && model.cors.origins.iter().any(|origin| origin == "*") {
            self.add("cors.origins", "`*` accepts every origin; the others have no effect");
        }
    }
}

/// A path of keys as a JSON pointer. Names have no dots, and `*` stays as it is.
fn pointer(place: &str) -> String {
    format!("/{}", place.replace('.', "/"))
}
