//! Kinds of ids, and the parts of composite ones.

use super::names::find_or_say;
use crate::model::schema::{Entity, FieldIx, FieldType, IdKind, OnDelete};
use crate::model::source::{At, RawEntity, RawId, Reader};

/// Resolves the id of an entity. The parts of a composite one become required and immutable.
pub(super) fn ids(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &mut Entity) {
    entity.id = match &raw.id.value {
        RawId::Uuid => IdKind::Uuid,
        RawId::String => IdKind::String,
        RawId::Integer => IdKind::Integer,
        RawId::Composite(parts) => {
            let found: Vec<FieldIx> = parts.iter().filter_map(|part| id_part(reader, part, entity)).collect();
            for (at, part) in parts.iter().enumerate() {
                if parts[..at].iter().any(|other| other.value == part.value) {
                    reader.mistake(part.spot, format!("`{}` is part of the id twice", part.value), "");
                }
            }
            for part in &found {
                let field = &mut entity.fields[usize::from(part.0)];
                (field.required, field.immutable, field.nullable) = (true, true, false);
                if let FieldType::Integer { min, .. } = &mut field.kind {
                    // An id has no sign.
                    *min = (*min).max(0);
                }
            }
            IdKind::Composite(found)
        }
    };
}

fn id_part(reader: &mut Reader<'_>, part: &At<String>, entity: &Entity) -> Option<FieldIx> {
    let ix = find_or_say(reader, entity, part)?;
    let field = entity.field(ix);
    let fits = match field.kind {
        FieldType::String(_) | FieldType::Integer { .. } | FieldType::Enum(_) | FieldType::Date | FieldType::Ref { .. } => true,
        FieldType::Formatted(format) => format.in_id,
        _ => false,
    };
    if !fits {
        let help = "a part is a string, integer, enum, date, uuid or ref";
        reader.mistake(part.spot, format!("`{}` cannot be part of an id", part.value), help);
    }
    if field.read_only || field.write_only {
        reader.mistake(part.spot, format!("`{}` is part of the id", part.value), "it cannot be read_only or write_only");
    }
    if let FieldType::Ref { on_delete: OnDelete::SetNull, .. } = field.kind {
        let help = "an id never changes: `on_delete: restrict` or `cascade`";
        reader.mistake(part.spot, format!("`{}` is part of the id and has `on_delete: set_null`", part.value), help);
    }
    Some(ix)
}
