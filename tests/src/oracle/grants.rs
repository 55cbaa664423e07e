//! Random roles: inheritance, groups of actions, masks, row conditions.

use std::collections::BTreeMap;

use serde_json::json;

use super::spec::{Entity, Fields, Grant, Id, Kind, Operand, Path, Role, Rule, Spec};
use super::value;
use crate::rng::Rng;

/// Gives a model its roles; the first may do everything.
pub fn roles(rng: &mut Rng, spec: &mut Spec) {
    spec.roles.push(Role { name: "admin".into(), inherits: vec![], all: true, entities: BTreeMap::new(), resolved: vec![] });
    for at in 1..=rng.within(3, 5) {
        let inherits = if at > 1 && rng.percent(35) { vec![rng.within(1, at - 1)] } else { vec![] };
        let mut entities = BTreeMap::new();
        for entity in 0..spec.entities.len() {
            if rng.percent(85) {
                entities.insert(entity, grants(rng, spec, entity));
            }
        }
        spec.roles.push(Role { name: format!("role{at}"), inherits, all: false, entities, resolved: vec![] });
    }
}

fn grants(rng: &mut Rng, spec: &Spec, entity: usize) -> Vec<(&'static str, Grant)> {
    let keys: &[&str] = match rng.below(6) {
        0 => &["all"],
        1 | 2 => &["view", "write"],
        3 => &["view", "create", "update"],
        4 => &["list", "read", "create", "update", "delete"],
        _ => &["all", "view", "update", "delete"],
    };
    let keys: Vec<&'static str> = rng.some(&keys.iter().map(|key| leaked(key)).collect::<Vec<_>>(), 85);
    keys.into_iter().map(|key| (key, grant(rng, spec, entity, key))).collect()
}

/// The same word, as the one that lives for ever.
fn leaked(word: &str) -> &'static str {
    ["all", "view", "write", "list", "read", "create", "update", "delete"].into_iter().find(|one| *one == word).unwrap_or("all")
}

fn grant(rng: &mut Rng, spec: &Spec, entity: usize, key: &str) -> Grant {
    let of = &spec.entities[entity];
    let all: Vec<usize> = (0..of.fields.len()).collect();
    let mut fields = match rng.below(10) {
        0..5 => Fields::All,
        5..8 => Fields::Except(rng.some(&all, 25)),
        _ => Fields::Only(rng.some(&all, 60)),
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
    let rows = match rng.below(10) {
        0..4 => None,
        _ if listed => served(rng, spec, entity),
        _ => rule(rng, spec, entity, 2),
    };
    let links = if matches!(key, "all" | "write" | "create" | "update") { links(rng, of, &fields) } else { Vec::new() };
    Grant { allowed: !rng.percent(5), rows, fields, links }
}

/// Some of the refs among the fields of a grant.
fn links(rng: &mut Rng, of: &Entity, fields: &Fields) -> Vec<usize> {
    let named = |at: &usize| match fields {
        Fields::All => true,
        Fields::Only(only) => only.contains(at),
        Fields::Except(except) => !except.contains(at),
    };
    let refs: Vec<usize> = of.references().map(|(at, _)| at).filter(named).collect();
    rng.some(&refs, 40)
}

/// A condition that some index serves, or that reads only what may be scanned.
fn served(rng: &mut Rng, spec: &Spec, entity: usize) -> Option<Rule> {
    if rng.percent(25) {
        let sides: Vec<Rule> = (0..2).filter_map(|_| served_side(rng, spec, entity)).collect();
        return (!sides.is_empty()).then_some(Rule::Any(sides));
    }
    served_side(rng, spec, entity)
}

fn served_side(rng: &mut Rng, spec: &Spec, entity: usize) -> Option<Rule> {
    let of = &spec.entities[entity];
    let fixed: Vec<&Vec<Path>> = of.indexes.iter().map(|index| &index.equality).filter(|paths| !paths.is_empty()).collect();
    let mut all = Vec::new();
    if let (Some(paths), true) = (rng.perhaps(&fixed), rng.percent(65)) {
        for path in paths.iter() {
            all.push(compare(rng, spec, entity, *path, Some(&["eq", "eq", "in"]))?);
        }
    }
    if all.is_empty() || rng.percent(30) {
        all.extend(scanned(rng, spec, entity, 1));
    }
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Rule::All(all)),
    }
}

/// A condition on fields that may be scanned.
fn scanned(rng: &mut Rng, spec: &Spec, entity: usize, depth: usize) -> Option<Rule> {
    let mut paths: Vec<Path> = paths(spec, entity).into_iter().filter(|path| spec.may_scan(entity, *path)).collect();
    paths.push(Path::Id);
    nested(rng, spec, entity, depth, &paths)
}

/// Any condition.
fn rule(rng: &mut Rng, spec: &Spec, entity: usize, depth: usize) -> Option<Rule> {
    nested(rng, spec, entity, depth, &paths(spec, entity))
}

fn nested(rng: &mut Rng, spec: &Spec, entity: usize, depth: usize, paths: &[Path]) -> Option<Rule> {
    let parts = |rng: &mut Rng| -> Vec<Rule> { (0..2).filter_map(|_| nested(rng, spec, entity, depth - 1, paths)).collect() };
    let rule = match rng.below(8) {
        0 if depth > 0 => Rule::All(parts(rng)),
        1 | 2 if depth > 0 => Rule::Any(parts(rng)),
        3 if depth > 0 => Rule::Not(Box::new(nested(rng, spec, entity, depth - 1, paths)?)),
        _ => {
            let path = *rng.perhaps(paths)?;
            compare(rng, spec, entity, path, None)?
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

fn compare(rng: &mut Rng, spec: &Spec, entity: usize, path: Path, ops: Option<&[&'static str]>) -> Option<Rule> {
    let kind = spec.kind(entity, path);
    let known = operators(&kind, path == Path::Id);
    let op = match ops {
        Some(ops) => *rng.pick(ops),
        None => *rng.perhaps(&known)?,
    };
    let one = |rng: &mut Rng| operand(rng, spec, entity, path, &kind, op);
    let with = match op {
        "null" => vec![Operand::Constant(json!(rng.percent(50)))],
        "in" | "nin" => (0..rng.within(1, 3)).map(|_| one(rng)).collect(),
        _ => vec![one(rng)],
    };
    Some(Rule::Compare { path, op, with })
}

fn operand(rng: &mut Rng, spec: &Spec, entity: usize, path: Path, kind: &Kind, op: &str) -> Operand {
    let of_ids = match (path, kind) {
        (Path::Id, _) => Some(entity),
        (_, Kind::Ref(reference)) => Some(reference.target),
        _ => None,
    };
    let single = !matches!(op, "eq" | "ne" | "in" | "nin");
    if let Some(target) = of_ids {
        // What ids there will be is not known yet.
        if rng.percent(80) && !single {
            return Operand::Claim(format!("claim.home_{}", spec.entities[target].name));
        }
        return Operand::Constant(match &spec.entities[target].id {
            Id::Integer => json!(rng.below(20)),
            Id::Uuid => value::of(rng, &Kind::Uuid),
            Id::Parts(parts) => json!(vec!["1"; parts.len()].join(",")),
            Id::Text => json!("a1"),
        });
    }
    match kind {
        Kind::String if rng.percent(45) && !matches!(op, "prefix" | "contains") => Operand::Claim(
            match rng.below(if single { 2 } else { 4 }) {
                0 | 2 => "claim.word",
                1 => "subject",
                _ => "claim.words",
            }
            .to_owned(),
        ),
        Kind::Integer if rng.percent(45) => {
            Operand::Claim(if single || rng.percent(60) { "claim.level" } else { "claim.levels" }.to_owned())
        }
        Kind::Words => Operand::Constant(json!(rng.pick(&value::ELEMENTS))),
        Kind::Numbers => Operand::Constant(json!(rng.below(3))),
        kind => Operand::Constant(value::of(rng, kind)),
    }
}
