//! Fields of an entity: names that are free, and flags that fit each other and the type.

use std::collections::HashMap;

use super::names::api_name;
use super::renames::api_name_before;
use crate::model::schema::{Entity, EntityIx, Field, FieldIx, FieldType, IdKind, OnDelete, PER_ITEM, TextLimits, is_sortable};
use crate::model::source::{RESERVED_FIELDS, RawEntity, RawField, RawKind, Reader, Spot};
use crate::model::suggest::nearest;

/// An entity with its own fields. Its id, relations, defaults and indexes are resolved afterwards.
pub(super) fn fields(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: EntityIx, by_name: &HashMap<&str, EntityIx>) -> Entity {
    let shards = raw.contention.map_or(1, |peak| u16::try_from(peak.div_ceil(PER_ITEM)).unwrap_or(u16::MAX));
    let mut entity = Entity {
        ix: at,
        name: raw.name.value.clone(),
        was: raw.was.as_ref().map(|was| was.value.clone()),
        plural: raw.plural.value.clone(),
        description: raw.description.clone(),
        id: IdKind::Uuid,
        fields: Vec::new(),
        indexes: Vec::new(),
        to_one: Vec::new(),
        to_many: Vec::new(),
        referenced_by: Vec::new(),
        cache: raw.cache,
        public: raw.public,
        shards,
        contention: raw.contention,
        require_if_match: raw.require_if_match,
        deprecated: raw.deprecated.clone(),
        max_bytes: raw.max_bytes,
        by_field: HashMap::new(),
    };
    for field in &raw.fields {
        reserved(reader, field, raw.timestamps);
        let kind = match &field.kind {
            RawKind::Plain(kind) => kind.clone(),
            RawKind::Ref { target, on_delete, .. } => match by_name.get(target.value.as_str()) {
                Some(target) => FieldType::Ref { target: *target, on_delete: *on_delete },
                None => {
                    if !reader.is_broken("entities", &target.value) {
                        let help = nearest(&target.value, by_name.keys().copied());
                        reader.mistake(target.spot, format!("there is no entity `{}`", target.value), help);
                    }
                    // Stands in for the unknown target, so that the rest of the entity can be checked.
                    FieldType::String(TextLimits::default())
                }
            },
        };
        let declared = declared(reader, field, kind);
        add(reader, &mut entity, declared, field.name.spot);
    }
    if raw.timestamps {
        // A field that takes the name was refused above.
        for name in
            ["created_at", "updated_at"].into_iter().filter(|name| !raw.fields.iter().any(|field| api_name(field) == *name))
        {
            add(reader, &mut entity, timestamp(name), raw.name.spot);
        }
    }
    entity
}

fn add(reader: &mut Reader<'_>, entity: &mut Entity, mut field: Field, spot: Spot) {
    field.ix = field_ix(entity.fields.len());
    if entity.by_field.insert(field.name.clone(), field.ix).is_some() {
        reader.mistake(spot, format!("two fields have the name `{}`", field.name), "a ref `x` takes the name `x_id`");
    }
    entity.fields.push(field);
}

fn timestamp(name: &str) -> Field {
    Field {
        ix: FieldIx(0),
        name: name.to_owned(),
        was: None,
        kind: FieldType::Timestamp,
        required: false,
        nullable: false,
        default: None,
        fill: None,
        unique: false,
        immutable: false,
        read_only: true,
        write_only: false,
        description: Some(if name == "created_at" { "When it was created." } else { "When it was last changed." }.to_owned()),
        example: None,
        deprecated: None,
        scan: false,
    }
}

fn reserved(reader: &mut Reader<'_>, field: &RawField<'_>, timestamps: bool) {
    let name = api_name(field);
    let own = field.name.value.as_str();
    if RESERVED_FIELDS.contains(&name.as_str()) || RESERVED_FIELDS.contains(&own) {
        let help = if own == "id" {
            "every entity has an `id`; say `id: ...` beside `fields`"
        } else {
            "it is a parameter of lists; choose another"
        };
        reader.mistake(field.name.spot, format!("the field name `{own}` is reserved"), help);
    } else if timestamps && matches!(name.as_str(), "created_at" | "updated_at") {
        let help = "Holdfast keeps it itself; remove the field or say `timestamps: false`";
        reader.mistake(field.name.spot, format!("the field name `{name}` is reserved"), help);
    }
}

/// A field as declared; mistakes where its flags do not fit each other or its type.
fn declared(reader: &mut Reader<'_>, raw: &RawField<'_>, kind: FieldType) -> Field {
    let spot = raw.name.spot;
    let name = api_name(raw);
    // A field that a new record may leave out is null there, unless it has a default.
    let nullable = raw.nullable.unwrap_or(!raw.required && raw.default.is_none());
    let server_set = raw.read_only && raw.default.is_none();
    if !nullable && !raw.required && raw.default.is_none() {
        reader.mistake(spot, format!("`{name}` may be left out, but not be null"), "add `required: true` or a `default`");
    }
    if let FieldType::Ref { on_delete: OnDelete::SetNull, .. } = kind
        && !nullable
    {
        reader.mistake(
            spot,
            format!("`{name}` has `on_delete: set_null` but cannot be null"),
            "add `nullable: true` or drop `required`",
        );
    }
    let file = matches!(kind, FieldType::File(_));
    if file && (raw.required || raw.nullable == Some(false) || raw.default.is_some()) {
        reader.mistake(spot, format!("the file `{name}` cannot be required"), "a record exists before its file is uploaded");
    }
    if raw.unique && !is_sortable(&kind) {
        reader.mistake(spot, format!("`{name}` cannot be unique"), "text, json, file and list fields cannot");
    }
    if raw.scan && matches!(kind, FieldType::Json { .. } | FieldType::File(_)) {
        reader.mistake(spot, format!("`{name}` cannot be filtered by"), "remove `filter: scan`");
    }
    if raw.read_only && raw.required {
        reader.mistake(spot, format!("`{name}` is read_only and required"), "nobody could create a record; drop one of the two");
    }
    if raw.read_only && raw.write_only {
        reader.mistake(spot, format!("`{name}` is read_only and write_only"), "nobody could use it; drop one of the two");
    }
    Field {
        ix: FieldIx(0),
        name,
        was: api_name_before(raw),
        kind,
        required: raw.required,
        nullable: nullable || server_set || file,
        default: None,
        fill: None,
        unique: raw.unique,
        immutable: raw.immutable,
        read_only: raw.read_only,
        write_only: raw.write_only,
        description: raw.description.clone(),
        example: None,
        deprecated: raw.deprecated.clone(),
        scan: raw.scan,
    }
}

fn field_ix(at: usize) -> FieldIx {
    FieldIx(u16::try_from(at).unwrap_or(u16::MAX))
}
