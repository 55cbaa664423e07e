//! Indexes: the declared ones, those that Holdfast needs itself, and whether every one can be kept.

use std::collections::HashSet;

use super::mistake::{At, Spot, nearest};
use super::raw::{RawEntity, RawId, RawIndex};
use super::reader::Reader;
use super::resolve::{find_or_say, is_sortable};
use super::schema::{Entity, EntityIx, FieldIx, FieldType, IdKind, Index, IndexIx, OnDelete, Path, SortPart};

/// Most bytes of an encoded sort key. DynamoDB takes 1024; a cursor of at most 1 KB carries it in base64url with its seal.
pub const MAX_SORT_KEY: usize = 720;
/// Most fields of `equality` and of `sort`: more have no use, and a partition key ends at 2048 bytes.
const MAX_PARTS: usize = 8;
/// Longest id or part of an id.
const ID_PART: usize = 128;

/// Gives every entity its indexes.
pub(super) fn resolve(reader: &mut Reader<'_>, raw: &[RawEntity<'_>], entities: &mut [Entity]) {
    for (at, raw) in raw.iter().enumerate() {
        let mut indexes = vec![index(Index::ID, Vec::new(), vec![SortPart { by: Path::Id, descending: false }], false)];
        for raw_index in &raw.indexes {
            if raw_index.name.value == Index::ID {
                reader.mistake(raw_index.name.spot, "the index `id` is there already", "remove it: lists by id need none");
                continue;
            }
            indexes.extend(declared(reader, raw_index, &entities[at], entities));
        }
        entities[at].indexes = indexes;
    }
    let inverse: HashSet<(EntityIx, FieldIx)> =
        entities.iter().flat_map(|entity| entity.to_many.iter().map(|relation| (relation.target, relation.field))).collect();
    for entity in entities.iter_mut() {
        implied(entity, &inverse);
        for (at, index) in entity.indexes.iter_mut().enumerate() {
            index.ix = IndexIx(u16::try_from(at).unwrap_or(u16::MAX));
        }
    }
    for (at, raw) in raw.iter().enumerate() {
        sizes(reader, raw, &entities[at], entities);
        joins(reader, raw, &entities[at], entities);
    }
}

fn index(name: &str, equality: Vec<Path>, sort: Vec<SortPart>, declared: bool) -> Index {
    Index { ix: IndexIx(0), name: name.to_owned(), equality, sort, projection: None, declared }
}

fn declared(reader: &mut Reader<'_>, raw: &RawIndex, entity: &Entity, entities: &[Entity]) -> Option<Index> {
    if raw.equality.len() > MAX_PARTS || raw.sort.len() > MAX_PARTS {
        reader.mistake(
            raw.name.spot,
            format!("index `{}` has too many fields", raw.name.value),
            format!("at most {MAX_PARTS} each"),
        );
    }
    let equality: Vec<Option<Path>> = raw.equality.iter().map(|name| equality_path(reader, name, entity, entities)).collect();
    let mut sort = Vec::new();
    for (name, descending) in &raw.sort {
        let by = if name.value == "id" { Some(Path::Id) } else { own_path(reader, name, entity, "sorted by") };
        sort.push(by.map(|by| SortPart { by, descending: *descending }));
    }
    let names = raw.equality.iter().chain(raw.sort.iter().map(|(name, _)| name));
    let paths = equality.iter().copied().chain(sort.iter().map(|part| part.map(|part| part.by)));
    let mut seen = Vec::new();
    for (name, path) in names.zip(paths) {
        match path {
            Some(path) if seen.contains(&path) => {
                reader.mistake(name.spot, format!("`{}` is in the index twice", name.value), "one place is enough");
            }
            Some(path) => seen.push(path),
            None => {}
        }
    }
    let projection = raw.projection.as_ref().map(|names| {
        names.iter().filter(|name| name.value != "id").filter_map(|name| find_or_say(reader, entity, name)).collect()
    });
    let index = Index {
        projection,
        ..index(&raw.name.value, equality.into_iter().collect::<Option<_>>()?, sort.into_iter().collect::<Option<_>>()?, true)
    };
    if !index.is_stored() && (index.equality.len() > 1 || index.projection.is_some()) {
        let help = "it stores nothing: give it one field of the relation as `equality`, a `sort`, and no `fields`";
        reader.mistake(raw.name.spot, format!("index `{}` reaches over a relation", raw.name.value), help);
    }
    Some(index)
}

fn own_path(reader: &mut Reader<'_>, name: &At<String>, entity: &Entity, use_: &str) -> Option<Path> {
    if name.value.contains('.') {
        reader.mistake(name.spot, format!("`{}` cannot be {use_}", name.value), "only fields of the entity itself can");
        return None;
    }
    let ix = find_or_say(reader, entity, name)?;
    sortable(reader, name, entity, ix)?;
    Some(Path::Own(ix))
}

fn sortable(reader: &mut Reader<'_>, name: &At<String>, entity: &Entity, ix: FieldIx) -> Option<()> {
    if is_sortable(&entity.field(ix).kind) {
        return Some(());
    }
    let help = "text, json, file and list fields have no order; `filter: scan` lets filters read text and list fields";
    reader.mistake(name.spot, format!("`{}` cannot be in an index", name.value), help);
    None
}

fn equality_path(reader: &mut Reader<'_>, name: &At<String>, entity: &Entity, entities: &[Entity]) -> Option<Path> {
    if name.value == "id" {
        reader.mistake(name.spot, "`id` cannot be an equality field", "a filter by id needs no index");
        return None;
    }
    let Some((relation, field)) = name.value.split_once('.') else { return own_path(reader, name, entity, "fixed") };
    let Some(to_one) = entity.to_one(relation) else {
        let help = nearest(relation, entity.to_one.iter().map(|relation| relation.name.as_str()));
        reader.mistake(name.spot, format!("entity `{}` has no to-one relation `{relation}`", entity.name), help);
        return None;
    };
    let target = &entities[usize::from(to_one.target.0)];
    let ix = find_or_say(reader, target, &At { spot: name.spot, value: field.to_owned() })?;
    sortable(reader, name, target, ix)?;
    Some(Path::Via(to_one.field, ix))
}

/// Indexes that relations and unique fields need, unless the file declares them.
fn implied(entity: &mut Entity, inverse: &HashSet<(EntityIx, FieldIx)>) {
    let mut needed: Vec<(FieldIx, String)> = Vec::new();
    for relation in &entity.to_one {
        let field = entity.field(relation.field);
        let FieldType::Ref { on_delete, .. } = field.kind else { continue };
        if on_delete != OnDelete::Restrict || inverse.contains(&(entity.ix, relation.field)) {
            needed.push((relation.field, relation.name.clone()));
        }
    }
    needed.extend(entity.fields.iter().filter(|field| field.unique).map(|field| (field.ix, field.name.clone())));
    for (field, name) in needed {
        if entity.indexes.iter().any(|index| index.equality == [Path::Own(field)]) {
            continue;
        }
        let name = free_name(entity, &format!("by_{name}"));
        entity.indexes.push(index(&name, vec![Path::Own(field)], vec![SortPart { by: Path::Id, descending: false }], false));
    }
}

/// `name`, or something like it that no index of the entity has.
fn free_name(entity: &Entity, name: &str) -> String {
    let mut name = name.to_owned();
    while entity.by_index(&name).is_some() {
        name.push_str("_alone");
    }
    name
}

/// Most bytes that a value takes in a sort key; `None`: a text without `max`.
pub(super) fn encoded_bytes(entities: &[Entity], kind: &FieldType) -> Option<usize> {
    // Marker, body; texts have two bytes at their end. A code point is 4 bytes at most, and NUL (1 byte) is escaped to 2.
    Some(match kind {
        FieldType::String(limits) => 3 + 4 * limits.max?,
        FieldType::Email => 3 + 254,
        FieldType::Url => 3 + 2048,
        FieldType::Uuid => 3 + 36,
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

/// Most bytes that an id takes in a sort key.
fn id_bytes(entity: &Entity) -> usize {
    match &entity.id {
        IdKind::Uuid => 3 + 36,
        IdKind::Integer => 9,
        IdKind::String => 3 + ID_PART,
        IdKind::Composite(parts) => {
            let part = |ix: &FieldIx| match &entity.field(*ix).kind {
                FieldType::Integer { .. } => 16,
                FieldType::Date => 10,
                FieldType::Uuid => 36,
                FieldType::String(limits) => limits.max.map_or(ID_PART, |max| max.min(ID_PART)),
                FieldType::Enum(words) => words.iter().map(String::len).max().unwrap_or(ID_PART),
                _ => ID_PART,
            };
            3 + parts.iter().map(part).sum::<usize>() + parts.len().saturating_sub(1)
        }
    }
}

fn sizes(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &Entity, entities: &[Entity]) {
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

/// An index over a relation stores nothing: it needs an index on either side.
fn joins(reader: &mut Reader<'_>, raw: &RawEntity<'_>, entity: &Entity, entities: &[Entity]) {
    for index in &entity.indexes {
        let [Path::Via(reference, field)] = index.equality[..] else { continue };
        let Some(raw) = raw.indexes.iter().find(|raw| raw.name.value == index.name) else { continue };
        let Some(to_one) = entity.to_one.iter().find(|relation| relation.field == reference) else { continue };
        let target = &entities[usize::from(to_one.target.0)];
        let stored = |entity: &Entity, field: FieldIx, sort: Option<&[SortPart]>| {
            entity.indexes.iter().any(|other| {
                other.equality == [Path::Own(field)] && sort.is_none_or(|sort| without_id(&other.sort) == without_id(sort))
            })
        };
        let field_name = &target.field(field).name;
        if !stored(target, field, None) {
            let name = free_name(target, &format!("by_{field_name}"));
            let help = format!("add to `{}` the index `{name}: {{equality: [{field_name}]}}`", target.name);
            reader.mistake(
                raw.name.spot,
                format!("index `{}` needs an index of `{}` by `{field_name}`", index.name, target.name),
                help,
            );
        }
        if !stored(entity, reference, Some(&index.sort)) {
            let sort = sort_text(entity, &index.sort);
            let name = free_name(entity, &format!("by_{}", to_one.name));
            let help = format!("add the index `{name}: {{equality: [{}]{sort}}}`", to_one.name);
            let message = format!("index `{}` needs an index by `{}` with the same sort", index.name, to_one.name);
            reader.mistake(raw.name.spot, message, help);
        }
    }
}

/// A sort without the ascending id at its end, which is there in any case.
fn without_id(sort: &[SortPart]) -> &[SortPart] {
    match sort {
        [rest @ .., SortPart { by: Path::Id, descending: false }] => rest,
        _ => sort,
    }
}

fn sort_text(entity: &Entity, sort: &[SortPart]) -> String {
    if sort.is_empty() {
        return String::new();
    }
    let part = |part: &SortPart| {
        let name = match part.by {
            Path::Own(ix) => entity.field(ix).name.as_str(),
            Path::Id | Path::Via(..) => "id",
        };
        format!("{}{name}", if part.descending { "-" } else { "" })
    };
    format!(", sort: [{}]", sort.iter().map(part).collect::<Vec<_>>().join(", "))
}

/// The index that serves records of an entity by the ref `field`: its equality is exactly that field. It is always there for
/// relations with an inverse and for `on_delete: cascade` and `set_null`.
pub fn by_ref(entity: &Entity, field: FieldIx) -> Option<&Index> {
    entity.indexes.iter().find(|index| index.equality == [Path::Own(field)])
}
