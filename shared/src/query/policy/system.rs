//! System permissions: what a role opens beside records.

use crate::core::principal::Principal;
use crate::model::{Model, SystemPermission};

/// The name of a permission, as the model and scopes (`system:consumers`) write it.
pub fn system_name(permission: SystemPermission) -> &'static str {
    match permission {
        SystemPermission::Consumers => "consumers",
        SystemPermission::Usage => "usage",
        SystemPermission::Cache => "cache",
        SystemPermission::Audit => "audit",
    }
}

/// Whether a role of the caller has a permission and the token's scopes leave it (`system:<permission>`). Nobody in particular has
/// none, whatever the role: a publishable key is read by whoever opens the page that it stands in.
pub fn allows_system(model: &Model, principal: &Principal, permission: SystemPermission) -> bool {
    let held = principal.roles.iter().filter_map(|role| model.role(role)).any(|role| role.system.contains(&permission));
    held && !principal.anonymous && principal.allows_scope("system", system_name(permission))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::principal::Verified;

    #[test]
    fn a_permission_needs_a_role_a_scope_and_somebody() {
        let model = "name: T\nentities: {a: {fields: {x: string}}}\nroles: {boss: {system: [usage]}, other: {all: true}}\n";
        let model = crate::model::parse("m", model).unwrap();
        let may = |role: &str, scopes: Option<&str>, anonymous| {
            let (roles, scopes) = (vec![role.to_owned()], scopes.map(|scope| vec![scope.to_owned()]));
            let who = Principal::verified(Verified { roles, scopes, anonymous, key_id: Some("k".into()), ..Verified::default() });
            allows_system(&model, &who, SystemPermission::Usage)
        };
        assert!(may("boss", None, false) && may("boss", Some("system:usage"), false));
        assert!(!may("other", None, false) && !may("boss", Some("system:audit"), false));
        assert!(!may("boss", None, true) && !may("boss", Some("system:usage"), true), "a publishable key");
    }
}
