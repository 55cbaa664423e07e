//! From the low form to the schema: names become positions, refs get their two sides, constants their type.

use std::collections::HashMap;

use super::mistake::{At, Spot, nearest};
use super::raw::{RESERVED_FIELDS, RawEntity, RawId};
use super::raw_field::{RawField, RawKind};
use super::reader::Reader;
use super::schema::{Entity, EntityIx, Field, FieldIx, FieldType, IdKind, OnDelete, TextLimits, ToMany, ToOne};
use super::tree::Node;
use super::{constant, indexes};

/// Most fields of an entity, and most entities: positions are 16 bits, and a record ends at 350 KB anyway.
const MAX_ENTITIES: usize = 500;

/// All entities with their relations and indexes. Where something is wrong the result is incomplete, but never misleading:
/// what refers to a broken part is left out.
pub(super) fn entities(reader: &mut Reader<'_>, raw: &[RawEntity<'_>]) -> Vec<Entity> {
    let by_name = names(reader, raw);
    let mut entities: Vec<Entity> = raw.iter().enumerate().map(|(at, raw)| fields(reader, raw, ix(at), &by_name)).collect();
    for (at, raw) in raw.iter().enumerate() {
        ids(reader, raw, &mut entities[at]);
    }
    for (at, raw) in raw.iter().enumerate() {
        relations(reader, raw, ix(at), &mut entities);
    }
    for (at, raw) in raw.iter().enumerate() {
        constants(reader, raw, at, &mut entities);
    }
    indexes::resolve(reader, raw, &mut entities);
    entities
}

fn ix(at: usize) -> EntityIx {
    EntityIx(u16::try_from(at).unwrap_or(u16::MAX))
}

fn field_ix(at: usize) -> FieldIx {
    FieldIx(u16::try_from(at).unwrap_or(u16::MAX))
}

fn names<'r>(reader: &mut Reader<'_>, raw: &'r [RawEntity<'_>]) -> HashMap<&'r str, EntityIx> {
    let mut plurals: HashMap<&str, Spot> = HashMap::new();
    for entity in raw {
        if let Some(first) = plurals.insert(&entity.plural.value, entity.plural.spot) {
            let help = format!("line {} has it already; give one of the two a `plural`", first.line);
            reader.mistake(entity.plural.spot, format!("two entities have the plural `{}`", entity.plural.value), help);
        }
        if entity.fields.len() > MAX_ENTITIES {
            reader.mistake(entity.name.spot, format!("more than {MAX_ENTITIES} fields"), "split the entity");
        }
    }
    if raw.len() > MAX_ENTITIES {
        reader.mistake(raw[MAX_ENTITIES].name.spot, format!("more than {MAX_ENTITIES} entities"), "split the model");
    }
    raw.iter().enumerate().map(|(at, entity)| (entity.name.value.as_str(), ix(at))).collect()
}

/// The API name of a field: a ref `customer` is the field `customer_id`.
pub(super) fn api_name(raw: &RawField<'_>) -> String {
    match raw.kind {
        RawKind::Plain(_) => raw.name.value.clone(),
        RawKind::Ref { .. } => format!("{}_id", raw.name.value),
    }
}

/// The entity with its own fields; defaults, ids, relations and indexes follow.
fn fields(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: EntityIx, by_name: &HashMap<&str, EntityIx>) -> Entity {
    let shards = raw.contention.map_or(1, |peak| u16::try_from(peak.div_ceil(25)).unwrap_or(u16::MAX));
    let mut entity = Entity {
        ix: at,
        name: raw.name.value.clone(),
        plural: raw.plural.value.clone(),
        description: raw.description.clone(),
        id: IdKind::Uuid,
        fields: Vec::new(),
        indexes: Vec::new(),
        to_one: Vec::new(),
        to_many: Vec::new(),
        referenced_by: Vec::new(),
        cache: raw.cache,
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
                    let help = nearest(&target.value, by_name.keys().copied());
                    reader.mistake(target.spot, format!("there is no entity `{}`", target.value), help);
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
        kind: FieldType::Timestamp,
        required: false,
        nullable: false,
        default: None,
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

/// Flags that fit each other and the type.
fn declared(reader: &mut Reader<'_>, raw: &RawField<'_>, kind: FieldType) -> Field {
    let spot = raw.name.spot;
    let name = api_name(raw);
    // Whoever may leave a field out of a new record leaves null, unless there is a default.
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
        kind,
        required: raw.required,
        nullable: nullable || server_set || file,
        default: None,
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

/// Whether values of the type have an order, so that an index can hold them.
pub(crate) fn is_sortable(kind: &FieldType) -> bool {
    !matches!(kind, FieldType::Text(_) | FieldType::Json { .. } | FieldType::File(_) | FieldType::List { .. })
}

fn ids(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &mut Entity) {
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

/// A field by the name that the file gives it: its own, or the relation's for the ref behind it.
pub(super) fn find(entity: &Entity, name: &str) -> Option<FieldIx> {
    entity.by_field.get(name).copied().or_else(|| {
        let by_relation = entity.by_field.get(&format!("{name}_id")).copied()?;
        matches!(entity.field(by_relation).kind, FieldType::Ref { .. }).then_some(by_relation)
    })
}

/// [`find`], or a mistake that names the nearest.
pub(super) fn find_or_say(reader: &mut Reader<'_>, entity: &Entity, name: &At<String>) -> Option<FieldIx> {
    let found = find(entity, &name.value);
    if found.is_none() {
        let help = nearest(&name.value, entity.fields.iter().map(|field| field.name.as_str()));
        reader.mistake(name.spot, format!("entity `{}` has no field `{}`", entity.name, name.value), help);
    }
    found
}

fn id_part(reader: &mut Reader<'_>, part: &At<String>, entity: &Entity) -> Option<FieldIx> {
    let ix = find_or_say(reader, entity, part)?;
    let field = entity.field(ix);
    let fits = matches!(
        field.kind,
        FieldType::String(_)
            | FieldType::Integer { .. }
            | FieldType::Enum(_)
            | FieldType::Date
            | FieldType::Uuid
            | FieldType::Ref { .. }
    );
    if !fits {
        let help = "a part is a string, integer, enum, date, uuid or ref";
        reader.mistake(part.spot, format!("`{}` cannot be part of an id", part.value), help);
    }
    if field.read_only || field.write_only {
        reader.mistake(part.spot, format!("`{}` is part of the id", part.value), "it cannot be read_only or write_only");
    }
    Some(ix)
}

/// Both sides of every ref.
fn relations(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: EntityIx, entities: &mut [Entity]) {
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

/// Defaults and examples, which need to know the kinds of all ids.
fn constants(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: usize, entities: &mut [Entity]) {
    for (position, field) in raw.fields.iter().enumerate() {
        let mut read = |node: Option<&Node>, what: &str| {
            let node = node?;
            let kind = &entities[at].fields.get(position)?.kind;
            match constant::value(entities, kind, node) {
                Ok(value) => Some(value),
                Err(fault) => {
                    reader.mistake(node.spot, format!("the {what} of `{}` {}", api_name(field), fault.message), "");
                    None
                }
            }
        };
        let (default, example) = (read(field.default, "default"), read(field.example, "example"));
        if let Some(resolved) = entities[at].fields.get_mut(position) {
            (resolved.default, resolved.example) = (default, example);
        }
    }
}
