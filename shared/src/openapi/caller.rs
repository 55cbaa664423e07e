//! The sample caller for the document of a role.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::caller::{self, Caller};
use crate::model::{Entity, FieldType, IdKind, Model, Operand, Path, Rule, UUID};

/// A sample caller with these roles, and with a value of the right type for every claim that their rules read, so that the document
/// shows what the roles are for.
pub fn of_role(model: &Model, roles: &[&str]) -> Caller {
    let mut claims = BTreeMap::new();
    for role in roles.iter().filter_map(|name| model.role(name)) {
        for ((entity, _), grants) in &role.grants {
            grants.iter().for_each(|grant| collect(model, model.entity(*entity), &grant.rows, &mut claims));
        }
    }
    Caller {
        consumer: "example".to_owned(),
        subject: caller::subject("example", "example"),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        plan: model.auth.default_plan.clone(),
        claims,
        ..Caller::default()
    }
}

fn collect(model: &Model, entity: &Entity, rule: &Rule, claims: &mut BTreeMap<String, Value>) {
    match rule {
        Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| collect(model, entity, rule, claims)),
        Rule::Not(rule) => collect(model, entity, rule, claims),
        Rule::Compare { path, operands, .. } => {
            for operand in operands {
                if let Operand::Claim(name) = operand {
                    claims.entry(name.clone()).or_insert_with(|| sample(model, entity, *path));
                }
            }
        }
    }
}

fn sample(model: &Model, entity: &Entity, path: Path) -> Value {
    match path {
        Path::Id => sample_id(&entity.id),
        Path::Own(field) => sample_of(model, &entity.field(field).kind),
        Path::Via(via, field) => match &entity.field(via).kind {
            FieldType::Ref { target, .. } => sample_of(model, &model.entity(*target).field(field).kind),
            other => sample_of(model, other),
        },
    }
}

fn sample_id(kind: &IdKind) -> Value {
    match kind {
        IdKind::Uuid => json!(UUID.example),
        IdKind::String => json!("example"),
        IdKind::Integer => json!(1),
        IdKind::Composite(parts) => json!(vec!["1"; parts.len()].join(",")),
    }
}

fn sample_of(model: &Model, kind: &FieldType) -> Value {
    match kind {
        FieldType::String(_) | FieldType::Text(_) | FieldType::Json { .. } => json!("example"),
        FieldType::Integer { min, .. } => json!(min.max(&0)),
        FieldType::Decimal { min, .. } => json!(min.unwrap_or_default().to_string()),
        FieldType::Number { min, .. } => json!(min.unwrap_or_default().max(0.0)),
        FieldType::Boolean => json!(true),
        FieldType::Date => json!("2026-01-01"),
        FieldType::Timestamp => json!("2026-01-01T00:00:00.000Z"),
        FieldType::Enum(words) => json!(words.first()),
        FieldType::Formatted(format) => json!(format.example),
        FieldType::Ref { target, .. } => sample_id(&model.entity(*target).id),
        FieldType::File(_) => Value::Null,
        FieldType::List { item, .. } => sample_of(model, item),
    }
}
