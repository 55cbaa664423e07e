//! A model as the oracle knows it: only what it generated itself, none of the parser's work.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A whole model.
#[derive(Debug, Clone)]
pub struct Spec {
    pub entities: Vec<Entity>,
    pub roles: Vec<Role>,
    pub examine: usize,
}

/// One kind of record.
#[derive(Debug, Clone)]
pub struct Entity {
    pub name: String,
    pub plural: String,
    pub id: Id,
    /// In the order of answers; `created_at` and `updated_at` last, where there are any.
    pub fields: Vec<Field>,
    pub indexes: Vec<Index>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Id {
    Uuid,
    Text,
    Integer,
    /// Positions of the fields.
    Parts(Vec<usize>),
}

#[derive(Debug, Clone, Default)]
pub struct Field {
    /// The API's name; a ref's ends with `_id`.
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    pub default: Option<Value>,
    pub unique: bool,
    pub immutable: bool,
    pub read_only: bool,
    pub write_only: bool,
    pub scan: bool,
    /// `created_at` or `updated_at`.
    pub stamp: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub enum Kind {
    #[default]
    String,
    Text,
    Integer,
    Decimal,
    Number,
    Boolean,
    Date,
    Timestamp,
    /// In their order.
    Enum(Vec<String>),
    Uuid,
    /// A list of texts.
    Words,
    /// A list of whole numbers.
    Numbers,
    Json,
    Ref(Reference),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub relation: String,
    pub target: usize,
    pub on_delete: OnDelete,
    pub inverse: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OnDelete {
    Restrict,
    Cascade,
    SetNull,
}

/// Words of every enum, in an order that is not that of the alphabet.
pub const WORDS: [&str; 3] = ["low", "mid", "high"];

/// What a comparison reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Path {
    Id,
    Own(usize),
    /// A field of the record that a ref field points to.
    Via(usize, usize),
}

#[derive(Debug, Clone)]
pub struct Index {
    pub name: String,
    pub equality: Vec<Path>,
    /// Field and whether it descends.
    pub sort: Vec<(Path, bool)>,
    pub projection: Option<Vec<usize>>,
    /// Whether the model declares it; the others are there by themselves.
    pub declared: bool,
}

#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    /// Positions of earlier roles.
    pub inherits: Vec<usize>,
    pub all: bool,
    /// By entity: keys (`list`, `view`, ...) and what they allow.
    pub entities: BTreeMap<usize, Vec<(&'static str, Grant)>>,
    /// By entity and action, of a model that was not generated: inheritance and groups are resolved already.
    pub resolved: Vec<(usize, &'static str, Grant)>,
}

#[derive(Debug, Clone)]
pub struct Grant {
    pub allowed: bool,
    pub rows: Option<Rule>,
    pub fields: Fields,
    /// Refs among the fields that may name records which the caller may not read.
    pub links: Vec<usize>,
}

#[derive(Debug, Clone)]
pub enum Fields {
    All,
    Only(Vec<usize>),
    Except(Vec<usize>),
}

#[derive(Debug, Clone)]
pub enum Rule {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
    Compare { path: Path, op: &'static str, with: Vec<Operand> },
}

#[derive(Debug, Clone)]
pub enum Operand {
    Constant(Value),
    /// `$subject`, `$consumer` or `$claim.name`, without the `$`.
    Claim(String),
}

impl Kind {
    pub fn is_sortable(&self) -> bool {
        !matches!(self, Self::Text | Self::Words | Self::Numbers | Self::Json)
    }

    pub fn reference(&self) -> Option<&Reference> {
        if let Self::Ref(reference) = self { Some(reference) } else { None }
    }
}

impl Field {
    /// Whether null is a value.
    pub fn nullable(&self) -> bool {
        !self.stamp && !self.required && self.default.is_none()
    }
}

impl Entity {
    pub fn parts(&self) -> &[usize] {
        if let Id::Parts(parts) = &self.id { parts } else { &[] }
    }

    /// Ref fields with their positions.
    pub fn references(&self) -> impl Iterator<Item = (usize, &Reference)> {
        self.fields.iter().enumerate().filter_map(|(at, field)| Some((at, field.kind.reference()?)))
    }
}

impl Spec {
    /// What a part of a composite id in a path says of its field.
    pub fn part(&self, field: &Field, text: &str) -> Value {
        let number = match &field.kind {
            Kind::Ref(reference) => self.entities[reference.target].id == Id::Integer,
            kind => *kind == Kind::Integer,
        };
        if number { json!(text.parse::<i64>().unwrap_or(0)) } else { json!(text) }
    }

    /// The type of what stands at a path.
    pub fn kind(&self, entity: usize, path: Path) -> Kind {
        match path {
            Path::Id if self.entities[entity].id == Id::Integer => Kind::Integer,
            Path::Id => Kind::String,
            Path::Own(field) => self.entities[entity].fields[field].kind.clone(),
            Path::Via(via, field) => self.entities[self.target(entity, via)].fields[field].kind.clone(),
        }
    }

    /// The entity that a ref field points to.
    pub fn target(&self, entity: usize, via: usize) -> usize {
        self.entities[entity].fields[via].kind.reference().map_or(entity, |reference| reference.target)
    }

    /// Whether filters may read a path without an index.
    pub fn may_scan(&self, entity: usize, path: Path) -> bool {
        match path {
            Path::Id => false,
            Path::Own(field) => self.entities[entity].fields[field].scan,
            Path::Via(via, field) => self.entities[self.target(entity, via)].fields[field].scan,
        }
    }

    /// A path as query strings and the model name it.
    pub fn name(&self, entity: usize, path: Path) -> String {
        let of = &self.entities[entity];
        match path {
            Path::Id => "id".to_owned(),
            Path::Own(field) => of.fields[field].name.clone(),
            Path::Via(via, field) => {
                let relation = of.fields[via].kind.reference().map_or("", |reference| &reference.relation);
                format!("{relation}.{}", self.entities[self.target(entity, via)].fields[field].name)
            }
        }
    }

    /// The inverse sides that an entity has: name, the entity that holds the ref, the ref field.
    pub fn inverses(&self, entity: usize) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for (at, other) in self.entities.iter().enumerate() {
            for (field, reference) in other.references().filter(|(_, reference)| reference.target == entity) {
                found.extend(reference.inverse.clone().map(|name| (name, at, field)));
            }
        }
        found
    }

    /// `model.yaml`, in the part of YAML that is JSON.
    pub fn yaml(&self, claims: &[String]) -> String {
        let entities = self.entities.iter().enumerate().map(|(at, entity)| (entity.name.clone(), self.entity_yaml(at, entity)));
        let roles = self.roles.iter().map(|role| (role.name.clone(), self.role_yaml(role)));
        let model = json!({
            "name": "Oracle",
            "version": "1.0.0",
            "entities": entities.collect::<Map<_, _>>(),
            "roles": roles.collect::<Map<_, _>>(),
            "auth": {"claims": claims},
            "limits": {"examine": self.examine},
        });
        serde_json::to_string_pretty(&model).unwrap_or_default()
    }

    fn entity_yaml(&self, at: usize, entity: &Entity) -> Value {
        let own_name = |field: &Field| field.kind.reference().map_or(field.name.clone(), |reference| reference.relation.clone());
        let fields = entity.fields.iter().filter(|field| !field.stamp).map(|field| (own_name(field), self.field_yaml(field)));
        let indexes = entity.indexes.iter().filter(|index| index.declared).map(|index| {
            let sort = index.sort.iter().map(|(path, down)| format!("{}{}", if *down { "-" } else { "" }, self.name(at, *path)));
            let mut body = json!({
                "equality": index.equality.iter().map(|path| self.name(at, *path)).collect::<Vec<_>>(),
                "sort": sort.collect::<Vec<_>>(),
            });
            if let Some(fields) = &index.projection {
                body["fields"] = fields.iter().map(|field| json!(entity.fields[*field].name)).collect();
            }
            (index.name.clone(), body)
        });
        json!({
            "plural": entity.plural,
            "id": match &entity.id {
                Id::Uuid => json!("uuid"),
                Id::Text => json!("string"),
                Id::Integer => json!("integer"),
                Id::Parts(parts) => parts.iter().map(|part| json!(entity.fields[*part].name)).collect(),
            },
            "timestamps": entity.fields.iter().any(|field| field.stamp),
            "fields": fields.collect::<Map<_, _>>(),
            "indexes": indexes.collect::<Map<_, _>>(),
        })
    }

    fn field_yaml(&self, field: &Field) -> Value {
        let mut body = match &field.kind {
            Kind::String => json!({"type": "string", "max": 20}),
            Kind::Text => json!({"type": "text"}),
            Kind::Integer => json!({"type": "integer", "min": -100, "max": 100_000}),
            Kind::Decimal => json!({"type": "decimal", "scale": 2}),
            Kind::Number => json!({"type": "number"}),
            Kind::Boolean => json!({"type": "boolean"}),
            Kind::Date => json!({"type": "date"}),
            Kind::Timestamp => json!({"type": "timestamp"}),
            Kind::Enum(words) => json!({"enum": words}),
            Kind::Uuid => json!({"type": "uuid"}),
            Kind::Words => json!({"list": {"type": "string", "max": 10}}),
            Kind::Numbers => json!({"list": "integer"}),
            Kind::Json => json!({"type": "json"}),
            Kind::Ref(reference) => {
                let on_delete = match reference.on_delete {
                    OnDelete::Restrict => "restrict",
                    OnDelete::Cascade => "cascade",
                    OnDelete::SetNull => "set_null",
                };
                let mut body = json!({"ref": self.entities[reference.target].name, "on_delete": on_delete});
                if let Some(inverse) = &reference.inverse {
                    body["inverse"] = json!(inverse);
                }
                body
            }
        };
        let flags = [
            ("required", field.required),
            ("unique", field.unique),
            ("immutable", field.immutable),
            ("read_only", field.read_only),
            ("write_only", field.write_only),
        ];
        for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
            body[name] = json!(true);
        }
        if field.scan {
            body["filter"] = json!("scan");
        }
        if let Some(default) = &field.default {
            body["default"] = default.clone();
        }
        body
    }

    fn role_yaml(&self, role: &Role) -> Value {
        let entities = role.entities.iter().map(|(at, grants)| {
            let grants = grants.iter().map(|(key, grant)| ((*key).to_owned(), self.grant_yaml(*at, grant)));
            (self.entities[*at].name.clone(), Value::Object(grants.collect()))
        });
        json!({
            "inherits": role.inherits.iter().map(|at| self.roles[*at].name.clone()).collect::<Vec<_>>(),
            "all": role.all,
            "entities": entities.collect::<Map<_, _>>(),
        })
    }

    fn grant_yaml(&self, entity: usize, grant: &Grant) -> Value {
        if !grant.allowed {
            return json!(false);
        }
        let names =
            |fields: &[usize]| -> Value { fields.iter().map(|field| json!(self.entities[entity].fields[*field].name)).collect() };
        let name = |field: &usize| self.entities[entity].fields[*field].name.clone();
        let linked = grant.links.iter().map(|field| (name(field), json!({"link": true})));
        let with_links = |except: &[usize]| -> Value {
            linked.clone().chain([("except".to_owned(), names(except))]).collect::<Map<_, _>>().into()
        };
        let said = |field: &usize| match grant.links.contains(field) {
            true => json!({ name(field): {"link": true} }),
            false => json!(name(field)),
        };
        let mut body = json!({
            "fields": match &grant.fields {
                Fields::All if grant.links.is_empty() => json!("all"),
                Fields::All => with_links(&[]),
                Fields::Only(fields) => fields.iter().map(said).collect(),
                Fields::Except(fields) => with_links(fields),
            },
        });
        if let Some(rows) = &grant.rows {
            body["rows"] = self.rule_yaml(entity, rows);
        }
        body
    }

    fn rule_yaml(&self, entity: usize, rule: &Rule) -> Value {
        let all = |rules: &[Rule]| rules.iter().map(|rule| self.rule_yaml(entity, rule)).collect::<Value>();
        match rule {
            Rule::All(rules) => json!({"and": all(rules)}),
            Rule::Any(rules) => json!({"or": all(rules)}),
            Rule::Not(rule) => json!({"not": self.rule_yaml(entity, rule)}),
            Rule::Compare { path, op, with } => {
                let one = |operand: &Operand| match operand {
                    Operand::Constant(Value::String(text)) if text.starts_with('$') => json!(format!("${text}")),
                    Operand::Constant(value) => value.clone(),
                    Operand::Claim(name) => json!(format!("${name}")),
                };
                let operand = match (*op, with.as_slice()) {
                    ("in" | "nin", many) => many.iter().map(one).collect(),
                    (_, [only, ..]) => one(only),
                    (_, []) => Value::Null,
                };
                json!({ self.name(entity, *path): { *op: operand } })
            }
        }
    }
}
