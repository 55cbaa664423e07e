//! What exists for whoever asks. A name that a caller may not know is looked up here like any other and not found, so that
//! nothing about a query (messages, the order of mistakes, suggestions) tells it from a name that nobody has.

use super::Relation;
use crate::model::{Entity, EntityIx, Field, FieldMask, Model, ToOne};

/// The fields that exist for a caller.
pub trait Visibility {
    /// Of the entity that is asked for.
    fn own(&self) -> FieldMask;
    /// Of an entity that a relation leads to; `None` where the caller may list none of its records.
    fn reached(&self, entity: &Entity) -> Option<FieldMask>;
}

/// The sight of whoever may see all.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Everything;

#[cfg(test)]
impl Visibility for Everything {
    fn own(&self) -> FieldMask {
        FieldMask::all(usize::from(u16::MAX))
    }

    fn reached(&self, entity: &Entity) -> Option<FieldMask> {
        Some(FieldMask::all(entity.fields.len()))
    }
}

/// An entity as it exists for a caller.
#[derive(Clone)]
pub(super) struct FilterScope<'a> {
    pub model: &'a Model,
    pub entity: &'a Entity,
    fields: FieldMask,
    sight: &'a dyn Visibility,
}

impl<'a> FilterScope<'a> {
    pub fn new(model: &'a Model, entity: &'a Entity, sight: &'a dyn Visibility) -> Self {
        Self { model, entity, fields: sight.own(), sight }
    }

    /// The entity on the other side of a relation.
    pub fn reach(&self, target: EntityIx) -> Self {
        let entity = self.model.entity(target);
        Self { model: self.model, entity, fields: self.sight.reached(entity).unwrap_or_default(), sight: self.sight }
    }

    /// Its fields.
    pub fn fields(&self) -> impl Iterator<Item = &'a Field> {
        let fields = self.fields.clone();
        self.entity.fields.iter().filter(move |field| fields.contains(field.ix))
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.fields().map(|field| field.name.as_str())
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'a Field> {
        self.entity.by_field(name).filter(|field| self.fields.contains(field.ix))
    }

    /// The to-one relation of this name. It is there with its ref field.
    pub fn to_one(&self, name: &str) -> Option<&'a ToOne> {
        self.entity.to_one(name).filter(|relation| self.fields.contains(relation.field))
    }

    /// The relation of this name. A to-many one is there with the ref field on its other side; whether that side may be listed
    /// at all is for policy to say, which forbids it as it forbids the list itself.
    pub fn relation(&self, name: &str) -> Option<Relation> {
        Relation::by_name(self.entity, name).filter(|relation| self.has(*relation))
    }

    /// The names of its relations.
    pub fn relations(&self) -> Vec<&'a str> {
        let one = self.entity.to_one.iter().map(|relation| relation.name.as_str());
        let many = self.entity.to_many.iter().map(|relation| relation.name.as_str());
        one.chain(many).filter(|name| self.relation(name).is_some()).collect()
    }

    fn has(&self, relation: Relation) -> bool {
        match relation {
            Relation::One(position) => self.fields.contains(self.entity.to_one[usize::from(position)].field),
            Relation::Many(position) => {
                let relation = &self.entity.to_many[usize::from(position)];
                let there = self.sight.reached(self.model.entity(relation.target));
                there.is_none_or(|fields| fields.contains(relation.field))
            }
        }
    }
}
