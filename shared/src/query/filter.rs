//! One filter parameter: `field=value`, `field[op]=value`, `customer.country=DE`.

use serde_json::Value;

use super::condition::Comparison;
use super::limits::{MAX_VALUE, MAX_VALUES, PARAMETERS};
use super::names::instead;
use super::scope::FilterScope;
use crate::model::value::encode::{Order, order_of_id};
use crate::model::{Entity, FieldIx, FieldType, Model, Op, Path, is_sortable, normalise, normalise_id};

/// The comparison that a parameter asks for.
///
/// # Errors
/// What is wrong and what would be right.
pub(super) fn parse(scope: &FilterScope<'_>, name: &str, value: &str) -> Result<Comparison, String> {
    let (field, op) = split(name)?;
    let (model, entity) = (scope.model, scope.entity);
    let path = path(scope, field)?;
    let kind = kind(model, entity, path);
    check_op(op, kind)?;
    if path == Path::Id && matches!(op, Op::Prefix | Op::Contains) && !matches!(order_of_id(&entity.id), Order::Text) {
        return Err(format!("{name}: ids of {} are no texts", entity.name));
    }
    let operands = match op {
        Op::In | Op::Nin => values(value)?.iter().map(|item| operand(model, entity, path, op, item)).collect::<Result<_, _>>()?,
        Op::Null => vec![Value::Bool(value.parse().map_err(|_| "expects true or false".to_owned())?)],
        // Words sort as they are declared, so those that begin alike need not stand together: they are asked for one by one.
        Op::Prefix if let Some(FieldType::Enum(words)) = kind => {
            check_length(kind, value)?;
            let operands = words.iter().filter(|word| word.starts_with(value)).cloned().map(Value::String).collect();
            return Ok(Comparison { path, op: Op::In, operands });
        }
        _ => vec![operand(model, entity, path, op, value)?],
    };
    Ok(Comparison { path, op, operands })
}

/// Field and operator of a parameter. The operator of a bare field is `eq`.
fn split(name: &str) -> Result<(&str, Op), String> {
    let Some((field, rest)) = name.split_once('[') else { return Ok((name, Op::Eq)) };
    let names = || Op::ALL.map(Op::name).join(", ");
    let op = rest.strip_suffix(']').ok_or_else(|| format!("expects {field}[operator]; operators are {}", names()))?;
    Op::parse(op).map(|op| (field, op)).ok_or_else(|| format!("unknown operator \"{op}\"; one of {}", names()))
}

/// The name of a parameter with which every other spelling of the same filter agrees: `field[eq]` is `field`.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix("[eq]").unwrap_or(name)
}

/// The path that a filter names.
fn path(scope: &FilterScope<'_>, name: &str) -> Result<Path, String> {
    let entity = &scope.entity.name;
    if let Some((relation, field)) = name.split_once('.') {
        let relations = || scope.entity.to_one.iter().map(|one| one.name.as_str()).filter(|name| scope.to_one(name).is_some());
        let Some(to_one) = scope.to_one(relation) else {
            return Err(format!("{entity} has no to-one relation \"{relation}\"; {}", instead(relation, relations())));
        };
        let there = scope.reach(to_one.target);
        let indexed = |field: FieldIx| {
            let path = Path::Via(to_one.field, field);
            scope.entity.indexes.iter().any(|index| index.equality.contains(&path)).then_some(path)
        };
        let Some(found) = there.field(field) else {
            let served = there.fields().filter(|field| indexed(field.ix).is_some()).map(|field| field.name.as_str());
            return Err(format!("{} has no field \"{field}\" to filter by; {}", there.entity.name, instead(field, served)));
        };
        return match indexed(found.ix) {
            Some(path) => Ok(path),
            None if is_sortable(&found.kind) => Err(format!("{name} needs an index of {entity} with equality [{name}]")),
            None => Err(format!("{name} cannot be filtered by: no index can hold a field of this type")),
        };
    }
    own(scope, name).ok_or_else(|| {
        let names = scope.names().chain(["id"]).chain(PARAMETERS);
        format!("{entity} has no field \"{name}\" to filter by, and it is no parameter; {}", instead(name, names))
    })
}

/// The field of the entity itself that `fields` or `sort` names. Whether an index can sort by it is for the plan to say.
pub(super) fn own_path(scope: &FilterScope<'_>, name: &str, sorts: bool) -> Result<Path, String> {
    let entity = &scope.entity.name;
    let names = || scope.fields().filter(|field| !sorts || is_sortable(&field.kind)).map(|field| field.name.as_str());
    match own(scope, name) {
        Some(path) => Ok(path),
        None if name.contains('.') => Err(format!("\"{name}\": only fields of {entity} itself")),
        None => Err(format!("{entity} has no field \"{name}\"; {}", instead(name, ["id"].into_iter().chain(names())))),
    }
}

fn own(scope: &FilterScope<'_>, name: &str) -> Option<Path> {
    if name == "id" { Some(Path::Id) } else { scope.field(name).map(|field| Path::Own(field.ix)) }
}

fn kind<'a>(model: &'a Model, entity: &'a Entity, path: Path) -> Option<&'a FieldType> {
    match path {
        Path::Id => None,
        Path::Own(field) => Some(&entity.field(field).kind),
        Path::Via(via, field) => match &entity.field(via).kind {
            FieldType::Ref { target, .. } => Some(&model.entity(*target).field(field).kind),
            _ => None,
        },
    }
}

fn check_op(op: Op, kind: Option<&FieldType>) -> Result<(), String> {
    if applies(op, kind) { Ok(()) } else { Err(format!("the operator {} does not apply to a field of this type", op.name())) }
}

/// Whether an operator has a meaning for a type; `None` is the type of ids.
pub fn applies(op: Op, kind: Option<&FieldType>) -> bool {
    let text = match kind {
        Some(FieldType::String(_) | FieldType::Text(_) | FieldType::Enum(_)) | None => true,
        Some(FieldType::Formatted(format)) => format.partial,
        Some(_) => false,
    };
    let list = matches!(kind, Some(FieldType::List { .. }));
    let opaque = matches!(kind, Some(FieldType::Json { .. } | FieldType::File(_)));
    match op {
        Op::Null => true,
        _ if opaque => false,
        Op::Prefix => text,
        Op::Contains => text || list,
        _ => !list,
    }
}

fn values(text: &str) -> Result<Vec<String>, String> {
    let values = list(text);
    if values.len() > MAX_VALUES {
        Err(format!("has {} values, at most {MAX_VALUES} are taken", values.len()))
    } else {
        Ok(values)
    }
}

/// `a,b\,c` is `a` and `b,c`.
fn list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => items.push(String::new()),
            '\\' => push(&mut items, characters.next().unwrap_or('\\')),
            other => push(&mut items, other),
        }
    }
    items
}

fn push(items: &mut [String], character: char) {
    if let Some(last) = items.last_mut() {
        last.push(character);
    }
}

fn check_length(kind: Option<&FieldType>, text: &str) -> Result<(), String> {
    let longest = if let Some(FieldType::Formatted(format)) = kind { format.max.max(MAX_VALUE) } else { MAX_VALUE };
    if text.chars().count() > longest { Err(format!("is longer than {longest} characters")) } else { Ok(()) }
}

fn operand(model: &Model, entity: &Entity, path: Path, op: Op, text: &str) -> Result<Value, String> {
    check_length(kind(model, entity, path), text)?;
    let string = || Value::String(text.to_owned());
    let Some(kind) = kind(model, entity, path) else {
        if matches!(op, Op::Prefix | Op::Contains) {
            return Ok(string());
        }
        return normalise_id(&entity.id, &number_or(text, matches!(entity.id, crate::model::IdKind::Integer)))
            .map_err(|fault| fault.message.to_string());
    };
    if matches!(op, Op::Prefix | Op::Contains) && !matches!(kind, FieldType::List { .. }) {
        return Ok(string());
    }
    let kind = if let FieldType::List { item, .. } = kind { item } else { kind };
    let numeric = match kind {
        FieldType::Integer { .. } | FieldType::Number { .. } | FieldType::Boolean => true,
        FieldType::Ref { target, .. } => matches!(model.entity(*target).id, crate::model::IdKind::Integer),
        _ => false,
    };
    // Only the type is checked, not the limits: asking for what cannot be there finds nothing.
    let loose = match kind {
        FieldType::Decimal { .. } => FieldType::Decimal { scale: 28, min: None, max: None },
        FieldType::Integer { .. } => {
            FieldType::Integer { min: -crate::model::value::MAX_SAFE_INTEGER, max: crate::model::value::MAX_SAFE_INTEGER }
        }
        other => other.clone(),
    };
    normalise(&loose, &|target| &model.entity(target).id, &number_or(text, numeric)).map_err(|fault| fault.message.to_string())
}

/// The JSON number or truth value that a text stands for, where the type wants one.
fn number_or(text: &str, numeric: bool) -> Value {
    let parsed = numeric.then(|| serde_json::from_str(text).ok()).flatten();
    parsed.filter(|value: &Value| value.is_number() || value.is_boolean()).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn lists_escape_commas() {
        assert_eq!(list("a,b"), ["a", "b"]);
        assert_eq!(list("a\\,b,c"), ["a,b", "c"]);
        assert_eq!(list("a\\\\,b"), ["a\\", "b"]);
        assert_eq!(list(""), [""]);
    }
}
