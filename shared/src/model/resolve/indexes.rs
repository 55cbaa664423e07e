//! Indexes: the declared ones, and those that Holdfast needs itself.

use std::collections::HashSet;

use super::names::{find_or_say, to_one_or_say};
use super::sort_keys::sizes;
use crate::model::schema::{Entity, EntityIx, FieldIx, FieldType, Index, IndexIx, OnDelete, Path, SortPart, is_sortable};
use crate::model::source::{At, RawEntity, RawIndex, Reader};

/// Maximum number of fields in `equality` and in `sort`: more have no use, and a partition key has at most 2048 bytes.
const MAX_PARTS: usize = 8;
/// Sets the indexes of all entities.
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
    let to_one = to_one_or_say(reader, entity, name, (relation, field), "an index")?;
    let target = &entities[usize::from(to_one.target.0)];
    let ix = find_or_say(reader, target, &At { spot: name.spot, value: field.to_owned() })?;
    sortable(reader, name, target, ix)?;
    Some(Path::Via(to_one.field, ix))
}

/// Adds the indexes that relations and unique fields need, unless the file declares them.
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

/// `name`, or a variant of it that no index of the entity has.
fn free_name(entity: &Entity, name: &str) -> String {
    let mut name = name.to_owned();
    while entity.by_index(&name).is_some() {
        name.push_str("_alone");
    }
    name
}

/// Adds a mistake for every index over a relation that lacks an index on either side: it stores nothing itself.
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

/// The sort without an ascending id at its end, which every index has anyway.
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
