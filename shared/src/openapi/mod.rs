//! The OpenAPI 3.1 document of an API as one caller may use it, and what is made of it for people: a page and a Markdown text.
//!
//! Everything in it comes from the model, from [`Access`](crate::query::policy::Access), from the catalogue of
//! [`Code`](crate::http::problem::Code)s and from the very [`json_schema`](crate::model::json_schema) that validates bodies, so it cannot
//! drift from what the API does. It is put together as JSON; a test reads every document into the types of `oas3` and finds
//! nothing lost (`infra/adr/0011-documents-as-json.md` says why it is not built from them).

mod cache;
mod caller;
mod components;
mod examples;
mod files;
mod filters;
mod kinds;
mod markdown;
mod names;
mod operations;
mod page;
mod parameters;
mod prose;
mod references;
mod responses;
mod system;
mod system_schemas;
#[cfg(test)]
mod tests;
mod yaml;

use serde_json::{Map, Value, json};

use crate::core::principal::Principal;
use crate::model::{Action, Entity, FieldMask, IdKind, Masks, Model};
use crate::query::policy::Access;
use crate::store::object as stored;

pub use cache::{Documents, Form};
pub use caller::of_role;
pub use markdown::markdown;
pub use page::{Page, assemble, page};
pub use yaml::yaml;

/// Where an API is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'a> {
    /// The API's own address, `https://host`, without a slash at the end.
    pub url: &'a str,
    /// What the deployment is for: `dev`, `staging`, `live`, `local`.
    pub environment: &'a str,
}

/// What the parts of a document are made from.
struct Source<'a> {
    model: &'a Model,
    principal: &'a Principal,
    site: Site<'a>,
}

impl<'a> Source<'a> {
    fn access(&self, entity: &Entity, action: Action) -> Access {
        Access::of(self.model, self.principal, entity, action)
    }

    fn allows(&self, entity: &Entity, action: Action) -> bool {
        !self.access(entity, action).is_forbidden()
    }

    /// The fields that the caller may see of some record, in a list or by itself.
    fn readable(&self, entity: &Entity) -> FieldMask {
        let mut mask = self.access(entity, Action::List).widest();
        mask.union(&self.access(entity, Action::Read).widest());
        mask
    }

    /// The fields that a body may have.
    fn masks(&self, entity: &Entity, write: Action) -> Masks {
        Masks { readable: self.access(entity, Action::Read).widest(), writable: self.access(entity, write).widest() }
    }

    /// The action that lets the caller send a PUT: a change, or the creation of a record under an id of the client's.
    fn replaces(&self, entity: &Entity) -> Option<Action> {
        let creates = || entity.id != IdKind::Uuid && self.allows(entity, Action::Create);
        if self.allows(entity, Action::Update) { Some(Action::Update) } else { creates().then_some(Action::Create) }
    }

    /// The entities of which the caller may do anything.
    fn entities(&self) -> impl Iterator<Item = &'a Entity> {
        const SERVED: [Action; 5] = [Action::List, Action::Read, Action::Create, Action::Update, Action::Delete];
        let (model, principal) = (self.model, self.principal);
        let allowed = move |entity: &Entity, action| !Access::of(model, principal, entity, action).is_forbidden();
        let uploads = move |entity: &Entity| {
            let access = Access::of(model, principal, entity, Action::Upload).widest();
            stored::fields(entity).any(|field| access.contains(field.ix))
        };
        model.entities.iter().filter(move |entity| SERVED.iter().any(|action| allowed(entity, *action)) || uploads(entity))
    }
}

/// The document for a caller: only what the caller may do, only the fields that the caller may see or write.
pub fn openapi(model: &Model, principal: &Principal, site: Site<'_>) -> Value {
    let source = Source { model, principal, site };
    let mut paths = operations::paths(&source);
    paths.extend(system::paths(&source));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": model.name,
            "version": model.version,
            "summary": "What this caller may do.",
            "description": prose::description(&source),
        },
        "servers": [{"url": site.url, "description": server(site), "x-internal": false}],
        "security": [{"bearer": []}],
        "tags": tags(&source),
        "paths": paths,
        "components": components::all(&source),
        "x-model": model.hash,
        "x-roles": principal.roles,
        "x-limits": prose::limits(&source),
        "x-errors": responses::catalogue(site.url),
    });
    components::prune(&mut document);
    document
}

/// The document of what a role may do, with claims made up where its rules read some. `None`: there is no such role.
pub fn openapi_of_role(model: &Model, role: &str, site: Site<'_>) -> Option<Value> {
    model.role(role)?;
    Some(openapi(model, &of_role(model, &[role]), site))
}

/// The document of all that any role may do: what a team publishes or generates clients from.
pub fn openapi_of_all(model: &Model, site: Site<'_>) -> Value {
    let roles: Vec<&str> = model.roles.iter().map(|role| role.name.as_str()).collect();
    openapi(model, &of_role(model, &roles), site)
}

fn server(site: Site<'_>) -> String {
    match site.environment {
        "local" => "The local server.".to_owned(),
        "live" | "prod" | "production" => "The production server.".to_owned(),
        other => format!("The {other} server."),
    }
}

fn tags(source: &Source<'_>) -> Vec<Value> {
    let mut tags: Vec<Value> = source
        .entities()
        .map(|entity| {
            let description = entity.description.clone().unwrap_or_else(|| format!("Records of kind {}.", entity.name));
            json!({"name": entity.plural, "description": description})
        })
        .collect();
    if !system::paths(source).is_empty() {
        tags.push(
            json!({"name": system::TAG, "description": "The API itself: callers, limits, cache, records of what happened."}),
        );
    }
    tags
}

/// A reference to a component.
fn refer(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// An object from pairs, without those that have no value.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
