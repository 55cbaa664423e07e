//! Bodies of PUT requests.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::check::Check;
use super::stored::leave_out_unset;
use super::violation::FieldViolation;
use crate::model::schema::{Entity, FieldType, IdKind, Masks, Model, Purpose};

/// Validates the body of a PUT. Fields that the caller may write and the body leaves out get their default or null; all others
/// stay. `current` is `None` if the PUT creates the record.
///
/// `id` is that of the path, and gives the parts of a composite id that the body leaves out. A null that GET shows for a field
/// that cannot be null, because the record is older than the field, is treated as left out: what GET shows can be PUT.
///
/// # Errors
/// All violations.
pub fn replace(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    id: &str,
    current: Option<&Map<String, Value>>,
    body: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let mut body = Cow::Borrowed(body);
    fill_parts(model, entity, masks, id, &mut body);
    leave_out_unset(entity, masks, current, &mut body);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Replace, &body);
    check.same_id(given, id);
    if current.is_none() {
        check.id_parts_agree(given, id);
    }
    let fields = check.replaced(given, current, |_| true);
    check.finish(fields)
}

/// Adds the parts of a composite id that a body leaves out, as they stand in the path.
fn fill_parts(model: &Model, entity: &Entity, masks: &Masks, id: &str, body: &mut Cow<'_, Value>) {
    for (ix, part) in entity.id_parts().iter().zip(id.split(',')) {
        let field = entity.field(*ix);
        if !masks.may_write(field) || body.get(&field.name).is_some() {
            continue;
        }
        let Value::Object(members) = body.to_mut() else { return };
        let number = is_numeric(model, &field.kind).then(|| part.parse::<i64>().ok()).flatten();
        members.insert(field.name.clone(), number.map_or_else(|| Value::from(part), Value::from));
    }
}

fn is_numeric(model: &Model, kind: &FieldType) -> bool {
    match kind {
        FieldType::Integer { .. } => true,
        FieldType::Ref { target, .. } => model.entity(*target).id == IdKind::Integer,
        _ => false,
    }
}
