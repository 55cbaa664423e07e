//! One filter parameter: `field=value`, `field[op]=value`, `customer.country=DE`.

use serde_json::Value;

use super::condition::Comparison;
use super::scope::Scope;
use super::{MAX_VALUE, MAX_VALUES};
use crate::model::{Entity, FieldType, Model, Op, Path, normalise, normalise_id};
use crate::value::encode::{Order, order_of_id};

/// The comparison that a parameter asks for.
///
/// # Errors
/// What is wrong and what would be right.
pub(super) fn parse(scope: &Scope<'_>, name: &str, value: &str) -> Result<Comparison, String> {
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

fn split(name: &str) -> Result<(&str, Op), String> {
    let Some((field, rest)) = name.split_once('[') else { return Ok((name, Op::Eq)) };
    let op = rest.strip_suffix(']').unwrap_or(rest);
    let names = || Op::ALL.map(Op::name).join(", ");
    Op::parse(op).map(|op| (field, op)).ok_or_else(|| format!("unknown operator \"{op}\"; one of {}", names()))
}

/// The path that a name in a query string stands for.
pub(super) fn path(scope: &Scope<'_>, name: &str) -> Result<Path, String> {
    if name == "id" {
        return Ok(Path::Id);
    }
    if let Some((relation, field)) = name.split_once('.') {
        let relation = scope.to_one(relation).ok_or_else(|| unknown(scope, name))?;
        let there = scope.reach(relation.target);
        let field = there.field(field).ok_or_else(|| unknown(&there, field))?;
        let path = Path::Via(relation.field, field.ix);
        if scope.entity.indexes.iter().any(|index| index.equality.contains(&path)) {
            return Ok(path);
        }
        return Err(format!("{name} needs an index of {} with equality [{name}]", scope.entity.name));
    }
    scope.field(name).map(|field| Path::Own(field.ix)).ok_or_else(|| unknown(scope, name))
}

fn unknown(scope: &Scope<'_>, name: &str) -> String {
    let entity = &scope.entity.name;
    let near = scope.names().chain(["id"]).map(|field| (strsim::damerau_levenshtein(field, name), field)).min();
    match near {
        Some((distance, field)) if distance <= 2 => format!("{entity} has no field \"{name}\"; did you mean \"{field}\"?"),
        _ => format!("{entity} has no field \"{name}\""),
    }
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
    let text = matches!(
        kind,
        Some(FieldType::String(_) | FieldType::Text(_) | FieldType::Email | FieldType::Url | FieldType::Enum(_)) | None
    );
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
    let longest = if matches!(kind, Some(FieldType::Url)) { 4 * MAX_VALUE } else { MAX_VALUE };
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
            FieldType::Integer { min: -crate::value::MAX_SAFE_INTEGER, max: crate::value::MAX_SAFE_INTEGER }
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
