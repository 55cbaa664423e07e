//! What a caller lacks who may not do something at all: so that a refusal does not blame a role for what a token does not carry.

use super::access::claim;
use crate::core::caller::Caller;
use crate::model::{Action, Entity, Model, Operand, Rule, SystemPermission};

/// What stands between a caller and an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// No role of the caller allows it.
    Role,
    /// A role does, and the scopes of the credential leave it out.
    Scope,
    /// A role does for rows that these claims tell, which the credential does not carry or not as a value of the field's kind.
    Claims(Vec<String>),
}

impl Lack {
    /// What a caller lacks who may do this to no record of the entity ([`super::Access::is_forbidden`]).
    pub fn of(model: &Model, caller: &Caller, entity: &Entity, action: Action) -> Self {
        let roles = caller.roles.iter().filter_map(|name| model.role(name));
        let grants: Vec<_> = roles.flat_map(|role| role.grants.get(&(entity.ix, action)).into_iter().flatten()).collect();
        if grants.is_empty() {
            return Self::Role;
        }
        if !caller.allows_scope(&entity.name, action.name()) {
            return Self::Scope;
        }
        let mut names = Vec::new();
        grants.iter().for_each(|grant| missing(model, caller, entity, &grant.rows, &mut names));
        if names.is_empty() { Self::Role } else { Self::Claims(names) }
    }

    /// What a caller lacks who has not this system permission.
    pub fn of_system(model: &Model, caller: &Caller, permission: SystemPermission) -> Self {
        let held = caller.roles.iter().filter_map(|role| model.role(role)).any(|role| role.system.contains(&permission));
        if held { Self::Scope } else { Self::Role }
    }
}

/// Adds the claims of a condition that the caller does not have, each once.
fn missing(model: &Model, caller: &Caller, entity: &Entity, rule: &Rule, names: &mut Vec<String>) {
    match rule {
        Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| missing(model, caller, entity, rule, names)),
        Rule::Not(rule) => missing(model, caller, entity, rule, names),
        Rule::Compare { path, operands, .. } => {
            for operand in operands {
                if let Operand::Claim(name) = operand
                    && !names.contains(name)
                    && claim(model, caller, entity, *path, name, &mut Vec::new()).is_none()
                {
                    names.push(name.clone());
                }
            }
        }
    }
}

/// The claims that the row conditions of a role need, beside `subject` and `consumer`, which everybody has.
pub fn claims_of_role(model: &Model, role: &str) -> Vec<String> {
    let nobody = Caller::default();
    let mut names = Vec::new();
    let grants = model.role(role).into_iter().flat_map(|role| &role.grants);
    for ((entity, _), grants) in grants {
        grants.iter().for_each(|grant| missing(model, &nobody, model.entity(*entity), &grant.rows, &mut names));
    }
    names.retain(|name| model.auth.claims.contains(name));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MODEL: &str = "
name: T
entities: {note: {fields: {owner: {type: integer, filter: scan}, team: {type: string, max: 9, filter: scan}}}}
roles:
  none: {entities: {note: {create: true}}}
  own: {entities: {note: {list: {rows: {and: [{owner: $claim.owner}, {not: {team: $claim.team}}]}}}}, system: usage}
  mine: {entities: {note: {list: {rows: {team: $subject}}}}}
auth: {claims: [owner, team]}
";

    fn lack(role: &str, scopes: Option<&str>, claims: &[(&str, Value)]) -> Lack {
        let model = crate::model::parse("m", MODEL).unwrap();
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let scopes = scopes.map(|scope| vec![scope.to_owned()]);
        let caller = Caller { roles: vec![role.to_owned()], claims, scopes, ..Caller::default() };
        Lack::of(&model, &caller, &model.entities[0], Action::List)
    }

    #[test]
    fn it_is_the_role_the_scope_or_the_claim() {
        let claims = |names: &[&str]| Lack::Claims(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(lack("none", None, &[]), Lack::Role);
        assert_eq!(lack("none", Some("note:read"), &[]), Lack::Role);
        assert_eq!(lack("own", Some("note:read"), &[]), Lack::Scope);
        assert_eq!(lack("mine", Some("note:read"), &[]), Lack::Scope);
        assert_eq!(lack("own", None, &[]), claims(&["owner", "team"]));
        assert_eq!(lack("own", Some("note:*"), &[("owner", json!(1))]), claims(&["team"]));
        assert_eq!(lack("own", None, &[("owner", json!("x")), ("team", json!("a"))]), claims(&["owner"]), "no integer");
    }

    #[test]
    fn what_a_role_needs_of_a_token_is_known_beforehand() {
        let model = crate::model::parse("m", MODEL).unwrap();
        assert_eq!(claims_of_role(&model, "own"), ["owner", "team"]);
        assert_eq!(claims_of_role(&model, "mine"), [""; 0], "everybody has a subject");
        assert_eq!(claims_of_role(&model, "nobody"), [""; 0]);
    }
}
