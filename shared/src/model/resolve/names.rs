//! Fields by the names that a file gives them.

use crate::model::schema::{Entity, FieldIx, FieldType};
use crate::model::source::{At, RawField, RawKind, Reader};
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

/// [`find`], or a mistake with the nearest name.
pub(super) fn find_or_say(reader: &mut Reader<'_>, entity: &Entity, name: &At<String>) -> Option<FieldIx> {
    let found = find(entity, &name.value);
    if found.is_none() {
        let help = nearest(&name.value, entity.fields.iter().map(|field| field.name.as_str()));
        reader.mistake(name.spot, format!("entity `{}` has no field `{}`", entity.name, name.value), help);
    }
    found
}
