//! Differences between the fields of two models.

use super::changes::Changes;
use super::describe;
use crate::model::schema::{Entity, Field, FieldType, Model, OnDelete, Path, TextLimits, is_sortable};

/// Adds all changes of the fields of an entity.
pub(super) fn fields(changes: &mut Changes, old: (&Model, &Entity), new: (&Model, &Entity)) {
    let ((_, before), (_, after)) = (old, new);
    let place = |field: &Field| format!("field {}.{}", after.name, field.name);
    for field in &before.fields {
        match after.by_field(&field.name) {
            Some(now) => one(changes, &place(field), (old.0, before, field), (new.0, after, now)),
            None => changes.breaking(place(field), "removed", "it is no longer shown, and refused in bodies"),
        }
    }
    for field in after.fields.iter().filter(|field| before.by_field(&field.name).is_none()) {
        if field.required && field.default.is_none() {
            changes.breaking(place(field), "added, required", "bodies without it are refused; existing records show null");
        } else if field.nullable {
            changes.compatible(place(field), "added", "existing records show null");
        } else {
            changes.compatible(
                place(field),
                "added, with a default",
                "existing records show null until it is set; a PUT without it sets the default",
            );
        }
        if field.unique {
            changes.backfill(place(field), "unique", "existing records need unique rows: `reindex`");
        }
    }
}

fn one(
    changes: &mut Changes,
    place: &str,
    (old_model, old_entity, before): (&Model, &Entity, &Field),
    (new_model, new_entity, after): (&Model, &Entity, &Field),
) {
    let (was, now) = (describe::kind(old_model, &before.kind), describe::kind(new_model, &after.kind));
    if was == now {
        let indexed = indexed(new_entity, after);
        limits(changes, place, &before.kind, &after.kind, indexed);
    } else {
        changes.breaking(place, format!("{was} -> {now}"), "values of the other type are refused; stored ones stay as they are");
        if indexed(new_entity, after) || indexed(old_entity, before) {
            changes.backfill(place, format!("{was} -> {now}"), "rows order it otherwise: `reindex`");
        }
    }
    flags(changes, place, before, after);
    if before.default != after.default {
        changes.compatible(place, "default changed", "records created from now on have the new one");
    }
    if before.deprecated != after.deprecated {
        changes.compatible(place, "deprecation changed", "headers and documents say so");
    }
}

fn indexed(entity: &Entity, field: &Field) -> bool {
    let by = Path::Own(field.ix);
    is_sortable(&field.kind)
        && entity.indexes.iter().any(|index| index.equality.contains(&by) || index.sort.iter().any(|part| part.by == by))
}

fn flags(changes: &mut Changes, place: &str, before: &Field, after: &Field) {
    type Flag = (&'static str, fn(&Field) -> bool, &'static str, &'static str);
    // Each: what it means to be turned on, which breaks clients; turned off it is compatible.
    let flags: [Flag; 5] = [
        ("required", |field| field.required, "bodies without it are refused", "it may be left out"),
        ("immutable", |field| field.immutable, "changes of it are refused", "it may be changed"),
        ("read_only", |field| field.read_only, "it is refused in bodies", "it may be written"),
        ("write_only", |field| field.write_only, "it is no longer shown", "it is shown"),
        ("unique", |field| field.unique, "a value that another record has is refused", "values may repeat"),
    ];
    for (name, flag, on, off) in flags {
        match (flag(before), flag(after)) {
            (false, true) => changes.breaking(place, format!("{name} on"), on),
            (true, false) => changes.compatible(place, format!("{name} off"), off),
            _ => {}
        }
    }
    match (before.nullable, after.nullable) {
        (true, false) => changes.breaking(place, "no longer nullable", "null is refused; records that hold it keep it"),
        (false, true) => changes.breaking(place, "nullable", "readers meet null where there was none"),
        _ => {}
    }
    match (before.scan, after.scan) {
        (true, false) => changes.breaking(place, "filter: scan off", "filters that no index serves are refused"),
        (false, true) => changes.compatible(place, "filter: scan on", "more filters are accepted"),
        _ => {}
    }
    if after.unique && !before.unique {
        changes.backfill(place, "unique on", "existing records need unique rows: `reindex`");
    }
}

/// Limits of the same type: narrower ones break writers.
fn limits(changes: &mut Changes, place: &str, before: &FieldType, after: &FieldType, indexed: bool) {
    if before == after {
        return;
    }
    match (before, after) {
        (FieldType::Ref { on_delete: was, .. }, FieldType::Ref { on_delete: now, .. }) if was != now => {
            let what = format!("on_delete {} -> {}", describe::on_delete(*was), describe::on_delete(*now));
            changes.breaking(
                place,
                what,
                if *now == OnDelete::Restrict { "deletes that worked are refused" } else { "a delete does something else" },
            );
        }
        (FieldType::Ref { .. }, FieldType::Ref { .. }) => {}
        (FieldType::Enum(was), FieldType::Enum(now)) => words(changes, place, was, now, indexed),
        _ if narrower(before, after) => changes.breaking(place, "limits are narrower", "values that were accepted are refused"),
        _ => changes.compatible(place, "limits changed", "all that was accepted still is"),
    }
}

fn words(changes: &mut Changes, place: &str, was: &[String], now: &[String], indexed: bool) {
    for word in was.iter().filter(|word| !now.contains(word)) {
        changes.breaking(place, format!("word {word} removed"), "it is refused in bodies; records that hold it keep it");
    }
    for word in now.iter().filter(|word| !was.contains(word)) {
        changes.compatible(place, format!("word {word} added"), "readers should expect new words");
    }
    if indexed && !now.starts_with(was) {
        changes.backfill(place, "words stand in another order", "rows order by position: `reindex`, or add new words at the end");
    }
}

/// Whether something that `before` accepts may be refused by `after`.
fn narrower(before: &FieldType, after: &FieldType) -> bool {
    /// Whether a lower limit rose; an upper limit is one with its sides exchanged.
    fn tighter<T: PartialOrd + Copy>(was: Option<T>, now: Option<T>) -> bool {
        match (was, now) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(was), Some(now)) => now > was,
        }
    }
    fn range<T: PartialOrd + Copy>(was: (Option<T>, Option<T>), now: (Option<T>, Option<T>)) -> bool {
        tighter(was.0, now.0) || tighter(was.1.map(std::cmp::Reverse), now.1.map(std::cmp::Reverse))
    }
    match (before, after) {
        (FieldType::String(was) | FieldType::Text(was), FieldType::String(now) | FieldType::Text(now)) => {
            let limits = |limits: &TextLimits| (limits.min, limits.max);
            range(limits(was), limits(now)) || (now.pattern.is_some() && now.pattern != was.pattern)
        }
        (FieldType::Integer { min: a, max: b }, FieldType::Integer { min: c, max: d }) => {
            range((Some(*a), Some(*b)), (Some(*c), Some(*d)))
        }
        (FieldType::Number { min: a, max: b }, FieldType::Number { min: c, max: d }) => range((*a, *b), (*c, *d)),
        (FieldType::Decimal { scale: old, min: a, max: b }, FieldType::Decimal { scale: new, min: c, max: d }) => {
            new < old || range((*a, *b), (*c, *d))
        }
        (FieldType::List { item: was, max_items: old }, FieldType::List { item: now, max_items: new }) => {
            new < old || (was != now && narrower(was, now))
        }
        (FieldType::File(was), FieldType::File(now)) => {
            now.max_size < was.max_size
                || now.link_expiry < was.link_expiry
                || now.share_expiry < was.share_expiry
                || (!now.content_types.is_empty() && !was.content_types.iter().all(|media| now.content_types.contains(media)))
                || (was.content_types.is_empty() && !now.content_types.is_empty())
        }
        (FieldType::Enum(was), FieldType::Enum(now)) => !was.iter().all(|word| now.contains(word)),
        // Whether one JSON Schema accepts all that another does is beyond a comparison.
        _ => true,
    }
}
