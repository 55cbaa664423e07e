//! What cannot be decided before a rule of the model is complete: it is refused, whatever else is served.

use std::sync::Arc;

use super::{Mutation, WriteError};
use crate::core::clock::Micros;
use crate::model::value::Record;
use crate::model::{EntityIx, FieldType, Model};
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
    if mutation.after.is_none() {
        let rule = states.unknown_references(model, mutation.entity)?;
        let entity = model.entity(rule.entity);
        return Some(format!("reference {}.{}", entity.name, entity.field(rule.field).name));
    }
    let entity = model.entity(mutation.entity);
    let moved = refs(model, mutation).find(|(name, target)| states.is_moving(*target) && is_set(mutation, name));
    if let Some((name, _)) = moved {
        return Some(format!("renamed target of {}.{name}", model.entity(mutation.entity).name));
    }
    let unprepared = states.unprepared().filter(|rule| rule.entity == mutation.entity);
    let mut names = unprepared.map(|rule| &entity.field(rule.field).name);
    names.find(|name| is_set(mutation, name)).map(|name| format!("unique {}.{name}", entity.name))
}

/// Whether a mutation gives a field another value than null.
fn is_set(mutation: &Mutation, name: &str) -> bool {
    let value = |record: &Option<Record>| record.as_ref().and_then(|record| record.fields.get(name).cloned());
    let after = value(&mutation.after).filter(|value| !value.is_null());
    after.is_some() && after != value(&mutation.before)
}

/// The refs of a mutation's entity, with their targets.
fn refs<'m>(model: &'m Model, mutation: &Mutation) -> impl Iterator<Item = (&'m str, EntityIx)> {
    model.entity(mutation.entity).fields.iter().filter_map(|field| match field.kind {
        FieldType::Ref { target, .. } => Some((field.name.as_str(), target)),
        _ => None,
    })
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
