//! Bodies of creations.

use serde_json::{Map, Value};

use super::check::Check;
use super::stored::own_fields;
use super::violation::FieldViolation;
use crate::model::schema::{Entity, Masks, Model, Purpose};

/// A validated new record.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Id as paths show it; `None`: the server makes one.
    pub id: Option<String>,
    /// All fields, normalised.
    pub fields: Map<String, Value>,
}

/// Validates the body of a creation.
///
/// # Errors
/// All violations, in the order of their pointers.
pub fn create(model: &Model, entity: &Entity, masks: &Masks, body: &Value) -> Result<New, Vec<FieldViolation>> {
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Create, body);
    let mut fields = Map::new();
    for field in own_fields(entity) {
        let value = given.and_then(|given| given.get(&field.name)).filter(|_| masks.may_write(field));
        fields.insert(field.name.clone(), check.value_or_default(field, value));
    }
    let id = check.new_id(given, &fields);
    check.finish(fields).map(|fields| New { id, fields })
}
