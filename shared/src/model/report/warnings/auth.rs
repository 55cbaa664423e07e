//! Authentication: claims that nobody uses, tokens that nobody has, and rights for everybody.

use super::Warnings;
use crate::model::schema::{Issuer, Model, SystemPermission};

impl Warnings {
    pub(super) fn auth(&mut self, model: &Model) {
        let auth = &model.auth;
        if !model.plans.is_empty() && auth.default_plan.is_none() {
            self.add("auth", "there are plans and no `default_plan`: a consumer without a plan is not limited");
        }
        for claim in auth.claims.iter().filter(|claim| !auth.used_claims.contains(claim)) {
            self.add("auth.claims", format!("no row condition uses `$claim.{claim}`"));
        }
        if let Some(role) = auth.anonymous_role.as_deref().and_then(|name| model.role(name))
            && !role.system.is_empty()
        {
            self.add("auth.anonymous_role", "callers without credentials may use system resources");
        }
        for issuer in &auth.issuers {
            self.issuer(&format!("auth.issuers.{}", issuer.alias), model, issuer);
        }
    }

    fn issuer(&mut self, place: &str, model: &Model, issuer: &Issuer) {
        if issuer.algorithms.is_empty() {
            self.add(format!("{place}.algorithms"), "there is none, so that every token is refused");
        }
        if issuer.scopes.required && issuer.scopes.map.values().all(Vec::is_empty) && !issuer.scopes.map.is_empty() {
            self.add(format!("{place}.scopes"), "no scope of the map opens anything");
        }
        let manages = |name: &&String| model.role(name).is_some_and(|role| role.system.contains(&SystemPermission::Consumers));
        if let Some(role) = issuer.default_roles.iter().find(manages) {
            self.add(
                format!("{place}.default_roles"),
                format!("every token that names no role may manage consumers, by `{role}`"),
            );
        }
        if issuer.leeway >= issuer.max_lifetime {
            self.add(format!("{place}.leeway"), "it is no shorter than `max_lifetime`: an expired token lives on as long again");
        }
    }
}
