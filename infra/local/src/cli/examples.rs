//! Requests that a start prints: what may be read without credentials; a list, what it refers to, who am I; and a record's life, from
//! its creation to its end.

use std::fmt;

use holdfast::core::caller::Caller;
use holdfast::model::{Action, Entity, IdKind, Model, ToOne};
use holdfast::openapi::{self, Site};
use holdfast::query::policy::Access;
use serde_json::{Map, Value};

/// A request, as a shell line with curl.
pub(super) struct Example {
    method: &'static str,
    address: String,
    token: Option<String>,
    body: Option<Value>,
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "curl -g ")?;
        if self.method != "GET" {
            write!(f, "-X {} ", self.method)?;
        }
        if let Some(token) = &self.token {
            write!(f, "-H 'Authorization: Bearer {token}' ")?;
        }
        if let Some(body) = &self.body {
            write!(f, "-H 'Content-Type: application/json' -d '{}' ", body.to_string().replace('\'', r"'\''"))?;
        }
        write!(f, "'{}'", self.address)
    }
}

/// What plain `curl` shows of a model with a role for callers without credentials: a list, one with what it refers to.
pub(super) fn without_credentials(model: &Model, url: &str) -> Vec<Example> {
    let Some(role) = &model.auth.anonymous_role else { return Vec::new() };
    let caller = Caller { roles: vec![role.clone()], anonymous: true, ..Caller::default() };
    let open = |entity: &Entity| !Access::of(model, &caller, entity, Action::List).is_forbidden();
    let sees = |entity: &Entity, field| Access::of(model, &caller, entity, Action::List).widest().contains(field);
    let make = |address: String| Example { method: "GET", address: format!("{url}/v1/{address}"), token: None, body: None };
    // Whatever refers to something else tells more of a model than what does not.
    let embedding = model.entities.iter().filter(|entity| open(entity)).find_map(|entity| {
        let shown = |to: &&ToOne| to.target != entity.ix && open(model.entity(to.target)) && sees(entity, to.field);
        Some((entity, entity.to_one.iter().find(shown)?))
    });
    let first = embedding.map(|(entity, _)| entity).or_else(|| model.entities.iter().find(|entity| open(entity)));
    let lists = first.map(|entity| make(format!("{}?limit=3", entity.plural)));
    let embeds = embedding.map(|(entity, to)| make(format!("{}?limit=2&include={}", entity.plural, to.name)));
    lists.into_iter().chain(embeds).collect()
}

/// Example requests of a caller with this role, which a new system answers with success.
pub(super) fn of(model: &Model, role: &str, url: &str, token: &str) -> Vec<Example> {
    let make =
        |method, path: String, body| Example { method, address: format!("{url}/v1/{path}"), token: Some(token.to_owned()), body };
    let mut all = Vec::new();
    all.extend(model.entities.first().map(|entity| make("GET", format!("{}?limit=3", entity.plural), None)));
    let embedding = model.entities.iter().find_map(|entity| Some((entity, entity.to_one.first()?)));
    all.extend(embedding.map(|(entity, to)| make("GET", format!("{}?limit=2&include={}", entity.plural, to.name), None)));
    all.push(make("GET", "_me".to_owned(), None));
    let made = openapi::openapi(model, &openapi::of_role(model, &[role]), Site { url, environment: "local" });
    if let Some((entity, id, body)) = model.entities.iter().find_map(|entity| created(&made, entity)) {
        let one = format!("{}/{id}", entity.plural);
        let patch = &made["paths"][path_of_one(entity)]["patch"]["requestBody"]["content"]["application/json"]["example"];
        let change: Map<String, Value> = body.clone().into_iter().filter(|(name, _)| patch.get(name).is_some()).collect();
        all.push(make("POST", entity.plural.clone(), Some(Value::Object(body))));
        if !change.is_empty() {
            all.push(make("PATCH", one.clone(), Some(Value::Object(change))));
        }
        all.push(make("DELETE", one, None));
    }
    all
}

fn path_of_one(entity: &Entity) -> String {
    format!("/v1/{}/{{id}}", entity.plural)
}

/// The id and the body of a record that needs no other, where whoever creates it chooses its id, and may delete it too.
fn created<'a>(document: &Value, entity: &'a Entity) -> Option<(&'a Entity, String, Map<String, Value>)> {
    document["paths"][path_of_one(entity)].get("delete")?;
    let content = &document["paths"][format!("/v1/{}", entity.plural)]["post"]["requestBody"]["content"]["application/json"];
    let schema = content["schema"]["$ref"].as_str()?.strip_prefix('#')?;
    let required = document.pointer(schema)?["required"].as_array()?;
    let needs = |name: &str| required.iter().any(|required| required == name);
    if !matches!(entity.id, IdKind::String) || entity.to_one.iter().any(|to| needs(&entity.field(to.field).name)) {
        return None;
    }
    let body: Map<String, Value> = content["example"]
        .as_object()?
        .iter()
        .filter(|(name, _)| needs(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Some((entity, body.get("id")?.as_str()?.to_owned(), body))
}
