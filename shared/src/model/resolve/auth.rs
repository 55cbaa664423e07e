//! Authentication, and the settings of the API as a whole.

use std::time::Duration;

use crate::core::caller::RESERVED_ALIASES;
use crate::model::schema::{Auth, Cors, Issuer, Limits, RatePlan, Role};
use crate::model::source::{At, Node, Reader, keys};
use crate::model::suggest::nearest;

const ALGORITHMS: [(&str, &str); 4] = [("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")];

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
    pub(super) fn auth(&mut self, node: Option<&Node>, roles: &[Role], plans: &[RatePlan], claims: Claims) -> Auth {
        let mut auth = Auth { claims: claims.declared, used_claims: claims.used, ..Auth::default() };
        let Some(node) = node else { return auth };
        // Its keys were checked when the claims were read.
        let Some(keys) = Reader::new("").keys(node, "`auth`", &keys::AUTH) else { return auth };
        if let Some(node) = keys.get("issuers") {
            auth.issuers =
                self.named(node, "`issuers`").into_iter().filter_map(|(key, body)| self.issuer(key, body, roles)).collect();
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

    fn known_role(&mut self, role: &At<String>, roles: &[Role]) {
        if !roles.iter().any(|known| known.name == role.value) && !self.is_broken("roles", &role.value) {
            let help = nearest(&role.value, roles.iter().map(|role| role.name.as_str()));
            self.mistake(role.spot, format!("there is no role `{}`", role.value), help);
        }
    }

    /// A name, so that it contains no `:`, which ends it in subjects and in ids of consumers.
    fn alias(&mut self, key: &At<&str>) -> Option<At<String>> {
        let reserved = RESERVED_ALIASES.into_iter().find(|(alias, _)| *alias == key.value);
        if let Some((alias, whose)) = reserved {
            let help = format!("`{alias}:...` are the subjects of {whose}; for example `{alias}_issuer`");
            self.mistake(key.spot, format!("`{alias}` cannot name an issuer"), help);
            return None;
        }
        self.name(key.spot, "an issuer", key.value)
    }

    fn issuer(&mut self, key: At<&str>, body: &Node, roles: &[Role]) -> Option<Issuer> {
        let alias = self.alias(&key);
        let keys = self.keys(body, "an issuer", &keys::ISSUER)?;
        let mut required = |name: &str| {
            let found = keys.get(name);
            if found.is_none() {
                self.mistake(key.spot, format!("issuer `{}` needs `{name}`", key.value), "tokens are checked against it");
            }
            found
        };
        let (issuer, jwks, audiences) = (required("issuer"), required("jwks_uri"), required("audiences"));
        let issuer = issuer.and_then(|node| self.text(node, "`issuer`"));
        let jwks = jwks.and_then(|node| self.text(node, "`jwks_uri`"));
        if let Some(uri) = &jwks
            && !is_trustworthy(&uri.value)
        {
            self.mistake(
                uri.spot,
                format!("`{}` is not safe to fetch keys from", uri.value),
                "an https URL (http for this machine only)",
            );
        }
        let audiences = audiences.map(|node| self.texts(node, "an audience")).unwrap_or_default();
        let algorithms = match keys.get("algorithms") {
            Some(node) => {
                let items = self.items(node);
                items.iter().filter_map(|item| self.word(item, "algorithm", &ALGORITHMS)).map(str::to_owned).collect()
            }
            None => vec!["RS256".to_owned(), "ES256".to_owned()],
        };
        let claims = keys.get("claims").and_then(|node| self.keys(node, "`claims` of an issuer", &keys::CLAIMS));
        let mut claim = |name: &str, otherwise: &str| {
            let text = claims.as_ref().and_then(|keys| keys.get(name)).and_then(|node| self.text(node, "the name of a claim"));
            text.map_or_else(|| otherwise.to_owned(), |text| text.value)
        };
        let (consumer_claim, subject_claim) = (claim("consumer", "sub"), claim("subject", "sub"));
        let (roles_claim, plan_claim, scopes_claim) = (claim("roles", "roles"), claim("plan", "plan"), claim("scopes", "scope"));
        let max_lifetime =
            keys.get("max_lifetime").map_or(Some(Duration::from_secs(86_400)), |node| self.duration(node, "`max_lifetime`"));
        let leeway = keys.get("leeway").map_or(Some(Duration::from_secs(30)), |node| self.duration(node, "`leeway`"));
        if leeway.is_some_and(|leeway| leeway > Duration::from_secs(300)) {
            self.mistake(keys.spot("leeway"), "`leeway` is more than five minutes", "clocks differ by seconds: `leeway: 30s`");
        }
        let default_roles = keys.get("default_roles").map(|node| self.texts(node, "a role")).unwrap_or_default();
        default_roles.iter().for_each(|role| self.known_role(role, roles));
        Some(Issuer {
            alias: alias?.value,
            issuer: issuer?.value,
            jwks_uri: jwks?.value,
            audiences: audiences.into_iter().map(|text| text.value).collect(),
            algorithms,
            consumer_claim,
            subject_claim,
            roles_claim,
            plan_claim,
            scopes_claim,
            max_lifetime: max_lifetime?,
            leeway: leeway?,
            default_roles: default_roles.into_iter().map(|role| role.value).collect(),
        })
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

fn is_trustworthy(uri: &str) -> bool {
    uri.parse::<http::Uri>().is_ok_and(|uri| match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    })
}
