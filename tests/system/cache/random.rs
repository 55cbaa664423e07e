//! Random models, callers, writes and reads.
//!
//! Every entity has the fields `s`, `n` and `owner`; all but the first refer to one or two before them. Few values of each, so
//! that conditions, filters and relations meet.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Caller;
use holdfast_tests::rng::Rng;

const NAMES: [&str; 4] = ["ant", "bee", "cat", "dog"];
const WORDS: [&str; 3] = ["x", "y", "z"];
const PEOPLE: [&str; 3] = ["ann", "bob", "cid"];
const ROLES: [&str; 3] = ["first", "second", "third"];
/// Ids of each entity's records: few, so that they come, go and come again.
const IDS: usize = 5;

/// A ref of an entity.
struct Ref {
    /// `r0`, `r1`.
    name: String,
    /// Position of the entity referred to.
    target: usize,
}

struct Entity {
    name: &'static str,
    refs: Vec<Ref>,
}

/// A model with what the generators know of it.
pub struct Shape {
    pub yaml: String,
    entities: Vec<Entity>,
}

impl Shape {
    pub fn random(rng: &mut Rng) -> Self {
        let count = 2 + rng.below(NAMES.len() - 1);
        let mut entities = Vec::new();
        for (at, name) in NAMES.into_iter().enumerate().take(count) {
            let refs = if at == 0 { rng.below(2) } else { 1 + rng.below(2) };
            let target = |rng: &mut Rng| if at == 0 || rng.percent(15) { at } else { rng.below(at) };
            let refs = (0..refs).map(|number| Ref { name: format!("r{number}"), target: target(rng) }).collect();
            entities.push(Entity { name, refs });
        }
        let mut yaml = "name: Random\nversion: 1.0.0\nentities:\n".to_owned();
        entities.iter().for_each(|entity| declare(rng, &mut yaml, entity));
        yaml.push_str("roles:\n  admin: {all: true, system: all}\n");
        for (at, role) in ROLES.iter().enumerate() {
            grant(rng, &mut yaml, role, at, &entities);
        }
        yaml.push_str("auth: {claims: [team]}\nlimits: {examine: 100}\n");
        Self { yaml, entities }
    }

    fn any(&self, rng: &mut Rng) -> &Entity {
        &self.entities[rng.below(self.entities.len())]
    }

    /// A write: method, address and body.
    pub fn write(&self, rng: &mut Rng) -> (String, Value) {
        let entity = self.any(rng);
        let plural = format!("{}s", entity.name);
        let id = id(rng);
        match rng.below(10) {
            0..4 => (format!("PUT {plural}/{id}"), self.fields(rng, entity, true)),
            4..7 => (format!("PATCH {plural}/{id}"), self.fields(rng, entity, false)),
            7 => (format!("DELETE {plural}/{id}"), Value::Null),
            _ => {
                let operations: Vec<Value> = (0..1 + rng.below(4))
                    .map(|_| match rng.below(4) {
                        0 => json!({"op": "delete", "id": self::id(rng)}),
                        1 => json!({"op": "update", "id": self::id(rng), "data": self.fields(rng, entity, false)}),
                        _ => json!({"op": "upsert", "id": self::id(rng), "data": self.fields(rng, entity, true)}),
                    })
                    .collect();
                (format!("POST {plural}/_bulk"), json!({"operations": operations, "atomic": rng.percent(50)}))
            }
        }
    }

    /// A purge.
    pub fn purge(&self, rng: &mut Rng) -> Value {
        let entity = self.any(rng).name;
        match rng.below(3) {
            0 => json!({"all": true}),
            1 => json!({"entity": entity}),
            _ => json!({"entity": entity, "id": id(rng)}),
        }
    }

    fn fields(&self, rng: &mut Rng, entity: &Entity, all: bool) -> Value {
        let mut fields = Map::new();
        let has = |rng: &mut Rng| all || rng.percent(40);
        if has(rng) {
            fields.insert("s".into(), rng.word(&WORDS).into());
        }
        if has(rng) {
            fields.insert("n".into(), rng.below(4).into());
        }
        if has(rng) {
            fields.insert("owner".into(), rng.word(&PEOPLE).into());
        }
        for reference in &entity.refs {
            if has(rng) {
                let to = if rng.percent(20) { Value::Null } else { id(rng).into() };
                fields.insert(format!("{}_id", reference.name), to);
            }
        }
        Value::Object(fields)
    }

    /// The address of a read, most of which the model allows.
    pub fn read(&self, rng: &mut Rng) -> String {
        let at = rng.below(self.entities.len());
        let entity = &self.entities[at];
        let mut parameters = Vec::new();
        if rng.percent(60) {
            let paths: Vec<String> = (0..1 + rng.below(2)).filter_map(|_| self.path(rng, at, 3)).collect();
            if !paths.is_empty() {
                parameters.push(format!("include={}", paths.join(",")));
            }
            if let Some(many) = paths.first().and_then(|path| path.split('.').next()).filter(|name| name.contains("_of_")) {
                parameters.push(format!("include[{many}][limit]={}", 1 + rng.below(3)));
            }
        }
        if rng.percent(20) {
            parameters.push(format!("fields={}", rng.word(&["id,s", "n,owner", "id", "s"])));
        }
        if rng.percent(25) {
            return address(&format!("{}s/{}", entity.name, id(rng)), &parameters);
        }
        match rng.below(6) {
            0 => parameters.push(format!("s={}", rng.word(&WORDS))),
            1 => parameters.push(format!("s[in]={},{}", rng.word(&WORDS), rng.word(&WORDS))),
            2 => parameters.push(format!("n[gte]={}", rng.below(4))),
            3 if !entity.refs.is_empty() => {
                let reference = &entity.refs[rng.below(entity.refs.len())];
                let filter = if rng.percent(50) {
                    format!("{}_id={}", reference.name, id(rng))
                } else {
                    format!("{}.s={}", reference.name, rng.word(&WORDS))
                };
                parameters.push(filter);
            }
            _ => {}
        }
        if rng.percent(30) {
            parameters.push(format!("sort={}", rng.word(&["n", "-n", "id", "-id"])));
        }
        if rng.percent(60) {
            parameters.push(format!("limit={}", 1 + rng.below(4)));
        }
        if rng.percent(25) {
            parameters.push("count=true".to_owned());
        }
        address(&format!("{}s", entity.name), &parameters)
    }

    /// A path of relations from the entity at `at`.
    fn path(&self, rng: &mut Rng, at: usize, depth: usize) -> Option<String> {
        let ones = self.entities[at].refs.iter().map(|reference| (reference.name.clone(), reference.target));
        let manies = self.entities.iter().enumerate().flat_map(|(from, entity)| {
            let refs = entity.refs.iter().filter(move |reference| reference.target == at);
            refs.map(move |reference| (inverse(entity, reference), from))
        });
        let relations: Vec<(String, usize)> = ones.chain(manies).collect();
        if relations.is_empty() {
            return None;
        }
        let (name, target) = relations[rng.below(relations.len())].clone();
        let deeper = if depth > 1 && rng.percent(35) { self.path(rng, target, depth - 1) } else { None };
        Some(deeper.map_or(name.clone(), |rest| format!("{name}.{rest}")))
    }
}

/// The name of the inverse side.
fn inverse(entity: &Entity, reference: &Ref) -> String {
    format!("{}_of_{}", entity.name, reference.name)
}

fn address(path: &str, parameters: &[String]) -> String {
    if parameters.is_empty() { path.to_owned() } else { format!("{path}?{}", parameters.join("&")) }
}

fn id(rng: &mut Rng) -> String {
    format!("i{}", rng.below(IDS))
}

fn declare(rng: &mut Rng, yaml: &mut String, entity: &Entity) {
    let _infallible = writeln!(yaml, "  {}:\n    id: string\n    timestamps: false", entity.name);
    if rng.percent(20) {
        yaml.push_str("    contention: 1000\n");
    }
    if rng.percent(10) {
        yaml.push_str("    cache: off\n");
    }
    yaml.push_str(
        "    fields:\n      s: {type: string, max: 5, filter: scan}\n      n: {type: integer, filter: scan, default: 0}\n",
    );
    yaml.push_str("      owner: {type: string, max: 5, filter: scan}\n");
    for reference in &entity.refs {
        let rule = rng.word(&["restrict", "cascade", "set_null"]);
        let (name, target, inverse) = (&reference.name, NAMES[reference.target], inverse(entity, reference));
        let _infallible = writeln!(yaml, "      {name}: {{ref: {target}, on_delete: {rule}, inverse: {inverse}}}");
    }
    yaml.push_str("    indexes:\n");
    let carried = rng.word(&["", ", fields: [s]", ", fields: [n, owner]"]);
    let _infallible = writeln!(yaml, "      at_s: {{equality: s}}\n      at_n: {{sort: n{carried}}}");
    if rng.percent(50) {
        yaml.push_str("      at_owner: {equality: owner, sort: [n]}\n");
    }
    for reference in &entity.refs {
        let _infallible = writeln!(yaml, "      join_{0}: {{equality: {0}.s}}", reference.name);
    }
}

fn grant(rng: &mut Rng, yaml: &mut String, role: &str, at: usize, entities: &[Entity]) {
    let _infallible = writeln!(yaml, "  {role}:");
    if at > 0 && rng.percent(30) {
        let _infallible = writeln!(yaml, "    inherits: {}", ROLES[rng.below(at)]);
    }
    yaml.push_str("    entities:\n");
    for entity in entities {
        if rng.percent(15) {
            continue;
        }
        let rows = if rng.percent(30) { String::new() } else { format!("rows: {}, ", rows(rng, entity, 2)) };
        let fields = rng.word(&["all", "[s, n]", "{except: [owner]}", "{except: [s]}", "[s, n, owner]"]);
        // A mask without the refs hides what is embedded through them.
        let _infallible = writeln!(yaml, "      {}: {{view: {{{rows}fields: {fields}}}}}", entity.name);
    }
    let _infallible = writeln!(yaml, "      \"*\": {{read: true}}");
}

/// A condition.
fn rows(rng: &mut Rng, entity: &Entity, depth: usize) -> String {
    if depth > 0 && rng.percent(35) {
        let (a, b) = (rows(rng, entity, depth - 1), rows(rng, entity, depth - 1));
        return match rng.below(3) {
            0 => format!("{{not: {a}}}"),
            1 => format!("{{or: [{a}, {b}]}}"),
            _ => format!("{{and: [{a}, {b}]}}"),
        };
    }
    let via = if entity.refs.is_empty() || rng.percent(50) {
        String::new()
    } else {
        format!("{}.", entity.refs[rng.below(entity.refs.len())].name)
    };
    match rng.below(5) {
        0 => format!("{{{via}s: {}}}", rng.word(&WORDS)),
        1 => format!("{{{via}s: $claim.team}}"),
        2 => format!("{{{via}owner: $subject}}"),
        3 => format!("{{{via}n: {{gte: {}}}}}", rng.below(4)),
        _ => format!("{{{via}s: {{ne: {}}}}}", rng.word(&WORDS)),
    }
}

/// Somebody.
pub fn caller(rng: &mut Rng) -> Caller {
    if rng.percent(20) {
        return Caller::new(rng.word(&PEOPLE), &["admin"]);
    }
    let roles: Vec<&str> = ROLES.into_iter().filter(|_| rng.percent(50)).collect();
    let mut caller = Caller::new(rng.word(&PEOPLE), &roles);
    if rng.percent(70) {
        caller = caller.claim("team", rng.word(&WORDS));
    }
    if rng.percent(10) {
        caller.0.scopes = Some(vec![rng.word(&["*:list", "*:read", "ant:*", "*"]).to_owned()]);
    }
    caller
}
