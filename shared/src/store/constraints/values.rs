//! What stored values lack for the model: another name, another form, or a value at all.

use std::collections::BTreeMap;

use super::Constraints;
use super::rule::class;
use super::state_item::StateItem;
use crate::model::{Entity, EntityIx, Field, FieldIx, FieldType, Model};
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

/// The name under which the values of a field stand that has none of its own: what its `was` says, unless the model has that field too.
pub(super) fn name_before(known: &BTreeMap<String, String>, entity: &Entity, field: &Field) -> Option<String> {
    let was = field.was.as_deref()?;
    // Of a plain field that became a ref, `was` may name the relation.
    let plain = was.strip_suffix("_id").filter(|_| matches!(field.kind, FieldType::Ref { .. }));
    let names = std::iter::once(was).chain(plain);
    names.into_iter().find(|name| known.contains_key(*name) && entity.by_field(name).is_none()).map(str::to_owned)
}

impl Constraints {
    /// Marks, before values get another name, that whoever knows only the old one must not go on.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn begin_values(&self, lacking: &[Lacking]) -> Result<(), TableError> {
        for entity in self.entities_of(lacking) {
            let own: Vec<&Lacking> = lacking.iter().filter(|lacking| lacking.entity == entity.ix).collect();
            self.edit(entity, |state| {
                for lacking in &own {
                    if let Lack::Name(before) = &lacking.lack {
                        state.set_renamed(before, &entity.field(lacking.field).name);
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Notes that the values of these lack nothing any more.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn finish_values(&self, lacking: &[Lacking]) -> Result<(), TableError> {
        for entity in self.entities_of(lacking) {
            let own: Vec<&Lacking> = lacking.iter().filter(|lacking| lacking.entity == entity.ix).collect();
            self.edit(entity, |state| {
                for lacking in &own {
                    let field = entity.field(lacking.field);
                    match &lacking.lack {
                        Lack::Name(before) => state.rename(before, &field.name, class(&self.model, &field.kind)),
                        Lack::Form(_) => state.set_form(&field.name, class(&self.model, &field.kind)),
                        Lack::Value => state.add_complete(&field.name),
                    }
                }
            })
            .await?;
        }
        self.memory().read = None;
        Ok(())
    }

    fn entities_of<'a>(&'a self, lacking: &'a [Lacking]) -> impl Iterator<Item = &'a Entity> {
        self.model.entities.iter().filter(|entity| lacking.iter().any(|lacking| lacking.entity == entity.ix))
    }

    /// Changes the state of an entity that has been written.
    async fn edit(&self, entity: &Entity, change: impl Fn(&mut StateItem)) -> Result<(), TableError> {
        while let Some(item) = self.state_item(entity).await? {
            let before = StateItem::read(&item);
            let mut after = before.clone();
            change(&mut after);
            if before == after || self.save(Some(&before), after).await? {
                break;
            }
        }
        Ok(())
    }
}

/// Refuses a model that knows only a name which stored values have lost.
pub(super) fn check_names(model: &Model, items: &[Option<Item>]) -> Result<(), TableError> {
    for entity in &model.entities {
        let Some(item) = items.iter().flatten().find(|item| item.key == keys::index_states(entity)) else { continue };
        let renamed = StateItem::read(item).renamed();
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
