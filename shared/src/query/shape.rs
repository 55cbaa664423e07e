//! From records to what a caller sees: `id`, then the fields of the mask in the model's order, then what is embedded.

use serde_json::{Map, Value};

use crate::model::value::Record;
use crate::model::{Entity, FieldMask};
use crate::query::Selection;

/// A record as the caller may read it.
pub fn record(entity: &Entity, record: &Record, mask: &FieldMask, selection: Option<&Selection>) -> Map<String, Value> {
    let mut shown = Map::with_capacity(entity.fields.len() + 1);
    if selection.is_none_or(|selection| selection.id) {
        shown.insert("id".into(), record.id_value(entity));
    }
    for field in &entity.fields {
        let selected = selection.is_none_or(|selection| selection.shows(field.ix));
        if selected && mask.contains(field.ix) && !field.write_only {
            shown.insert(field.name.clone(), record.fields.get(&field.name).cloned().unwrap_or(Value::Null));
        }
    }
    shown
}
