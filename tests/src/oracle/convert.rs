//! A model that the parser has read, as the oracle knows models. Of the parser's work it takes names, types and resolved grants;
//! what they mean it decides by itself.

use std::collections::BTreeMap;

use holdfast::model::{self, Action, FieldType, IdKind, Model, Rule as Parsed};
use serde_json::json;

use super::spec::{Entity, Field, Fields, Grant, Id, Index, Kind, OnDelete, Operand, Path, Reference, Role, Rule, Spec};

/// The model.
pub fn spec(model: &Model) -> Spec {
    let entities = model.entities.iter().map(|of| entity(model, of)).collect();
    let roles = model.roles.iter().map(role).collect();
    Spec { entities, roles, examine: model.limits.examine }
}

fn entity(model: &Model, of: &model::Entity) -> Entity {
    let id = match &of.id {
        IdKind::Uuid => Id::Uuid,
        IdKind::String => Id::Text,
        IdKind::Integer => Id::Integer,
        IdKind::Composite(parts) => Id::Parts(parts.iter().map(|part| usize::from(part.0)).collect()),
    };
    let indexes = of.indexes.iter().map(|index| Index {
        name: index.name.clone(),
        equality: index.equality.iter().map(|one| path(*one)).collect(),
        sort: index.sort.iter().map(|part| (path(part.by), part.descending)).collect(),
        projection: None,
        declared: index.declared,
    });
    Entity {
        name: of.name.clone(),
        plural: of.plural.clone(),
        id,
        fields: of.fields.iter().map(|one| field(model, of, one)).collect(),
        indexes: indexes.collect(),
    }
}

fn field(model: &Model, of: &model::Entity, field: &model::Field) -> Field {
    let stamp = matches!(field.name.as_str(), "created_at" | "updated_at") && field.read_only;
    Field {
        name: field.name.clone(),
        kind: kind(model, of, field),
        required: field.required,
        default: field.default.clone(),
        unique: field.unique,
        immutable: field.immutable,
        // A file is changed by upload and complete only.
        read_only: (field.read_only || matches!(field.kind, FieldType::File(_))) && !stamp,
        write_only: field.write_only,
        scan: field.scan,
        stamp,
    }
}

fn kind(model: &Model, of: &model::Entity, field: &model::Field) -> Kind {
    match &field.kind {
        FieldType::Formatted(format) if format.name == "uuid" => Kind::Uuid,
        FieldType::String(_) | FieldType::Formatted(_) => Kind::String,
        FieldType::Text(_) => Kind::Text,
        FieldType::Integer { .. } => Kind::Integer,
        FieldType::Decimal { .. } => Kind::Decimal,
        FieldType::Number { .. } => Kind::Number,
        FieldType::Boolean => Kind::Boolean,
        FieldType::Date => Kind::Date,
        FieldType::Timestamp => Kind::Timestamp,
        FieldType::Enum(words) => Kind::Enum(words.clone()),
        FieldType::Json { .. } | FieldType::File(_) => Kind::Json,
        FieldType::List { item, .. } if matches!(**item, FieldType::Integer { .. }) => Kind::Numbers,
        FieldType::List { .. } => Kind::Words,
        FieldType::Ref { target, on_delete } => {
            let relation = of.to_one.iter().find(|relation| relation.field == field.ix).map(|relation| relation.name.clone());
            let inverse = model.entity(*target).to_many.iter().find(|many| many.target == of.ix && many.field == field.ix);
            Kind::Ref(Reference {
                relation: relation.unwrap_or_default(),
                target: usize::from(target.0),
                on_delete: match on_delete {
                    model::OnDelete::Restrict => OnDelete::Restrict,
                    model::OnDelete::Cascade => OnDelete::Cascade,
                    model::OnDelete::SetNull => OnDelete::SetNull,
                },
                inverse: inverse.map(|many| many.name.clone()),
            })
        }
    }
}

fn path(path: model::Path) -> Path {
    match path {
        model::Path::Id => Path::Id,
        model::Path::Own(field) => Path::Own(usize::from(field.0)),
        model::Path::Via(via, field) => Path::Via(usize::from(via.0), usize::from(field.0)),
    }
}

fn role(role: &model::Role) -> Role {
    let mut resolved = Vec::new();
    for ((entity, action), grants) in &role.grants {
        if matches!(action, Action::Upload | Action::Download) {
            continue;
        }
        for grant in grants {
            let fields = Fields::Only(grant.fields.iter().map(|field| usize::from(field.0)).collect());
            let links = grant.links.iter().map(|field| usize::from(field.0)).collect();
            let grant = Grant { allowed: true, rows: Some(rule(&grant.rows)), fields, links };
            resolved.push((usize::from(entity.0), action.name(), grant));
        }
    }
    Role { name: role.name.clone(), inherits: Vec::new(), all: false, entities: BTreeMap::new(), resolved }
}

fn rule(parsed: &Parsed) -> Rule {
    let all = |rules: &[Parsed]| rules.iter().map(rule).collect();
    match parsed {
        Parsed::All(rules) => Rule::All(all(rules)),
        Parsed::Any(rules) => Rule::Any(all(rules)),
        Parsed::Not(inner) => Rule::Not(Box::new(rule(inner))),
        Parsed::Compare { path: of, op, operands } => {
            let operand = |operand: &model::Operand| match operand {
                model::Operand::Constant(value) => Operand::Constant(value.clone()),
                model::Operand::Claim(name) if name == "subject" || name == "consumer" => Operand::Claim(name.clone()),
                model::Operand::Claim(name) => Operand::Claim(format!("claim.{name}")),
            };
            let with = operands.iter().map(operand).collect::<Vec<_>>();
            let with = if with.is_empty() { vec![Operand::Constant(json!(null))] } else { with };
            Rule::Compare { path: path(*of), op: op.name(), with }
        }
    }
}
