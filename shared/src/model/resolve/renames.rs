//! `was` and `fill`: what a model says of the one before it, as far as it can be wrong by itself.

use std::collections::HashMap;

use super::names::{api_name, find};
use crate::model::schema::{Entity, FieldType};
use crate::model::source::{At, RawEntity, RawField, RawKind, Reader, Spot};

/// API name that a field had: that of a ref ends in `_id`, whichever of its two names the file gives. A ref that was its own name was a
/// plain field.
pub(super) fn api_name_before(raw: &RawField<'_>) -> Option<String> {
    let was = &raw.was.as_ref()?.value;
    let is_plain = matches!(raw.kind, RawKind::Plain(_)) || was.ends_with("_id") || *was == raw.name.value;
    Some(if is_plain { was.clone() } else { format!("{was}_id") })
}

/// Adds a mistake for each entity that was what still exists, or what another one was.
pub(super) fn entities(reader: &mut Reader<'_>, raw: &[RawEntity<'_>]) {
    let mut renamed = HashMap::new();
    for entity in raw {
        let Some(was) = &entity.was else { continue };
        let exists = raw.iter().any(|other| other.name.value == was.value);
        let taken = renamed.insert(was.value.clone(), was.spot);
        nonsense(reader, was, "entity", exists, taken);
    }
}

/// Adds a mistake for each field that was what still exists, or what another one was, and for each `fill` that can have no effect.
pub(super) fn fields(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &Entity) {
    let mut renamed = HashMap::new();
    for field in &raw.fields {
        if let (Some(was), Some(name)) = (&field.was, api_name_before(field)) {
            let other = find(entity, &was.value).is_some_and(|found| entity.field(found).name != api_name(field));
            let exists = entity.by_field.contains_key(&name) || other;
            let taken = renamed.insert(name, was.spot);
            nonsense(reader, was, "field", exists, taken);
        }
        if let Some(fill) = field.fill {
            unfillable(reader, field, entity, fill.spot);
        }
    }
}

fn nonsense(reader: &mut Reader<'_>, was: &At<String>, what: &str, exists: bool, taken: Option<Spot>) {
    if exists {
        let help = format!("`was` names what the {what} replaces, which is gone; remove one of the two");
        reader.mistake(was.spot, format!("there is still the {what} `{}`", was.value), help);
    } else if let Some(first) = taken {
        let help = format!("line {} says so already", first.line);
        reader.mistake(was.spot, format!("two of them were the {what} `{}`", was.value), help);
    }
}

fn unfillable(reader: &mut Reader<'_>, raw: &RawField<'_>, entity: &Entity, spot: Spot) {
    let name = api_name(raw);
    let Some(field) = entity.by_field(&name) else { return };
    let is_part = entity.id_parts().contains(&field.ix);
    let (message, help) = match field.kind {
        _ if is_part => ("is part of the id, which every record has", "remove `fill`"),
        FieldType::File(_) => ("is a file, which is uploaded", "remove `fill`"),
        _ if field.unique => ("is unique: one value fills one record at most", "fill the records by PATCH, then make it unique"),
        _ => return,
    };
    reader.mistake(spot, format!("`{name}` {message}"), help);
}
