//! Random models, callers, writes and reads.
//!
//! Every entity has the fields `s`, `n` and `owner`; all but the first refer to one or two before them. Few values of each, so
//! that conditions, filters and relations meet.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Caller;
use super::chance::Chance;

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
    pub fn random(chance: &mut Chance) -> Self {
        let count = 2 + chance.below(NAMES.len() - 1);
        let mut entities = Vec::new();
        for (at, name) in NAMES.into_iter().enumerate().take(count) {
            let refs = if at == 0 { chance.below(2) } else { 1 + chance.below(2) };
            let target = |chance: &mut Chance| if at == 0 || chance.percent(15) { at } else { chance.below(at) };
            let refs = (0..refs).map(|number| Ref { name: format!("r{number}"), target: target(chance) }).collect();
            entities.push(Entity { name, refs });
        }
        let mut yaml = "name: Random\nversion: 1.0.0\nentities:\n".to_owned();
        entities.iter().for_each(|entity| declare(chance, &mut yaml, entity));
        yaml.push_str("roles:\n  admin: {all: true, system: all}\n");
        for (at, role) in ROLES.iter().enumerate() {
            grant(chance, &mut yaml, role, at, &entities);
        }
        yaml.push_str("auth: {claims: [team]}\nlimits: {examine: 100}\n");
        Self { yaml, entities }
    }

    fn any(&self, chance: &mut Chance) -> &Entity {
        &self.entities[chance.below(self.entities.len())]
    }

    /// A write: method, address and body.
    pub fn write(&self, chance: &mut Chance) -> (String, Value) {
        let entity = self.any(chance);
        let plural = format!("{}s", entity.name);
        let id = id(chance);
        match chance.below(10) {
            0..4 => (format!("PUT {plural}/{id}"), self.fields(chance, entity, true)),
            4..7 => (format!("PATCH {plural}/{id}"), self.fields(chance, entity, false)),
            7 => (format!("DELETE {plural}/{id}"), Value::Null),
            _ => {
                let operations: Vec<Value> = (0..1 + chance.below(4))
                    .map(|_| match chance.below(4) {
                        0 => json!({"op": "delete", "id": self::id(chance)}),
                        1 => json!({"op": "update", "id": self::id(chance), "data": self.fields(chance, entity, false)}),
                        _ => json!({"op": "upsert", "id": self::id(chance), "data": self.fields(chance, entity, true)}),
                    })
                    .collect();
                (format!("POST {plural}/_bulk"), json!({"operations": operations, "atomic": chance.percent(50)}))
            }
        }
    }

    /// A purge.
    pub fn purge(&self, chance: &mut Chance) -> Value {
        let entity = self.any(chance).name;
        match chance.below(3) {
            0 => json!({"all": true}),
            1 => json!({"entity": entity}),
            _ => json!({"entity": entity, "id": id(chance)}),
        }
    }

    fn fields(&self, chance: &mut Chance, entity: &Entity, all: bool) -> Value {
        let mut fields = Map::new();
        let has = |chance: &mut Chance| all || chance.percent(40);
        if has(chance) {
            fields.insert("s".into(), chance.pick(&WORDS).into());
        }
        if has(chance) {
            fields.insert("n".into(), chance.below(4).into());
        }
        if has(chance) {
            fields.insert("owner".into(), chance.pick(&PEOPLE).into());
        }
        for reference in &entity.refs {
            if has(chance) {
                let to = if chance.percent(20) { Value::Null } else { id(chance).into() };
                fields.insert(format!("{}_id", reference.name), to);
            }
        }
        Value::Object(fields)
    }

    /// The address of a read, most of which the model allows.
    pub fn read(&self, chance: &mut Chance) -> String {
        let at = chance.below(self.entities.len());
        let entity = &self.entities[at];
        let mut parameters = Vec::new();
        if chance.percent(60) {
            let paths: Vec<String> = (0..1 + chance.below(2)).filter_map(|_| self.path(chance, at, 3)).collect();
            if !paths.is_empty() {
                parameters.push(format!("include={}", paths.join(",")));
            }
            if let Some(many) = paths.first().and_then(|path| path.split('.').next()).filter(|name| name.contains("_of_")) {
                parameters.push(format!("include[{many}][limit]={}", 1 + chance.below(3)));
            }
        }
        if chance.percent(20) {
            parameters.push(format!("fields={}", chance.pick(&["id,s", "n,owner", "id", "s"])));
        }
        if chance.percent(25) {
            return address(&format!("{}s/{}", entity.name, id(chance)), &parameters);
        }
        match chance.below(6) {
            0 => parameters.push(format!("s={}", chance.pick(&WORDS))),
            1 => parameters.push(format!("s[in]={},{}", chance.pick(&WORDS), chance.pick(&WORDS))),
            2 => parameters.push(format!("n[gte]={}", chance.below(4))),
            3 if !entity.refs.is_empty() => {
                let reference = &entity.refs[chance.below(entity.refs.len())];
                let filter = if chance.percent(50) {
                    format!("{}_id={}", reference.name, id(chance))
                } else {
                    format!("{}.s={}", reference.name, chance.pick(&WORDS))
                };
                parameters.push(filter);
            }
            _ => {}
        }
        if chance.percent(30) {
            parameters.push(format!("sort={}", chance.pick(&["n", "-n", "id", "-id"])));
        }
        if chance.percent(60) {
            parameters.push(format!("limit={}", 1 + chance.below(4)));
        }
        if chance.percent(25) {
            parameters.push("count=true".to_owned());
        }
        address(&format!("{}s", entity.name), &parameters)
    }

    /// A path of relations from the entity at `at`.
    fn path(&self, chance: &mut Chance, at: usize, depth: usize) -> Option<String> {
        let ones = self.entities[at].refs.iter().map(|reference| (reference.name.clone(), reference.target));
        let manies = self.entities.iter().enumerate().flat_map(|(from, entity)| {
            let refs = entity.refs.iter().filter(move |reference| reference.target == at);
            refs.map(move |reference| (inverse(entity, reference), from))
        });
        let relations: Vec<(String, usize)> = ones.chain(manies).collect();
        if relations.is_empty() {
            return None;
        }
        let (name, target) = relations[chance.below(relations.len())].clone();
        let deeper = if depth > 1 && chance.percent(35) { self.path(chance, target, depth - 1) } else { None };
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

fn id(chance: &mut Chance) -> String {
    format!("i{}", chance.below(IDS))
}

fn declare(chance: &mut Chance, yaml: &mut String, entity: &Entity) {
    let _infallible = writeln!(yaml, "  {}:\n    id: string\n    timestamps: false", entity.name);
    if chance.percent(20) {
        yaml.push_str("    contention: 60\n");
    }
    if chance.percent(10) {
        yaml.push_str("    cache: off\n");
    }
    yaml.push_str(
        "    fields:\n      s: {type: string, max: 5, filter: scan}\n      n: {type: integer, filter: scan, default: 0}\n",
    );
    yaml.push_str("      owner: {type: string, max: 5, filter: scan}\n");
    for reference in &entity.refs {
        let rule = chance.pick(&["restrict", "cascade", "set_null"]);
        let (name, target, inverse) = (&reference.name, NAMES[reference.target], inverse(entity, reference));
        let _infallible = writeln!(yaml, "      {name}: {{ref: {target}, on_delete: {rule}, inverse: {inverse}}}");
    }
    yaml.push_str("    indexes:\n");
    let carried = chance.pick(&["", ", fields: [s]", ", fields: [n, owner]"]);
    let _infallible = writeln!(yaml, "      at_s: {{equality: s}}\n      at_n: {{sort: n{carried}}}");
    if chance.percent(50) {
        yaml.push_str("      at_owner: {equality: owner, sort: [n]}\n");
    }
    for reference in &entity.refs {
        let _infallible = writeln!(yaml, "      join_{0}: {{equality: {0}.s}}", reference.name);
    }
}

fn grant(chance: &mut Chance, yaml: &mut String, role: &str, at: usize, entities: &[Entity]) {
    let _infallible = writeln!(yaml, "  {role}:");
    if at > 0 && chance.percent(30) {
        let _infallible = writeln!(yaml, "    inherits: {}", ROLES[chance.below(at)]);
    }
    yaml.push_str("    entities:\n");
    for entity in entities {
        if chance.percent(15) {
            continue;
        }
        let rows = if chance.percent(30) { String::new() } else { format!("rows: {}, ", rows(chance, entity, 2)) };
        let fields = chance.pick(&["all", "[s, n]", "{except: [owner]}", "{except: [s]}", "[s, n, owner]"]);
        // A mask without the refs hides what is embedded through them.
        let _infallible = writeln!(yaml, "      {}: {{view: {{{rows}fields: {fields}}}}}", entity.name);
    }
    let _infallible = writeln!(yaml, "      \"*\": {{read: true}}");
}

/// A condition.
fn rows(chance: &mut Chance, entity: &Entity, depth: usize) -> String {
    if depth > 0 && chance.percent(35) {
        let (a, b) = (rows(chance, entity, depth - 1), rows(chance, entity, depth - 1));
        return match chance.below(3) {
            0 => format!("{{not: {a}}}"),
            1 => format!("{{or: [{a}, {b}]}}"),
            _ => format!("{{and: [{a}, {b}]}}"),
        };
    }
    let via = if entity.refs.is_empty() || chance.percent(50) {
        String::new()
    } else {
        format!("{}.", entity.refs[chance.below(entity.refs.len())].name)
    };
    match chance.below(5) {
        0 => format!("{{{via}s: {}}}", chance.pick(&WORDS)),
        1 => format!("{{{via}s: $claim.team}}"),
        2 => format!("{{{via}owner: $subject}}"),
        3 => format!("{{{via}n: {{gte: {}}}}}", chance.below(4)),
        _ => format!("{{{via}s: {{ne: {}}}}}", chance.pick(&WORDS)),
    }
}

/// Somebody.
pub fn caller(chance: &mut Chance) -> Caller {
    if chance.percent(20) {
        return Caller::new(chance.pick(&PEOPLE), &["admin"]);
    }
    let roles: Vec<&str> = ROLES.into_iter().filter(|_| chance.percent(50)).collect();
    let mut caller = Caller::new(chance.pick(&PEOPLE), &roles);
    if chance.percent(70) {
        caller = caller.claim("team", chance.pick(&WORDS));
    }
    if chance.percent(10) {
        caller.0.scopes = Some(vec![chance.pick(&["*:list", "*:read", "ant:*", "*"]).to_owned()]);
    }
    caller
}
