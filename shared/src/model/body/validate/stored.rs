//! Fields of stored records: which ones a body decides, and which are older than the model.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::model::schema::{Entity, Field, FieldType, Masks};

/// Removes nulls that only repeat what GET shows of a record that is older than the field.
pub(super) fn leave_out_unset(entity: &Entity, masks: &Masks, current: Option<&Map<String, Value>>, body: &mut Cow<'_, Value>) {
    let Some(current) = current else { return };
    for field in entity.fields.iter().filter(|field| masks.may_read(field)) {
        let is_unset = is_unset(field, current.get(&field.name));
        if is_unset && body.get(&field.name).is_some_and(Value::is_null) {
            let Value::Object(members) = body.to_mut() else { return };
            members.remove(&field.name);
        }
    }
}

/// Whether a stored record is older than a field that new records start with its default.
pub(super) fn is_unset(field: &Field, stored: Option<&Value>) -> bool {
    !field.nullable && field.default.is_some() && stored.is_none_or(Value::is_null)
}

/// The declared fields: all but the timestamps that the store sets.
pub(super) fn own_fields(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.fields.iter().filter(|field| !is_stamp(field))
}

/// Whether a field is `created_at` or `updated_at` of the store.
pub(super) fn is_stamp(field: &Field) -> bool {
    field.read_only && !field.nullable && field.default.is_none() && field.kind == FieldType::Timestamp
}
