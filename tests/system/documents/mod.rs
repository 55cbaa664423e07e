//! Documents against the running API: what a role's document names is allowed, and nothing else is.

mod caching;
mod fields;
mod operations;
mod told;

use std::collections::BTreeSet;

use holdfast::model::{self, Entity, IdKind, Model};
use holdfast::openapi;
use holdfast_local::Options;
use holdfast_tests::{Actor, System, northwind_model, root};
use serde_json::{Value, json};

/// Whom a role's token stands for; records of the seed are theirs, so that row conditions hold for one record at least.
const SOMEBODY: &str = "example";

/// A system with one record of each entity, and its model.
struct Seeded {
    system: System,
    model: Model,
}

/// A role: its caller, and its document as the API gave it.
struct Role {
    name: String,
    actor: Actor,
    document: Value,
}

/// The models that are tried. None of this is about limits, so theirs are wide.
async fn systems() -> Vec<Seeded> {
    let demo = std::fs::read_to_string(root().join("model.yaml")).unwrap();
    let demo = demo.replace("rate: 50, per: 1s, burst: 100", "rate: 100000, per: 1s, burst: 100000");
    let demo = demo.replace("rate: 60, per: 1m, burst: 20", "rate: 100000, per: 1s, burst: 100000");
    let northwind = northwind_model().replace("rate: 100, per: 1s, burst: 200", "rate: 100000, per: 1s, burst: 100000");
    vec![seeded(demo).await, seeded(northwind).await]
}

async fn seeded(source: String) -> Seeded {
    let model = model::parse("model.yaml", &source).unwrap();
    let system = System::start_with(Options::in_memory(source)).await;
    let seeded = Seeded { system, model };
    let admin = seeded.role("admin").await;
    for ix in seeded.model.dependency_order() {
        let entity = seeded.model.entity(ix);
        let operation = &admin.document["paths"][format!("/v1/{}", entity.plural)]["post"];
        let mut record = operation["requestBody"]["content"]["application/json"]["example"].clone();
        assert!(record.is_object(), "{} has no example", entity.name);
        let members = record.as_object_mut().unwrap();
        // Nobody of its own kind is there yet.
        let alone = entity.to_one.iter().filter(|relation| relation.target == ix);
        alone.for_each(|relation| drop(members.remove(&entity.field(relation.field).name)));
        if entity.by_field("channel").is_some() {
            members.insert("channel".into(), json!(format!("local:{SOMEBODY}")));
            members.insert("packer".into(), json!(format!("local:{SOMEBODY}")));
            members.insert("status".into(), json!("paid"));
        }
        admin.actor.post(&format!("/v1/{}", entity.plural), record).await.expect(201);
    }
    seeded
}

impl Seeded {
    async fn role(&self, name: &str) -> Role {
        let made_up = openapi::of_role(&self.model, &[name]);
        let claims: Vec<(&str, Value)> = made_up.claims.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let actor = self.system.actor_with(SOMEBODY, &[name], &claims, None);
        let document = actor.get("/v1/openapi.json").await.expect(200).body;
        Role { name: name.to_owned(), actor, document }
    }

    async fn roles(&self) -> Vec<Role> {
        let mut roles = Vec::new();
        for role in &self.model.roles {
            roles.push(self.role(&role.name).await);
        }
        roles
    }

    /// The id of the entity's record in the seed, as it stands in its address.
    async fn id_of(&self, entity: &Entity) -> String {
        let found = self.system.admin().get(&format!("/v1/{}?fields=id&limit=1", entity.plural)).await.expect(200);
        match &found.body["data"][0]["id"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }
}

impl Role {
    /// Methods and paths of the document.
    fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let methods = |item: &Value| {
            let names = item.as_object().unwrap().keys().filter(|name| *name != "parameters");
            names.map(|name| name.to_uppercase()).collect::<Vec<_>>()
        };
        paths.iter().flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, path.clone()))).collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.document["paths"].get(path)?.get(method)
    }

    /// The parameters of an operation, references followed.
    fn parameters(&self, operation: &Value) -> Vec<Value> {
        let all = operation["parameters"].as_array().into_iter().flatten();
        all.map(|parameter| self.resolved(parameter).clone()).collect()
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => value,
        }
    }
}

/// An id that no record has.
fn absent(entity: &Entity) -> String {
    match &entity.id {
        IdKind::Uuid => "00000000-0000-7000-8000-000000000001".to_owned(),
        IdKind::String => "nobody-has-this".to_owned(),
        IdKind::Integer => "987654321".to_owned(),
        IdKind::Composite(parts) => vec!["987654321"; parts.len()].join(","),
    }
}
