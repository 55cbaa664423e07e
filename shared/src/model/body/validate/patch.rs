//! Bodies of PATCH requests: JSON merge patches, and the documents that JSON Patches give.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::check::Check;
use super::stored::leave_out_unset;
use super::violation::FieldViolation;
use crate::model::schema::{Entity, FieldType, Masks, Model, Purpose};

/// Stored state that a change starts from.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    /// Id as paths show it.
    pub id: &'a str,
    /// Stored fields.
    pub fields: &'a Map<String, Value>,
}

/// Validates a JSON merge patch (RFC 7396): absent members stay, null clears.
///
/// # Errors
/// All violations.
pub fn merge_patch(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    current: Current<'_>,
    patch: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let merged = merged(entity, masks, current.fields, patch);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Patch, &merged);
    check.same_id(given, current.id);
    let mut fields = Map::new();
    for field in &entity.fields {
        let stored = current.fields.get(&field.name).cloned().unwrap_or(Value::Null);
        let value = match given.and_then(|given| given.get(&field.name)) {
            Some(value) => check.changed(field, value, Some(&stored)),
            None => stored,
        };
        fields.insert(field.name.clone(), value);
    }
    check.finish(fields)
}

/// Validates the document that a JSON Patch (RFC 6902) gave when it was applied to what the caller may read ([`readable`]). A member
/// that the patch removed gets its default or null; fields that the caller cannot read stay, unless the patch added them.
///
/// # Errors
/// All violations.
pub fn document(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    current: Current<'_>,
    document: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let mut document = Cow::Borrowed(document);
    leave_out_unset(entity, masks, Some(current.fields), &mut document);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Replace, &document);
    check.id_parts_stay(given);
    // What the caller cannot read was never in the document: it stays.
    let hidden =
        |pointer: &str| entity.fields.iter().any(|field| pointer == format!("/{}", field.name) && !masks.may_read(field));
    check.violations.retain(|violation| violation.code != "required" || !hidden(&violation.pointer));
    check.same_id(given, current.id);
    let fields = check.replaced(given, Some(current.fields), |field| masks.may_read(field));
    check.finish(fields)
}

/// Representation that a JSON Patch applies to: id and readable fields, null for those without a value.
pub fn readable(entity: &Entity, masks: &Masks, id: Value, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), id);
    for field in entity.fields.iter().filter(|field| masks.may_read(field)) {
        shown.insert(field.name.clone(), fields.get(&field.name).cloned().unwrap_or(Value::Null));
    }
    shown
}

/// The patch, with its objects for `json` fields merged into the stored ones.
fn merged(entity: &Entity, masks: &Masks, stored: &Map<String, Value>, patch: &Value) -> Value {
    let Value::Object(members) = patch else { return patch.clone() };
    let mut merged = members.clone();
    for (name, value) in &mut merged {
        let json = entity.by_field(name).filter(|field| matches!(field.kind, FieldType::Json { .. }) && masks.may_read(field));
        if let (Some(field), true) = (json, value.is_object()) {
            let mut target = stored.get(&field.name).cloned().unwrap_or(Value::Null);
            json_patch::merge(&mut target, value);
            *value = target;
        }
    }
    Value::Object(merged)
}
