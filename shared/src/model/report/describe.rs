//! Parts of a schema in words that do not depend on positions, so that two models can be compared.

use std::time::Duration;

use crate::model::schema::{Entity, FieldMask, FieldType, Grant, IdKind, Index, Model, Operand, Path, Rule};

/// `customer_id`, `customer.country`, `id`.
pub(super) fn path(model: &Model, entity: &Entity, path: Path) -> String {
    match path {
        Path::Id => "id".to_owned(),
        Path::Own(ix) => entity.field(ix).name.clone(),
        Path::Via(via, ix) => {
            let relation = entity.to_one.iter().find(|relation| relation.field == via);
            relation.map_or_else(String::new, |relation| {
                format!("{}.{}", relation.name, model.entity(relation.target).field(ix).name)
            })
        }
    }
}

/// The condition that holds for every row.
pub(super) const ALL_ROWS: &str = "all rows";

/// A row condition in the words of a file.
pub(super) fn rule(model: &Model, entity: &Entity, condition: &Rule) -> String {
    rule_by(&|at| path(model, entity, at), condition)
}

/// A row condition with the names of its fields by a function.
pub(super) fn rule_by(name: &dyn Fn(Path) -> String, condition: &Rule) -> String {
    let joined = |rules: &[Rule], word: &str| {
        let parts: Vec<String> = rules.iter().map(|inner| rule_by(name, inner)).collect();
        format!("({})", parts.join(word))
    };
    match condition {
        Rule::All(rules) if rules.is_empty() => ALL_ROWS.to_owned(),
        Rule::Any(rules) if rules.is_empty() => "no rows".to_owned(),
        Rule::All(rules) => joined(rules, " and "),
        Rule::Any(rules) => joined(rules, " or "),
        Rule::Not(inner) => format!("not {}", rule_by(name, inner)),
        Rule::Compare { path, op, operands } => {
            let operands: Vec<String> = operands
                .iter()
                .map(|operand| match operand {
                    Operand::Constant(value) => value.to_string(),
                    Operand::Claim(name) => format!("${name}"),
                })
                .collect();
            format!("{} {} {}", name(*path), op.name(), operands.join(","))
        }
    }
}

/// Names of the fields of a mask.
pub(super) fn mask<'e>(entity: &'e Entity, mask: &FieldMask) -> Vec<&'e str> {
    entity.fields.iter().filter(|field| mask.contains(field.ix)).map(|field| field.name.as_str()).collect()
}

/// Row conditions of several grants.
pub(super) fn rows(model: &Model, entity: &Entity, grants: &[Grant]) -> Vec<String> {
    grants.iter().map(|grant| rule(model, entity, &grant.rows)).collect()
}

/// Equality and sort of an index.
pub(super) fn index(model: &Model, entity: &Entity, index: &Index) -> String {
    let equality: Vec<String> = index.equality.iter().map(|at| path(model, entity, *at)).collect();
    let sort: Vec<String> = index
        .sort
        .iter()
        .map(|part| format!("{}{}", if part.descending { "-" } else { "" }, path(model, entity, part.by)))
        .collect();
    format!("equality [{}], sort [{}]", equality.join(", "), sort.join(", "))
}

/// Names of the fields that the rows of an index carry.
pub(super) fn projection(entity: &Entity, index: &Index) -> Option<Vec<String>> {
    index.projection.as_ref().map(|fields| fields.iter().map(|ix| entity.field(*ix).name.clone()).collect())
}

/// Name of a type without its limits; that of a ref with its target.
pub(in crate::model) fn kind(model: &Model, kind_: &FieldType) -> String {
    match kind_ {
        FieldType::String(_) => "string".to_owned(),
        FieldType::Text(_) => "text".to_owned(),
        FieldType::Integer { .. } => "integer".to_owned(),
        FieldType::Decimal { .. } => "decimal".to_owned(),
        FieldType::Number { .. } => "number".to_owned(),
        FieldType::Boolean => "boolean".to_owned(),
        FieldType::Date => "date".to_owned(),
        FieldType::Timestamp => "timestamp".to_owned(),
        FieldType::Enum(_) => "enum".to_owned(),
        FieldType::Formatted(format) => format.name.to_owned(),
        FieldType::Json { .. } => "json".to_owned(),
        FieldType::Ref { target, .. } => format!("ref {}", model.entity(*target).name),
        FieldType::File(_) => "file".to_owned(),
        FieldType::List { item, .. } => format!("list of {}", kind(model, item)),
    }
}

/// Kind of an id; a composite one with its fields.
pub(in crate::model) fn id(entity: &Entity) -> String {
    match &entity.id {
        IdKind::Uuid => "uuid".to_owned(),
        IdKind::String => "string".to_owned(),
        IdKind::Integer => "integer".to_owned(),
        IdKind::Composite(parts) => {
            let names: Vec<&str> = parts.iter().map(|ix| entity.field(*ix).name.as_str()).collect();
            format!("[{}]", names.join(", "))
        }
    }
}

/// A duration in its largest whole unit.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}
