//! Roles: what their holders may do.

use std::collections::BTreeSet;

use super::super::describe;
use super::changes::Changes;
use crate::model::evolution::{Pairs, field_after, field_before};
use crate::model::schema::{Action, Entity, FieldIx, FieldMask, Grant, Model, Path, Role};

/// Adds all changes of roles.
pub(super) fn roles(changes: &mut Changes, Pairs { old, new }: Pairs<'_>) {
    for before in &old.roles {
        let place = format!("role {}", before.name);
        let Some(after) = new.role(&before.name) else {
            changes.breaking(place, "removed", "its holders may do nothing; consumers that name it need another one first");
            continue;
        };
        role(changes, &place, (old, before), (new, after));
        changes.documented(&place, "description", &before.description, &after.description);
        if before.inherits != after.inherits {
            changes.compatible(&place, "inherits changed", "what its holders gain and lose by it is listed by itself");
        }
    }
    for after in new.roles.iter().filter(|after| old.role(&after.name).is_none()) {
        changes.compatible(format!("role {}", after.name), "added", "nobody loses anything");
    }
}

/// Adds changes of what the holders of a role may do.
pub(super) fn role(changes: &mut Changes, place: &str, (old, before): (&Model, &Role), (new, after): (&Model, &Role)) {
    let named = |role: &Role| -> Vec<String> { role.system.iter().map(|permission| permission.name().to_owned()).collect() };
    let (was, now) = (named(before), named(after));
    for permission in was.iter().filter(|permission| !now.contains(permission)) {
        changes.breaking(place, format!("loses system {permission}"), "its holders are refused there");
    }
    for permission in now.iter().filter(|permission| !was.contains(permission)) {
        changes.compatible(place, format!("gains system {permission}"), "it may do more");
    }
    let pairs = Pairs { old, new };
    for (was, entity) in pairs.entities() {
        for action in Action::ALL {
            match was {
                Some(was) => grants(changes, place, (old, was, before), (new, entity, after), action),
                None => of_new(changes, place, entity, after, action),
            }
        }
    }
}

/// What a role may do with an entity that the model did not have.
fn of_new(changes: &mut Changes, role: &str, entity: &Entity, after: &Role, action: Action) {
    if after.grants.contains_key(&(entity.ix, action)) {
        changes.compatible(format!("{role}, {} {}", action.name(), entity.name), "now allowed", "it may do more");
    }
}

/// One side of a comparison: what a role may do with an entity.
#[derive(Clone, Copy)]
struct Side<'m> {
    model: &'m Model,
    entity: &'m Entity,
    grants: &'m [Grant],
}

fn grants(
    changes: &mut Changes,
    role: &str,
    (old_model, old_entity, old): (&Model, &Entity, &Role),
    (new_model, new_entity, new): (&Model, &Entity, &Role),
    action: Action,
) {
    let place = format!("{role}, {} {}", action.name(), new_entity.name);
    let (before, after) = (old.grants.get(&(old_entity.ix, action)), new.grants.get(&(new_entity.ix, action)));
    let (before, after) = match (before, after) {
        (None, None) => return,
        (Some(_), None) => return changes.breaking(place, "no longer allowed", "its holders are refused with 403"),
        (None, Some(_)) => return changes.compatible(place, "now allowed", "it may do more"),
        (Some(before), Some(after)) => (before, after),
    };
    let old = Side { model: old_model, entity: old_entity, grants: before };
    let new = Side { model: new_model, entity: new_entity, grants: after };
    let told = changes.count();
    rows(changes, &place, old, new);
    links(changes, &place, old, new);
    fields(changes, &place, old, new);
    if changes.count() == told && !covered(old, new) {
        changes.breaking(&place, "fields of its alternatives changed", "rows show or accept other fields");
    }
}

fn rows(changes: &mut Changes, place: &str, old: Side<'_>, new: Side<'_>) {
    let (was, now) = (conditions_before(old, new), describe::rows(new.model, new.entity, new.grants));
    if was != now {
        let what = format!("rows {} -> {}", was.join(" | "), now.join(" | "));
        match covered(old, new) {
            true => changes.compatible(place, what, "it may do more"),
            false => changes.breaking(place, what, "other rows are visible or writable"),
        }
    }
}

/// Conditions of before in the names of now.
fn conditions_before(old: Side<'_>, new: Side<'_>) -> Vec<String> {
    let name = |path: Path| match path {
        Path::Own(ix) => name_after(old, new, ix).unwrap_or_else(|| describe::path(old.model, old.entity, path)),
        Path::Id | Path::Via(..) => describe::path(old.model, old.entity, path),
    };
    old.grants.iter().map(|grant| describe::rule_by(&name, &grant.rows)).collect()
}

/// The name that a field of before has now; `None` if it is gone.
fn name_after(old: Side<'_>, new: Side<'_>, ix: FieldIx) -> Option<String> {
    field_after(old.entity.field(ix), (old.entity, new.entity)).map(|field| field.name.clone())
}

fn fields(changes: &mut Changes, place: &str, old: Side<'_>, new: Side<'_>) {
    let (was, now) = names(old, new, |grant| &grant.fields);
    for name in was.difference(&now) {
        changes.breaking(place, format!("loses the field {name}"), "it is not shown or accepted any more");
    }
    for name in now.difference(&was) {
        changes.compatible(place, format!("gains the field {name}"), "it may do more");
    }
}

/// Refs that may name records which the role may not read.
fn links(changes: &mut Changes, place: &str, old: Side<'_>, new: Side<'_>) {
    let (was, now) = names(old, new, |grant| &grant.links);
    for name in was.difference(&now) {
        changes.breaking(place, format!("link off for {name}"), "a record that it may not read is reference_not_found");
    }
    for name in now.difference(&was) {
        changes.compatible(place, format!("link on for {name}"), "it may refer to records that it may not read");
    }
}

/// Fields of all alternatives that both models have, by their names now.
fn names(old: Side<'_>, new: Side<'_>, of: fn(&Grant) -> &FieldMask) -> (BTreeSet<String>, BTreeSet<String>) {
    let common: BTreeSet<String> = (0..old.entity.fields.len())
        .filter_map(|at| name_after(old, new, FieldIx(u16::try_from(at).unwrap_or(u16::MAX))))
        .collect();
    let was = old.grants.iter().flat_map(|grant| of(grant).iter()).filter_map(|ix| name_after(old, new, ix)).collect();
    let now = new.grants.iter().flat_map(|grant| of(grant).iter()).map(|ix| new.entity.field(ix).name.clone());
    (was, now.filter(|name| common.contains(name)).collect())
}

/// Whether every grant still exists, for the same rows or for all, with no fewer fields.
fn covered(old: Side<'_>, new: Side<'_>) -> bool {
    let now = describe::rows(new.model, new.entity, new.grants);
    old.grants.iter().zip(conditions_before(old, new)).all(|(before, rows)| {
        new.grants.iter().zip(&now).any(|(after, wider)| {
            let kept = |was: &FieldMask, now: &FieldMask| {
                let now = describe::mask(new.entity, now);
                was.iter().filter_map(|ix| name_after(old, new, ix)).all(|name| now.contains(&name.as_str()))
            };
            (*wider == rows || wider == describe::ALL_ROWS)
                && kept(&before.fields, &after.fields)
                && kept(&before.links, &after.links)
        })
    })
}

/// Adds who sees and who writes the fields that are new: `except` and `all` take them in by themselves.
pub(super) fn exposed(changes: &mut Changes, pairs: Pairs<'_>) {
    for role in pairs.new.roles.iter().filter(|role| pairs.old.role(&role.name).is_some()) {
        for (before, entity) in pairs.entities() {
            let Some(before) = before else { continue };
            for field in entity.fields.iter().filter(|field| field_before(before, field).is_none()) {
                let has = |actions: &[Action]| {
                    let grants = actions.iter().filter_map(|action| role.grants.get(&(entity.ix, *action)));
                    grants.flatten().any(|grant| grant.fields.contains(field.ix))
                };
                let sees = !field.write_only && has(&[Action::List, Action::Read]);
                let writes = !field.read_only && has(&[Action::Create, Action::Update]);
                let may = match (sees, writes) {
                    (true, true) => "sees and writes",
                    (true, false) => "sees",
                    (false, true) => "writes",
                    (false, false) => continue,
                };
                let what = format!("{may} the new field {}", field.name);
                changes.compatible(format!("role {}, {}", role.name, entity.name), what, "its permission takes it in");
            }
        }
    }
}
