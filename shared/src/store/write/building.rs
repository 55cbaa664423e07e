//! What cannot be decided before a rule of the model is complete: it is refused, whatever else is served.

use std::sync::Arc;

use super::{Mutation, WriteError};
use crate::core::clock::Micros;
use crate::model::Model;
use crate::store::constraints::States;
use crate::store::table::TableError;

/// Refuses deletions of records to which others may refer without a row that says so, and values of unique fields that nothing was
/// prepared for. `own`: how many of the mutations are the caller's.
pub(super) fn check(model: &Model, states: &States, mutations: &[Mutation], own: usize) -> Result<(), WriteError> {
    let undecided = mutations.iter().enumerate().find_map(|(at, mutation)| Some((at, undecided(model, states, mutation)?)));
    match undecided {
        Some((at, constraint)) => Err(WriteError::Building { mutation: if at < own { at } else { 0 }, constraint }),
        None => Ok(()),
    }
}

/// The rule that is not complete, as `unique order.number`.
fn undecided(model: &Model, states: &States, mutation: &Mutation) -> Option<String> {
    if states.is_moving(mutation.entity) {
        return Some(format!("renamed fields of {}", model.entity(mutation.entity).name));
    }
    let Some(after) = &mutation.after else {
        let rule = states.unknown_references(model, mutation.entity)?;
        let entity = model.entity(rule.entity);
        return Some(format!("reference {}.{}", entity.name, entity.field(rule.field).name));
    };
    let entity = model.entity(mutation.entity);
    let sets = |name: &String| {
        let value = after.fields.get(name).filter(|value| !value.is_null());
        value.is_some() && value != mutation.before.as_ref().and_then(|before| before.fields.get(name))
    };
    let unprepared = states.unprepared().filter(|rule| rule.entity == mutation.entity);
    let mut names = unprepared.map(|rule| &entity.field(rule.field).name);
    names.find(|name| sets(name)).map(|name| format!("unique {}.{name}", entity.name))
}

impl super::Writer {
    /// What is complete now, as far as it concerns these.
    pub(super) async fn states(&self, mutations: &[Mutation], deadline: Micros) -> Result<Arc<States>, TableError> {
        match &self.constraints {
            Some(constraints) if !mutations.is_empty() => constraints.before_write(deadline).await,
            _ => Ok(Arc::default()),
        }
    }
}
