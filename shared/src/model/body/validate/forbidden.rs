//! Stored values that the model forbids: they were allowed by another.

use serde_json::Value;

use crate::model::body::{limits, normalise};
use crate::model::schema::{Entity, Field, FieldType, Model};
use crate::model::value::Record;

/// The values of a record that the model forbids, each with its field and why. A value is never shown.
pub fn forbidden<'a>(model: &'a Model, entity: &'a Entity, record: &'a Record) -> impl Iterator<Item = (&'a str, String)> + 'a {
    let why = |field: &'a Field| Some((field.name.as_str(), refusal(model, field, record.fields.get(&field.name))?));
    entity.fields.iter().filter_map(why)
}

fn refusal(model: &Model, field: &Field, value: Option<&Value>) -> Option<String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return (!field.nullable).then(|| "has no value".to_owned());
    };
    // Limits of files concern uploads alone.
    if matches!(field.kind, FieldType::File(_)) {
        return None;
    }
    let normal = normalise(&field.kind, &|target| &model.entity(target).id, value);
    match normal.and_then(|normal| limits(&field.kind, &normal)) {
        Ok(()) => None,
        Err(fault) => Some(fault.message),
    }
}
