//! Parameters of operations.

use serde_json::{Map, Value, json};

use super::parts::{object, refer};
use super::source::Source;
use super::{filters, kinds, names};
use crate::http::conditional::MAX_CONDITION;
use crate::http::idempotency_key;
use crate::model::{Action, Entity, FieldIx, FieldMask, FieldType, IdKind, Index, Path, id_schema};
use crate::query::{DEFAULT_LIMIT, MAX_CURSOR, MAX_DEPTH, MAX_LIMIT};

/// Pattern of `If-Match`: `*`, or strong or weak entity tags between commas (RFC 9110, 13.1.1).
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

/// Schema of the condition of a write.
pub(super) fn tags() -> Value {
    json!({"type": "string", "pattern": TAGS, "maxLength": MAX_CONDITION, "examples": ["*"]})
}

/// Parameters that several operations share: `components.parameters`.
pub(super) fn shared(anonymous: bool) -> Map<String, Value> {
    const GUARD: &str =
        "ETag of the record as it was read: the change happens only if nobody has changed the record since. `*`: if it exists.";
    // Any value is accepted and a malformed one is ignored; the gateway limits the headers of a request as a whole.
    let anything = || json!({"type": "string"});
    let cursor = json!({"type": "string", "minLength": 1, "maxLength": MAX_CURSOR});
    let key = json!({"type": "string", "pattern": idempotency_key::pattern(anonymous), "maxLength": idempotency_key::MAX_VALUE});
    let parameter = |place: &str, name: &str, about: &str, schema: Value| json!({"name": name, "in": place, "description": about, "schema": schema});
    let mut required = parameter("header", "If-Match", GUARD, tags());
    required["required"] = json!(true);
    object([
        (
            "Limit",
            Some(parameter(
                "query",
                "limit",
                "Most records of a page. A page may be shorter, even empty, while there is a `next_cursor`.",
                limit(),
            )),
        ),
        (
            "Cursor",
            Some(parameter(
                "query",
                "cursor",
                "`next_cursor` of the page before; filters and sort must be those of that page.",
                cursor,
            )),
        ),
        (
            "Count",
            Some(parameter(
                "query",
                "count",
                "Adds `total`, the exact number of records that fit and that the caller may see.",
                json!({"type": "boolean", "default": false}),
            )),
        ),
        (
            "IdempotencyKey",
            Some(parameter(
                "header",
                "Idempotency-Key",
                "Makes repeating safe: the same request with the same key has its effect once and gets the same answer for 24 hours. \
            A fresh one for each request, such as a UUID.",
                key,
            )),
        ),
        ("IfMatch", Some(parameter("header", "If-Match", GUARD, tags()))),
        ("IfMatchRequired", Some(required)),
        (
            "IfNoneMatch",
            Some(parameter(
                "header",
                "If-None-Match",
                "ETag of a copy that the client has: 304 if it is still the answer. One that is malformed counts as none.",
                anything(),
            )),
        ),
        ("IfNoneMatchNew", Some(parameter("header", "If-None-Match", "`*`: only if there is no such record yet.", tags()))),
        (
            "CorrelationId",
            Some(parameter(
                "header",
                "X-Correlation-Id",
                "Names the request in logs and in the answer, if it is 1 to 128 of `A-Z a-z 0-9 . _ -`; otherwise the API makes one.",
                anything(),
            )),
        ),
    ])
}

fn limit() -> Value {
    json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT})
}

/// The id in the path.
pub(super) fn id(source: &Source<'_>, entity: &Entity) -> Value {
    const PART: &str = "[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}";
    const NUMBER: &str = "(0|[1-9][0-9]{0,15})";
    let description = match &entity.id {
        IdKind::Composite(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| entity.field(*part).name.as_str()).collect();
            format!("{}, joined by commas.", names.join(" and "))
        }
        _ => format!("Id of the {}.", names::humanize(&entity.name)),
    };
    let mut schema = id_schema(&entity.id);
    if let IdKind::Composite(parts) = &entity.id {
        let numeric = |kind: &FieldType| match kind {
            FieldType::Integer { .. } => true,
            FieldType::Ref { target, .. } => source.model.entity(*target).id == IdKind::Integer,
            _ => false,
        };
        let part = |part: &FieldIx| if numeric(&entity.field(*part).kind) { NUMBER } else { PART };
        schema["pattern"] = json!(format!("^{}$", parts.iter().map(part).collect::<Vec<_>>().join(",")));
    }
    json!({"name": "id", "in": "path", "required": true, "description": description, "schema": schema})
}

/// The parameter `disposition` of a download.
pub(super) fn disposition() -> Value {
    json!({
        "name": "disposition", "in": "query",
        "description": "What a browser is to do with the content; it shows only types that the model lets it show.",
        "schema": kinds::word(&["attachment", "inline"]),
    })
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

/// All parameters of a read by id, without the id.
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

/// Orders that an index serves, in the notation of `sort`.
fn orders(source: &Source<'_>, entity: &Entity) -> Vec<String> {
    let allowed = |path: &Path| filters::is_visible(source, entity, *path);
    let order = |index: &Index| -> Option<String> {
        let parts: Vec<String> = index
            .sort
            .iter()
            .map(|part| {
                let name = filters::path_name(source.model, entity, part.by);
                if part.descending { format!("-{name}") } else { name }
            })
            .collect();
        if parts.is_empty() || !index.sort.iter().all(|part| allowed(&part.by)) || !index.equality.iter().all(allowed) {
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
    let description = format!(
        "Fields to sort by, `-` for descending. An index must have the order or begin with it: {}. The opposite order is served where no part of it may be null.",
        orders(source, entity).join("; ")
    );
    json!({"name": "sort", "in": "query", "description": description, "schema": order(source, entity)})
}

/// Schema of an order: fields, each with a direction.
fn order(source: &Source<'_>, entity: &Entity) -> Value {
    let names = readable(source, entity, Action::List);
    let longest = names.iter().map(|name| name.len() + 2).sum::<usize>();
    let fields = names.join("|");
    json!({"type": "string", "pattern": format!("^-?({fields})(,-?({fields}))*$"), "maxLength": longest})
}

/// Parameter that is a list of distinct words between commas.
fn words(name: &str, description: &str, words: &[String]) -> Value {
    json!({
        "name": name, "in": "query", "style": "form", "explode": false, "description": description,
        "schema": {
            "type": "array", "minItems": 1, "maxItems": words.len(), "uniqueItems": true, "items": kinds::word(words),
        },
    })
}

/// `fields`, `include`, and the parameters of each relation.
pub(super) fn projection(source: &Source<'_>, entity: &Entity, action: Action) -> Vec<Value> {
    let about = "The members to show; all that may be seen where nothing is said.";
    let mut all = vec![words("fields", about, &readable(source, entity, action))];
    let relations = relations(source, entity, &source.access(entity, action).widest());
    if relations.is_empty() {
        return all;
    }
    let list: Vec<String> =
        relations.iter().map(|relation| format!("`{}` ({})", relation.name, names::humanize(&relation.target.plural))).collect();
    let about =
        format!("Related records to embed: {}; and their relations after a dot, at most {MAX_DEPTH} deep.", list.join(", "));
    all.push(words("include", &about, &include_paths(source, &relations, MAX_DEPTH)));
    for relation in relations.iter().filter(|relation| relation.many) {
        let name = relation.name;
        // No default: generated clients would send it without the relation.
        let embedded = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": MAX_LIMIT});
        all.push(json!({
            "name": format!("include[{name}][limit]"), "in": "query", "schema": embedded,
            "description": format!(
                "Most {name} to embed in each record, {DEFAULT_LIMIT} where nothing is said; needs `include={name}`. \
                So for what is deeper: `include[{name}.x][limit]`."),
        }));
        all.push(json!({
            "name": format!("include[{name}][sort]"), "in": "query", "schema": order(source, relation.target),
            "description": format!("Order of the embedded {name}, one that an index has; needs `include={name}`."),
        }));
    }
    all
}

/// Values of `include`: relations, and relations of their records, which are visible as in a list.
fn include_paths(source: &Source<'_>, relations: &[Relation<'_>], depth: usize) -> Vec<String> {
    let mut paths = Vec::new();
    for relation in relations {
        paths.push(relation.name.to_owned());
        if depth > 1 {
            let there = self::relations(source, relation.target, &source.access(relation.target, Action::List).widest());
            let deeper = include_paths(source, &there, depth - 1);
            paths.extend(deeper.into_iter().map(|path| format!("{}.{path}", relation.name)));
        }
    }
    paths
}

/// The entity and all entities that can be embedded in its records, each with the fields that the caller sees or writes.
pub(super) fn reached<'a>(source: &Source<'a>, entity: &'a Entity) -> Vec<(&'a Entity, FieldMask)> {
    let mut own = source.readable(entity);
    own.union(&source.access(entity, Action::Update).widest());
    let mut reached = vec![(entity, own.clone())];
    let mut edge = vec![(entity, own)];
    for _ in 0..MAX_DEPTH {
        let next: Vec<(&Entity, FieldMask)> = edge
            .iter()
            .flat_map(|(entity, own)| relations(source, entity, own))
            .map(|relation| (relation.target, source.access(relation.target, Action::List).widest()))
            .collect();
        edge.clear();
        for (entity, fields) in next {
            if reached.iter().all(|(known, _)| known.ix != entity.ix) {
                reached.push((entity, fields.clone()));
                edge.push((entity, fields));
            }
        }
    }
    reached
}

/// A relation to an entity that the caller may list.
pub(super) struct Relation<'a> {
    pub name: &'a str,
    pub target: &'a Entity,
    pub many: bool,
}

/// The relations that a caller who sees the fields `own` may embed: the target may be listed, and the ref behind the relation is
/// visible, on whichever side it is.
pub(super) fn relations<'a>(source: &Source<'a>, entity: &'a Entity, own: &FieldMask) -> Vec<Relation<'a>> {
    let visible = |target| source.access(source.model.entity(target), Action::List).widest();
    let one = entity.to_one.iter().map(|relation| (relation.name.as_str(), relation.target, false, own.contains(relation.field)));
    let many = entity
        .to_many
        .iter()
        .map(|relation| (relation.name.as_str(), relation.target, true, visible(relation.target).contains(relation.field)));
    one.chain(many)
        .filter(|(.., seen)| *seen)
        .map(|(name, target, many, _)| Relation { name, target: source.model.entity(target), many })
        .filter(|relation| source.allows(relation.target, Action::List))
        .collect()
}
