//! Entities: names, circles of references, sizes, indexes.

use super::Warnings;
use crate::model::schema::{Entity, EntityIx, Field, FieldType, IdKind, Index, Model, Operation, Path, TextLimits};

/// Bytes of a record that holds next to nothing.
const SMALLEST: usize = 128;

impl Warnings {
    pub(super) fn entity(&mut self, place: &str, model: &Model, entity: &Entity) {
        self.plural(place, entity);
        self.circle(place, model, entity);
        if Operation::ALL.iter().any(|operation| operation.name() == entity.name) {
            let message = format!("in `costs` and `only`, `{}` means the operation, not this entity", entity.name);
            self.add(place, message);
        }
        if self.said(&format!("{place}.fields")).and_then(|fields| fields.as_object()).is_some_and(serde_json::Map::is_empty) {
            self.add(format!("{place}.fields"), "there is none: a record is its id");
        }
        self.sizes(place, entity);
        for field in &entity.fields {
            self.field(&format!("{place}.fields.{}", name_in_file(entity, field)), entity, field);
        }
        for index in &entity.indexes {
            self.index(&format!("{place}.indexes.{}", index.name), entity, index);
        }
    }

    /// The plural that English has, where the default adds an `s` to what takes another ending.
    fn plural(&mut self, place: &str, entity: &Entity) {
        let Some(better) = plural(&entity.name).filter(|_| entity.plural == format!("{}s", entity.name)) else { return };
        self.add(place, format!("its path is /v1/{}; write `plural: {better}` if that is meant", entity.plural));
    }

    /// Required references that lead back: none of these records can be the first.
    fn circle(&mut self, place: &str, model: &Model, entity: &Entity) {
        let Some(names) = required_circle(model, entity) else { return };
        // One warning for all that are in it.
        if entity.name == names.iter().min().map_or("", |name| name) {
            let names = names.join(" -> ");
            self.add(
                place,
                format!("{names} -> {} require each other, so no first record can be created; drop one `required`", entity.name),
            );
        }
    }

    fn sizes(&mut self, place: &str, entity: &Entity) {
        if entity.max_bytes < SMALLEST {
            self.add(
                format!("{place}.max_bytes"),
                format!("hardly any record is that small: {} bytes of JSON", entity.max_bytes),
            );
            return;
        }
        for field in &entity.fields {
            let (FieldType::String(limits) | FieldType::Text(limits)) = &field.kind else { continue };
            let TextLimits { max: Some(max), min, .. } = limits else { continue };
            let place = format!("{place}.fields.{}", field.name);
            if min.is_some_and(|min| min > entity.max_bytes) {
                self.add(place, format!("no record of at most {} bytes can hold so long a value", entity.max_bytes));
            } else if *max > entity.max_bytes {
                self.add(place, format!("`max: {max}` is more than a record can hold: `max_bytes` is {}", entity.max_bytes));
            }
        }
    }

    fn index(&mut self, place: &str, entity: &Entity, index: &Index) {
        if !index.declared || !index.is_stored() {
            return;
        }
        if let Some(other) = entity.indexes.iter().find(|other| serves_as_well(other, index)) {
            self.add(place, format!("`{}` serves the same queries; every write pays for both", other.name));
        }
        let id = index.sort.iter().position(|part| part.by == Path::Id);
        if id.is_some_and(|at| at + 1 < index.sort.len()) {
            self.add(place, "no two records have one id: what stands behind `id` orders nothing");
        }
        let fixes_one = |path: &Path| matches!(path, Path::Own(ix) if entity.field(*ix).unique);
        if index.equality.len() + index.sort.len() > 1 && index.equality.iter().any(fixes_one) {
            self.add(place, "a unique field fixes one record already: its own index serves the same queries");
        }
    }
}

/// Name that the file gives a field: that of a ref is the relation's.
pub(super) fn name_in_file<'e>(entity: &'e Entity, field: &'e Field) -> &'e str {
    entity.to_one.iter().find(|relation| relation.field == field.ix).map_or(&field.name, |relation| &relation.name)
}

/// Whether queries that an index serves are served by another one as well.
fn serves_as_well(other: &Index, index: &Index) -> bool {
    let stored = other.is_stored() && other.ix != index.ix;
    // Of two equal ones, the later is too many.
    let longer = other.sort.len() > index.sort.len() || (other.sort.len() == index.sort.len() && other.ix.0 < index.ix.0);
    stored && longer && index.projection.is_none() && other.projection.is_none()
        && other.equality == index.equality
        && other.sort.starts_with(&index.sort)
        // The order of records that are equal in `sort` is by id in the one, by further fields in the other.
        && (other.sort.len() == index.sort.len() || index.sort.is_empty())
}

/// Entities from this one along required references back to it, without itself at the end.
fn required_circle<'m>(model: &'m Model, start: &'m Entity) -> Option<Vec<&'m str>> {
    fn follow<'m>(model: &'m Model, start: EntityIx, at: &'m Entity, path: &mut Vec<EntityIx>) -> bool {
        for field in at.fields.iter().filter(|field| field.required && field.default.is_none()) {
            let FieldType::Ref { target, .. } = field.kind else { continue };
            // A record may refer to itself where the client chooses its id.
            if target == start && (target != at.ix || at.id == IdKind::Uuid) {
                return true;
            }
            if target != at.ix && !path.contains(&target) {
                path.push(target);
                if follow(model, start, model.entity(target), path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let mut path = vec![start.ix];
    follow(model, start.ix, start, &mut path).then(|| path.into_iter().map(|ix| model.entity(ix).name.as_str()).collect())
}

/// The plural of an English word that does not simply take an `s`.
fn plural(name: &str) -> Option<String> {
    let vowel = |letter: char| "aeiou".contains(letter);
    if let Some(stem) = name.strip_suffix('y').filter(|stem| stem.chars().last().is_some_and(|letter| !vowel(letter))) {
        return Some(format!("{stem}ies"));
    }
    ["s", "x", "z", "ch", "sh"].iter().any(|end| name.ends_with(end)).then(|| format!("{name}es"))
}
