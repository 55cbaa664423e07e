//! What the marks of runs ([`super::runs`]) say, and which version of the model contradicts one.

use super::entry;
use super::rule::{self, Rule, class, is_kept};
use crate::model::{Entity, Model};

/// The mark of a whole entity that is removed.
pub(super) const ENTITY: &str = "*";
/// Begins the mark of values that are removed.
pub(super) const VALUES: &str = "v_";
/// Begins the mark of a field that every record is going to have.
pub(super) const COMPLETE: &str = "c_";
/// Begins the mark of a field whose values are going to have another form: `t_pages.integer`.
pub(super) const FORM: &str = "t_";
/// Begins the mark of a rule whose rows too many are removed.
pub(super) const SURPLUS: &str = "o_";

/// A mark in the state item of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) entity: String,
    pub(crate) text: String,
}

impl Mark {
    /// The field that a mark of values is about, as `order.status`.
    pub(crate) fn field(&self) -> String {
        let name = self.text.split_once('_').map_or("", |(_, name)| name);
        format!("{}.{}", self.entity, name.split('.').next().unwrap_or_default())
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Whoever contradicts it may still say so.
    Waiting,
    /// The scan is under way.
    Running,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Running].into_iter().find(|phase| phase.name() == name)
    }
}

/// Whether a version of the model has what is going to be removed.
pub(super) fn is_had_by(model: &Model, entity: &Entity, mark: &str) -> bool {
    match rule::parse(mark) {
        _ if mark == ENTITY => true,
        Some(_) => Rule::of_entity(entity).any(|rule| rule.attribute(model) == mark),
        None => match mark.strip_prefix(VALUES) {
            Some(field) => entity.by_field(field).is_some(),
            None => entity.indexes.iter().any(|index| index.is_stored() && entry::attribute(&index.name) == mark),
        },
    }
}

/// Whether writes of a version of the model may undo what a run is about to make so.
pub(super) fn is_undone_by(model: &Model, entity: &Entity, mark: &str) -> bool {
    if let Some(name) = mark.strip_prefix(COMPLETE) {
        return entity.by_field(name).is_none_or(|field| field.nullable);
    }
    if let Some((name, form)) = mark.strip_prefix(FORM).and_then(|mark| mark.split_once('.')) {
        return entity.by_field(name).is_some_and(|field| !is_kept(&class(model, &field.kind), form));
    }
    let rule = mark.strip_prefix(SURPLUS).and_then(rule::parse);
    rule.is_some_and(|(_, field)| entity.by_field(field).is_none())
}
