//! Scopes: what narrows a caller below its roles. Ours are `entity:action`, `entity:*`, `*:action`, `system:permission` and `*`; an issuer may
//! have names of its own for them ([`Scopes`](crate::model::Scopes)). Whatever else a token lists (`openid`, `email`) means nothing here.

use crate::core::caller::Caller;
use crate::model::{Action, Issuer, Model, SystemPermission};

/// Whether a text is a scope of this model, in its own form.
pub fn is_known(model: &Model, scope: &str) -> bool {
    let Some((of, to)) = scope.split_once(':') else { return scope == "*" };
    let of_system = || SystemPermission::ALL.iter().any(|permission| permission.name() == to);
    let of_records = || Action::ALL.iter().any(|action| action.name() == to);
    match of {
        "system" => to == "*" || of_system(),
        "*" => to == "*" || of_records() || of_system(),
        _ => model.by_name(of).is_some() && (to == "*" || of_records()),
    }
}

/// The pattern of what [`is_known`] takes, for documents.
pub fn pattern(model: &Model) -> String {
    let actions = Action::ALL.map(Action::name).join("|");
    let permissions = SystemPermission::ALL.map(SystemPermission::name).join("|");
    let entities = model.entities.iter().map(|entity| entity.name.as_str()).filter(|name| *name != "system");
    let entities: Vec<String> = entities.map(|name| format!("|{name}:(\\*|{actions})")).collect();
    let system = format!("system:(\\*|{permissions})|\\*:(\\*|{actions}|{permissions})");
    format!("^(\\*|{system}{})$", entities.concat())
}

/// What the scopes of a token allow, in the model's own form; `None` where they narrow nothing.
pub(super) fn of_token(model: &Model, issuer: &Issuer, listed: &[String]) -> Option<Vec<String>> {
    let ours = listed.iter().filter_map(|scope| opened(model, issuer, scope)).reduce(|mut all, more| {
        all.extend(more);
        all
    });
    ours.or_else(|| issuer.scopes.required.then(Vec::new))
}

/// What one scope opens; `None` for one that means nothing.
fn opened(model: &Model, issuer: &Issuer, scope: &str) -> Option<Vec<String>> {
    let settings = &issuer.scopes;
    let name = scope.strip_prefix(settings.prefix.as_str())?;
    let mapped = settings.map.get(name).cloned();
    mapped.or_else(|| is_known(model, name).then(|| vec![name.to_owned()]))
}

/// The scope that a caller lacks for an action, as its issuer names it: for `WWW-Authenticate` (RFC 6750, 3). Of several that open
/// it, the one that opens least.
pub fn wanted(model: &Model, caller: &Caller, entity: &str, action: &str) -> String {
    let own = format!("{entity}:{action}");
    let alias = caller.subject.split_once(':').map_or("", |(alias, _)| alias);
    let Some(issuer) = model.auth.issuers.iter().find(|issuer| issuer.alias == alias) else { return own };
    let opens = |scopes: &Vec<String>| {
        let as_if = Caller { scopes: Some(scopes.clone()), ..Caller::default() };
        as_if.allows_scope(entity, action)
    };
    let mapped = issuer.scopes.map.iter().filter(|(_, scopes)| opens(scopes)).min_by_key(|(_, scopes)| scopes.len());
    format!("{}{}", issuer.scopes.prefix, mapped.map_or(&own, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "
name: T
entities: {book: {fields: {x: string}}, note: {fields: {x: string}}}
auth:
  issuers:
    bare: {issuer: a, jwks_uri: 'https://k.example/', audiences: [a]}
    mapped:
      issuer: b
      jwks_uri: https://k.example/
      audiences: [a]
      scopes:
        prefix: https://api.example.com/
        map: {'read:books': [book.read, book.list], 'all:books': ['book.*', note.read, note.list], usage: system.usage}
    strict: {issuer: c, jwks_uri: 'https://k.example/', audiences: [a], scopes: {required: true}}
";

    fn of(alias: &str, scopes: &[&str]) -> Option<Vec<String>> {
        let model = crate::model::parse("m", MODEL).unwrap();
        let issuer = model.auth.issuers.iter().find(|issuer| issuer.alias == alias).unwrap();
        of_token(&model, issuer, &scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>())
    }

    fn some(scopes: &[&str]) -> Option<Vec<String>> {
        Some(scopes.iter().map(|scope| (*scope).to_owned()).collect())
    }

    #[test]
    fn what_the_model_does_not_know_means_nothing() {
        for scopes in [
            &[][..],
            &["openid", "email", "profile"],
            &["read:books"],
            &["books:read"],
            &["book:reads"],
            &["book"],
            &["system:all"],
            &["Book:read"],
        ] {
            assert_eq!(of("bare", scopes), None, "{scopes:?}");
            assert_eq!(of("mapped", scopes), None, "{scopes:?}");
            assert_eq!(of("strict", scopes), some(&[]), "{scopes:?}");
        }
        assert_eq!(of("bare", &["openid", "book:read"]), some(&["book:read"]));
        for scope in ["*", "*:*", "*:list", "note:*", "system:usage", "system:*", "*:audit"] {
            assert_eq!(of("bare", &[scope]), some(&[scope]));
        }
        assert_eq!(of("strict", &["openid", "note:*"]), some(&["note:*"]));
    }

    #[test]
    fn the_pattern_takes_what_is_known_and_nothing_else() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let pattern = regex::Regex::new(&pattern(&model)).unwrap();
        let parts =
            ["*", "book", "note", "system", "read", "list", "delete", "usage", "audit", "openid", "", "Book", "books", "0"];
        let mut known = 0;
        for of in parts {
            for to in parts {
                for scope in
                    [format!("{of}:{to}"), of.to_owned(), format!("{of}:{to}:"), format!("{of}.{to}"), format!(" {of}:{to}")]
                {
                    assert_eq!(pattern.is_match(&scope), is_known(&model, &scope), "{scope:?}");
                    known += u32::from(is_known(&model, &scope));
                }
            }
        }
        assert!(known > 30, "{known}");
    }

    #[test]
    fn an_issuer_has_names_of_its_own_for_them() {
        let address = |name: &str| format!("https://api.example.com/{name}");
        assert_eq!(of("mapped", &["openid", &address("read:books")]), some(&["book:read", "book:list"]));
        assert_eq!(of("mapped", &[&address("usage"), &address("note:list")]), some(&["system:usage", "note:list"]));
        assert_eq!(of("mapped", &["note:list"]), None, "without the prefix it is somebody else's");
        assert_eq!(of("mapped", &[&address("openid")]), None);
    }

    #[test]
    fn what_is_lacking_is_named_as_the_issuer_names_it() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let wanted = |subject: &str, entity: &str, action: &str| {
            wanted(&model, &Caller { subject: subject.to_owned(), ..Caller::default() }, entity, action)
        };
        assert_eq!(wanted("mapped:u", "book", "read"), "https://api.example.com/read:books");
        assert_eq!(wanted("mapped:u", "book", "delete"), "https://api.example.com/all:books");
        assert_eq!(wanted("mapped:u", "note", "delete"), "https://api.example.com/note:delete");
        assert_eq!(wanted("mapped:u", "system", "usage"), "https://api.example.com/usage");
        for subject in ["bare:u", "key:acme", "local:me", "anonymous"] {
            assert_eq!(wanted(subject, "book", "read"), "book:read");
        }
    }
}
