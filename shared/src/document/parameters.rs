//! Parameters of operations.

use serde_json::{Map, Value, json};

use super::{Source, filters, refer};
use crate::model::{Action, Entity, IdKind, Index, Path};
use crate::query::{DEFAULT_LIMIT, MAX_CURSOR, MAX_DEPTH, MAX_LIMIT};

/// Parameters that several operations have: `components.parameters`.
pub(super) fn shared() -> Map<String, Value> {
    let Value::Object(all) = json!({
        "Limit": {
            "name": "limit", "in": "query",
            "description": "Most records of a page. A page may be shorter, even empty, while there is a `next_cursor`.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        },
        "Cursor": {
            "name": "cursor", "in": "query",
            "description": "`next_cursor` of the page before; filters and sort must be those of that page.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CURSOR},
        },
        "Count": {
            "name": "count", "in": "query",
            "description": "Adds `total`, the exact number of records that fit and that the caller may see.",
            "schema": {"type": "boolean", "default": false},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header",
            "description": "Makes repeating safe: the same request with the same key has its effect once and gets the same answer for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        },
        "IfMatch": {
            "name": "If-Match", "in": "header",
            "description": "ETag of the record as it was read: the change happens only if nobody has changed the record since. `*`: if it exists.",
            "schema": {"type": "string"},
        },
        "IfMatchRequired": {
            "name": "If-Match", "in": "header", "required": true,
            "description": "ETag of the record as it was read: the change happens only if nobody has changed the record since. `*`: if it exists.",
            "schema": {"type": "string"},
        },
        "IfNoneMatch": {
            "name": "If-None-Match", "in": "header",
            "description": "ETag of a copy that the client has: 304 if it is still the answer.",
            "schema": {"type": "string"},
        },
        "IfNoneMatchNew": {
            "name": "If-None-Match", "in": "header",
            "description": "`*`: only if there is no such record yet.",
            "schema": {"type": "string"},
        },
        "CorrelationId": {
            "name": "X-Correlation-Id", "in": "header",
            "description": "Names the request in logs and in the answer; made by the API where it is missing.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        },
    }) else {
        return Map::new();
    };
    all
}

/// The id in the path.
pub(super) fn id(entity: &Entity) -> Value {
    let description = match &entity.id {
        IdKind::Composite(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| entity.field(*part).name.as_str()).collect();
            format!("{}, joined by commas.", names.join(" and "))
        }
        _ => format!("Id of the {}.", super::names::spoken(&entity.name)),
    };
    let mut schema = filters::id_schema(&entity.id);
    let part = "[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}";
    match &entity.id {
        IdKind::String => schema["pattern"] = json!(format!("^{part}$")),
        IdKind::Composite(parts) => schema["pattern"] = json!(format!("^{}$", vec![part; parts.len()].join(","))),
        IdKind::Uuid | IdKind::Integer => {}
    }
    json!({"name": "id", "in": "path", "required": true, "description": description, "schema": schema})
}

/// All parameters of a list.
pub(super) fn list(source: &Source<'_>, entity: &Entity) -> Vec<Value> {
    let mut all = vec![refer("parameters", "Limit"), refer("parameters", "Cursor"), sort(source, entity)];
    all.extend(projection(source, entity, Action::List));
    all.push(refer("parameters", "Count"));
    all.extend(filters::parameters(source, entity));
    all.extend([refer("parameters", "IfNoneMatch"), refer("parameters", "CorrelationId")]);
    all
}

/// All parameters of a read by id, the id apart.
pub(super) fn get(source: &Source<'_>, entity: &Entity) -> Vec<Value> {
    let mut all = projection(source, entity, Action::Read);
    all.extend([refer("parameters", "IfNoneMatch"), refer("parameters", "CorrelationId")]);
    all
}

fn readable(source: &Source<'_>, entity: &Entity, action: Action) -> Vec<String> {
    let mask = source.access(entity, action).widest();
    let shown = entity.fields.iter().filter(|field| mask.contains(field.ix) && !field.write_only);
    std::iter::once("id".to_owned()).chain(shown.map(|field| field.name.clone())).collect()
}

/// Orders that an index has, as `sort` names them.
fn orders(source: &Source<'_>, entity: &Entity) -> Vec<String> {
    let fields = readable(source, entity, Action::List);
    let allowed = |path: &Path| fields.contains(&filters::path_name(source.model, entity, *path));
    let order = |index: &Index| -> Option<String> {
        let parts: Vec<String> = index
            .sort
            .iter()
            .map(|part| {
                let name = filters::path_name(source.model, entity, part.by);
                if part.descending { format!("-{name}") } else { name }
            })
            .collect();
        if parts.is_empty() || !index.sort.iter().all(|part| allowed(&part.by)) {
            return None;
        }
        let equality: Vec<String> =
            index.equality.iter().map(|path| format!("`{}`", filters::path_name(source.model, entity, *path))).collect();
        Some(match equality.is_empty() {
            true => format!("`{}`", parts.join(",")),
            false => format!("`{}` with a filter on {}", parts.join(","), equality.join(" and ")),
        })
    };
    let mut orders = vec!["`id`".to_owned()];
    for order in entity.indexes.iter().filter_map(order) {
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders
}

fn sort(source: &Source<'_>, entity: &Entity) -> Value {
    let fields = readable(source, entity, Action::List).join("|");
    let description = format!(
        "Fields to sort by, `-` for descending. An index must have the order: {}. The opposite order is served where no part of it may be null.",
        orders(source, entity).join("; ")
    );
    json!({
        "name": "sort", "in": "query", "description": description,
        "schema": {"type": "string", "pattern": format!("^-?({fields})(,-?({fields}))*$")},
    })
}

/// `fields`, `include` and what belongs to a relation.
fn projection(source: &Source<'_>, entity: &Entity, action: Action) -> Vec<Value> {
    let mut all = vec![json!({
        "name": "fields", "in": "query", "style": "form", "explode": false,
        "description": "The members to show; all that may be seen where nothing is said.",
        "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": readable(source, entity, action)}},
    })];
    let relations = relations(source, entity);
    if relations.is_empty() {
        return all;
    }
    let names: Vec<&str> = relations.iter().map(|relation| relation.name).collect();
    let list: Vec<String> = relations
        .iter()
        .map(|relation| format!("`{}` ({})", relation.name, super::names::spoken(&relation.target.plural)))
        .collect();
    all.push(json!({
        "name": "include", "in": "query", "style": "form", "explode": false,
        "description": format!(
            "Related records to embed: {}; and their relations after a dot, at most {MAX_DEPTH} deep.", list.join(", ")),
        "schema": {"type": "array", "minItems": 1, "items": {
            "type": "string", "pattern": format!("^({})(\\.[a-z0-9_]+){{0,{}}}$", names.join("|"), MAX_DEPTH - 1),
        }},
    }));
    for relation in relations.iter().filter(|relation| relation.many) {
        let name = relation.name;
        all.push(json!({
            "name": format!("include[{name}][limit]"), "in": "query",
            "description": format!("Most {name} to embed in each record; needs `include={name}`."),
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        }));
        all.push(json!({
            "name": format!("include[{name}][sort]"), "in": "query",
            "description": format!("Order of the embedded {name}; needs `include={name}`."),
            "schema": {"type": "string"},
        }));
    }
    all
}

/// A relation whose other side the caller may see.
pub(super) struct Relation<'a> {
    pub name: &'a str,
    pub target: &'a Entity,
    pub many: bool,
}

/// The relations that may be embedded.
pub(super) fn relations<'a>(source: &Source<'a>, entity: &'a Entity) -> Vec<Relation<'a>> {
    let one = entity.to_one.iter().map(|relation| (relation.name.as_str(), relation.target, false));
    let many = entity.to_many.iter().map(|relation| (relation.name.as_str(), relation.target, true));
    one.chain(many)
        .map(|(name, target, many)| Relation { name, target: source.model.entity(target), many })
        .filter(|relation| source.allows(relation.target, Action::List))
        .collect()
}
