//! Random roles: inheritance, groups of actions, masks, row conditions.

use std::collections::BTreeMap;

use serde_json::json;

use super::chance::Chance;
use super::spec::{Entity, Fields, Grant, Id, Kind, Operand, Path, Role, Rule, Spec};
use super::value;

/// Gives a model its roles; the first may do everything.
pub fn roles(chance: &mut Chance, spec: &mut Spec) {
    spec.roles.push(Role { name: "admin".into(), inherits: vec![], all: true, entities: BTreeMap::new(), resolved: vec![] });
    for at in 1..=chance.within(3, 5) {
        let inherits = if at > 1 && chance.percent(35) { vec![chance.within(1, at - 1)] } else { vec![] };
        let mut entities = BTreeMap::new();
        for entity in 0..spec.entities.len() {
            if chance.percent(85) {
                entities.insert(entity, grants(chance, spec, entity));
            }
        }
        spec.roles.push(Role { name: format!("role{at}"), inherits, all: false, entities, resolved: vec![] });
    }
}

fn grants(chance: &mut Chance, spec: &Spec, entity: usize) -> Vec<(&'static str, Grant)> {
    let keys: &[&str] = match chance.below(6) {
        0 => &["all"],
        1 | 2 => &["view", "write"],
        3 => &["view", "create", "update"],
        4 => &["list", "read", "create", "update", "delete"],
        _ => &["all", "view", "update", "delete"],
    };
    let keys: Vec<&'static str> = chance.some(&keys.iter().map(|key| leaked(key)).collect::<Vec<_>>(), 85);
    keys.into_iter().map(|key| (key, grant(chance, spec, entity, key))).collect()
}

/// The same word, as the one that lives for ever.
fn leaked(word: &str) -> &'static str {
    ["all", "view", "write", "list", "read", "create", "update", "delete"].into_iter().find(|one| *one == word).unwrap_or("all")
}

fn grant(chance: &mut Chance, spec: &Spec, entity: usize, key: &str) -> Grant {
    let of = &spec.entities[entity];
    let all: Vec<usize> = (0..of.fields.len()).collect();
    let mut fields = match chance.below(10) {
        0..5 => Fields::All,
        5..8 => Fields::Except(chance.some(&all, 25)),
        _ => Fields::Only(chance.some(&all, 60)),
    };
    if matches!(key, "all" | "write" | "create") {
        // Whoever may create must be able to give what a new record needs.
        let needed: Vec<usize> = all.iter().copied().filter(|at| of.fields[*at].required).collect();
        match &mut fields {
            Fields::All => {}
            Fields::Except(except) => except.retain(|at| !needed.contains(at)),
            Fields::Only(only) => {
                only.extend(needed.iter().filter(|at| !only.contains(at)).copied().collect::<Vec<_>>());
                only.sort_unstable();
            }
        }
    }
    let listed = matches!(key, "all" | "view" | "list");
    let rows = match chance.below(10) {
        0..4 => None,
        _ if listed => served(chance, spec, entity),
        _ => rule(chance, spec, entity, 2),
    };
    Grant { allowed: !chance.percent(5), rows, fields }
}

/// A condition that some index serves, or that reads only what may be scanned.
fn served(chance: &mut Chance, spec: &Spec, entity: usize) -> Option<Rule> {
    if chance.percent(25) {
        let sides: Vec<Rule> = (0..2).filter_map(|_| served_side(chance, spec, entity)).collect();
        return (!sides.is_empty()).then_some(Rule::Any(sides));
    }
    served_side(chance, spec, entity)
}

fn served_side(chance: &mut Chance, spec: &Spec, entity: usize) -> Option<Rule> {
    let of = &spec.entities[entity];
    let fixed: Vec<&Vec<Path>> = of.indexes.iter().map(|index| &index.equality).filter(|paths| !paths.is_empty()).collect();
    let mut all = Vec::new();
    if let (Some(paths), true) = (chance.perhaps(&fixed), chance.percent(65)) {
        for path in paths.iter() {
            all.push(compare(chance, spec, entity, *path, Some(&["eq", "eq", "in"]))?);
        }
    }
    if all.is_empty() || chance.percent(30) {
        all.extend(scanned(chance, spec, entity, 1));
    }
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Rule::All(all)),
    }
}

/// A condition on fields that may be scanned.
fn scanned(chance: &mut Chance, spec: &Spec, entity: usize, depth: usize) -> Option<Rule> {
    let mut paths: Vec<Path> = paths(spec, entity).into_iter().filter(|path| spec.may_scan(entity, *path)).collect();
    paths.push(Path::Id);
    nested(chance, spec, entity, depth, &paths)
}

/// Any condition.
fn rule(chance: &mut Chance, spec: &Spec, entity: usize, depth: usize) -> Option<Rule> {
    nested(chance, spec, entity, depth, &paths(spec, entity))
}

fn nested(chance: &mut Chance, spec: &Spec, entity: usize, depth: usize, paths: &[Path]) -> Option<Rule> {
    let parts =
        |chance: &mut Chance| -> Vec<Rule> { (0..2).filter_map(|_| nested(chance, spec, entity, depth - 1, paths)).collect() };
    let rule = match chance.below(8) {
        0 if depth > 0 => Rule::All(parts(chance)),
        1 | 2 if depth > 0 => Rule::Any(parts(chance)),
        3 if depth > 0 => Rule::Not(Box::new(nested(chance, spec, entity, depth - 1, paths)?)),
        _ => {
            let path = *chance.perhaps(paths)?;
            compare(chance, spec, entity, path, None)?
        }
    };
    match rule {
        Rule::All(rules) | Rule::Any(rules) if rules.is_empty() => None,
        rule => Some(rule),
    }
}

/// Everything that a condition of an entity can read.
pub fn paths(spec: &Spec, entity: usize) -> Vec<Path> {
    let of: &Entity = &spec.entities[entity];
    let mut found = vec![Path::Id];
    found.extend((0..of.fields.len()).map(Path::Own));
    for (via, reference) in of.references() {
        found.extend((0..spec.entities[reference.target].fields.len()).map(|field| Path::Via(via, field)));
    }
    found
}

/// Operators that mean something for a type; `filter`: also those that only filters have.
pub fn operators(kind: &Kind, id: bool) -> Vec<&'static str> {
    let mut found = match kind {
        Kind::Json => vec![],
        Kind::Words | Kind::Numbers => vec!["contains"],
        Kind::Text => vec!["eq", "ne", "in", "nin"],
        _ => vec!["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte"],
    };
    if matches!(kind, Kind::String | Kind::Text | Kind::Enum(_)) && !id {
        found.extend(["prefix", "contains"]);
    }
    if !id {
        found.push("null");
    }
    found
}

fn compare(chance: &mut Chance, spec: &Spec, entity: usize, path: Path, ops: Option<&[&'static str]>) -> Option<Rule> {
    let kind = spec.kind(entity, path);
    let known = operators(&kind, path == Path::Id);
    let op = match ops {
        Some(ops) => *chance.pick(ops),
        None => *chance.perhaps(&known)?,
    };
    let one = |chance: &mut Chance| operand(chance, spec, entity, path, &kind, op);
    let with = match op {
        "null" => vec![Operand::Constant(json!(chance.percent(50)))],
        "in" | "nin" => (0..chance.within(1, 3)).map(|_| one(chance)).collect(),
        _ => vec![one(chance)],
    };
    Some(Rule::Compare { path, op, with })
}

fn operand(chance: &mut Chance, spec: &Spec, entity: usize, path: Path, kind: &Kind, op: &str) -> Operand {
    let of_ids = match (path, kind) {
        (Path::Id, _) => Some(entity),
        (_, Kind::Ref(reference)) => Some(reference.target),
        _ => None,
    };
    let single = !matches!(op, "eq" | "ne" | "in" | "nin");
    if let Some(target) = of_ids {
        // What ids there will be is not known yet.
        if chance.percent(80) && !single {
            return Operand::Claim(format!("claim.home_{}", spec.entities[target].name));
        }
        return Operand::Constant(match &spec.entities[target].id {
            Id::Integer => json!(chance.below(20)),
            Id::Uuid => value::of(chance, &Kind::Uuid),
            Id::Parts(parts) => json!(vec!["1"; parts.len()].join(",")),
            Id::Text => json!("a1"),
        });
    }
    match kind {
        Kind::String if chance.percent(45) && !matches!(op, "prefix" | "contains") => Operand::Claim(
            match chance.below(if single { 2 } else { 4 }) {
                0 | 2 => "claim.word",
                1 => "subject",
                _ => "claim.words",
            }
            .to_owned(),
        ),
        Kind::Integer if chance.percent(45) => {
            Operand::Claim(if single || chance.percent(60) { "claim.level" } else { "claim.levels" }.to_owned())
        }
        Kind::Words => Operand::Constant(json!(chance.pick(&value::ELEMENTS))),
        Kind::Numbers => Operand::Constant(json!(chance.below(3))),
        kind => Operand::Constant(value::of(chance, kind)),
    }
}
