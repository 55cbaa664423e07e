//! Filters of a list that an index or the examine budget serves.

use serde_json::{Value, json};

use super::source::Source;
use super::{kinds, names};
use crate::core::id::MAX_SAFE_INTEGER;
use crate::model::value::encode::{Order, order_of_id};
use crate::model::{Action, Entity, FieldIx, FieldType, Model, Op, Path, id_schema, type_schema};
use crate::query::{MAX_VALUE, MAX_VALUES, applies};

/// All filter parameters of a list: one for each field and operator that is served.
pub(super) fn parameters(source: &Source<'_>, entity: &Entity) -> Vec<Value> {
    let readable = source.access(entity, Action::List).widest();
    let mut parameters = Vec::new();
    for op in Op::ALL.into_iter().filter(|op| served(source, entity, Path::Id, *op) && applies(*op, None)) {
        parameters.push(parameter("id", op, &id_operand(entity, op), "Served by the order of ids."));
    }
    for field in entity.fields.iter().filter(|field| readable.contains(field.ix) && !field.write_only) {
        let path = Path::Own(field.ix);
        for op in Op::ALL.into_iter().filter(|op| applies(*op, Some(&field.kind))) {
            if field.scan || served(source, entity, path, op) {
                let why = if field.scan { "Reads at most as many records as the API examines for one request." } else { "" };
                let mut made =
                    parameter(&field.name, op, &operand(source.model, &field.kind), &why_of(source, entity, path, why));
                if field.deprecated.is_some() {
                    made["deprecated"] = json!(true);
                }
                parameters.push(made);
            }
        }
    }
    parameters.extend(over_relations(source, entity));
    parameters
}

/// Schema of an operand for the id; the start of an id is any text.
fn id_operand(entity: &Entity, op: Op) -> Value {
    match (op, &entity.id) {
        (Op::Prefix | Op::Contains, _) => kinds::text(MAX_VALUE),
        (_, kind) => id_schema(kind),
    }
}

/// Filters over to-one relations that an index declares.
fn over_relations(source: &Source<'_>, entity: &Entity) -> Vec<Value> {
    let readable = source.access(entity, Action::List).widest();
    let mut parameters = Vec::new();
    for relation in entity.to_one.iter().filter(|relation| readable.contains(relation.field)) {
        let target = source.model.entity(relation.target);
        let visible = source.access(target, Action::List).widest();
        for field in target.fields.iter().filter(|field| visible.contains(field.ix) && !field.write_only) {
            let path = Path::Via(relation.field, field.ix);
            if !entity.indexes.iter().any(|index| index.equality.contains(&path)) {
                continue;
            }
            let name = format!("{}.{}", relation.name, field.name);
            for op in [Op::Eq, Op::In] {
                parameters.push(parameter(&name, op, &operand(source.model, &field.kind), ""));
            }
        }
    }
    parameters
}

/// Whether the caller may use a path in the query of a list.
pub(super) fn is_visible(source: &Source<'_>, entity: &Entity, path: Path) -> bool {
    let visible = |entity: &Entity, field: FieldIx| {
        source.access(entity, Action::List).widest().contains(field) && !entity.field(field).write_only
    };
    match path {
        Path::Id => true,
        Path::Own(field) => visible(entity, field),
        Path::Via(via, field) => {
            let target = entity.to_one.iter().find(|relation| relation.field == via).map(|relation| relation.target);
            visible(entity, via) && target.is_some_and(|target| visible(source.model.entity(target), field))
        }
    }
}

/// Whether some index serves the comparison, by an equality field or by its first sort field. The caller must be allowed to use the
/// other fields that the index needs.
fn served(source: &Source<'_>, entity: &Entity, path: Path, op: Op) -> bool {
    // A prefix of an enum becomes the list of its words that start so.
    let words = matches!(path, Path::Own(field) if matches!(entity.field(field).kind, FieldType::Enum(_)));
    let op = if op == Op::Prefix && words { Op::In } else { op };
    // Numbers have no order by prefix.
    if op == Op::Prefix && path == Path::Id && order_of_id(&entity.id) != Order::Text {
        return false;
    }
    entity.indexes.iter().filter(|index| index.is_stored()).any(|index| {
        let equality = index.equality.contains(&path) && matches!(op, Op::Eq | Op::In | Op::Null);
        let first = index.sort.first().map_or(Path::Id, |part| part.by) == path;
        let range = matches!(op, Op::Eq | Op::In | Op::Null | Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::Prefix);
        let others = index.equality.iter().filter(|other| **other != path);
        (equality || (first && range)) && { others }.all(|other| is_visible(source, entity, *other))
    })
}

/// Description of the other filters that a field needs, if every index that serves it needs some.
fn why_of(source: &Source<'_>, entity: &Entity, path: Path, why: &str) -> String {
    let serving = entity
        .indexes
        .iter()
        .filter(|index| index.is_stored())
        .filter(|index| index.equality.contains(&path) || index.sort.first().is_some_and(|part| part.by == path));
    let mut wanted: Vec<String> = Vec::new();
    for index in serving {
        if index.equality.iter().any(|other| *other != path && !is_visible(source, entity, *other)) {
            continue;
        }
        let others: Vec<String> =
            index.equality.iter().filter(|other| **other != path).map(|other| path_name(source.model, entity, *other)).collect();
        if others.is_empty() {
            return why.to_owned();
        }
        wanted.push(others.join(" and "));
    }
    match why.is_empty() && !wanted.is_empty() {
        true => format!("Together with an equality filter on {}.", wanted.join(", or on ")),
        false => why.to_owned(),
    }
}

/// Name of a path in query strings.
pub(super) fn path_name(model: &Model, entity: &Entity, path: Path) -> String {
    match path {
        Path::Id => "id".to_owned(),
        Path::Own(field) => entity.field(field).name.clone(),
        Path::Via(via, field) => match entity.to_one.iter().find(|relation| relation.field == via) {
            Some(relation) => format!("{}.{}", relation.name, model.entity(relation.target).field(field).name),
            None => entity.field(via).name.clone(),
        },
    }
}

fn parameter(field: &str, op: Op, operand: &Value, why: &str) -> Value {
    let name = if op == Op::Eq { field.to_owned() } else { format!("{field}[{}]", op.name()) };
    let many = matches!(op, Op::In | Op::Nin);
    let schema = match op {
        Op::In | Op::Nin => json!({"type": "array", "items": listed(operand), "minItems": 1, "maxItems": MAX_VALUES}),
        Op::Null => json!({"type": "boolean"}),
        Op::Prefix => kinds::text(MAX_VALUE),
        Op::Contains if operand.get("enum").is_some() => kinds::text(MAX_VALUE),
        _ => operand.clone(),
    };
    let description = format!("{} {}. {why}", names::humanize(field), meaning(op));
    let mut parameter = json!({
        "name": name, "in": "query", "description": description.trim_end(), "schema": schema,
    });
    if many {
        parameter["style"] = json!("form");
        parameter["explode"] = json!(false);
    }
    parameter
}

fn meaning(op: Op) -> &'static str {
    match op {
        Op::Eq => "equals this",
        Op::Ne => "does not equal this",
        Op::Gt => "is greater than this",
        Op::Gte => "is greater than or equal to this",
        Op::Lt => "is less than this",
        Op::Lte => "is less than or equal to this",
        Op::In => "is one of these (`\\,` for a comma within one)",
        Op::Nin => "is none of these (`\\,` for a comma within one)",
        Op::Prefix => "begins with this",
        Op::Contains => "contains this",
        Op::Null => "is null, or is not",
    }
}

/// Schema of one value in a list of values. A comma within a value is escaped, which composite ids need.
fn listed(operand: &Value) -> Value {
    let mut schema = operand.clone();
    if let Some(pattern) = operand["pattern"].as_str().filter(|pattern| pattern.contains("},[")) {
        schema["pattern"] = json!(pattern.replace("},[", "}\\\\,["));
        schema["maxLength"] = json!(schema["maxLength"].as_u64().unwrap_or_default() + 8);
    }
    schema
}

/// Schema of an operand: the type without its limits, since a filter by an impossible value just finds nothing.
fn operand(model: &Model, kind: &FieldType) -> Value {
    match kind {
        FieldType::String(_) | FieldType::Text(_) | FieldType::Json { .. } | FieldType::File(_) => kinds::text(MAX_VALUE),
        FieldType::Integer { .. } => kinds::whole(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        FieldType::Decimal { .. } => type_schema(model, &FieldType::Decimal { scale: 28, min: None, max: None }),
        FieldType::Number { .. } => json!({"type": "number", "format": "double"}),
        FieldType::Ref { target, .. } => id_schema(&model.entity(*target).id),
        FieldType::List { item, .. } => operand(model, item),
        FieldType::Enum(words) => kinds::word(words),
        other => type_schema(model, other),
    }
}
