//! Issuers of tokens: what their provider presets, and what the file says in its place.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::caller::RESERVED_ALIASES;
use crate::model::schema::{ALGORITHMS, Action, Entity, GOOGLE, Issuer, Provider, Role, Scopes, SystemPermission};
use crate::model::source::{At, Keys, Node, Reader, Spot, keys};
use crate::model::suggest::nearest;

impl Reader<'_> {
    /// One of `issuers`.
    pub(super) fn issuer(
        &mut self,
        key: At<&str>,
        body: &Node,
        (entities, roles): (&[Entity], &[Role]),
        declared: &[String],
    ) -> Option<Issuer> {
        let alias = self.alias(&key);
        let keys = self.keys(body, "an issuer", &keys::ISSUER)?;
        let provider = keys.get("provider").map_or(Some(Provider::Custom), |node| self.word(node, "provider", &Provider::NAMED));
        // The rest is read by the usual names where this one is wrong, so that all mistakes are told.
        let preset = provider.unwrap_or_default();
        let issuer = self.iss(&key, &keys, preset);
        let jwks = keys.get("jwks_uri").map(|node| self.jwks_uri(node));
        if let (None, Some(iss)) = (&jwks, &issuer) {
            self.discoverable(iss, preset);
        }
        let (audiences, clients) = self.meant_for(&key, &keys);
        let algorithms = self.algorithms(&keys);
        let claims = self.claim_names(&keys, preset, declared);
        let scopes = keys.get("scopes").map_or_else(|| Some(Scopes::default()), |node| self.scopes(node, entities));
        let max_lifetime =
            keys.get("max_lifetime").map_or(Some(preset.max_lifetime()), |node| self.duration(node, "`max_lifetime`"));
        let leeway = keys.get("leeway").map_or(Some(Duration::from_secs(30)), |node| self.duration(node, "`leeway`"));
        if leeway.is_some_and(|leeway| leeway > Duration::from_secs(300)) {
            self.mistake(keys.spot("leeway"), "`leeway` is more than five minutes", "clocks differ by seconds: `leeway: 30s`");
        }
        let default_roles = keys.get("default_roles").map(|node| self.texts(node, "a role")).unwrap_or_default();
        default_roles.iter().for_each(|role| self.known_role(role, roles));
        Some(Issuer {
            alias: alias?.value,
            provider: provider?,
            issuer: issuer?.value,
            jwks_uri: match jwks {
                Some(uri) => Some(uri?),
                None => None,
            },
            audiences,
            clients,
            algorithms,
            consumer_claim: claims.consumer,
            subject_claim: claims.subject,
            roles_claim: claims.roles,
            plan_claim: claims.plan,
            scopes_claim: claims.scopes,
            client_claims: claims.client,
            rule_claims: claims.of_rules,
            scopes: scopes?,
            max_lifetime: max_lifetime?,
            leeway: leeway?,
            default_roles: default_roles.into_iter().map(|role| role.value).collect(),
        })
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

    /// The exact `iss`, which only Google has one of for everybody.
    fn iss(&mut self, key: &At<&str>, keys: &Keys<'_>, provider: Provider) -> Option<At<String>> {
        let found = keys.get("issuer").map(|node| self.text(node, "`issuer`"));
        let iss = match found {
            Some(text) => text?,
            None if provider == Provider::Google => At { spot: key.spot, value: GOOGLE.to_owned() },
            None => {
                self.mistake(key.spot, format!("issuer `{}` needs `issuer`", key.value), "tokens are checked against it");
                return None;
            }
        };
        if let Some(help) = unlike(provider, &iss.value) {
            self.mistake(iss.spot, format!("`{}` is not the `iss` of tokens of {}", iss.value, provider.name()), help);
        }
        Some(iss)
    }

    fn jwks_uri(&mut self, node: &Node) -> Option<String> {
        let uri = self.text(node, "`jwks_uri`")?;
        if !is_trustworthy(&uri.value) {
            let help = "an https URL (http for this machine only)";
            self.mistake(uri.spot, format!("`{}` is not safe to fetch keys from", uri.value), help);
        }
        Some(uri.value)
    }

    /// Without `jwks_uri` the keys are found by the issuer's discovery document.
    fn discoverable(&mut self, iss: &At<String>, provider: Provider) {
        if !is_trustworthy(&iss.value) && unlike(provider, &iss.value).is_none() {
            let help = "give `jwks_uri`, or an `issuer` that is an https URL, at which its discovery document is looked for";
            self.mistake(iss.spot, format!("the keys of `{}` cannot be found", iss.value), help);
        }
    }

    /// Audiences and clients, of which a token must meet at least one kind.
    fn meant_for(&mut self, key: &At<&str>, keys: &Keys<'_>) -> (Vec<String>, Vec<String>) {
        let mut texts = |name: &str, label: &str| -> Vec<String> {
            let found = keys.get(name).map(|node| self.texts(node, label)).unwrap_or_default();
            found.into_iter().map(|text| text.value).collect()
        };
        let (audiences, clients) = (texts("audiences", "an audience"), texts("clients", "a client"));
        if keys.get("audiences").is_none() && keys.get("clients").is_none() {
            let help = "tokens are checked against it; for tokens without `aud`, such as Cognito's access tokens, `clients` names the \
                        clients they are issued to";
            self.mistake(key.spot, format!("issuer `{}` needs `audiences`", key.value), help);
        } else if audiences.is_empty() && clients.is_empty() {
            let help = "name at least one, for example `audiences: [my-api]`";
            self.mistake(key.spot, format!("issuer `{}` accepts no token", key.value), help);
        }
        (audiences, clients)
    }

    fn algorithms(&mut self, keys: &Keys<'_>) -> Vec<String> {
        let Some(node) = keys.get("algorithms") else { return vec!["RS256".to_owned(), "ES256".to_owned()] };
        let known = ALGORITHMS.map(|name| (name, name));
        let items = self.items(node);
        items.iter().filter_map(|item| self.word(item, "algorithm", &known)).map(str::to_owned).collect()
    }

    /// Names of claims: those that every issuer has, and those that rules use, where they stand elsewhere than under their name.
    fn claim_names(&mut self, keys: &Keys<'_>, provider: Provider, declared: &[String]) -> ClaimNames {
        let known: Vec<&str> = keys::CLAIMS.into_iter().chain(declared.iter().map(String::as_str)).collect();
        let claims = keys.get("claims").and_then(|node| self.keys(node, "`claims` of an issuer", &known));
        let mut claim = |name: &str| {
            let node = claims.as_ref().and_then(|keys| keys.get(name))?;
            self.text(node, "the name of a claim").map(|text| text.value)
        };
        let or = |named: Option<String>, preset: &str| named.unwrap_or_else(|| preset.to_owned());
        let of_rules = declared.iter().filter(|name| !keys::CLAIMS.contains(&name.as_str()));
        ClaimNames {
            of_rules: of_rules.filter_map(|name| Some((name.clone(), claim(name)?))).collect(),
            consumer: or(claim("consumer"), "sub"),
            subject: or(claim("subject"), "sub"),
            roles: or(claim("roles"), provider.roles_claim()),
            plan: or(claim("plan"), "plan"),
            scopes: or(claim("scopes"), provider.scopes_claim()),
            client: claim("client")
                .map_or_else(|| provider.client_claims().iter().map(|name| (*name).to_owned()).collect(), |name| vec![name]),
        }
    }

    /// `scopes`: what its scopes begin with, and what they open.
    fn scopes(&mut self, node: &Node, entities: &[Entity]) -> Option<Scopes> {
        let keys = self.keys(node, "`scopes`", &keys::SCOPES)?;
        let prefix = keys.get("prefix").map(|node| self.text(node, "`prefix`"));
        let mut map = BTreeMap::new();
        if let Some(node) = keys.get("map") {
            for (scope, opens) in self.named(node, "`map`") {
                self.scope_token(scope.spot, scope.value);
                let opens = self.texts(opens, "what a scope opens");
                let opens = opens.iter().filter_map(|text| self.opened(text, entities)).collect();
                map.insert(scope.value.to_owned(), opens);
            }
        }
        if let Some(Some(prefix)) = &prefix {
            self.scope_token(prefix.spot, &prefix.value);
        }
        let required = self.flag(keys.get("required"), "`required`", false);
        Some(Scopes { prefix: prefix.map_or(Some(String::new()), |text| Some(text?.value))?, map, required })
    }

    /// What can stand in a list of scopes, and in `WWW-Authenticate`.
    fn scope_token(&mut self, spot: Spot, text: &str) {
        let right = |symbol: char| symbol.is_ascii_graphic() && symbol != '"' && symbol != '\\';
        if text.is_empty() || !text.chars().all(right) {
            let help = "visible ASCII without blanks, `\"` and `\\` (RFC 6749, 3.3)";
            self.mistake(spot, format!("`{text}` is no scope"), help);
        }
    }

    /// `book.read`, `book.*`, `*.list`, `system.usage` or `*`, as `book:read`.
    fn opened(&mut self, text: &At<String>, entities: &[Entity]) -> Option<String> {
        if text.value == "*" {
            return Some(text.value.clone());
        }
        let (of, to) = text.value.split_once('.').unwrap_or((&text.value, ""));
        let actions = || Action::ALL.iter().map(|action| action.name());
        let system = || SystemPermission::ALL.iter().map(|permission| permission.name());
        let names = || entities.iter().map(|entity| entity.name.as_str()).chain(["system", "*"]);
        let right = |to: &str| {
            to == "*" || if of == "system" { system().any(|name| name == to) } else { actions().any(|name| name == to) }
        };
        if names().any(|name| name == of) && right(to) {
            return Some(format!("{of}:{to}"));
        }
        if !self.is_broken("entities", of) {
            let help = match names().any(|name| name == of) {
                true if of == "system" => nearest(to, system().chain(["*"])),
                true => nearest(to, actions().chain(["*"])),
                false => nearest(of, names()),
            };
            let message = format!("`{}` is nothing that a scope can open", text.value);
            self.mistake(text.spot, message, format!("write `entity.action`, such as `book.read` or `book.*`; {help}"));
        }
        None
    }
}

/// Names of the claims of an issuer's tokens.
struct ClaimNames {
    consumer: String,
    subject: String,
    roles: String,
    plan: String,
    scopes: String,
    client: Vec<String>,
    of_rules: BTreeMap<String, String>,
}

/// What an `iss` of this provider looks like, where this is none: mistakes that only show as 401.
fn unlike(provider: Provider, iss: &str) -> Option<&'static str> {
    let of = |right: bool, help| (!right).then_some(help);
    let shared = ["/common", "/organizations", "/consumers"].iter().any(|tenant| iss.contains(tenant));
    match provider {
        Provider::Auth0 => of(iss.ends_with('/'), "it ends with a slash: `https://TENANT.auth0.com/`"),
        Provider::Keycloak => of(!iss.ends_with('/'), "it ends with the realm: `https://HOST/realms/REALM`"),
        Provider::Cognito => {
            of(!iss.ends_with('/'), "it ends with the user pool: `https://cognito-idp.REGION.amazonaws.com/POOL`")
        }
        Provider::Entra => of(
            !shared,
            "tokens name their tenant: `https://login.microsoftonline.com/TENANT-ID/v2.0`, or `https://sts.windows.net/TENANT-ID/`",
        ),
        Provider::Okta | Provider::Google | Provider::Custom => None,
    }
}

fn is_trustworthy(uri: &str) -> bool {
    uri.parse::<http::Uri>().is_ok_and(|uri| match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    })
}
