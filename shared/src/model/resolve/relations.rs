//! Relations: both sides of every ref.

use crate::model::schema::{Entity, EntityIx, FieldIx, FieldType, IdKind, ToMany, ToOne};
use crate::model::source::{RESERVED_FIELDS, RawEntity, RawKind, Reader};

/// Adds both sides of every ref of an entity.
pub(super) fn relations(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: EntityIx, entities: &mut [Entity]) {
    for (position, field) in raw.fields.iter().enumerate() {
        let RawKind::Ref { inverse, .. } = &field.kind else { continue };
        let own = &entities[usize::from(at.0)];
        let Some(FieldType::Ref { target, .. }) = own.fields.get(position).map(|field| &field.kind) else { continue };
        let target = *target;
        if target != at
            && matches!(entities[usize::from(target.0)].id, IdKind::Composite(_))
            && is_id_part_of(own, field_ix(position))
        {
            reader.mistake(field.name.spot, "a part of an id cannot refer to a composite id", "its comma would split the parts");
        }
        let own = &mut entities[usize::from(at.0)];
        let name = &field.name.value;
        if own.by_field.contains_key(name) || own.to_many(name).is_some() {
            reader.mistake(field.name.spot, format!("`{name}` names a field and a relation"), "rename one of the two");
        }
        own.to_one.push(ToOne { name: name.clone(), field: field_ix(position), target });
        let other = &mut entities[usize::from(target.0)];
        other.referenced_by.push((at, field_ix(position)));
        if let Some(inverse) = inverse {
            let taken = other.by_field.contains_key(&inverse.value)
                || other.to_many(&inverse.value).is_some()
                || other.to_one(&inverse.value).is_some()
                || RESERVED_FIELDS.contains(&inverse.value.as_str());
            if taken {
                let message = format!("entity `{}` has something named `{}` already", other.name, inverse.value);
                reader.mistake(inverse.spot, message, "choose another `inverse`");
            }
            other.to_many.push(ToMany { name: inverse.value.clone(), target: at, field: field_ix(position) });
        }
    }
}

fn is_id_part_of(entity: &Entity, field: FieldIx) -> bool {
    entity.id_parts().contains(&field)
}

fn field_ix(at: usize) -> FieldIx {
    FieldIx(u16::try_from(at).unwrap_or(u16::MAX))
}
