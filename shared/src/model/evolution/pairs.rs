//! What became what: entities and fields of two models, by name and by `was`.

use crate::model::schema::{Entity, Field, FieldType, Model};

/// Two models side by side.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'m> {
    /// The model that is served.
    pub old: &'m Model,
    /// The model that shall be.
    pub new: &'m Model,
}

impl<'m> Pairs<'m> {
    /// The entity of the old model that an entity of the new one was: of the same name, or of the name that its `was` says.
    pub fn before(self, after: &Entity) -> Option<&'m Entity> {
        self.old.by_name(&after.name).or_else(|| self.old.by_name(after.was.as_deref()?))
    }

    /// The entity of the new model that an entity of the old one became.
    pub fn after(self, before: &Entity) -> Option<&'m Entity> {
        let renamed = |after: &&Entity| after.was.as_deref() == Some(&before.name) && self.old.by_name(&after.name).is_none();
        self.new.by_name(&before.name).or_else(|| self.new.entities.iter().find(renamed))
    }

    /// All entities of the new model with what they were.
    pub fn entities(self) -> impl Iterator<Item = (Option<&'m Entity>, &'m Entity)> {
        self.new.entities.iter().map(move |after| (self.before(after), after))
    }
}

/// The field of the old entity that a field of the new one was. Where a plain field became a ref, `was: customer` may mean the field
/// `customer` as well as `customer_id`.
pub(in crate::model) fn field_before<'m>(before: &'m Entity, after: &Field) -> Option<&'m Field> {
    let plain = |was: &str| was.strip_suffix("_id").filter(|_| matches!(after.kind, FieldType::Ref { .. })).map(str::to_owned);
    before.by_field(&after.name).or_else(|| {
        let was = after.was.as_deref()?;
        before.by_field(was).or_else(|| before.by_field(&plain(was)?))
    })
}

/// The field of the new entity that a field of the old one became.
pub(in crate::model) fn field_after<'m>(before: &Field, (old, new): (&Entity, &'m Entity)) -> Option<&'m Field> {
    new.fields.iter().find(|after| field_before(old, after).is_some_and(|field| field.ix == before.ix))
}
