//! The document as a whole.

use serde_json::{Value, json};

use super::caller::of_role;
use super::prune::prune;
use super::source::{Site, Source};
use super::{components, paths, prose, responses, system};
use crate::core::caller::Caller;
use crate::model::Model;

/// The document for a caller: the operations that the caller may use, with the fields that the caller may see or write.
pub fn openapi(model: &Model, caller: &Caller, site: Site<'_>) -> Value {
    let source = Source { model, caller, site };
    let mut paths = paths::of_entities(&source);
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
        "x-roles": caller.roles,
        "x-limits": prose::limits(&source),
        "x-errors": responses::catalogue(site.url),
    });
    prune(&mut document);
    document
}

/// The document for a role, with sample values for the claims that its rules read. `None` if there is no such role.
pub fn openapi_of_role(model: &Model, role: &str, site: Site<'_>) -> Option<Value> {
    model.role(role)?;
    Some(openapi(model, &of_role(model, &[role]), site))
}

/// The document for all roles together: what a team publishes or generates clients from.
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
