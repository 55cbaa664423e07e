//! Differences between two models: changes that break clients, and changes that need a backfill.

use super::changes::{Change, Changes};
use super::subjects::subject_paths;
use super::{describe, diff_fields};
use crate::model::schema::{Action, Entity, FieldMask, Grant, Index, Model, Rate, RatePlan, Role};

/// All changes from `old` to `new`: breaking ones first, then those that need a backfill.
pub fn diff(old: &Model, new: &Model) -> Vec<Change> {
    let mut changes = Changes::default();
    entities(&mut changes, old, new);
    roles(&mut changes, old, new);
    plans(&mut changes, old, new);
    rest(&mut changes, old, new);
    changes.finish()
}

/// Changes for a caller whose role is replaced by another; both may be of the same model.
pub fn diff_roles(old: (&Model, &Role), new: (&Model, &Role)) -> Vec<Change> {
    let mut changes = Changes::default();
    let place = match old.1.name == new.1.name {
        true => format!("role {}", new.1.name),
        false => format!("role {} -> {}", old.1.name, new.1.name),
    };
    role(&mut changes, &place, old, new);
    changes.finish()
}

fn entities(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.entities {
        match new.by_name(&before.name) {
            Some(after) => entity(changes, (old, before), (new, after)),
            None => changes.breaking(
                format!("entity {}", before.name),
                "removed",
                "its paths are gone; its records stay in the table",
            ),
        }
    }
    for after in new.entities.iter().filter(|after| old.by_name(&after.name).is_none()) {
        changes.compatible(format!("entity {}", after.name), "added", "new paths");
    }
}

fn entity(changes: &mut Changes, old: (&Model, &Entity), new: (&Model, &Entity)) {
    let ((_, before), (_, after)) = (old, new);
    let place = format!("entity {}", after.name);
    if before.plural != after.plural {
        changes.breaking(&place, format!("plural {} -> {}", before.plural, after.plural), "its paths change");
    }
    if describe::id(before) != describe::id(after) {
        let what = format!("id {} -> {}", describe::id(before), describe::id(after));
        changes.breaking(&place, what, "records keep the ids that they have; export and import them");
    }
    if before.require_if_match != after.require_if_match {
        if after.require_if_match {
            changes.breaking(&place, "require_if_match on", "writes without If-Match are refused with 428");
        } else {
            changes.compatible(&place, "require_if_match off", "If-Match still works");
        }
    }
    if after.max_bytes < before.max_bytes {
        changes.breaking(&place, format!("max_bytes {} -> {}", before.max_bytes, after.max_bytes), "larger records are refused");
    } else if after.max_bytes > before.max_bytes {
        changes.compatible(&place, "max_bytes raised", "more is accepted");
    }
    if before.cache != after.cache {
        changes.compatible(
            &place,
            "cache mode changed",
            "what was cached is void at the first write; while both models write, neither keeps answers for long",
        );
    }
    if before.shards != after.shards {
        let what = format!("shards {} -> {}", before.shards, after.shards);
        changes.compatible(&place, what, "what was cached is void at the first write; gates follow by themselves");
    }
    if before.deprecated != after.deprecated {
        changes.compatible(&place, "deprecation changed", "headers and documents say so");
    }
    diff_fields::fields(changes, old, new);
    relations(changes, before, after);
    indexes(changes, old, new);
}

fn relations(changes: &mut Changes, before: &Entity, after: &Entity) {
    let names = |entity: &Entity| -> Vec<String> {
        entity
            .to_one
            .iter()
            .map(|relation| relation.name.clone())
            .chain(entity.to_many.iter().map(|relation| relation.name.clone()))
            .collect()
    };
    let (old, new) = (names(before), names(after));
    for name in old.iter().filter(|name| !new.contains(name)) {
        changes.breaking(format!("relation {}.{name}", after.name), "removed", "it can no longer be included");
    }
    for name in new.iter().filter(|name| !old.contains(name)) {
        changes.compatible(format!("relation {}.{name}", after.name), "added", "it can be included");
    }
}

fn indexes(changes: &mut Changes, (old_model, before): (&Model, &Entity), (new_model, after): (&Model, &Entity)) {
    let place = |index: &Index| format!("index {}.{}", after.name, index.name);
    for index in &before.indexes {
        if after.by_index(&index.name).is_none() {
            changes.breaking(place(index), "removed", "filters and sorts that it served are refused; its rows may be dropped");
        }
    }
    for index in &after.indexes {
        let now = describe::index(new_model, after, index);
        let Some(was) = before.by_index(&index.name) else {
            if index.is_stored() {
                changes.backfill(place(index), format!("added: {now}"), "existing records need rows: `reindex`");
            } else {
                changes.compatible(place(index), format!("added: {now}"), "it stores nothing");
            }
            continue;
        };
        let old = describe::index(old_model, before, was);
        if old != now {
            changes.breaking(
                place(index),
                format!("{old} -> {now}"),
                "filters and sorts that the old form served may be refused",
            );
            if index.is_stored() {
                changes.backfill(place(index), format!("{old} -> {now}"), "existing records need rows: `reindex`");
            }
        } else if describe::projection(before, was) != describe::projection(after, index) {
            changes.backfill(place(index), "its rows carry other fields", "rows have to be written anew: `reindex`");
        }
    }
}

fn roles(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.roles {
        let place = format!("role {}", before.name);
        let Some(after) = new.role(&before.name) else {
            changes.breaking(place, "removed", "its holders may do nothing");
            continue;
        };
        role(changes, &place, (old, before), (new, after));
    }
    for after in new.roles.iter().filter(|after| old.role(&after.name).is_none()) {
        changes.compatible(format!("role {}", after.name), "added", "nobody loses anything");
    }
}

/// Changes of what the holders of a role may do.
fn role(changes: &mut Changes, place: &str, (old, before): (&Model, &Role), (new, after): (&Model, &Role)) {
    for permission in before.system.iter().filter(|permission| !after.system.contains(permission)) {
        changes.breaking(place, format!("loses system {permission:?}").to_lowercase(), "its holders are refused there");
    }
    for permission in after.system.iter().filter(|permission| !before.system.contains(permission)) {
        changes.compatible(place, format!("gains system {permission:?}").to_lowercase(), "it may do more");
    }
    for entity in &old.entities {
        if let Some(now) = new.by_name(&entity.name) {
            for action in Action::ALL {
                grants(changes, place, (old, entity, before), (new, now, after), action);
            }
        }
    }
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
    let (was, now) = (describe::rows(old_model, old_entity, before), describe::rows(new_model, new_entity, after));
    if was != now {
        let what = format!("rows {} -> {}", was.join(" | "), now.join(" | "));
        match covered((old_entity, before, &was), (new_entity, after, &now)) {
            true => changes.compatible(&place, what, "it may do more"),
            false => changes.breaking(&place, what, "other rows are visible or writable"),
        }
    }
    links(changes, &place, (old_entity, before), (new_entity, after));
    let (was, now) = (union(before, |grant| &grant.fields), union(after, |grant| &grant.fields));
    let (was, now) = (describe::mask(old_entity, &was), describe::mask(new_entity, &now));
    for name in was.iter().filter(|name| !now.contains(name) && new_entity.by_field(name).is_some()) {
        changes.breaking(&place, format!("loses the field {name}"), "it is not shown or accepted any more");
    }
    for name in now.iter().filter(|name| !was.contains(name) && old_entity.by_field(name).is_some()) {
        changes.compatible(&place, format!("gains the field {name}"), "it may do more");
    }
}

fn union(grants: &[Grant], of: fn(&Grant) -> &FieldMask) -> FieldMask {
    grants.iter().fold(FieldMask::none(), |mut mask, grant| {
        mask.union(of(grant));
        mask
    })
}

/// Refs that may name records which the role may not read.
fn links(
    changes: &mut Changes,
    place: &str,
    (old_entity, before): (&Entity, &[Grant]),
    (new_entity, after): (&Entity, &[Grant]),
) {
    let (was, now) = (union(before, |grant| &grant.links), union(after, |grant| &grant.links));
    let (was, now) = (describe::mask(old_entity, &was), describe::mask(new_entity, &now));
    for name in was.iter().filter(|name| !now.contains(name) && new_entity.by_field(name).is_some()) {
        changes.breaking(place, format!("link off for {name}"), "a record that it may not read is reference_not_found");
    }
    for name in now.iter().filter(|name| !was.contains(name) && old_entity.by_field(name).is_some()) {
        changes.compatible(place, format!("link on for {name}"), "it may refer to records that it may not read");
    }
}

/// Whether every grant still exists, for the same rows or for all, with no fewer fields.
fn covered(
    (old_entity, before, was): (&Entity, &[Grant], &[String]),
    (new_entity, after, now): (&Entity, &[Grant], &[String]),
) -> bool {
    before.iter().zip(was).all(|(old, rows)| {
        let fields = describe::mask(old_entity, &old.fields);
        after.iter().zip(now).any(|(new, wider)| {
            let kept = describe::mask(new_entity, &new.fields);
            let links = describe::mask(new_entity, &new.links);
            let linked = describe::mask(old_entity, &old.links).iter().all(|name| links.contains(name));
            (wider == rows || wider == describe::ALL_ROWS) && fields.iter().all(|name| kept.contains(name)) && linked
        })
    })
}

fn plans(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.plans {
        let place = format!("plan {}", before.name);
        match new.plan(&before.name) {
            None => changes.breaking(place, "removed", "its consumers fall back to the default plan"),
            Some(after) => plan(changes, &place, before, after),
        }
    }
    for after in new.plans.iter().filter(|after| old.plan(&after.name).is_none()) {
        changes.compatible(format!("plan {}", after.name), "added", "nobody has it yet");
    }
}

fn plan(changes: &mut Changes, place: &str, before: &RatePlan, after: &RatePlan) {
    for rate in &after.rates {
        let was = before.rates.iter().find(|was| was.name == rate.name);
        let slower = |was: &Rate| {
            u128::from(rate.rate) * was.per.as_nanos() < u128::from(was.rate) * rate.per.as_nanos() || rate.burst < was.burst
        };
        match was {
            None => changes.breaking(place, format!("rate {} added", rate.name), "a further limit"),
            Some(was) if was == rate => {}
            Some(was) if slower(was) => {
                let shown = |rate: &Rate| format!("{} per {}, burst {}", rate.rate, describe::duration(rate.per), rate.burst);
                changes.breaking(place, format!("rate {}: {} -> {}", rate.name, shown(was), shown(rate)), "less is admitted");
            }
            Some(_) => changes.compatible(place, format!("rate {} changed", rate.name), "no less is admitted"),
        }
    }
    for quota in &after.quotas {
        match before.quotas.iter().find(|was| was.name == quota.name) {
            None => changes.breaking(place, format!("quota {} added", quota.name), "a further limit"),
            Some(was) if quota.limit < was.limit => {
                changes.breaking(place, format!("quota {} {} -> {}", quota.name, was.limit, quota.limit), "less is admitted");
            }
            Some(was) if quota.limit > was.limit => {
                changes.compatible(place, format!("quota {} {} -> {}", quota.name, was.limit, quota.limit), "more is admitted");
            }
            Some(_) => {}
        }
    }
    let gone = before.rates.iter().map(|rate| &rate.name).filter(|name| after.rates.iter().all(|rate| rate.name != **name));
    let gone = gone.chain(
        before.quotas.iter().map(|quota| &quota.name).filter(|name| after.quotas.iter().all(|quota| quota.name != **name)),
    );
    for name in gone {
        changes.compatible(place, format!("limit {name} removed"), "more is admitted");
    }
    if before.costs != after.costs {
        changes.breaking(place, "costs changed", "the same requests use up other shares of the limits");
    }
}

fn issuers(changes: &mut Changes, old: &Model, new: &Model) {
    let of_alias = |model: &'_ Model, alias: &str| model.auth.issuers.iter().any(|issuer| issuer.alias == alias);
    for before in &old.auth.issuers {
        let place = format!("issuer {}", before.alias);
        let same = new.auth.issuers.iter().find(|after| after.alias == before.alias);
        let renamed = new.auth.issuers.iter().find(|after| after.issuer == before.issuer && !of_alias(old, &after.alias));
        match (same, renamed) {
            (Some(after), _) if after == before => {}
            (Some(after), _) => {
                changes.breaking(&place, "changed", "tokens may be refused or mean another consumer");
                if after.subject_claim != before.subject_claim || after.issuer != before.issuer {
                    subjects(changes, new, &place, "names other subjects", "values that name those of before have to follow");
                }
            }
            (None, Some(after)) => {
                let what = format!("alias {} -> {}", before.alias, after.alias);
                changes.breaking(&place, &what, "consumers and subjects of its tokens have other names, which clients see");
                let how = format!("`migrate --subject-issuer {} --from {}`", after.alias, before.alias);
                subjects(changes, new, &place, &what, &format!("values that name subjects have to follow: {how}"));
            }
            (None, None) => changes.breaking(place, "removed", "its tokens are refused"),
        }
    }
    for after in new.auth.issuers.iter().filter(|after| !of_alias(old, &after.alias)) {
        if old.auth.issuers.iter().all(|before| before.issuer != after.issuer || of_alias(new, &before.alias)) {
            changes.compatible(format!("issuer {}", after.alias), "added", "its tokens are accepted");
        }
    }
}

/// The same subjects have other names: what is stored has to follow, if rules compare it with them.
fn subjects(changes: &mut Changes, new: &Model, place: &str, what: &str, reason: &str) {
    if !subject_paths(new).is_empty() {
        changes.backfill(place, what, reason);
    }
}

fn rest(changes: &mut Changes, old: &Model, new: &Model) {
    issuers(changes, old, new);
    if old.auth.anonymous_role != new.auth.anonymous_role {
        changes.breaking("auth", "anonymous_role changed", "callers without credentials may do other things");
    }
    if old.auth.default_plan != new.auth.default_plan {
        changes.breaking("auth", "default_plan changed", "consumers without a plan have other limits");
    }
    for origin in old.cors.origins.iter().filter(|origin| !new.cors.origins.contains(origin)) {
        changes.breaking("cors", format!("origin {origin} removed"), "browsers refuse its pages the answers");
    }
    for origin in new.cors.origins.iter().filter(|origin| !old.cors.origins.contains(origin)) {
        changes.compatible("cors", format!("origin {origin} added"), "more pages may call");
    }
    if new.limits.examine < old.limits.examine {
        changes.breaking("limits", "examine lowered", "pages with residual filters get shorter, some counts are refused");
    }
    if new.limits.per_address < old.limits.per_address {
        changes.breaking("limits", "per_address lowered", "anonymous callers are admitted less");
    }
}
