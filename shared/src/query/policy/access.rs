//! What a caller may do to an entity's records.

use serde::Serialize;
use serde_json::Value;

use crate::core::caller::Caller;
use crate::model::{Action, Entity, FieldMask, FieldType, Grant, Model, Op, Operand, Path, Rule, normalise};
use crate::query::condition::{Comparison, Condition, Values};

/// One way to be allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// Condition on rows.
    pub rows: Condition,
    /// Fields: readable ones, or writable ones for create and update.
    pub fields: FieldMask,
    /// The refs among them that may name records which the caller may not read.
    pub links: FieldMask,
}

/// The alternatives of a caller for one entity and action. None at all: the action is forbidden.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    alternatives: Vec<Alternative>,
}

impl Access {
    /// What `caller` may do to records of `entity` by `action`.
    ///
    /// A rule that needs a claim which the caller does not have, or which is not of the field's type, grants nothing: a missing
    /// claim must not turn a negated condition into a permission.
    pub fn of(model: &Model, caller: &Caller, entity: &Entity, action: Action) -> Self {
        let mut access = Self::default();
        if !caller.allows_scope(&entity.name, action.name()) {
            return access;
        }
        for role in caller.roles.iter().filter_map(|name| model.role(name)) {
            for grant in role.grants.get(&(entity.ix, action)).into_iter().flatten() {
                access.add(model, caller, entity, action, grant);
            }
        }
        access
    }

    fn add(&mut self, model: &Model, caller: &Caller, entity: &Entity, action: Action, grant: &Grant) {
        let Some(rows) = fill(model, caller, entity, &grant.rows) else { return };
        let hidden = matches!(action, Action::List | Action::Read | Action::Download);
        let fields = grant.fields.iter().filter(|field| !(hidden && entity.field(*field).write_only)).collect();
        match self.alternatives.iter_mut().find(|alternative| alternative.rows == rows) {
            Some(same) => {
                same.fields.union(&fields);
                same.links.union(&grant.links);
            }
            None => self.alternatives.push(Alternative { rows, fields, links: grant.links.clone() }),
        }
    }

    /// The alternatives.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// Whether the action is forbidden for every record.
    pub fn is_forbidden(&self) -> bool {
        self.alternatives.is_empty()
    }

    /// The fields that may be seen or written of a record: `None` where no alternative holds.
    pub fn mask(&self, model: &Model, entity: &Entity, values: &dyn Values) -> Option<FieldMask> {
        let mut found: Option<FieldMask> = None;
        for alternative in &self.alternatives {
            if found.as_ref().is_some_and(|mask| mask.contains_all(&alternative.fields)) {
                continue;
            }
            if alternative.rows.holds(model, entity, values) {
                found.get_or_insert_default().union(&alternative.fields);
            }
        }
        found
    }

    /// The refs of a record that may name records which the caller may not read.
    pub fn links(&self, model: &Model, entity: &Entity, values: &dyn Values) -> FieldMask {
        let mut links = FieldMask::none();
        for alternative in self.alternatives.iter().filter(|alternative| !alternative.links.is_empty()) {
            if alternative.rows.holds(model, entity, values) {
                links.union(&alternative.links);
            }
        }
        links
    }

    /// The refs that may do so in some record.
    pub fn widest_links(&self) -> FieldMask {
        let mut links = FieldMask::none();
        self.alternatives.iter().for_each(|alternative| links.union(&alternative.links));
        links
    }

    /// The fields of at least one alternative: what a query may mention at all.
    pub fn widest(&self) -> FieldMask {
        let mut mask = FieldMask::none();
        self.alternatives.iter().for_each(|alternative| mask.union(&alternative.fields));
        mask
    }

    /// Whether every record is visible with all of `fields`: no condition has to be looked at.
    pub fn is_open(&self, fields: &FieldMask) -> bool {
        self.alternatives.iter().any(|alternative| alternative.rows.is_always() && alternative.fields.contains_all(fields))
    }

    /// Calls `visit` with every path that a condition reads.
    pub fn paths(&self, visit: &mut dyn FnMut(Path)) {
        self.alternatives.iter().for_each(|alternative| alternative.rows.paths(visit));
    }

    /// A text that is equal for equal access, and only then: what cache keys are made of.
    pub fn fingerprint(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a>(&'a Condition, Vec<u16>, Vec<u16>);
        let mut lines: Vec<String> = self
            .alternatives
            .iter()
            .map(|alternative| {
                let Alternative { rows, fields, links } = alternative;
                let names = |mask: &FieldMask| mask.iter().map(|field| field.0).collect();
                let line = serde_json::to_string(&Line(rows, names(fields), names(links)));
                // Nothing in it can fail to be written; if it did, an alternative must not be missing.
                line.unwrap_or_else(|_| format!("{alternative:?}"))
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }
}

/// The rule with the caller's claims in it; `None` where a claim is missing or of the wrong type.
fn fill(model: &Model, caller: &Caller, entity: &Entity, rule: &Rule) -> Option<Condition> {
    let all = |rules: &[Rule]| rules.iter().map(|rule| fill(model, caller, entity, rule)).collect::<Option<Vec<_>>>();
    Some(match rule {
        Rule::All(rules) => Condition::All(all(rules)?),
        Rule::Any(rules) => Condition::Any(all(rules)?),
        Rule::Not(rule) => Condition::Not(Box::new(fill(model, caller, entity, rule)?)),
        Rule::Compare { path, op, operands } => {
            let mut values = Vec::new();
            for operand in operands {
                match operand {
                    Operand::Constant(value) => values.push(value.clone()),
                    Operand::Claim(name) => claim(model, caller, entity, *path, name, &mut values)?,
                }
            }
            compare(*path, *op, values)
        }
    })
}

/// A comparison with any number of values: a list claim stands for all of its elements.
fn compare(path: Path, op: Op, operands: Vec<Value>) -> Condition {
    let op = match (op, operands.len()) {
        (Op::Eq, 0 | 2..) => Op::In,
        (Op::Ne, 0 | 2..) => Op::Nin,
        (Op::In | Op::Nin, _) | (_, 1) => op,
        (op, _) => return Condition::Any(operands.into_iter().map(|operand| compare(path, op, vec![operand])).collect()),
    };
    Condition::Compare(Comparison { path, op, operands })
}

pub(super) fn claim(
    model: &Model,
    caller: &Caller,
    entity: &Entity,
    path: Path,
    name: &str,
    values: &mut Vec<Value>,
) -> Option<()> {
    let value = match name {
        "subject" => Value::String(caller.subject.clone()),
        "consumer" => Value::String(caller.consumer.clone()),
        _ => caller.claims.get(name)?.clone(),
    };
    let items = if let Value::Array(items) = value { items } else { vec![value] };
    for item in items {
        values.push(coerce(model, entity, path, &item)?);
    }
    Some(())
}

/// A claim as a value of the path's type. Claims often carry numbers as texts, and ids as either.
fn coerce(model: &Model, entity: &Entity, path: Path, value: &Value) -> Option<Value> {
    let as_id = |kind| crate::model::normalise_id(kind, value).ok();
    match path {
        Path::Id => as_id(&entity.id),
        Path::Own(field) => coerce_field(model, &entity.field(field).kind, value),
        Path::Via(via, field) => match &entity.field(via).kind {
            FieldType::Ref { target, .. } => coerce_field(model, &model.entity(*target).field(field).kind, value),
            _ => None,
        },
    }
}

fn coerce_field(model: &Model, kind: &FieldType, value: &Value) -> Option<Value> {
    // A claim is held against the elements of a list (`contains`), never against the list itself.
    if let FieldType::List { item, .. } = kind {
        return coerce_field(model, item, value);
    }
    let id_of = |target| &model.entity(target).id;
    let first = normalise(kind, &id_of, value);
    if let Ok(value) = first {
        return (!value.is_null()).then_some(value);
    }
    let other = match value {
        Value::String(text) => serde_json::from_str(text).ok()?,
        Value::Number(number) => Value::String(number.to_string()),
        _ => return None,
    };
    normalise(kind, &id_of, &other).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_element_of_a_list_claim_is_looked_for() {
        let model = "
name: T
entities: {a: {id: string, fields: {team: {list: integer}}}}
roles:
  in: {entities: {a: {read: {rows: {team: {contains: $claim.teams}}}}}}
  out: {entities: {a: {read: {rows: {not: {team: {contains: $claim.teams}}}}}}}
auth: {claims: [teams]}
";
        let model = crate::model::parse("m", model).unwrap();
        let team = |teams: &Value, role: &str| {
            let claims = [("teams".to_owned(), teams.clone())].into();
            let caller = Caller { roles: vec![role.to_owned()], claims, ..Caller::default() };
            let access = Access::of(&model, &caller, &model.entities[0], Action::Read);
            struct Team(Value);
            impl Values for Team {
                fn value(&self, _: Path) -> Value {
                    self.0.clone()
                }
            }
            access.mask(&model, &model.entities[0], &Team(json!([1, 2]))).is_some()
        };
        for (teams, is_in) in [(json!("1"), true), (json!([3, 2]), true), (json!([3]), false), (json!([]), false)] {
            assert_eq!((team(&teams, "in"), team(&teams, "out")), (is_in, !is_in), "{teams}");
        }
        assert!(!team(&json!("x"), "in") && !team(&json!("x"), "out"), "what cannot be an element grants nothing");
    }
}
