//! Indexes: which filters and sorts are served.

use super::super::describe;
use super::changes::Changes;
use crate::model::schema::{Entity, Index, Model};

type Side<'m> = (&'m Model, &'m Entity);

/// Adds all changes of indexes, those that Holdfast adds by itself included.
pub(super) fn indexes(changes: &mut Changes, old: Side<'_>, new: Side<'_>) {
    let ((_, before), (_, after)) = (old, new);
    for gone in before.indexes.iter().filter(|index| after.by_index(&index.name).is_none()) {
        changes.breaking(place(after, gone), "removed", "filters and sorts that it served are refused");
    }
    for index in &after.indexes {
        match before.by_index(&index.name) {
            Some(was) => changed(changes, (old, was), (new, index)),
            None => added(changes, new, index),
        }
    }
}

fn place(entity: &Entity, index: &Index) -> String {
    format!("index {}.{}", entity.name, index.name)
}

fn added(changes: &mut Changes, (model, entity): Side<'_>, index: &Index) {
    let what = format!("added: {}", describe::index(model, entity, index));
    if index.is_stored() {
        changes.migration(place(entity, index), what, "lists that need it are refused until it is built");
    } else {
        changes.compatible(place(entity, index), what, "it stores nothing");
    }
}

fn changed(changes: &mut Changes, (old, was): (Side<'_>, &Index), (new, now): (Side<'_>, &Index)) {
    let (before, after) = (describe::index(old.0, old.1, was), describe::index(new.0, new.1, now));
    if before != after {
        let what = format!("{before} -> {after}");
        changes.breaking(place(new.1, now), what, "filters and sorts that the old form served may be refused");
    } else if describe::projection(old.1, was) != describe::projection(new.1, now) {
        let why = "answers are the same; lists read other rows once it is built";
        changes.migration(place(new.1, now), "its rows carry other fields", why);
    }
}
