//! The steps from one model to another, in the order in which they are done.

use serde_json::Value;

use super::convert::{Conversion, conversion, shown};
use super::form::{index_form, reference_form, same_but_rule, unique_form};
use super::narrow::narrower;
use super::pairs::{Pairs, field_after, field_before};
use super::step::{FillValue, MigrationStep, Step, When};
use crate::model::report::{describe_id, subject_paths};
use crate::model::schema::{Entity, Field, FieldType, IdKind, Index, Issuer, Model};

/// What has to be done over data of `old`, on which all of its own steps are done, so that `new` holds: first what comes before the
/// deployment, then what comes after it, each in its order.
pub fn steps(old: &Model, new: &Model) -> Vec<Step> {
    let pairs = Pairs { old, new };
    let mut steps = Vec::new();
    consumers(pairs, &mut steps);
    for (before, after) in pairs.entities() {
        if let Some(before) = before {
            entity((old, before), (new, after), &mut steps);
        }
    }
    for gone in old.entities.iter().filter(|gone| pairs.after(gone).is_none()) {
        steps.extend(references(gone).map(|field| drop_reference(gone, field)));
        steps.push(later(MigrationStep::DropEntity { entity: gone.name.clone() }));
    }
    subjects(pairs, &mut steps);
    in_order(&mut steps);
    steps
}

/// Puts steps into the order in which they are done.
pub fn in_order(steps: &mut [Step]) {
    steps.sort_by_key(|step| (step.when, rank(&step.work)));
}

/// Records move before their values do, values before the rows that are made of them, and what is no longer needed goes last.
fn rank(work: &MigrationStep) -> u8 {
    match work {
        MigrationStep::ReassignConsumers { .. } => 0,
        MigrationStep::CheckValues { .. } => 1,
        MigrationStep::RenameEntity { .. } => 2,
        MigrationStep::ConvertId { .. } => 3,
        MigrationStep::RenameField { .. } => 4,
        MigrationStep::Convert { .. } => 5,
        MigrationStep::Fill { .. } => 6,
        MigrationStep::BuildReference { .. } => 7,
        MigrationStep::BuildUnique { .. } => 8,
        MigrationStep::BuildIndex { .. } | MigrationStep::RemoveSurplus { .. } => 9,
        MigrationStep::DropReference { .. } | MigrationStep::DropUnique { .. } | MigrationStep::DropIndex { .. } => 11,
        MigrationStep::RenameSubjects { .. } => 10,
        MigrationStep::DropField { .. } | MigrationStep::DropEntity { .. } => 12,
    }
}

type Side<'m> = (&'m Model, &'m Entity);

fn entity(old: Side<'_>, new: Side<'_>, steps: &mut Vec<Step>) {
    let ((_, before), (_, after)) = (old, new);
    let name = || after.name.clone();
    if before.name != after.name {
        steps.push(later(MigrationStep::RenameEntity { entity: name(), from: before.name.clone() }));
    }
    if !keeps_ids(old, new) {
        let (from, to) = (describe_id(before), describe_id(after));
        steps.push(later(MigrationStep::ConvertId { entity: name(), from, to }));
    }
    for field in &after.fields {
        values(old, (new, field), steps);
        rows(old, (new, field), steps);
    }
    for gone in before.fields.iter().filter(|gone| field_after(gone, (before, after)).is_none()) {
        steps.push(later(MigrationStep::DropField { entity: name(), field: gone.name.clone() }));
        if is_ref(gone) {
            steps.push(drop_reference(after, gone));
        }
        if gone.unique {
            steps.push(later(MigrationStep::DropUnique { entity: name(), field: gone.name.clone() }));
        }
    }
    indexes(old, new, steps);
}

/// Whether every id of before is one of now, at the same key.
fn keeps_ids((_, before): Side<'_>, (_, after): Side<'_>) -> bool {
    match (&before.id, &after.id) {
        (IdKind::Composite(was), IdKind::Composite(now)) => {
            let same = |was: &Field, now: &Field| field_before(before, now).is_some_and(|field| field.ix == was.ix);
            was.len() == now.len() && was.iter().zip(now).all(|(was, now)| same(before.field(*was), after.field(*now)))
        }
        // A UUID is an id that a client may choose as well.
        (was, now) => was == now || (*was == IdKind::Uuid && *now == IdKind::String),
    }
}

/// What the stored values of a field need.
fn values(old: Side<'_>, (new, field): (Side<'_>, &Field), steps: &mut Vec<Step>) {
    let (entity, name) = (new.1.name.clone(), field.name.clone());
    let before = field_before(old.1, field);
    if let Some(before) = before {
        if before.name != field.name {
            steps.push(later(MigrationStep::RenameField {
                entity: entity.clone(),
                field: name.clone(),
                from: before.name.clone(),
            }));
        }
        let change = conversion((old.0, &before.kind), (new.0, &field.kind));
        if change != Conversion::Kept {
            let (from, to) = shown((old.0, &before.kind), (new.0, &field.kind));
            steps.push(later(MigrationStep::Convert { entity: entity.clone(), field: name.clone(), from, to }));
        }
        if may_forbid(old.0, before, new.0, field, change) {
            steps.push(earlier(MigrationStep::CheckValues { entity: entity.clone(), field: name.clone() }));
        }
    }
    if lacks_value(before, field) {
        steps.push(earlier(MigrationStep::Fill { entity, field: name, value: fill(field) }));
    }
}

/// Whether the new model may forbid a stored value. Limits of files concern uploads only.
pub(in crate::model) fn may_forbid(old: &Model, before: &Field, new: &Model, field: &Field, change: Conversion) -> bool {
    match (&before.kind, &field.kind) {
        (FieldType::File(_), FieldType::File(_)) => false,
        // A record that is referred to may be of another entity now.
        (FieldType::Ref { .. }, FieldType::Ref { .. }) => !is_same_target((old, before), (new, field)),
        (_, FieldType::Ref { .. }) => true,
        (was, now) => match change {
            Conversion::Kept => narrower(was, now),
            Conversion::Total | Conversion::Partial | Conversion::Impossible => true,
        },
    }
}

/// Whether two refs point to the same entity, which may have got another name, with ids of the same kind.
pub(in crate::model) fn is_same_target((old, before): (&Model, &Field), (new, after): (&Model, &Field)) -> bool {
    let (FieldType::Ref { target: was, .. }, FieldType::Ref { target: now, .. }) = (&before.kind, &after.kind) else {
        return false;
    };
    let (was, now) = (old.entity(*was), new.entity(*now));
    let is_same = Pairs { old, new }.before(now).is_some_and(|found| found.ix == was.ix);
    is_same && keeps_ids((old, was), (new, now))
}

/// Whether old records have no value where the new model promises one, or where it asks for one by `fill`.
pub(in crate::model) fn lacks_value(before: Option<&Field>, field: &Field) -> bool {
    match before {
        None => !field.nullable || field.fill.is_some(),
        Some(before) => before.nullable && !field.nullable,
    }
}

/// The value that old records get in a field.
pub fn fill(field: &Field) -> FillValue {
    let given = |value: &Option<Value>| value.clone();
    match (given(&field.fill), given(&field.default)) {
        (Some(value), _) => FillValue::Given(value),
        // One value for all would be refused by the second record.
        (None, Some(value)) if !field.unique => FillValue::Default(value),
        (None, None) if field.kind == FieldType::Timestamp && field.read_only => FillValue::Moment,
        _ => FillValue::Missing,
    }
}

/// What the rows of a ref and of unique values need.
fn rows(old: Side<'_>, (new, field): (Side<'_>, &Field), steps: &mut Vec<Step>) {
    let Some(before) = field_before(old.1, field) else { return unique_of_new(new.1, field, steps) };
    let (entity, name) = (new.1.name.clone(), field.name.clone());
    let (was, now) = (reference_form(old.0, old.1, before), reference_form(new.0, new.1, field));
    match (&was, &now) {
        (None, None) => {}
        (Some(_), None) => steps.push(drop_reference(new.1, before)),
        // Where only the rule is another, the rows are there: a deletion goes by what the model says.
        (Some(was), Some(now)) if same_but_rule(was, now) => {}
        (_, Some(_)) => {
            let (entity, field) = (entity.clone(), name.clone());
            steps.push(later(MigrationStep::BuildReference { entity, field }));
        }
    }
    let form = |(model, entity): Side<'_>, field: &Field| field.unique.then(|| unique_form(model, entity, field));
    match (form(old, before), form(new, field)) {
        (Some(_), None) => steps.push(later(MigrationStep::DropUnique { entity, field: before.name.clone() })),
        (was, Some(now)) if was.as_ref().is_none_or(|was| *was != now) || old.1.name != new.1.name => {
            steps.push(later(MigrationStep::BuildUnique { entity, field: name }));
        }
        _ => {}
    }
}

/// A field that old records do not have needs unique rows only if they get values.
fn unique_of_new(entity: &Entity, field: &Field, steps: &mut Vec<Step>) {
    if field.unique && lacks_value(None, field) {
        steps.push(later(MigrationStep::BuildUnique { entity: entity.name.clone(), field: field.name.clone() }));
    }
}

fn indexes(old: Side<'_>, new: Side<'_>, steps: &mut Vec<Step>) {
    let ((_, before), (_, after)) = (old, new);
    let stored = |entity: &Entity, name: &str| entity.by_index(name).is_some_and(Index::is_stored);
    for index in after.indexes.iter().filter(|index| index.is_stored()) {
        let was = before.by_index(&index.name).filter(|was| was.is_stored()).map(|was| index_form(old.0, before, was));
        let kept = was.is_some_and(|was| was.keeps(&index_form(new.0, after, index))) && before.name == after.name;
        if !kept {
            steps.push(later(MigrationStep::BuildIndex { entity: after.name.clone(), index: index.name.clone() }));
        }
    }
    for gone in before.indexes.iter().filter(|gone| gone.is_stored() && !stored(after, &gone.name)) {
        steps.push(later(MigrationStep::DropIndex { entity: after.name.clone(), index: gone.name.clone() }));
    }
}

/// Consumers that hold what goes have to get something else first: they could not be read by the new model.
fn consumers(Pairs { old, new }: Pairs<'_>, steps: &mut Vec<Step>) {
    let roles = old.roles.iter().map(|role| &role.name).filter(|name| new.role(name).is_none()).map(|name| ("role", name));
    let plans = old.plans.iter().map(|plan| &plan.name).filter(|name| new.plan(name).is_none()).map(|name| ("plan", name));
    for (kind, name) in roles.chain(plans) {
        steps.push(earlier(MigrationStep::ReassignConsumers { kind, name: name.clone() }));
    }
}

/// Subjects that are stored under another name from now on.
fn subjects(Pairs { old, new }: Pairs<'_>, steps: &mut Vec<Step>) {
    if subject_paths(new).is_empty() {
        return;
    }
    for before in &old.auth.issuers {
        let to = match issuer_after(before, (old, new)) {
            Some(after) if after.alias != before.alias => Some(after.alias.clone()),
            Some(after) if after.subject_claim != before.subject_claim || after.issuer != before.issuer => None,
            _ => continue,
        };
        steps.push(later(MigrationStep::RenameSubjects { from: before.alias.clone(), to }));
    }
}

/// The issuer of the same alias, or else the one of the same `iss` under an alias that is new.
pub(in crate::model) fn issuer_after<'m>(before: &Issuer, (old, new): (&Model, &'m Model)) -> Option<&'m Issuer> {
    let is_new = |after: &&Issuer| old.auth.issuers.iter().all(|known| known.alias != after.alias);
    let mut issuers = new.auth.issuers.iter();
    issuers
        .clone()
        .find(|after| after.alias == before.alias)
        .or_else(|| issuers.find(|after| after.issuer == before.issuer && is_new(after)))
}

fn is_ref(field: &Field) -> bool {
    matches!(field.kind, FieldType::Ref { .. })
}

fn references(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.fields.iter().filter(|field| is_ref(field))
}

fn drop_reference(entity: &Entity, field: &Field) -> Step {
    later(MigrationStep::DropReference { entity: entity.name.clone(), field: field.name.clone() })
}

fn earlier(work: MigrationStep) -> Step {
    Step { when: When::Before, work }
}

fn later(work: MigrationStep) -> Step {
    Step { when: When::After, work }
}
