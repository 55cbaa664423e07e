//! Row conditions of lists: an index must serve each, so that a list never examines an unbounded number of rows in vain.

use std::collections::BTreeSet;

use crate::model::schema::{Entity, Field, FieldType, Op, Path, Rule};

/// What the model lacks to serve the condition of a list; `None` if an index serves it.
///
/// A condition is served when every field that it reads is marked `filter: scan` (or is the id), or when some index has all of
/// its equality fields fixed by it, and the rest of the condition (without that equality and a range of its first sort field)
/// reads only such fields. Of alternatives (`or`) each must be served.
pub(in crate::model) fn missing_index(entities: &[Entity], entity: &Entity, rule: &Rule) -> Option<String> {
    if let Rule::Any(rules) = rule {
        return rules.iter().find_map(|rule| missing_index(entities, entity, rule));
    }
    let mut conjuncts = Vec::new();
    flatten(rule, &mut conjuncts);
    // An alternative inside of a conjunction only filters: it cannot choose an index.
    let fixed: BTreeSet<Path> = conjuncts
        .iter()
        .filter_map(|rule| match rule {
            Rule::Compare { path, op: Op::Eq | Op::In, .. } => Some(*path),
            _ => None,
        })
        .collect();
    let mut unserved: Vec<BTreeSet<Path>> = vec![paths(&conjuncts)];
    for index in entity.indexes.iter().filter(|index| !index.equality.is_empty()) {
        if index.equality.iter().all(|path| fixed.contains(path)) {
            let first = index.sort.first().map(|part| part.by);
            let rest: Vec<&Rule> = conjuncts
                .iter()
                .copied()
                .filter(|rule| match rule {
                    Rule::Compare { path, op: Op::Eq | Op::In, .. } => !index.equality.contains(path) && Some(*path) != first,
                    Rule::Compare { path, op: Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::Prefix, .. } => Some(*path) != first,
                    _ => true,
                })
                .collect();
            unserved.push(paths(&rest));
        }
    }
    let mut least: Option<Vec<String>> = None;
    for paths in unserved {
        let names: Vec<String> = paths.into_iter().filter_map(|path| not_scanned(entities, entity, path)).collect();
        if names.is_empty() {
            return None;
        }
        if least.as_ref().is_none_or(|least| names.len() < least.len()) {
            least = Some(names);
        }
    }
    let scan = least.unwrap_or_default().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let equality: Vec<String> = fixed.iter().filter_map(|path| name_of(entities, entity, *path)).collect();
    if equality.is_empty() {
        return Some(format!("mark {scan} with `filter: scan`"));
    }
    let name = equality.join("_").replace('.', "_").replace("_id", "");
    Some(format!(
        "add to `{}` the index `by_{name}: {{equality: [{}]}}`, or mark {scan} with `filter: scan`",
        entity.name,
        equality.join(", ")
    ))
}

fn flatten<'r>(rule: &'r Rule, out: &mut Vec<&'r Rule>) {
    match rule {
        Rule::All(rules) => rules.iter().for_each(|rule| flatten(rule, out)),
        _ => out.push(rule),
    }
}

fn paths(rules: &[&Rule]) -> BTreeSet<Path> {
    fn collect(rule: &Rule, out: &mut BTreeSet<Path>) {
        match rule {
            Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| collect(rule, out)),
            Rule::Not(rule) => collect(rule, out),
            Rule::Compare { path, .. } => _ = out.insert(*path),
        }
    }
    let mut out = BTreeSet::new();
    rules.iter().for_each(|rule| collect(rule, &mut out));
    out
}

fn field_at<'e>(entities: &'e [Entity], entity: &'e Entity, path: Path) -> Option<&'e Field> {
    match path {
        Path::Id => None,
        Path::Own(ix) => Some(entity.field(ix)),
        Path::Via(via, ix) => match entity.field(via).kind {
            FieldType::Ref { target, .. } => Some(entities[usize::from(target.0)].field(ix)),
            _ => None,
        },
    }
}

/// The name of a path that needs an index; `None` for the id and for fields that may be scanned.
fn not_scanned(entities: &[Entity], entity: &Entity, path: Path) -> Option<String> {
    field_at(entities, entity, path).filter(|field| !field.scan)?;
    name_of(entities, entity, path)
}

fn name_of(entities: &[Entity], entity: &Entity, path: Path) -> Option<String> {
    let field = field_at(entities, entity, path)?;
    Some(match path {
        Path::Via(via, _) => {
            let relation = entity.to_one.iter().find(|relation| relation.field == via)?;
            format!("{}.{}", relation.name, field.name)
        }
        _ => field.name.clone(),
    })
}
