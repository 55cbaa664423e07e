//! Conditions that hold for every row, or for none.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::schema::{Entity, FieldType, Model, Op, Operand, Path, Rule};

/// Rows that meet a condition, as far as it can be told without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    Some,
    None,
}

/// The extent of a condition.
pub(super) fn extent(model: &Model, entity: &Entity, rule: &Rule) -> Extent {
    match rule {
        Rule::All(rules) if contradict(rules) => Extent::None,
        Rule::All(rules) => joined(rules.iter().map(|rule| extent(model, entity, rule)), Extent::None, Extent::All),
        Rule::Any(rules) => joined(rules.iter().map(|rule| extent(model, entity, rule)), Extent::All, Extent::None),
        Rule::Not(inner) => match extent(model, entity, inner) {
            Extent::All => Extent::None,
            Extent::Some => Extent::Some,
            Extent::None => Extent::All,
        },
        Rule::Compare { path, op, operands } => compared(model, entity, *path, *op, operands),
    }
}

/// `decides` if any part has it, `otherwise` if all parts do.
fn joined(parts: impl Iterator<Item = Extent>, decides: Extent, otherwise: Extent) -> Extent {
    let parts: Vec<Extent> = parts.collect();
    if parts.contains(&decides) {
        decides
    } else if parts.iter().all(|part| *part == otherwise) {
        otherwise
    } else {
        Extent::Some
    }
}

fn compared(model: &Model, entity: &Entity, path: Path, op: Op, operands: &[Operand]) -> Extent {
    match (op, operands) {
        (Op::In, []) => Extent::None,
        (Op::Nin, []) => Extent::All,
        (Op::Null, [Operand::Constant(wanted)]) if !may_be_null(model, entity, path) => match wanted.as_bool() {
            Some(true) => Extent::None,
            _ => Extent::All,
        },
        (Op::In, _) if names_all_words(entity, path, operands) => Extent::All,
        _ => Extent::Some,
    }
}

/// Whether the value at a path may be null: over a relation it may be wherever there may be no related record.
fn may_be_null(model: &Model, entity: &Entity, path: Path) -> bool {
    match path {
        Path::Id => false,
        Path::Own(ix) => entity.field(ix).nullable,
        Path::Via(via, ix) => {
            let target = match entity.field(via).kind {
                FieldType::Ref { target, .. } => model.entity(target),
                _ => return true,
            };
            entity.field(via).nullable || target.field(ix).nullable
        }
    }
}

/// Whether every word of an enum that is never null is among the operands.
fn names_all_words(entity: &Entity, path: Path, operands: &[Operand]) -> bool {
    let Path::Own(ix) = path else { return false };
    let field = entity.field(ix);
    let FieldType::Enum(words) = &field.kind else { return false };
    let named = |word: &String| operands.contains(&Operand::Constant(Value::from(word.as_str())));
    !field.nullable && words.iter().all(named)
}

/// Whether members of a conjunction exclude each other: one value is to equal two constants, or to be null as well.
fn contradict(rules: &[Rule]) -> bool {
    let mut wanted: BTreeMap<Path, Vec<Vec<&Value>>> = BTreeMap::new();
    let mut null: Vec<Path> = Vec::new();
    for rule in rules {
        let Rule::Compare { path, op, operands } = rule else { continue };
        let constants: Vec<&Value> = operands.iter().filter_map(constant).collect();
        match op {
            Op::Null if constants == [&Value::Bool(true)] => null.push(*path),
            Op::Eq | Op::In if constants.len() == operands.len() => wanted.entry(*path).or_default().push(constants),
            _ => {}
        }
    }
    wanted.iter().any(|(path, sets)| null.contains(path) || have_nothing_in_common(sets))
}

fn have_nothing_in_common(sets: &[Vec<&Value>]) -> bool {
    let Some((first, rest)) = sets.split_first() else { return false };
    !first.iter().any(|value| rest.iter().all(|set| set.contains(value)))
}

fn constant(operand: &Operand) -> Option<&Value> {
    match operand {
        Operand::Constant(value) => Some(value),
        Operand::Claim(_) => None,
    }
}
