//! What stored values lack for the model: another name, another form, or a value at all.

use super::rule::{class, name_before};
use super::state_item::StateItem;
use crate::model::{Entity, EntityIx, FieldIx, Model};
use crate::store::keys;
use crate::store::table::{Item, TableError};

/// What the stored values of a field lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// They stand under this name still.
    Name(String),
    /// They are of the form of another type.
    Form(String),
    /// Some records have none, and the model has no null there.
    Value,
}

/// A field of which stored values lack something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Entity of the field.
    pub entity: EntityIx,
    /// The field.
    pub field: FieldIx,
    /// What they lack.
    pub lack: Lack,
}

/// What the values of an entity lack.
pub(super) fn lacking(model: &Model, entity: &Entity, state: &StateItem) -> Vec<Lacking> {
    let known = state.known();
    let complete = state.complete();
    let mut found = Vec::new();
    for field in &entity.fields {
        let lacks = |lack| Lacking { entity: entity.ix, field: field.ix, lack };
        match known.as_ref().map(|known| (known, known.get(&field.name))) {
            Some((known, None)) => found.extend(name_before(known, entity, field).map(|name| lacks(Lack::Name(name)))),
            Some((_, Some(stored))) if !state.has_form(&field.name, &class(model, &field.kind)) => {
                found.push(lacks(Lack::Form(stored.clone())));
            }
            _ => {}
        }
        if !field.nullable && !complete.contains(&field.name) {
            found.push(lacks(Lack::Value));
        }
    }
    found
}

/// The name that an entity had, unless the model has an entity of that name too.
pub(super) fn name_of_entity_before<'m>(model: &Model, entity: &'m Entity) -> Option<&'m str> {
    entity.was.as_deref().filter(|was| model.by_name(was).is_none())
}

/// The name under which the records of an entity stand still.
pub(super) fn moving_from(model: &Model, entity: &Entity, items: &[Option<Item>]) -> Option<String> {
    let before = name_of_entity_before(model, entity)?;
    let state = StateItem::read(items.iter().flatten().find(|item| item.key == keys::states_of(before))?);
    (!state.is_moved()).then(|| before.to_owned())
}

/// Refuses a model that knows only a name which stored values have lost.
pub(super) fn check_names(model: &Model, items: &[Option<Item>]) -> Result<(), TableError> {
    for entity in &model.entities {
        let Some(item) = items.iter().flatten().find(|item| item.key == keys::index_states(entity)) else { continue };
        let state = StateItem::read(item);
        if let Some(after) = state.moving_to().filter(|after| model.by_name(after).is_none()) {
            return Err(TableError::Broken(format!(
                "the entity `{}` was renamed to `{after}` by a newer model, and there is no way back; deploy a model that has it",
                entity.name
            )));
        }
        let renamed = state.renamed();
        let lost = |(before, after): &(&String, &String)| entity.by_field(before).is_some() && entity.by_field(after).is_none();
        if let Some((before, after)) = renamed.iter().find(lost) {
            return Err(TableError::Broken(format!(
                "the field `{before}` of `{}` was renamed to `{after}` by a newer model, and there is no way back; deploy a model that has it",
                entity.name
            )));
        }
    }
    Ok(())
}
