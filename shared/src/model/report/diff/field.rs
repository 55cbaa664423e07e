//! Fields: names and flags.

use super::changes::Changes;
use super::{deprecation, types, values};
use crate::model::evolution::{Pairs, field_after, field_before};
use crate::model::schema::{Entity, Field};

/// Adds all changes of the fields of an entity.
pub(super) fn fields(changes: &mut Changes, pairs: Pairs<'_>, before: &Entity, after: &Entity) {
    for field in &after.fields {
        let place = format!("field {}.{}", after.name, field.name);
        match field_before(before, field) {
            Some(was) => one(changes, &place, pairs, was, field),
            None => added(changes, &place, field),
        }
    }
    for gone in before.fields.iter().filter(|gone| field_after(gone, (before, after)).is_none()) {
        let place = format!("field {}.{}", after.name, gone.name);
        changes.breaking(place, "removed", "it is no longer shown, and refused in bodies");
    }
}

fn added(changes: &mut Changes, place: &str, field: &Field) {
    if is_demanded(field) {
        changes.breaking(place, "added, required", "bodies without it are refused");
    } else if field.nullable && field.fill.is_none() {
        changes.compatible(place, "added", "existing records show null");
    }
    values::of_old_records(changes, place, None, field);
}

fn one(changes: &mut Changes, place: &str, pairs: Pairs<'_>, before: &Field, after: &Field) {
    if before.name != after.name {
        let what = format!("renamed from {}", before.name);
        changes.breaking(place, what, "bodies, answers, filters and sorts name it otherwise; stored values follow by a step");
    }
    types::types(changes, place, (pairs.old, before), (pairs.new, after));
    flags(changes, place, before, after);
    nullable(changes, place, before, after);
    values::of_old_records(changes, place, Some(before), after);
    values::default(changes, place, before, after);
    deprecation::deprecation(changes, place, before.deprecated.as_ref(), after.deprecated.as_ref());
    changes.documented(place, "description", &before.description, &after.description);
    changes.documented(place, "example", &before.example, &after.example);
}

/// Whether a body has to contain it.
fn is_demanded(field: &Field) -> bool {
    field.required && field.default.is_none()
}

fn flags(changes: &mut Changes, place: &str, before: &Field, after: &Field) {
    type Flag = (&'static str, fn(&Field) -> bool, &'static str, &'static str);
    // Each: what it means to be turned on, which breaks clients; turned off it is compatible.
    let flags: [Flag; 5] = [
        ("required", is_demanded, "bodies without it are refused", "it may be left out"),
        ("immutable", |field| field.immutable, "changes of it are refused", "it may be changed"),
        ("read_only", |field| field.read_only, "it is refused in bodies", "it may be written"),
        ("write_only", |field| field.write_only, "it is no longer shown", "it is shown"),
        ("unique", |field| field.unique, "a value that another record has is refused", "values may repeat"),
    ];
    for (name, flag, on, off) in flags {
        let (was, now) = (flag(before), flag(after));
        let what = format!("{name} {}", if now { "on" } else { "off" });
        changes.either(place, (was, now), now, what, (on, off));
    }
    let what = format!("filter: scan {}", if after.scan { "on" } else { "off" });
    let why = ("filters that no index serves are refused", "more filters are accepted");
    changes.either(place, (before.scan, after.scan), before.scan, what, why);
}

fn nullable(changes: &mut Changes, place: &str, before: &Field, after: &Field) {
    match (before.nullable, after.nullable) {
        (true, false) => changes.breaking(place, "no longer nullable", "null is refused"),
        (false, true) => changes.breaking(place, "nullable", "readers meet null where there was none"),
        _ => {}
    }
}
