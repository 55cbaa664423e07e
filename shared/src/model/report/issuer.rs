//! What an issuer of the model comes to, presets of its provider included, in sentences.

use super::describe::duration;
use crate::model::schema::Issuer;

/// What tokens of an issuer have to be, and what is read from them: one part for each decision.
pub fn describe_issuer(issuer: &Issuer) -> Vec<String> {
    let keys = issuer.jwks_uri.clone().unwrap_or_else(|| format!("those that {} names", issuer.discovery_uri()));
    let mut parts = vec![format!("{}, `iss` {}", issuer.provider.name(), issuer.issuer), format!("keys are {keys}")];
    let client = issuer.client_claims.join(" or ");
    for (what, accepted) in [("`aud`", &issuer.audiences), (client.as_str(), &issuer.clients)] {
        if !accepted.is_empty() {
            parts.push(format!("{what} must be {}", accepted.join(" or ")));
        }
    }
    parts.push(format!("signed by {}", issuer.algorithms.join(", ")));
    let default = match issuer.default_roles.as_slice() {
        [] => "none without it".to_owned(),
        roles => format!("{} without it", roles.join(", ")),
    };
    parts.push(format!("roles are in {}, {default}", issuer.roles_claim));
    parts.push(format!(
        "the consumer is {}, the subject {}, the plan {}",
        issuer.consumer_claim, issuer.subject_claim, issuer.plan_claim
    ));
    parts.extend(issuer.rule_claims.iter().map(|(name, path)| format!("$claim.{name} is {path}")));
    parts.push(scopes(issuer));
    parts.push(format!("at most {} long", duration(issuer.max_lifetime)));
    parts
}

fn scopes(issuer: &Issuer) -> String {
    let prefix = match issuer.scopes.prefix.as_str() {
        "" => String::new(),
        prefix => format!(" after `{prefix}`"),
    };
    let mapped: Vec<String> = issuer.scopes.map.iter().map(|(scope, opens)| format!("{scope} = {}", opens.join(" "))).collect();
    let mapped = if mapped.is_empty() { String::new() } else { format!(", and {}", mapped.join(", ")) };
    let otherwise = if issuer.scopes.required { "without one nothing is allowed" } else { "others mean nothing" };
    format!("scopes in {} narrow{prefix}: entity:action{mapped}; {otherwise}", issuer.scopes_claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_told_in_full() {
        let model = "
name: T
entities: {book: {fields: {x: string}}}
auth:
  issuers:
    shop: {provider: cognito, issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/p', clients: [web], scopes: {prefix: api/, map: {read: book.read}}}
";
        let model = crate::model::parse("m", model).unwrap();
        let told = describe_issuer(&model.auth.issuers[0]).join("; ");
        for part in [
            "cognito, `iss` https://cognito-idp.eu-west-1.amazonaws.com/p",
            "https://cognito-idp.eu-west-1.amazonaws.com/p/.well-known/openid-configuration",
            "client_id must be web",
            "roles are in cognito:groups, none without it",
            "scopes in scope narrow after `api/`: entity:action, and read = book:read; others mean nothing",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("aud"), "{told}");
    }
}
