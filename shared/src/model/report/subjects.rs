//! Where records hold subjects: whatever a rule of some role compares with `$subject`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::schema::{Entity, EntityIx, FieldType, IdKind, Model, Op, Operand, Path, Rule};

/// Name of the claim that every caller has: `$subject` in rules.
pub(in crate::model) const SUBJECT: &str = "subject";

/// A stored value that rules compare with `$subject`.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectPath {
    /// Entity whose records hold it.
    pub entity: EntityIx,
    /// [`Path::Id`] or [`Path::Own`].
    pub path: Path,
    /// Values that the model itself names there, in rules or as the default: words such as `nobody`, no subjects.
    pub constants: Vec<Value>,
    /// Other variables that rules compare it with, with their `$`.
    pub also: BTreeSet<String>,
    /// Why such a value cannot be written anew where it stands.
    pub fixed: Option<&'static str>,
}

impl SubjectPath {
    /// Name of the field, or `id`.
    pub fn name<'e>(&self, entity: &'e Entity) -> &'e str {
        if let Path::Own(field) = self.path { &entity.field(field).name } else { "id" }
    }
}

/// Every place in records that some role's rows compare with `$subject`, in the model's order.
pub fn subject_paths(model: &Model) -> Vec<SubjectPath> {
    let mut found = BTreeMap::new();
    for ((entity, _), grants) in model.roles.iter().flat_map(|role| &role.grants) {
        grants.iter().for_each(|grant| collect(model, model.entity(*entity), &grant.rows, &mut found));
    }
    let found = found.into_iter().filter(|(_, compared): &(_, Compared)| compared.variables.contains(SUBJECT));
    found.map(|((entity, path), compared)| compared.finish(model.entity(entity), path)).collect()
}

/// Whether a value of this type can be a subject, `<alias>:<sub>`; `None` is the type of the entity's ids.
pub(in crate::model) fn can_hold_subject(kind: Option<&FieldType>, entity: &Entity, entities: &[Entity]) -> bool {
    let is_text = |id: &IdKind| matches!(id, IdKind::String | IdKind::Composite(_));
    match kind {
        None => is_text(&entity.id),
        Some(FieldType::Ref { target, .. }) => is_text(&entities[usize::from(target.0)].id),
        Some(FieldType::List { item, .. }) => can_hold_subject(Some(item), entity, entities),
        Some(kind) => matches!(kind, FieldType::String(_) | FieldType::Text(_)),
    }
}

/// What rules compare one place with.
#[derive(Default)]
struct Compared {
    variables: BTreeSet<String>,
    constants: Vec<Value>,
    /// Whether a text is searched for the subject.
    within: bool,
}

type Found = BTreeMap<(EntityIx, Path), Compared>;

fn collect(model: &Model, entity: &Entity, rule: &Rule, found: &mut Found) {
    match rule {
        Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| collect(model, entity, rule, found)),
        Rule::Not(rule) => collect(model, entity, rule, found),
        Rule::Compare { path, op, operands } => {
            let (entity, path) = holder(model, entity, *path);
            let is_list = matches!(kind(entity, path), Some(FieldType::List { .. }));
            let compared = found.entry((entity.ix, path)).or_default();
            for operand in operands {
                match operand {
                    Operand::Constant(value) => compared.constants.push(value.clone()),
                    Operand::Claim(name) => {
                        compared.within |= name == SUBJECT && *op == Op::Contains && !is_list;
                        compared.variables.insert(name.clone());
                    }
                }
            }
        }
    }
}

/// The entity whose records hold the value at a path, and the path there.
fn holder<'m>(model: &'m Model, entity: &'m Entity, path: Path) -> (&'m Entity, Path) {
    match path {
        Path::Via(via, field) => match entity.field(via).kind {
            FieldType::Ref { target, .. } => (model.entity(target), Path::Own(field)),
            _ => (entity, path),
        },
        _ => (entity, path),
    }
}

fn kind(entity: &Entity, path: Path) -> Option<&FieldType> {
    match path {
        Path::Own(field) => Some(&entity.field(field).kind),
        Path::Id | Path::Via(..) => None,
    }
}

impl Compared {
    fn finish(mut self, entity: &Entity, path: Path) -> SubjectPath {
        if let Path::Own(field) = path {
            self.constants.extend(entity.field(field).default.clone());
        }
        let fixed = match kind(entity, path) {
            None => Some("a record keeps its id"),
            Some(FieldType::Ref { .. }) => Some("it is the id of a record, which keeps it"),
            Some(_) if entity.id_parts().iter().any(|part| path == Path::Own(*part)) => {
                Some("it is a part of the id, which a record keeps")
            }
            Some(_) if self.within => Some("a rule looks for `$subject` within the text"),
            Some(_) => None,
        };
        let also = self.variables.iter().filter(|name| *name != SUBJECT).map(|name| variable(name)).collect();
        SubjectPath { entity: entity.ix, path, constants: self.constants, also, fixed }
    }
}

/// A claim as rules write it.
fn variable(name: &str) -> String {
    if name == "consumer" { "$consumer".to_owned() } else { format!("$claim.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse;

    #[test]
    fn every_rule_of_every_role_tells_where_subjects_are() {
        let model = "
name: T
entities:
  a:
    id: string
    fields:
      owner: {type: string, default: nobody}
      team: {list: string}
      about: text
      other: string
      parent: {ref: a}
  b:
    id: [by, on]
    fields: {by: {type: string, required: true, immutable: true}, on: {ref: a, required: true, immutable: true}}
roles:
  one:
    entities:
      a: {read: {rows: {or: [{owner: [$subject, shared]}, {not: {team: {contains: $subject}}}, {other: $consumer}]}}}
      b: {read: {rows: {on.about: {contains: $subject}}}}
  two: {entities: {a: {update: {rows: {owner: $claim.x, id: $subject}}, delete: {rows: {parent_id: $subject}}}}}
  three: {inherits: [two], entities: {b: {read: {rows: {by: $subject, on.owner: shared_too}}}}}
auth: {claims: [x]}
";
        let model = parse("m", model).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let mut found: Vec<String> = Vec::new();
        for mut path in subject_paths(&model) {
            let entity = model.entity(path.entity);
            path.constants.sort_by_key(Value::to_string);
            path.constants.dedup();
            let name = path.name(entity);
            found.push(format!("{}.{name} {:?} {:?} {:?}", entity.name, path.constants, path.also, path.fixed));
        }
        assert_eq!(
            found,
            [
                r#"a.id [] {} Some("a record keeps its id")"#,
                r#"a.owner [String("nobody"), String("shared"), String("shared_too")] {"$claim.x"} None"#,
                r#"a.team [] {} None"#,
                r#"a.about [] {} Some("a rule looks for `$subject` within the text")"#,
                r#"a.parent_id [] {} Some("it is the id of a record, which keeps it")"#,
                r#"b.by [] {} Some("it is a part of the id, which a record keeps")"#,
            ]
        );
    }
}
