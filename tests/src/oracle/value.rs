//! Values: random ones from small domains, so that many are equal; their natural order; their form in a query string.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::spec::Kind;
use crate::rng::Rng;

/// Elements of lists of texts.
pub const ELEMENTS: [&str; 4] = ["x", "y", "zz", "a,b"];
const TEXTS: [&str; 10] = ["", "a", "ab", "abc", "b", "B", "Ä", "a,b", "a\\b", "$x"];
const DECIMALS: [&str; 7] = ["-1.50", "0.00", "0", "2.5", "2.50", "10.00", "9.99"];
const DATES: [&str; 4] = ["2019-12-31", "2020-01-01", "2020-02-29", "2026-11-21"];
const MOMENTS: [&str; 3] = ["2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00.001Z", "2026-11-21T12:30:00.000Z"];
const UUIDS: [&str; 3] =
    ["00000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000002", "f0000000-0000-4000-8000-0000000000ff"];

/// A random value in the form in which it is stored. Refs have none: their targets are records.
pub fn of(rng: &mut Rng, kind: &Kind) -> Value {
    match kind {
        Kind::String | Kind::Text | Kind::Ref(_) => json!(rng.pick(&TEXTS)),
        Kind::Integer => json!(rng.within(0, 8) as i64 - 2),
        Kind::Decimal => json!(rng.pick(&DECIMALS)),
        Kind::Number => [json!(-1.5), json!(0), json!(0.25), json!(2), json!(1_000_000_000)][rng.below(5)].clone(),
        Kind::Boolean => json!(rng.percent(50)),
        Kind::Date => json!(rng.pick(&DATES)),
        Kind::Timestamp => json!(rng.pick(&MOMENTS)),
        Kind::Enum(words) => json!(rng.pick(words)),
        Kind::Uuid => json!(rng.pick(&UUIDS)),
        Kind::Words => json!(rng.some(&ELEMENTS, 40)),
        Kind::Numbers => json!(rng.some(&[0, 1, 2], 50)),
        Kind::Json => [json!({"k": 1}), json!([1, "x"]), json!("text"), json!({"k": {"l": null}})][rng.below(4)].clone(),
    }
}

/// The natural order of two values of a type that are not null; `Equal` for equal values of types without order.
pub fn order(kind: &Kind, a: &Value, b: &Value) -> Ordering {
    match kind {
        Kind::Integer => a.as_i64().cmp(&b.as_i64()),
        Kind::Number => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        Kind::Boolean => a.as_bool().cmp(&b.as_bool()),
        Kind::Decimal => millionths(a).cmp(&millionths(b)),
        Kind::Enum(words) => place(words, a).cmp(&place(words, b)),
        // A ref to integer ids holds numbers.
        Kind::Ref(_) if a.is_i64() => a.as_i64().cmp(&b.as_i64()),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// Whether two values are one, null included.
pub fn equal(kind: &Kind, a: &Value, b: &Value) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) if kind.is_sortable() => order(kind, a, b) == Ordering::Equal,
        _ => a == b,
    }
}

/// A decimal as a whole number of millionths.
fn millionths(value: &Value) -> i128 {
    let text = value.as_str().unwrap_or("0");
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: i128 = format!("{whole}{fraction:0<6}").parse().unwrap_or(0);
    if negative { -all } else { all }
}

fn place(words: &[String], value: &Value) -> Option<usize> {
    words.iter().position(|word| Some(word.as_str()) == value.as_str())
}

/// Whether `value op operands` holds, by the documentation: null equals null alone, `ne` and `nin` deny `eq` and `in`, the rest is
/// false for null.
pub fn holds(kind: &Kind, value: &Value, op: &str, operands: &[Value]) -> bool {
    let first = operands.first().unwrap_or(&Value::Null);
    let among = || operands.iter().any(|operand| equal(kind, value, operand));
    let text = |test: fn(&str, &str) -> bool| matches!((value.as_str(), first.as_str()), (Some(a), Some(b)) if test(a, b));
    match op {
        "eq" => equal(kind, value, first),
        "ne" => !equal(kind, value, first),
        "in" => among(),
        "nin" => !among(),
        "null" => value.is_null() == (first == &json!(true)),
        "prefix" => text(|a, b| a.starts_with(b)),
        "contains" => match value {
            Value::Array(items) => items.contains(first),
            _ => text(|a, b| a.contains(b)),
        },
        _ if value.is_null() => false,
        "gt" => order(kind, value, first) == Ordering::Greater,
        "gte" => order(kind, value, first) != Ordering::Less,
        "lt" => order(kind, value, first) == Ordering::Less,
        _ => order(kind, value, first) != Ordering::Greater,
    }
}

/// Whether a value that stood in one field could stand in one of this type. Whether a ref's record exists is another question.
pub fn fits(kind: &Kind, value: &Value) -> bool {
    let text = value.as_str();
    let among = |known: &[&str]| text.is_some_and(|text| known.contains(&text));
    match kind {
        Kind::String => text.is_some_and(|text| text.chars().count() <= 20),
        Kind::Text => value.is_string(),
        Kind::Ref(_) => value.is_string() || value.is_i64(),
        Kind::Integer => value.as_i64().is_some_and(|number| (-100..=100_000).contains(&number)),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Decimal => among(&DECIMALS),
        Kind::Date => among(&DATES),
        Kind::Timestamp => text.is_some_and(|text| text.len() == 24 && text.ends_with('Z')),
        Kind::Enum(words) => place(words, value).is_some(),
        Kind::Uuid => text.is_some_and(|text| text.len() == 36),
        Kind::Words => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Kind::Numbers => value.as_array().is_some_and(|items| items.iter().all(Value::is_i64)),
        Kind::Json => true,
    }
}

/// A value as an operand in a query string, not yet percent-encoded.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Percent-encoded: all that may not stand in a query as it is (RFC 3986, 2.3).
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
