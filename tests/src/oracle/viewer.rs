//! What a caller sees: the naive way. Every role is looked at, every condition evaluated, every row judged by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::spec::{Fields, Grant, Id, Kind, Operand, Path, Rule, Spec};
use super::value;

/// A stored record.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: String,
    pub fields: Map<String, Value>,
}

/// All records: of each entity, by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct World(pub Vec<BTreeMap<String, Row>>);

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub name: String,
    pub roles: Vec<usize>,
    pub claims: BTreeMap<String, Value>,
    pub subject: String,
    pub consumer: String,
    pub scopes: Option<Vec<String>>,
}

/// Positions of fields.
pub type Mask = BTreeSet<usize>;

/// A caller before a world.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    pub spec: &'a Spec,
    pub world: &'a World,
    pub caller: &'a Caller,
}

impl World {
    /// The row that a ref holds the id of.
    pub fn at(&self, entity: usize, id: &Value) -> Option<&Row> {
        if id.is_null() { None } else { self.0[entity].get(&value::text(id)) }
    }
}

impl Row {
    /// The id as JSON.
    pub fn id_value(&self, spec: &Spec, entity: usize) -> Value {
        match spec.entities[entity].id {
            Id::Integer => self.id.parse::<i64>().map_or(Value::Null, Value::from),
            _ => json!(self.id),
        }
    }

    /// A field, null where there is none.
    pub fn field(&self, spec: &Spec, entity: usize, field: usize) -> Value {
        self.fields.get(&spec.entities[entity].fields[field].name).cloned().unwrap_or(Value::Null)
    }
}

impl<'a> Viewer<'a> {
    /// The grants of all roles that the caller holds, with those that they inherit.
    fn grants(&self, entity: usize, action: &str) -> Vec<&'a Grant> {
        let mut held: Vec<usize> = Vec::new();
        let mut open = self.caller.roles.clone();
        while let Some(role) = open.pop() {
            if !held.contains(&role) {
                held.push(role);
                open.extend(&self.spec.roles[role].inherits);
            }
        }
        let resolved = |role: &usize| self.spec.roles[*role].resolved.iter().filter(|(of, to, _)| *of == entity && *to == action);
        let resolved: Vec<&Grant> = held.iter().flat_map(resolved).map(|(_, _, grant)| grant).collect();
        held.into_iter().filter_map(|role| of_role(self.spec, role, entity, action)).chain(resolved).collect()
    }

    fn scoped(&self, entity: usize, action: &str) -> bool {
        let Some(scopes) = &self.caller.scopes else { return true };
        let name = &self.spec.entities[entity].name;
        let covers = [format!("{name}:{action}"), format!("{name}:*"), format!("*:{action}"), "*:*".to_owned(), "*".to_owned()];
        scopes.iter().any(|scope| covers.contains(scope))
    }

    /// The grants whose claims the caller has.
    fn alternatives(&self, entity: usize, action: &str) -> Vec<&'a Grant> {
        if !self.scoped(entity, action) {
            return Vec::new();
        }
        let can_be_filled = |grant: &&Grant| grant.rows.as_ref().is_none_or(|rule| self.can_be_filled(entity, rule));
        self.grants(entity, action).into_iter().filter(can_be_filled).collect()
    }

    /// Whether the action is forbidden for every record.
    pub fn forbidden(&self, entity: usize, action: &str) -> bool {
        self.alternatives(entity, action).is_empty()
    }

    /// The fields that the caller may see or write of some record.
    pub fn widest(&self, entity: usize, action: &str) -> Mask {
        self.alternatives(entity, action).iter().flat_map(|grant| self.mask_of(entity, action, grant)).collect()
    }

    /// The fields that the caller may see or write of this record; `None`: it is not the caller's at all.
    pub fn mask(&self, entity: usize, action: &str, row: &Row) -> Option<Mask> {
        let mut found: Option<Mask> = None;
        for grant in self.alternatives(entity, action) {
            if grant.rows.as_ref().is_none_or(|rule| self.holds(entity, rule, row)) {
                found.get_or_insert_default().extend(self.mask_of(entity, action, grant));
            }
        }
        found
    }

    /// The refs of this record that may name records which the caller may not read.
    pub fn links(&self, entity: usize, action: &str, row: &Row) -> Mask {
        let holds = |grant: &&Grant| grant.rows.as_ref().is_none_or(|rule| self.holds(entity, rule, row));
        self.alternatives(entity, action).into_iter().filter(holds).flat_map(|grant| grant.links.iter().copied()).collect()
    }

    fn mask_of(&self, entity: usize, action: &str, grant: &Grant) -> Mask {
        let fields = &self.spec.entities[entity].fields;
        let granted = |at: usize| match &grant.fields {
            Fields::All => true,
            Fields::Only(only) => only.contains(&at),
            Fields::Except(except) => !except.contains(&at),
        };
        let shown = |at: usize| !(matches!(action, "list" | "read") && fields[at].write_only);
        (0..fields.len()).filter(|at| granted(*at) && shown(*at)).collect()
    }

    fn can_be_filled(&self, entity: usize, rule: &Rule) -> bool {
        match rule {
            Rule::All(rules) | Rule::Any(rules) => rules.iter().all(|rule| self.can_be_filled(entity, rule)),
            Rule::Not(rule) => self.can_be_filled(entity, rule),
            Rule::Compare { path, with, .. } => with.iter().all(|operand| self.values(entity, *path, operand).is_some()),
        }
    }

    /// What an operand stands for: several values, if it is a claim that is a list. `None`: the claim is missing or cannot be
    /// compared with what stands at the path.
    fn values(&self, entity: usize, path: Path, operand: &Operand) -> Option<Vec<Value>> {
        let name = match operand {
            Operand::Constant(value) => return Some(vec![value.clone()]),
            Operand::Claim(name) => name,
        };
        let claim = match name.as_str() {
            "subject" => json!(self.caller.subject),
            "consumer" => json!(self.caller.consumer),
            claim => self.caller.claims.get(claim.strip_prefix("claim.")?)?.clone(),
        };
        let items = if let Value::Array(items) = claim { items } else { vec![claim] };
        let fits = |value: &Value| match self.spec.kind(entity, path) {
            Kind::Integer => value.is_i64(),
            Kind::Ref(reference) if self.spec.entities[reference.target].id == Id::Integer => value.is_i64(),
            _ => value.is_string(),
        };
        items.iter().all(fits).then_some(items)
    }

    fn holds(&self, entity: usize, rule: &Rule, row: &Row) -> bool {
        match rule {
            Rule::All(rules) => rules.iter().all(|rule| self.holds(entity, rule, row)),
            Rule::Any(rules) => rules.iter().any(|rule| self.holds(entity, rule, row)),
            Rule::Not(rule) => !self.holds(entity, rule, row),
            Rule::Compare { path, op, with } => {
                let claims = with.iter().any(|operand| matches!(operand, Operand::Claim(_)));
                let values: Vec<Value> =
                    with.iter().flat_map(|one| self.values(entity, *path, one).unwrap_or_default()).collect();
                // A claim that is a list stands for all of its elements.
                let op = match *op {
                    "eq" if claims => "in",
                    "ne" if claims => "nin",
                    op => op,
                };
                value::holds(&self.spec.kind(entity, *path), &self.stored(entity, *path, row), op, &values)
            }
        }
    }

    /// What is stored at a path, whoever asks.
    pub fn stored(&self, entity: usize, path: Path, row: &Row) -> Value {
        match path {
            Path::Id => row.id_value(self.spec, entity),
            Path::Own(field) => row.field(self.spec, entity, field),
            Path::Via(via, field) => {
                let target = self.spec.target(entity, via);
                let found = self.world.at(target, &row.field(self.spec, entity, via));
                found.map_or(Value::Null, |found| found.field(self.spec, target, field))
            }
        }
    }

    /// What a filter of the caller may find at a path of a row that it sees with this mask; `None`: the caller does not see it.
    pub fn seen(&self, entity: usize, path: Path, row: &Row, mask: &Mask) -> Option<Value> {
        match path {
            Path::Id => Some(row.id_value(self.spec, entity)),
            Path::Own(field) => mask.contains(&field).then(|| row.field(self.spec, entity, field)),
            Path::Via(via, field) => {
                let target = self.spec.target(entity, via);
                let reference = mask.contains(&via).then(|| row.field(self.spec, entity, via))?;
                match self.world.at(target, &reference) {
                    None => Some(Value::Null),
                    Some(found) => {
                        let there = self.mask(target, "list", found)?;
                        there.contains(&field).then(|| found.field(self.spec, target, field))
                    }
                }
            }
        }
    }

    /// The record as the caller sees it by this mask.
    pub fn shown(&self, entity: usize, row: &Row, mask: &Mask) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), row.id_value(self.spec, entity));
        for at in mask {
            shown.insert(self.spec.entities[entity].fields[*at].name.clone(), row.field(self.spec, entity, *at));
        }
        shown
    }
}

/// What a role itself says of an action: its own key first, then the group, then all.
fn of_role<'a>(spec: &'a Spec, role: usize, entity: usize, action: &str) -> Option<&'a Grant> {
    static EVERYTHING: Grant = Grant { allowed: true, rows: None, fields: Fields::All, links: Vec::new() };
    let role = &spec.roles[role];
    if role.all {
        return Some(&EVERYTHING);
    }
    let group = if matches!(action, "list" | "read") { "view" } else { "write" };
    let keys = role.entities.get(&entity)?;
    let said = [action, group, "all"].into_iter().find_map(|key| keys.iter().find(|(known, _)| *known == key));
    said.map(|(_, grant)| grant).filter(|grant| grant.allowed)
}
