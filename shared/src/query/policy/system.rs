//! System permissions: what a role opens beside records. A handler of a resource that needs one takes a [`SystemPermit`], and only
//! [`SystemPermit::check`] makes it, so a handler that forgets to ask does not compile.

use std::marker::PhantomData;

use crate::core::caller::Caller;
use crate::identity::auth::Principal;
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

/// A system permission as a type.
pub trait Permission {
    /// The permission.
    const PERMISSION: SystemPermission;
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident),+) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl Permission for $name {
                const PERMISSION: SystemPermission = SystemPermission::$name;
            }
        )+
    };
}

permissions!(
    /// Managing API consumers, their keys and shares.
    Consumers,
    /// Seeing the usage and notices of all consumers.
    Usage,
    /// Purging the cache.
    Cache,
    /// Reading the audit trail.
    Audit
);

/// Proof that a caller holds the system permission `P`.
#[derive(Debug, Clone, Copy)]
pub struct SystemPermit<P>(PhantomData<P>);

impl<P: Permission> SystemPermit<P> {
    /// The permit of a caller, if one of its roles has the permission and the scopes of its token do not exclude it
    /// (`system:<permission>`). An anonymous caller has none, whatever its role: a publishable key is read by whoever opens the page that it
    /// stands in.
    pub fn check(model: &Model, principal: &Principal) -> Option<Self> {
        allows_system(model, principal, P::PERMISSION).then_some(Self(PhantomData))
    }
}

/// Whether a caller holds a system permission: for documents, which only tell of it.
pub fn allows_system(model: &Model, caller: &Caller, permission: SystemPermission) -> bool {
    let held = caller.roles.iter().filter_map(|role| model.role(role)).any(|role| role.system.contains(&permission));
    held && !caller.anonymous && caller.allows_scope("system", system_name(permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_needs_a_role_a_scope_and_somebody() {
        let model = "name: T\nentities: {a: {fields: {x: string}}}\nroles: {boss: {system: [usage]}, other: {all: true}}\n";
        let model = crate::model::parse("m", model).unwrap();
        let may = |role: &str, scopes: Option<&str>, anonymous| {
            let (roles, scopes) = (vec![role.to_owned()], scopes.map(|scope| vec![scope.to_owned()]));
            let who = Caller { roles, scopes, anonymous, key_id: Some("k".into()), ..Caller::default() };
            allows_system(&model, &who, SystemPermission::Usage)
        };
        assert!(may("boss", None, false) && may("boss", Some("system:usage"), false));
        assert!(!may("other", None, false) && !may("boss", Some("system:audit"), false));
        assert!(!may("boss", None, true) && !may("boss", Some("system:usage"), true), "a publishable key");
    }
}
