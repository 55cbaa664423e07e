//! Fields by the names that a file gives them.

use crate::model::schema::{Entity, FieldIx, FieldType, ToOne};
use crate::model::source::{At, RawField, RawKind, Reader, fields_of};
use crate::model::suggest::nearest;

/// API name of a field: that of the ref `customer` is `customer_id`.
pub(super) fn api_name(raw: &RawField<'_>) -> String {
    match raw.kind {
        RawKind::Plain(_) => raw.name.value.clone(),
        RawKind::Ref { .. } => format!("{}_id", raw.name.value),
    }
}

/// The field of this name: its own, or that of the relation for a ref.
pub(super) fn find(entity: &Entity, name: &str) -> Option<FieldIx> {
    entity.by_field.get(name).copied().or_else(|| {
        let by_relation = entity.by_field.get(&format!("{name}_id")).copied()?;
        matches!(entity.field(by_relation).kind, FieldType::Ref { .. }).then_some(by_relation)
    })
}

/// Whether a field of this name stands there and cannot be read, be it by the name of its relation.
pub(super) fn is_broken(reader: &Reader<'_>, entity: &Entity, name: &str) -> bool {
    let section = fields_of(&entity.name);
    [Some(name), name.strip_suffix("_id")].into_iter().flatten().any(|name| reader.is_broken(&section, name))
}

/// [`find`], or a mistake with the nearest name.
pub(super) fn find_or_say(reader: &mut Reader<'_>, entity: &Entity, name: &At<String>) -> Option<FieldIx> {
    let found = find(entity, &name.value);
    if found.is_none() && !is_broken(reader, entity, &name.value) {
        let help = nearest(&name.value, entity.fields.iter().map(|field| field.name.as_str()));
        reader.mistake(name.spot, format!("entity `{}` has no field `{}`", entity.name, name.value), help);
    }
    found
}

/// The ref in `customer.country`, or a mistake; `what` reaches so far and no farther (`a condition`).
pub(super) fn to_one_or_say<'e>(
    reader: &mut Reader<'_>,
    entity: &'e Entity,
    name: &At<String>,
    (relation, field): (&str, &str),
    what: &str,
) -> Option<&'e ToOne> {
    let found = entity.to_one(relation);
    if let (Some(_), Some((second, _))) = (found, field.split_once('.')) {
        let help = format!("`{relation}.{second}` is the farthest; keep the value in `{}` or in `{relation}`", entity.name);
        reader.mistake(name.spot, format!("{what} reaches over one relation, `{}` goes over two", name.value), help);
        return None;
    }
    if found.is_none() && !is_broken(reader, entity, relation) {
        let help = match (entity.to_many(relation), find(entity, relation)) {
            (Some(_), _) => format!("`{relation}` are records that refer to it; {what} reaches over a ref"),
            (None, Some(_)) => format!("`{relation}` is a field that refers to nothing"),
            (None, None) => nearest(relation, entity.to_one.iter().map(|relation| relation.name.as_str())),
        };
        reader.mistake(name.spot, format!("entity `{}` has no to-one relation `{relation}`", entity.name), help);
    }
    found
}
