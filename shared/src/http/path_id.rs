//! Ids as they stand in paths.

use crate::core::id::{MAX_SAFE_INTEGER, is_id_part};
use crate::http::problem::{Code, Problem};
use crate::model::{Entity, FieldType, IdKind, Model};

/// What an id is made of, after its name.
pub const PART: &str = "begins with a letter or digit and goes on with letters, digits and ._:@-, at most 128 characters";
const NUMBER: &str = "is a whole number from 0 to 9007199254740991 without leading zeros";

/// The id of an entity's record as it is stored: what is not one could never name a record.
///
/// # Errors
/// 422 `validation_failed` that says what an id of this entity looks like.
pub fn check(model: &Model, entity: &Entity, id: &str) -> Result<String, Problem> {
    let wrong = |what: String| Err(Problem::new(Code::ValidationFailed, format!("An id of {} {what}.", entity.plural)));
    match &entity.id {
        IdKind::Integer if is_whole_number(id) => Ok(id.to_owned()),
        IdKind::Integer => wrong(NUMBER.to_owned()),
        IdKind::Uuid if is_uuid(id) => Ok(id.to_ascii_lowercase()),
        // Not a UUID, but an id by its syntax: there is no such record, which is for the store to say.
        IdKind::Uuid | IdKind::String if is_id_part(id) => Ok(id.to_owned()),
        IdKind::Uuid | IdKind::String => wrong(PART.to_owned()),
        IdKind::Composite(fields) => {
            let parts: Vec<&str> = id.split(',').collect();
            if parts.len() != fields.len() {
                let names: Vec<&str> = fields.iter().map(|field| entity.field(*field).name.as_str()).collect();
                return wrong(format!("has {} parts, joined by commas: {}", fields.len(), names.join(",")));
            }
            for (field, part) in fields.iter().map(|field| entity.field(*field)).zip(parts) {
                let numeric = is_numeric(model, &field.kind);
                if !(if numeric { is_whole_number(part) } else { is_id_part(part) }) {
                    return wrong(format!("has {} as a part, which {}", field.name, if numeric { NUMBER } else { PART }));
                }
            }
            Ok(id.to_owned())
        }
    }
}

fn is_numeric(model: &Model, kind: &FieldType) -> bool {
    match kind {
        FieldType::Integer { .. } => true,
        FieldType::Ref { target, .. } => model.entity(*target).id == IdKind::Integer,
        _ => false,
    }
}

fn is_whole_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0')) && text.parse().is_ok_and(|number: i64| number <= MAX_SAFE_INTEGER)
}

/// Only the notation with hyphens: the others would be further names of one record.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}
