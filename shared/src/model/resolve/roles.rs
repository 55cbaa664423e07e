//! Roles: grants on entities, rows and fields, with inheritance applied.

use std::collections::HashMap;

use super::names::{find, is_broken};
use super::rules::RuleScope;
use crate::model::report::missing_index;
use crate::model::schema::{Action, Entity, EntityIx, FieldIx, FieldMask, FieldType, Grant, Role, Rule, SystemPermission};
use crate::model::source::{At, Data, Node, Reader, Spot, keys};
use crate::model::suggest::nearest;

/// Short forms for several actions. The key of a single action takes precedence.
const GROUPS: [(&str, &[Action]); 3] = [
    ("view", &[Action::List, Action::Read, Action::Download]),
    ("write", &[Action::Create, Action::Update, Action::Delete, Action::Upload]),
    ("all", &Action::ALL),
];

type Grants = HashMap<(EntityIx, Action), Vec<Grant>>;

/// The key of fields that are left out.
const EXCEPT: &str = "except";

/// The fields that a permission names.
#[derive(Default)]
struct Listed {
    fields: FieldMask,
    /// Refs with `link: true`, and where that stands.
    links: Vec<At<FieldIx>>,
}

impl Reader<'_> {
    /// All roles.
    pub(super) fn roles(&mut self, node: &Node, scope: &mut RuleScope<'_>) -> Vec<Role> {
        let named = self.named(node, "`roles`");
        let names: Vec<&str> = named.iter().map(|(key, _)| key.value).collect();
        let mut parents = Vec::new();
        let mut roles = Vec::new();
        for (key, body) in &named {
            self.name(key.spot, "a role", key.value);
            let (role, inherits) = self.role(key, body, &names, scope);
            parents.push(inherits);
            roles.push(role);
        }
        let order = self.inheritance(&parents, &roles);
        for at in order {
            for parent in &parents[at] {
                let Some(position) = roles.iter().position(|role| role.name == parent.value) else { continue };
                if position != at {
                    let from = roles[position].clone();
                    merge(&mut roles[at], &from);
                }
            }
        }
        roles
    }

    fn role(&mut self, key: &At<&str>, body: &Node, names: &[&str], scope: &mut RuleScope<'_>) -> (Role, Vec<At<String>>) {
        let mut role = Role {
            name: key.value.to_owned(),
            description: None,
            grants: HashMap::new(),
            system: Vec::new(),
            inherits: Vec::new(),
        };
        let Some(keys) = self.keys(body, "a role", &keys::ROLE) else {
            return (role, Vec::new());
        };
        role.description = keys.get("description").and_then(|node| self.text(node, "`description`")).map(|text| text.value);
        let inherits = keys.get("inherits").map(|node| self.texts(node, "a role to inherit")).unwrap_or_default();
        for parent in &inherits {
            if !names.contains(&parent.value.as_str()) && !self.is_broken("roles", &parent.value) {
                self.mistake(
                    parent.spot,
                    format!("there is no role `{}`", parent.value),
                    nearest(&parent.value, names.iter().copied()),
                );
            }
        }
        role.inherits = inherits.iter().map(|parent| parent.value.clone()).collect();
        if self.flag(keys.get("all"), "`all`", false) {
            for entity in scope.entities {
                role.grants.extend(everything(entity));
            }
        }
        if let Some(node) = keys.get("entities") {
            self.grants(node, scope, &mut role.grants);
        }
        role.system = keys.get("system").map(|node| self.system(node)).unwrap_or_default();
        (role, inherits)
    }

    fn system(&mut self, node: &Node) -> Vec<SystemPermission> {
        if matches!(&node.data, Data::Scalar { text, .. } if text == "all") {
            return SystemPermission::ALL.to_vec();
        }
        let known = SystemPermission::ALL.map(|permission| (permission.name(), permission));
        let items = self.items(node);
        items.iter().filter_map(|item| self.word(item, "system permission (or `all`)", &known)).collect()
    }

    /// `"*"` is for the entities that have no key of their own.
    fn grants(&mut self, node: &Node, scope: &mut RuleScope<'_>, grants: &mut Grants) {
        let named = self.named(node, "`entities` of a role");
        let mut specific: Vec<EntityIx> = Vec::new();
        for (key, body) in &named {
            if let Some(entity) = scope.entities.iter().find(|entity| entity.name == key.value) {
                specific.push(entity.ix);
                grants.retain(|(ix, _), _| *ix != entity.ix);
                grants.extend(self.grants_of(body, entity, scope));
            } else if key.value != "*" && !self.is_broken("entities", key.value) {
                let known = scope.entities.iter().map(|entity| entity.name.as_str());
                self.mistake(key.spot, format!("there is no entity `{}`", key.value), nearest(key.value, known));
            }
        }
        for (_, body) in named.iter().filter(|(key, _)| key.value == "*") {
            for entity in scope.entities.iter().filter(|entity| !specific.contains(&entity.ix)) {
                grants.extend(self.grants_of(body, entity, scope));
            }
        }
    }

    fn grants_of(&mut self, body: &Node, entity: &Entity, scope: &mut RuleScope<'_>) -> Grants {
        let known: Vec<&str> = Action::ALL.map(Action::name).into_iter().chain(GROUPS.map(|(name, _)| name)).collect();
        if matches!(&body.data, Data::Scalar { text, .. } if text == "all") {
            return everything(entity);
        }
        let Some(keys) = self.keys(body, "what a role may do (or `all`)", &known) else { return Grants::new() };
        let mut grants = Grants::new();
        for (name, actions) in GROUPS.into_iter().rev() {
            if let Some(node) = keys.get(name) {
                self.granted(node, keys.spot(name), actions, entity, scope, &mut grants);
            }
        }
        for action in Action::ALL {
            if let Some(node) = keys.get(action.name()) {
                self.granted(node, keys.spot(action.name()), &[action], entity, scope, &mut grants);
            }
        }
        grants
    }

    /// `true`, `false`, or `{rows: ..., fields: ...}` for some actions.
    fn granted(
        &mut self,
        node: &Node,
        spot: Spot,
        actions: &[Action],
        entity: &Entity,
        scope: &mut RuleScope<'_>,
        grants: &mut Grants,
    ) {
        let allowed = |grant: Option<Grant>, grants: &mut Grants| {
            for action in actions {
                match &grant {
                    Some(grant) => grants.insert((entity.ix, *action), vec![grant.of(*action)]),
                    None => grants.remove(&(entity.ix, *action)),
                };
            }
        };
        if matches!(node.data, Data::Scalar { .. }) {
            if let Some(yes) = self.boolean(node, "a permission (or `{rows: ..., fields: ...}`)") {
                allowed(yes.then(|| full(entity)), grants);
            }
            return;
        }
        let Some(keys) = self.keys(node, "a permission", &keys::PERMISSION) else { return };
        let rows = keys.get("rows").map_or(Rule::always(), |node| self.rule(node, entity, scope));
        let everything = || Listed { fields: FieldMask::all(entity.fields.len()), links: Vec::new() };
        let Listed { fields, links } = keys.get("fields").map_or_else(everything, |node| self.mask(node, entity));
        if let Some(link) = links.first()
            && !actions.iter().any(|action| writes(*action))
        {
            let help = "it is for create and update: a reference that is written";
            self.mistake(link.spot, "`link` says nothing about an action that writes no reference", help);
        }
        let links = links.iter().map(|link| link.value).collect();
        if actions.contains(&Action::List)
            && let Some(help) = missing_index(scope.entities, entity, &rows)
        {
            self.mistake(keys.spot("rows"), "no index serves this row condition of a list", help);
        }
        if actions.contains(&Action::Create) {
            self.creatable(spot, entity, &fields);
        }
        allowed(Some(Grant { rows, fields, links }), grants);
    }

    /// `all`, `[a, b]`, `{except: [c]}`, or fields with what is said of each: `[a, {b: {link: true}}]`, `{a: true, b: {link: true}}`.
    fn mask(&mut self, node: &Node, entity: &Entity) -> Listed {
        let mut listed = Listed::default();
        match &node.data {
            Data::Scalar { text, .. } if text == "all" => listed.fields = FieldMask::all(entity.fields.len()),
            Data::Mapping(_) => {
                let named = self.named(node, "`fields`");
                if let Some((_, except)) = named.iter().find(|(key, _)| key.value == EXCEPT) {
                    let except = self.listed(except, entity);
                    listed.fields = entity.fields.iter().map(|field| field.ix).filter(|ix| !except.contains(*ix)).collect();
                }
                for (key, said) in named.into_iter().filter(|(key, _)| key.value != EXCEPT) {
                    self.field_with(&key, said, entity, &mut listed);
                }
            }
            _ => {
                for item in self.items(node) {
                    if matches!(item.data, Data::Mapping(_)) {
                        for (key, said) in self.named(item, "a field") {
                            self.field_with(&key, said, entity, &mut listed);
                        }
                    } else {
                        listed.fields.union(&self.listed(item, entity));
                    }
                }
            }
        }
        listed
    }

    /// A field with what is said of it: `true`, nothing, or `{link: true}`.
    fn field_with(&mut self, key: &At<&str>, said: &Node, entity: &Entity, listed: &mut Listed) {
        let Some(ix) = self.granted_field(key.spot, key.value, entity) else { return };
        listed.fields.insert(ix);
        if matches!(said.data, Data::Scalar { .. }) {
            if !said.is_null() && self.boolean(said, &format!("`{}` (or `{{link: true}}`)", key.value)) == Some(false) {
                self.mistake(
                    said.spot,
                    format!("`{}` is listed and refused", key.value),
                    "leave it out, or name it under `except`",
                );
            }
            return;
        }
        let Some(keys) = self.keys(said, "what a role may do with a field", &["link"]) else { return };
        if !self.flag(keys.get("link"), "`link`", false) {
            return;
        }
        if matches!(entity.field(ix).kind, FieldType::Ref { .. }) {
            listed.links.push(At { spot: keys.spot("link"), value: ix });
        } else {
            let message = format!("field `{}` of entity `{}` refers to nothing", entity.field(ix).name, entity.name);
            self.mistake(keys.spot("link"), message, "`link` is for a ref");
        }
    }

    fn listed(&mut self, node: &Node, entity: &Entity) -> FieldMask {
        let names = self.texts(node, "a field");
        names.iter().filter_map(|name| self.granted_field(name.spot, &name.value, entity)).collect()
    }

    /// The field of this name; `None` for `id`, which needs no permission, and for a name that is none.
    fn granted_field(&mut self, spot: Spot, name: &str, entity: &Entity) -> Option<FieldIx> {
        let found = find(entity, name);
        if found.is_none() && name != "id" && !is_broken(self, entity, name) {
            let help = nearest(name, entity.fields.iter().map(|field| field.name.as_str()).chain(["all"]));
            self.mistake(spot, format!("entity `{}` has no field `{name}`", entity.name), help);
        }
        found
    }

    fn creatable(&mut self, spot: Spot, entity: &Entity, fields: &FieldMask) {
        for field in entity.fields.iter().filter(|field| field.required && field.default.is_none() && !field.read_only) {
            if !fields.contains(field.ix) {
                let message = format!("the role may create `{}` but not write its required field `{}`", entity.name, field.name);
                self.mistake(spot, message, "add the field, or give it a default");
            }
        }
    }

    /// Positions of roles, parents first. Roles of a cycle are left out, with a mistake each.
    fn inheritance(&mut self, parents: &[Vec<At<String>>], roles: &[Role]) -> Vec<usize> {
        let position = |name: &str| roles.iter().position(|role| role.name == name);
        let mut order: Vec<usize> = Vec::new();
        loop {
            let ready = (0..roles.len()).find(|at| {
                let known = |parent: &At<String>| position(&parent.value).is_none_or(|parent| order.contains(&parent));
                !order.contains(at) && parents[*at].iter().all(known)
            });
            match ready {
                Some(at) => order.push(at),
                None => break,
            }
        }
        for at in (0..roles.len()).filter(|at| !order.contains(at)) {
            for parent in &parents[at] {
                if position(&parent.value).is_some_and(|parent| !order.contains(&parent)) {
                    let message = format!("role `{}` inherits from itself over `{}`", roles[at].name, parent.value);
                    self.mistake(parent.spot, message, "break the cycle");
                }
            }
        }
        order
    }
}

fn full(entity: &Entity) -> Grant {
    Grant { rows: Rule::always(), fields: FieldMask::all(entity.fields.len()), links: FieldMask::none() }
}

/// Whether an action writes references.
fn writes(action: Action) -> bool {
    matches!(action, Action::Create | Action::Update)
}

impl Grant {
    /// What a grant for several actions says of one of them.
    fn of(&self, action: Action) -> Self {
        let links = if writes(action) { self.links.clone() } else { FieldMask::none() };
        Self { links, ..self.clone() }
    }
}

fn everything(entity: &Entity) -> Grants {
    Action::ALL.into_iter().map(|action| ((entity.ix, action), vec![full(entity)])).collect()
}

/// Adds the grants of a parent as further alternatives.
fn merge(role: &mut Role, parent: &Role) {
    for (key, grants) in &parent.grants {
        let own = role.grants.entry(*key).or_default();
        for grant in grants {
            if !own.contains(grant) {
                own.push(grant.clone());
            }
        }
    }
    for permission in &parent.system {
        if !role.system.contains(permission) {
            role.system.push(*permission);
        }
    }
}
