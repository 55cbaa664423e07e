//! Types of fields and their limits.

use super::changes::Changes;
use super::file;
use crate::model::evolution::{Conversion, conversion, is_same_target, may_forbid, narrower, shown};
use crate::model::schema::{Field, FieldType, Model, OnDelete};

/// Adds a change of the type, or of its limits.
pub(super) fn types(changes: &mut Changes, place: &str, old: (&Model, &Field), new: (&Model, &Field)) {
    let ((old_model, before), (new_model, after)) = (old, new);
    match (&before.kind, &after.kind) {
        (FieldType::Ref { on_delete: was, .. }, FieldType::Ref { on_delete: now, .. })
            if is_same_target((old_model, before), (new_model, after)) =>
        {
            on_delete(changes, place, *was, *now);
        }
        (FieldType::Enum(was), FieldType::Enum(now)) => words(changes, place, was, now),
        (FieldType::File(was), FieldType::File(now)) => file::limits(changes, place, was, now),
        (FieldType::String(was), FieldType::Text(now)) | (FieldType::Text(was), FieldType::String(now)) if was == now => {
            changes.compatible(place, "string and text", "values are stored and shown alike; only a string can be in an index");
        }
        (was, now) if is_one_type(was, now) => limits(changes, place, was, now),
        _ => other(changes, place, old, new),
    }
}

/// Whether only limits can differ.
fn is_one_type(was: &FieldType, now: &FieldType) -> bool {
    match (was, now) {
        (FieldType::List { item: was, .. }, FieldType::List { item: now, .. }) => is_one_type(was, now),
        (FieldType::Formatted(was), FieldType::Formatted(now)) => was == now,
        (FieldType::Ref { .. }, FieldType::Ref { .. }) => false,
        (FieldType::String(_) | FieldType::Text(_), FieldType::String(_) | FieldType::Text(_)) => true,
        _ => std::mem::discriminant(was) == std::mem::discriminant(now),
    }
}

fn other(changes: &mut Changes, place: &str, (old, before): (&Model, &Field), (new, after): (&Model, &Field)) {
    let (was, now) = shown((old, &before.kind), (new, &after.kind));
    let what = format!("{was} -> {now}");
    let class = conversion((old, &before.kind), (new, &after.kind));
    let reason = match class {
        Conversion::Kept if may_forbid(old, before, new, after, class) => {
            "values of the other type are refused; stored ones stay, and a step reports those that the new type forbids"
        }
        Conversion::Kept => "clients meet another type; stored values are values of it",
        Conversion::Total => "clients meet another type; a step converts every stored value",
        Conversion::Partial => "clients meet another type; a step converts stored values and reports those without a counterpart",
        Conversion::Impossible => "clients meet another type; no stored value has a counterpart",
    };
    changes.breaking(place, what, reason);
}

fn on_delete(changes: &mut Changes, place: &str, was: OnDelete, now: OnDelete) {
    let why = if now == OnDelete::Restrict { "deletes that worked are refused" } else { "a delete does something else" };
    let what = format!("on_delete {} -> {}", was.name(), now.name());
    changes.either(place, (was, now), true, what, (why, ""));
}

fn words(changes: &mut Changes, place: &str, was: &[String], now: &[String]) {
    let why = ("it is refused in bodies; a step reports the records that hold it", "readers should expect new words");
    changes.listed(place, "word", (was, now), why);
    if is_reordered(was, now) {
        changes.breaking(place, "words stand in another order", "lists that are sorted by it come in another order");
    }
}

/// Whether the words that both lists have stand in another order.
pub(super) fn is_reordered(was: &[String], now: &[String]) -> bool {
    let was = was.iter().filter(|word| now.contains(word));
    let now: Vec<&String> = now.iter().collect();
    let places: Vec<Option<usize>> = was.map(|word| now.iter().position(|other| *other == word)).collect();
    !places.is_sorted()
}

/// Limits of the same type: narrower ones break writers, wider ones let readers meet what they did not.
fn limits(changes: &mut Changes, place: &str, before: &FieldType, after: &FieldType) {
    let why = (
        "values that were accepted are refused; a step reports stored ones",
        "all that was accepted still is; readers may meet what was refused before",
    );
    let breaks = narrower(before, after);
    let what = format!("limits {}", if breaks { "are narrower" } else { "changed" });
    changes.either(place, (before, after), breaks, what, why);
}
