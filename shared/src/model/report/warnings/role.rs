//! Roles: permissions that permit nothing, or more than is meant.

use serde_json::Value;

use super::Warnings;
use super::condition::{Extent, extent};
use crate::model::schema::{Action, Entity, FieldType, Grant, Model, Op, Operand, Path, Role, Rule, SystemPermission};

impl Warnings {
    pub(super) fn roles(&mut self, model: &Model) {
        if model.roles.is_empty() {
            self.add("roles", "there are none, so nobody may do anything; begin with `roles: {admin: {all: true, system: all}}`");
            return;
        }
        let manages = |role: &Role| role.system.contains(&SystemPermission::Consumers);
        if model.auth.issuers.is_empty() && model.auth.anonymous_role.is_none() && !model.roles.iter().any(manages) {
            self.add(
                "roles",
                "there is no issuer, and no role has the system permission `consumers`: nobody can be given a role",
            );
        }
        for entity in &model.entities {
            let granted = |role: &Role| Action::ALL.iter().any(|action| role.grants.contains_key(&(entity.ix, *action)));
            if !model.roles.iter().any(granted) {
                self.add(format!("entities.{}", entity.name), "no role may do anything with it");
            }
        }
        for role in &model.roles {
            self.role(&format!("roles.{}", role.name), model, role);
        }
    }

    fn role(&mut self, place: &str, model: &Model, role: &Role) {
        if role.grants.is_empty() && role.system.is_empty() {
            self.add(place, "it permits nothing");
        }
        for entity in &model.entities {
            let place = format!("{place}.entities.{}", entity.name);
            // What a role inherits is warned of where it stands.
            if self.said(&place).is_some() {
                self.hidden_fields(&place, entity);
                self.rows(&place, model, entity, role);
                self.references(&place, model, entity, role);
                self.creations(&place, entity, role);
            }
        }
    }

    /// Fields that a permission to read names, and that are never shown.
    fn hidden_fields(&mut self, place: &str, entity: &Entity) {
        for action in ["view", "list", "read"] {
            let place = format!("{place}.{action}.fields");
            let Some(Value::Array(named)) = self.said(&place) else { continue };
            let named: Vec<String> = named.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
            for field in entity.fields.iter().filter(|field| field.write_only && named.contains(&field.name)) {
                self.add(place.clone(), format!("`{}` is write_only: it is never shown", field.name));
            }
        }
    }

    fn rows(&mut self, place: &str, model: &Model, entity: &Entity, role: &Role) {
        let mut told = Vec::new();
        for action in Action::ALL {
            for grant in role.grants.get(&(entity.ix, action)).into_iter().flatten() {
                let wrong = match extent(model, entity, &grant.rows) {
                    Extent::None => "its condition can never hold, so it permits nothing",
                    Extent::All if grant.rows != Rule::always() => "its condition always holds",
                    _ => continue,
                };
                if !told.contains(&&grant.rows) {
                    self.add(place, format!("{}: {wrong}", action.name()));
                    told.push(&grant.rows);
                }
            }
        }
        for action in ["view", "write", "all", "list", "read", "create", "update", "delete", "upload", "download"] {
            let place = format!("{place}.{action}.rows");
            if self.said(&place).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                self.add(place, "an empty condition covers all rows; leave it out if that is meant");
            }
        }
    }

    /// Required references to records that the role may not read: none of its creations is accepted.
    fn references(&mut self, place: &str, model: &Model, entity: &Entity, role: &Role) {
        let grants = role.grants.get(&(entity.ix, Action::Create)).map(Vec::as_slice).unwrap_or_default();
        for field in entity.fields.iter().filter(|field| field.required && field.default.is_none()) {
            let FieldType::Ref { target, .. } = field.kind else { continue };
            let links = |grant: &Grant| grant.links.contains(field.ix);
            if !grants.is_empty() && !role.grants.contains_key(&(target, Action::Read)) && !grants.iter().any(links) {
                let target = &model.entity(target).name;
                let message = format!(
                    "create: `{}` is required, and the role may not read `{target}`, so that every one is refused; add `{{{target}: {{link: true}}}}` to its fields",
                    field.name
                );
                self.add(place, message);
            }
        }
    }

    /// Creations whose condition fixes a value that the role cannot write, and that is not the default.
    fn creations(&mut self, place: &str, entity: &Entity, role: &Role) {
        let grants = role.grants.get(&(entity.ix, Action::Create)).map(Vec::as_slice).unwrap_or_default();
        let [grant] = grants else { return };
        for (ix, value) in fixed(&grant.rows) {
            let field = entity.field(ix);
            let begins = field.default.clone().unwrap_or(Value::Null);
            if (field.read_only || !grant.fields.contains(ix)) && begins != *value {
                let message = format!(
                    "create: its condition wants `{}` to be {value}, which it may not write; a new record has {begins}",
                    field.name
                );
                self.add(place, message);
            }
        }
    }
}

/// Fields that a condition fixes to one constant each.
fn fixed(rule: &Rule) -> Vec<(crate::model::schema::FieldIx, &Value)> {
    match rule {
        Rule::All(rules) => rules.iter().flat_map(fixed).collect(),
        Rule::Compare { path: Path::Own(ix), op: Op::Eq, operands } => match operands.as_slice() {
            [Operand::Constant(value)] => vec![(*ix, value)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
