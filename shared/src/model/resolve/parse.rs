//! A whole model from its text.

use std::collections::{BTreeSet, HashMap};

use super::auth::Claims;
use super::entities::entities as resolved;
use super::rules::RuleScope;
use crate::model::report::{MAX_ITEMS, most_items};
use crate::model::schema::{Action, Entity, Model};
use crate::model::source::{Mistake, Node, Reader, Salvage, keys, load, salvage};

/// Reads a model; `file_name` is named in the mistakes.
///
/// # Errors
/// All mistakes of the file, in its order.
pub fn parse(file_name: &str, source: &str) -> Result<Model, Vec<Mistake>> {
    let document = match load(file_name, source) {
        Ok(document) => document,
        Err(mistakes) => return Err(salvaged(file_name, source, mistakes)),
    };
    let mut reader = Reader::new(file_name);
    reader.duplicates(&document);
    let model = model(&mut reader, &document, source);
    match model {
        Some(model) if !reader.failed() => Ok(model),
        _ => Err(reader.finish()),
    }
}

/// All mistakes of a file that is not YAML: those of YAML, and those of the parts that can be read.
fn salvaged(file_name: &str, source: &str, whole: Vec<Mistake>) -> Vec<Mistake> {
    let Salvage { mistakes, document, broken } = salvage(file_name, source, whole);
    let mut reader = Reader::new(file_name);
    reader.adopt(mistakes);
    // Without any entity nothing that refers to them could be told from a mistake.
    let can_go_on = !broken.iter().any(|(section, name)| section == "entities" && name.is_none());
    for (section, name) in broken {
        let names = if section == "auth" { Some("claims".to_owned()) } else { name };
        reader.broken(section, names.unwrap_or_else(|| "*".to_owned()));
    }
    if let Some(document) = document.filter(|_| can_go_on) {
        reader.duplicates(&document);
        model(&mut reader, &document, source);
    }
    reader.finish()
}

fn model(reader: &mut Reader<'_>, document: &Node, source: &str) -> Option<Model> {
    let keys = reader.keys(document, "a model", &keys::MODEL)?;
    let mut text = |key: &str| keys.get(key).and_then(|node| reader.text(node, &format!("`{key}`"))).map(|text| text.value);
    let (name, description, version) = (text("name"), text("description"), text("version"));
    if keys.get("name").is_none() && !reader.has_broken("name") {
        reader.mistake(keys.spot, "the model has no `name`", "add `name: Bookshop`");
    }
    let entities = match keys.get("entities") {
        Some(node) => {
            let raw = reader.entities(node);
            resolved(reader, &raw)
        }
        None if reader.has_broken("entities") => Vec::new(),
        None => {
            reader.mistake(keys.spot, "the model has no `entities`", "add `entities: {book: {fields: {title: string}}}`");
            Vec::new()
        }
    };
    let claims = reader.claims(keys.get("auth"));
    let mut scope = RuleScope { entities: &entities, claims: &claims, used: BTreeSet::new() };
    let roles = keys.get("roles").map(|node| reader.roles(node, &mut scope)).unwrap_or_default();
    let used = scope.used.into_iter().collect();
    let plans = keys.get("plans").map(|node| reader.plans(node, &entities)).unwrap_or_default();
    let auth = reader.auth(keys.get("auth"), (&entities, &roles, &plans), Claims { declared: claims.clone(), used });
    let (cors, limits) = (reader.cors(keys.get("cors")), reader.limits(keys.get("limits")));
    let by = |name: fn(&Entity) -> &String| entities.iter().map(|entity| (name(entity).clone(), entity.ix)).collect();
    let (by_name, by_plural): (HashMap<_, _>, HashMap<_, _>) = (by(|entity| &entity.name), by(|entity| &entity.plural));
    let model = Model {
        name: name?,
        description,
        version: version.unwrap_or_else(|| "1.0.0".to_owned()),
        hash: hash(document),
        source: source.into(),
        entities,
        roles,
        plans,
        auth,
        cors,
        limits,
        by_name,
        by_plural,
        validators: Default::default(),
    };
    transactions(reader, keys.get("entities"), &model);
    public(reader, keys.get("entities"), &model);
    Some(model)
}

/// Adds a mistake for each entity with writes that never fit into one transaction.
fn transactions(reader: &mut Reader<'_>, entities: Option<&Node>, model: &Model) {
    let Some(node) = entities else { return };
    for (key, _) in reader.named(node, "`entities`") {
        let Some(entity) = model.by_name(key.value) else { continue };
        let most = most_items(model, entity);
        if most > MAX_ITEMS {
            let message = format!("a write of `{}` may need {most} items; a transaction has at most {}", key.value, MAX_ITEMS);
            reader.mistake(key.spot, message, "fewer indexes, refs or unique fields");
        }
    }
}

/// Adds a mistake for each entity that is `public` though callers without credentials see nothing of it.
fn public(reader: &mut Reader<'_>, entities: Option<&Node>, model: &Model) {
    let Some(node) = entities else { return };
    let name = model.auth.anonymous_role.as_deref();
    let role = name.and_then(|name| model.role(name));
    // What is wrong with the role is told where it stands.
    if ["auth", "roles"].iter().any(|section| reader.has_broken(section)) || name.is_some() != role.is_some() {
        return;
    }
    let sees = |entity: &Entity| {
        let granted = |action| role.is_some_and(|role| role.grants.contains_key(&(entity.ix, action)));
        granted(Action::List) || granted(Action::Read)
    };
    for (key, body) in reader.named(node, "`entities`") {
        let Some(entity) = model.by_name(key.value).filter(|entity| entity.public.is_some() && !sees(entity)) else { continue };
        // Its keys were checked when it was read.
        let spot = Reader::new("").keys(body, "an entity", &keys::ENTITY).map_or(key.spot, |keys| keys.spot("public"));
        let (message, help) = match role {
            None => ("there is no `auth.anonymous_role`".to_owned(), "name the role of callers without credentials".to_owned()),
            Some(role) => {
                let help = format!("let it view `{}`, or leave `public` out", entity.name);
                (format!("`{}`, the role of callers without credentials, may neither list nor read it", role.name), help)
            }
        };
        reader.mistake(spot, format!("`{}` cannot be public: {message}", entity.name), help);
    }
}

/// Version of the meaning of a file: part of the hash, so that a new meaning uses nothing that was cached or sealed under the old one.
const MEANING: &str = "holdfast model 1";

fn hash(document: &Node) -> String {
    use sha2::Digest as _;
    let mut canonical = String::from(MEANING);
    document.canonical(&mut canonical);
    let digest = sha2::Sha256::digest(canonical.as_bytes());
    hex::encode(&digest[..8])
}
