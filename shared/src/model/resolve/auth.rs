//! Authentication, and the settings of the API as a whole.

use std::time::Duration;

use crate::model::schema::{Auth, Cors, Entity, Limits, RatePlan, Role};
use crate::model::source::{At, Node, Reader, keys};
use crate::model::suggest::nearest;

/// Names of the claims that rules may use, and of those that they do.
pub(super) struct Claims {
    pub declared: Vec<String>,
    pub used: Vec<String>,
}

impl Reader<'_> {
    /// Names of the claims that rules may use.
    pub(super) fn claims(&mut self, auth: Option<&Node>) -> Vec<String> {
        let Some(keys) = auth.and_then(|node| self.keys(node, "`auth`", &keys::AUTH)) else { return Vec::new() };
        keys.get("claims")
            .map(|node| self.texts(node, "a claim"))
            .unwrap_or_default()
            .into_iter()
            .map(|text| text.value)
            .collect()
    }

    /// `auth`, its claims as they were read before the roles.
    pub(super) fn auth(
        &mut self,
        node: Option<&Node>,
        (entities, roles, plans): (&[Entity], &[Role], &[RatePlan]),
        claims: Claims,
    ) -> Auth {
        let mut auth = Auth { claims: claims.declared, used_claims: claims.used, ..Auth::default() };
        let Some(node) = node else { return auth };
        // Its keys were checked when the claims were read.
        let Some(keys) = Reader::new("").keys(node, "`auth`", &keys::AUTH) else { return auth };
        if let Some(node) = keys.get("issuers") {
            let named = self.named(node, "`issuers`");
            let declared = auth.claims.clone();
            let read = |(key, body)| self.issuer(key, body, (entities, roles), &declared);
            auth.issuers = named.into_iter().filter_map(read).collect();
        }
        for (at, issuer) in auth.issuers.iter().enumerate() {
            if auth.issuers[..at].iter().any(|other| other.issuer == issuer.issuer) {
                self.mistake(
                    keys.spot("issuers"),
                    format!("the issuer `{}` is there twice", issuer.issuer),
                    "each `iss` has one alias",
                );
            }
        }
        auth.anonymous_role = keys.get("anonymous_role").and_then(|node| self.text(node, "`anonymous_role`")).map(|role| {
            self.known_role(&role, roles);
            role.value
        });
        auth.default_plan = keys.get("default_plan").and_then(|node| self.text(node, "`default_plan`")).map(|plan| {
            if !plans.iter().any(|known| known.name == plan.value) && !self.is_broken("plans", &plan.value) {
                let help = nearest(&plan.value, plans.iter().map(|plan| plan.name.as_str()));
                self.mistake(plan.spot, format!("there is no plan `{}`", plan.value), help);
            }
            plan.value
        });
        auth.max_key_age = keys.get("max_key_age").and_then(|node| self.duration(node, "`max_key_age`"));
        auth
    }

    pub(super) fn known_role(&mut self, role: &At<String>, roles: &[Role]) {
        if !roles.iter().any(|known| known.name == role.value) && !self.is_broken("roles", &role.value) {
            let help = nearest(&role.value, roles.iter().map(|role| role.name.as_str()));
            self.mistake(role.spot, format!("there is no role `{}`", role.value), help);
        }
    }

    /// `cors`.
    pub(super) fn cors(&mut self, node: Option<&Node>) -> Cors {
        let mut cors = Cors { origins: Vec::new(), max_age: Duration::from_secs(600) };
        let Some(keys) = node.and_then(|node| self.keys(node, "`cors`", &keys::CORS)) else { return cors };
        let origins = keys.get("origins").map(|node| self.texts(node, "an origin")).unwrap_or_default();
        for origin in &origins {
            let plain = origin.value.parse::<http::Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && uri.query().is_none()
            });
            if origin.value != "*" && (!plain || origin.value.ends_with('/')) {
                let help = "for example `https://shop.example.com`: scheme and host, no path, no slash at its end; or `\"*\"`";
                self.mistake(origin.spot, format!("`{}` is no origin", origin.value), help);
            }
        }
        cors.origins = origins.into_iter().map(|origin| origin.value).collect();
        if let Some(age) = keys.get("max_age").and_then(|node| self.duration(node, "`max_age`")) {
            cors.max_age = age;
        }
        cors
    }

    /// `limits`.
    pub(super) fn limits(&mut self, node: Option<&Node>) -> Limits {
        let mut limits = Limits { examine: 1000, per_address: 300 };
        let Some(keys) = node.and_then(|node| self.keys(node, "`limits`", &keys::LIMITS)) else { return limits };
        if let Some(rows) = keys.get("examine").and_then(|node| self.integer(node, "`examine` (rows)", 0, 10_000)) {
            limits.examine = usize::try_from(rows).unwrap_or(limits.examine);
        }
        if let Some(rate) = keys.get("per_address").and_then(|node| self.integer(node, "`per_address` (a minute)", 1, 1_000_000))
        {
            limits.per_address = u64::try_from(rate).unwrap_or(limits.per_address);
        }
        limits
    }
}
