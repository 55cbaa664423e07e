//! Entities: names and paths, ids, and what holds for every record.

use super::super::describe;
use super::changes::Changes;
use super::{cached, deprecation, field, index, relation};
use crate::model::evolution::Pairs;
use crate::model::schema::{Entity, Model};

/// Adds all changes of entities.
pub(super) fn entities(changes: &mut Changes, pairs: Pairs<'_>) {
    for (before, after) in pairs.entities() {
        match before {
            Some(before) => entity(changes, pairs, before, after),
            None => changes.compatible(format!("entity {}", after.name), "added", "new paths"),
        }
    }
    for gone in pairs.old.entities.iter().filter(|gone| pairs.after(gone).is_none()) {
        let why = "its paths are gone; its records stay in the table until a step removes them";
        changes.breaking(format!("entity {}", gone.name), "removed", why);
    }
}

fn entity(changes: &mut Changes, pairs: Pairs<'_>, before: &Entity, after: &Entity) {
    let place = format!("entity {}", after.name);
    names(changes, &place, before, after);
    ids(changes, &place, pairs, before, after);
    flags(changes, &place, before, after);
    contention(changes, &place, before, after);
    cached::mode(changes, &place, before.cache, after.cache);
    cached::public(changes, &place, before.public, after.public);
    deprecation::deprecation(changes, &place, before.deprecated.as_ref(), after.deprecated.as_ref());
    changes.documented(&place, "description", &before.description, &after.description);
    field::fields(changes, pairs, before, after);
    relation::relations(changes, before, after);
    index::indexes(changes, (pairs.old, before), (pairs.new, after));
}

fn names(changes: &mut Changes, place: &str, before: &Entity, after: &Entity) {
    if before.name != after.name {
        let what = format!("renamed from {}", before.name);
        changes.migration(place, what, "its records follow by a step; entries of the audit trail keep the earlier name");
    }
    if before.plural != after.plural {
        changes.breaking(place, format!("plural {} -> {}", before.plural, after.plural), "its paths change");
    }
}

fn ids(changes: &mut Changes, place: &str, Pairs { old, new }: Pairs<'_>, before: &Entity, after: &Entity) {
    let (was, now) = (shown_id(old, before), shown_id(new, after));
    if was != now {
        changes.breaking(place, format!("id {was} -> {now}"), "ids that clients know are not what they were");
    }
}

/// Kind of an id; the parts of a composite one with their types.
fn shown_id(model: &Model, entity: &Entity) -> String {
    if entity.id_parts().is_empty() {
        return describe::id(entity);
    }
    let parts = entity.id_parts().iter().map(|ix| entity.field(*ix));
    let shown: Vec<String> = parts.map(|part| format!("{}: {}", part.name, describe::kind(model, &part.kind))).collect();
    format!("[{}]", shown.join(", "))
}

fn flags(changes: &mut Changes, place: &str, before: &Entity, after: &Entity) {
    let required = (before.require_if_match, after.require_if_match);
    let what = format!("require_if_match {}", if required.1 { "on" } else { "off" });
    let why = ("writes without If-Match are refused with 428", "If-Match still works");
    changes.either(place, required, required.1, what, why);
    let bytes = (before.max_bytes, after.max_bytes);
    let why = ("larger records are refused, also stored ones when they are changed", "more is accepted");
    changes.either(place, bytes, bytes.1 < bytes.0, format!("max_bytes {} -> {}", bytes.0, bytes.1), why);
}

/// Gates come on demand and tags with the first write, so that no build is needed.
fn contention(changes: &mut Changes, place: &str, before: &Entity, after: &Entity) {
    let peaks = (before.contention, after.contention);
    let shown = |peak: Option<u32>| peak.map_or_else(|| "none".to_owned(), |peak| peak.to_string());
    let what = format!("contention {} -> {}", shown(peaks.0), shown(peaks.1));
    let why = if before.shards == after.shards {
        "as many tags and gates as before: it changes nothing"
    } else {
        "what was cached is void at the first write; tags and gates follow by themselves"
    };
    changes.either(place, peaks, false, what, ("", why));
}
