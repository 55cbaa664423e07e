//! Row conditions over records that are older than a field: they hold null there, until a step fills them.

use super::super::describe;
use super::changes::{Changes, Class};
use super::types;
use crate::model::evolution::{FillValue, Pairs, field_before, fill, lacks_value};
use crate::model::schema::{Entity, Field, FieldType, Model, Op, Operand, Path, Rule};

/// Adds, for every condition that reads a field which old records lack, whether they meet it.
pub(super) fn old_records(changes: &mut Changes, pairs: Pairs<'_>) {
    for role in &pairs.new.roles {
        for ((ix, action), grants) in &role.grants {
            let entity = pairs.new.entity(*ix);
            let place = format!("role {}, {} {}", role.name, action.name(), entity.name);
            grants.iter().for_each(|grant| rule(changes, &place, pairs, entity, &grant.rows));
        }
    }
}

fn rule(changes: &mut Changes, place: &str, pairs: Pairs<'_>, entity: &Entity, condition: &Rule) {
    match condition {
        Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|inner| rule(changes, place, pairs, entity, inner)),
        Rule::Not(inner) => rule(changes, place, pairs, entity, inner),
        Rule::Compare { path, op, operands } => {
            let Some((holder, field)) = read(pairs.new, entity, *path) else { return };
            if matches!(op, Op::Gt | Op::Gte | Op::Lt | Op::Lte) && is_reordered(pairs, holder, field) {
                let what = format!("`{}`: its words stand in another order", describe::rule(pairs.new, entity, condition));
                changes.breaking(place, what, "other rows are visible or writable");
            }
            if !is_older(pairs, holder, field) {
                return;
            }
            let met = if holds_of_null(*op, operands) { "meet" } else { "do not meet" };
            let what = format!("`{}`: records from before {met} it", describe::rule(pairs.new, entity, condition));
            let (class, why) = until(field);
            changes.add(class, place, what, &format!("they have no {}.{} {why}", holder.name, field.name));
        }
    }
}

/// The field that a condition reads, and the entity whose records hold it.
fn read<'m>(model: &'m Model, entity: &'m Entity, path: Path) -> Option<(&'m Entity, &'m Field)> {
    match path {
        Path::Id => None,
        Path::Own(field) => Some((entity, entity.field(field))),
        Path::Via(via, field) => match entity.field(via).kind {
            FieldType::Ref { target, .. } => Some((model.entity(target), model.entity(target).field(field))),
            _ => None,
        },
    }
}

/// Whether the words of an enum have another order among themselves.
fn is_reordered(pairs: Pairs<'_>, holder: &Entity, field: &Field) -> bool {
    let before = pairs.before(holder).and_then(|before| field_before(before, field));
    match (before.map(|before| &before.kind), &field.kind) {
        (Some(FieldType::Enum(was)), FieldType::Enum(now)) => types::is_reordered(was, now),
        _ => false,
    }
}

/// Whether there are records from before the field.
fn is_older(pairs: Pairs<'_>, holder: &Entity, field: &Field) -> bool {
    pairs.before(holder).is_some_and(|before| field_before(before, field).is_none())
}

/// Whether null meets a comparison: it equals nothing, so that it differs from everything.
fn holds_of_null(op: Op, operands: &[Operand]) -> bool {
    match op {
        Op::Ne | Op::Nin => true,
        Op::Null => operands == [Operand::Constant(true.into())],
        Op::Eq | Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::In | Op::Prefix | Op::Contains => false,
    }
}

/// How long they lack it.
fn until(field: &Field) -> (Class, &'static str) {
    match (lacks_value(None, field), fill(field)) {
        (true, FillValue::Missing) => (Class::Breaking, "until it gets a `fill`"),
        (true, _) => (Class::Migration, "until a step fills it"),
        (false, _) => (Class::Breaking, "until they are changed; add `fill: ...` if they shall have one"),
    }
}
