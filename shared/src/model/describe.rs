//! Parts of the schema in words that do not depend on positions, so that two models can be compared.

use std::time::Duration;

use serde_json::Value;

use super::schema::{
    Deprecation, Entity, FieldMask, FieldType, Grant, IdKind, Index, Model, OnDelete, Operand, Operation, Path, Rule,
};

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

/// No condition.
pub(super) const ALL_ROWS: &str = "all rows";

impl Entity {
    /// How an operation on its records is deprecated; `None`: those that only show them beside others.
    pub fn deprecation(&self, operation: Option<Operation>) -> Option<&Deprecation> {
        let concerned =
            |one: &&Deprecation| one.operations.is_empty() || operation.is_some_and(|of| one.operations.contains(&of));
        self.deprecated.as_ref().filter(concerned)
    }
}

impl Deprecation {
    /// `Deprecated since 2026-01-01, may be gone after 2027-06-30; in its place: catalogue_id.`
    pub fn in_words(&self) -> String {
        let mut text = "Deprecated".to_owned();
        if let Some(day) = day(self.since) {
            text.push_str(&format!(" since {day}"));
        }
        if let Some(day) = self.sunset.and_then(day) {
            text.push_str(&format!(", may be gone after {day}"));
        }
        if let Some(replacement) = &self.replacement {
            text.push_str(&format!("; in its place: {replacement}"));
        }
        text + "."
    }

    /// Says the same to programs: `x-deprecated-since` and `x-sunset` (dates) and `x-replacement`.
    pub fn annotate(&self, place: &mut Value) {
        let members = [
            ("x-deprecated-since", day(self.since)),
            ("x-sunset", self.sunset.and_then(day)),
            ("x-replacement", self.replacement.clone()),
        ];
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            place[name] = Value::String(value);
        }
    }
}

/// The date of a moment, in UTC.
fn day(seconds: i64) -> Option<String> {
    time::OffsetDateTime::from_unix_timestamp(seconds).ok().map(|moment| moment.date().to_string())
}

/// A row condition as the file could say it.
pub(super) fn rule(model: &Model, entity: &Entity, condition: &Rule) -> String {
    let joined = |rules: &[Rule], word: &str| {
        let parts: Vec<String> = rules.iter().map(|inner| rule(model, entity, inner)).collect();
        format!("({})", parts.join(word))
    };
    match condition {
        Rule::All(rules) if rules.is_empty() => ALL_ROWS.to_owned(),
        Rule::Any(rules) if rules.is_empty() => "no rows".to_owned(),
        Rule::All(rules) => joined(rules, " and "),
        Rule::Any(rules) => joined(rules, " or "),
        Rule::Not(inner) => format!("not {}", rule(model, entity, inner)),
        Rule::Compare { path: at, op, operands } => {
            let operands: Vec<String> = operands
                .iter()
                .map(|operand| match operand {
                    Operand::Constant(value) => value.to_string(),
                    Operand::Claim(name) => format!("${name}"),
                })
                .collect();
            format!("{} {} {}", path(model, entity, *at), op.name(), operands.join(","))
        }
    }
}

/// The names of a mask's fields.
pub(super) fn mask<'e>(entity: &'e Entity, mask: &FieldMask) -> Vec<&'e str> {
    entity.fields.iter().filter(|field| mask.contains(field.ix)).map(|field| field.name.as_str()).collect()
}

/// The row conditions of several grants.
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

/// The names of the fields that an index carries.
pub(super) fn projection(entity: &Entity, index: &Index) -> Option<Vec<String>> {
    index.projection.as_ref().map(|fields| fields.iter().map(|ix| entity.field(*ix).name.clone()).collect())
}

/// The name of a type, without its limits; a ref with its target.
pub(super) fn kind(model: &Model, kind_: &FieldType) -> String {
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
        FieldType::Email => "email".to_owned(),
        FieldType::Url => "url".to_owned(),
        FieldType::Uuid => "uuid".to_owned(),
        FieldType::Json { .. } => "json".to_owned(),
        FieldType::Ref { target, .. } => format!("ref {}", model.entity(*target).name),
        FieldType::File(_) => "file".to_owned(),
        FieldType::List { item, .. } => format!("list of {}", kind(model, item)),
    }
}

/// The kind of an id; a composite one with its fields.
pub(super) fn id(entity: &Entity) -> String {
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

/// The name of a rule for deletes.
pub(super) fn on_delete(rule: OnDelete) -> &'static str {
    match rule {
        OnDelete::Restrict => "restrict",
        OnDelete::Cascade => "cascade",
        OnDelete::SetNull => "set_null",
    }
}

/// A duration in the unit that shows it best.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}
