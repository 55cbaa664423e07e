//! Stored values of one type as values of another.

use serde_json::Value;

use crate::model::body::{limits, normalise};
use crate::model::report::{describe_id, describe_kind};
use crate::model::schema::{FieldType, IdKind, Model};

/// What becomes of the values of a type when a field gets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conversion {
    /// Stored values stay as they are; the new type may forbid some.
    Kept,
    /// Every value has a counterpart, limits apart.
    Total,
    /// Some values may have none.
    Partial,
    /// No value has one.
    Impossible,
}

/// Types whose values have one form in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Whole,
    Number,
    Decimal,
    Boolean,
    Date,
    Timestamp,
    Json,
    File,
    List,
}

fn family(model: &Model, kind: &FieldType) -> Family {
    match kind {
        FieldType::String(_) | FieldType::Text(_) | FieldType::Enum(_) | FieldType::Formatted(_) => Family::Text,
        FieldType::Ref { target, .. } => match model.entity(*target).id {
            IdKind::Integer => Family::Whole,
            IdKind::Uuid | IdKind::String | IdKind::Composite(_) => Family::Text,
        },
        FieldType::Integer { .. } => Family::Whole,
        FieldType::Number { .. } => Family::Number,
        FieldType::Decimal { .. } => Family::Decimal,
        FieldType::Boolean => Family::Boolean,
        FieldType::Date => Family::Date,
        FieldType::Timestamp => Family::Timestamp,
        FieldType::Json { .. } => Family::Json,
        FieldType::File(_) => Family::File,
        FieldType::List { .. } => Family::List,
    }
}

/// What becomes of values of the type `old` in a field of the type `new`.
pub fn conversion(old: (&Model, &FieldType), new: (&Model, &FieldType)) -> Conversion {
    use Conversion::{Impossible, Kept, Partial, Total};
    use Family::{Boolean, Date, Decimal, File, Json, List, Number, Text, Timestamp, Whole};
    let (was, now) = (family(old.0, old.1), family(new.0, new.1));
    match (was, now) {
        (List, List) => items(old, new),
        (Text, Text) if is_uuid(new) && !is_uuid(old) => Partial,
        _ if was == now => Kept,
        (File, _) | (_, File) => Impossible,
        (Whole, Number) | (_, Json) => Kept,
        (Date | Timestamp | Decimal, Text) if is_any_text(new.1) => Kept,
        (Whole | Number | Boolean, Text) if is_any_text(new.1) => Total,
        (Whole, Decimal) | (Date, Timestamp) | (Timestamp, Date) => Total,
        (_, List) => match item(new.1).map_or(Impossible, |item| conversion(old, (new.0, item))) {
            Kept => Total,
            other => other,
        },
        (List, _) => item(old.1).map_or(Impossible, |item| conversion((old.0, item), new).clamp(Partial, Impossible)),
        (Text | Json, _) | (_, Text) => Partial,
        (Whole | Number | Decimal, Whole | Number | Decimal) => Partial,
        _ => Impossible,
    }
}

fn items(old: (&Model, &FieldType), new: (&Model, &FieldType)) -> Conversion {
    let both = item(old.1).zip(item(new.1));
    both.map_or(Conversion::Impossible, |(was, now)| conversion((old.0, was), (new.0, now)))
}

fn item(kind: &FieldType) -> Option<&FieldType> {
    match kind {
        FieldType::List { item, .. } => Some(item),
        _ => None,
    }
}

/// Whether values are UUIDs, which are stored in lower case.
fn is_uuid((model, kind): (&Model, &FieldType)) -> bool {
    match kind {
        FieldType::Ref { target, .. } => model.entity(*target).id == IdKind::Uuid,
        FieldType::Formatted(format) => format.in_id,
        _ => false,
    }
}

fn is_any_text(kind: &FieldType) -> bool {
    matches!(kind, FieldType::String(_) | FieldType::Text(_))
}

/// Both types in words; two refs to one entity by the kinds of its ids.
pub(in crate::model) fn shown(old: (&Model, &FieldType), new: (&Model, &FieldType)) -> (String, String) {
    let named = |(model, kind): (&Model, &FieldType)| describe_kind(model, kind);
    let with_id = |(model, kind): (&Model, &FieldType)| match kind {
        FieldType::Ref { target, .. } => format!("{}, {}", describe_kind(model, kind), describe_id(model.entity(*target))),
        _ => describe_kind(model, kind),
    };
    if named(old) == named(new) { (with_id(old), with_id(new)) } else { (named(old), named(new)) }
}

/// A stored value as a value of another type of the new model; `None` where it has no counterpart that the type allows.
pub fn convert(model: &Model, kind: &FieldType, value: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    if matches!(kind, FieldType::File(_)) {
        return None;
    }
    candidates(model, kind, value).into_iter().find_map(|candidate| allowed(model, kind, &candidate))
}

/// The normalised form of a value that is of the type and within its limits.
fn allowed(model: &Model, kind: &FieldType, value: &Value) -> Option<Value> {
    let normalised = normalise(kind, &|target| &model.entity(target).id, value).ok()?;
    limits(kind, &normalised).ok().map(|()| normalised)
}

/// What a value may be as a value of a type, the likeliest first.
fn candidates(model: &Model, kind: &FieldType, value: &Value) -> Vec<Value> {
    let mut found = vec![value.clone()];
    if matches!(kind, FieldType::Json { .. }) {
        return found;
    }
    if let (FieldType::List { item, .. }, one) = (kind, value) {
        let elements = one.as_array().cloned().unwrap_or_else(|| vec![one.clone()]);
        found.extend(elements.iter().map(|element| convert(model, item, element)).collect::<Option<Vec<_>>>().map(Value::from));
        return found;
    }
    if let Some([only]) = value.as_array().map(Vec::as_slice) {
        return candidates(model, kind, only);
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return found,
    };
    match family(model, kind) {
        Family::Text | Family::Decimal => found.push(Value::from(text)),
        Family::Whole | Family::Number => found.extend(number(&text)),
        Family::Boolean => found.extend(text.parse::<bool>().ok().map(Value::from)),
        Family::Date => found.extend(text.get(..10).map(Value::from)),
        Family::Timestamp => found.push(Value::from(format!("{text}T00:00:00Z"))),
        Family::Json | Family::File | Family::List => {}
    }
    found
}

/// The number that a text writes: exact if it is whole (`12`, `12.00`), else the nearest double.
fn number(text: &str) -> Option<Value> {
    let whole = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0')).map_or(text, |(whole, _)| whole);
    whole
        .parse::<i64>()
        .ok()
        .map(Value::from)
        .or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from))
}
