//! Sizes of sort keys: every index must fit, whatever its records hold.

use crate::model::schema::{Entity, FieldIx, FieldType, IdKind, Index, MAX_SORT_KEY, Path, UUID};
use crate::model::source::{RawEntity, RawId, RawIndex, Reader, Spot};

/// Maximum length of an id or of a part of one.
const ID_PART: usize = 128;

/// Maximum size of a value in a sort key, bytes; `None`: a text without `max`.
fn encoded_bytes(entities: &[Entity], kind: &FieldType) -> Option<usize> {
    // Marker, body; texts have two bytes at their end. A code point is 4 bytes at most, and NUL (1 byte) is escaped to 2.
    Some(match kind {
        FieldType::String(limits) => 3 + 4 * limits.max?,
        FieldType::Formatted(format) => 3 + format.max,
        FieldType::Integer { .. } | FieldType::Number { .. } | FieldType::Timestamp => 9,
        FieldType::Decimal { .. } => 33,
        FieldType::Boolean => 2,
        FieldType::Date => 5,
        FieldType::Enum(_) => 3,
        FieldType::Ref { target, .. } => {
            let target = entities.get(usize::from(target.0))?;
            id_bytes(target)
        }
        FieldType::Text(_) | FieldType::Json { .. } | FieldType::File(_) | FieldType::List { .. } => return None,
    })
}

/// Maximum size of an id in a sort key, bytes.
fn id_bytes(entity: &Entity) -> usize {
    match &entity.id {
        IdKind::Uuid => 3 + UUID.max,
        IdKind::Integer => 9,
        IdKind::String => 3 + ID_PART,
        IdKind::Composite(parts) => {
            let part = |ix: &FieldIx| match &entity.field(*ix).kind {
                FieldType::Integer { .. } => 16,
                FieldType::Date => 10,
                FieldType::Formatted(format) => format.max.min(ID_PART),
                FieldType::String(limits) => limits.max.map_or(ID_PART, |max| max.min(ID_PART)),
                FieldType::Enum(words) => words.iter().map(String::len).max().unwrap_or(ID_PART),
                _ => ID_PART,
            };
            3 + parts.iter().map(part).sum::<usize>() + parts.len().saturating_sub(1)
        }
    }
}

/// Adds a mistake for the id and for every declared index whose sort key may be too large.
pub(super) fn sizes(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &Entity, entities: &[Entity]) {
    let id = id_bytes(entity);
    if id > MAX_SORT_KEY {
        let parts = matches!(raw.id.value, RawId::Composite(_));
        let help = if parts { "give its string parts a smaller `max`" } else { "" };
        reader.mistake(raw.id.spot, format!("the id may take {id} bytes as a sort key, at most {MAX_SORT_KEY} fit"), help);
    }
    for index in &entity.indexes {
        let Some(raw) = raw.indexes.iter().find(|raw| raw.name.value == index.name) else { continue };
        size(reader, raw, index, entity, entities, id);
    }
}

fn size(reader: &mut Reader<'_>, raw: &RawIndex, index: &Index, entity: &Entity, entities: &[Entity], id: usize) {
    let has_id = index.sort.iter().any(|part| part.by == Path::Id);
    let mut total = if has_id { 0 } else { id };
    let mut worst: Option<(usize, Spot, &str)> = None;
    for (part, (name, _)) in index.sort.iter().zip(&raw.sort) {
        let bytes = match part.by {
            Path::Id => Some(id),
            Path::Own(ix) => encoded_bytes(entities, &entity.field(ix).kind),
            Path::Via(..) => Some(0),
        };
        let Some(bytes) = bytes else {
            let help =
                format!("give `{}` a `max`: 4 bytes a character, at most {MAX_SORT_KEY} bytes for the whole key", name.value);
            return reader.mistake(
                name.spot,
                format!("`{}` has no `max`, so index `{}` cannot sort by it", name.value, index.name),
                help,
            );
        };
        total += bytes;
        if worst.is_none_or(|(most, ..)| bytes > most) {
            worst = Some((bytes, name.spot, &name.value));
        }
    }
    if let (true, Some((bytes, spot, name))) = (total > MAX_SORT_KEY, worst) {
        let message = format!("the sort key of index `{}` may take {total} bytes, at most {MAX_SORT_KEY} fit", index.name);
        reader.mistake(
            spot,
            message,
            format!("`{name}` takes up to {bytes} of them: give it a smaller `max` (4 bytes a character)"),
        );
    }
}
