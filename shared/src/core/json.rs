//! JSON without repeated members: two readers of `{"a":1,"a":2}` may see two different documents, so nobody shall see one (RFC
//! 8725, 2.4 of tokens; RFC 8259, 4 of all JSON). `serde_json` alone would keep the last.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// 2^53: below it a float is one whole number and no other.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Parses bytes as one JSON value in which no object, at any depth, names a member twice.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn strict(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(|Strict(value)| value)
}

/// [`strict`], of an object; `None` for anything else.
pub(crate) fn strict_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match strict(bytes) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// A whole number, 0 or more, below 2^53 if it is written with a point: `3.0` is one (JSON Schema 2020-12, 6.1.1).
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..EXACT).contains(number));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
    value.as_u64().or_else(|| float().map(|number| number as u64))
}

/// Whether two documents are equal as JSON Patch has it (RFC 6902, 4.6): numbers by value (`7`, `7.0` and `7e0` are one), members
/// in any order.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (integer(left), integer(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left): (&String, &Value)| right.get(name).is_some_and(|right| equal(left, right));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// The integer that a number is, however it is written; `None` for one that is none, or far beyond 2^64.
fn integer(number: &Number) -> Option<i128> {
    let whole = |float: &f64| float.fract() == 0.0 && float.abs() < 1e38;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range")]
    let of_float = || number.as_f64().filter(whole).map(|float| float as i128);
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or_else(of_float)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the member `{name}` stands there twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::{equal, strict, strict_object};

    #[test]
    fn numbers_are_equal_by_value_wherever_they_stand() {
        let of = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        for (left, right, same) in [
            ("7", "7.0", true),
            ("7", "7e0", true),
            ("0", "-0.0", true),
            ("0.5", "5e-1", true),
            ("18446744073709551615", "18446744073709551615", true),
            // A float cannot be the odd neighbour of 2^53.
            ("9007199254740993", "9007199254740992.0", false),
            ("7", "7.5", false),
            ("7", r#""7""#, false),
            (r#"{"a":[1,{"b":2}],"c":null}"#, r#"{"c":null,"a":[1.0,{"b":2e0}]}"#, true),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            ("[1,2]", "[2,1]", false),
        ] {
            assert_eq!((equal(&of(left), &of(right)), equal(&of(right), &of(left))), (same, same), "{left} {right}");
        }
    }

    #[test]
    fn the_repeated_member_is_named_with_its_place() {
        let error = strict(br#"{"a":1,"b":[{"x":1,"x":2}]}"#).unwrap_err().to_string();
        assert!(error.contains("`x`") && error.contains("line 1 column"), "{error}");
    }

    #[test]
    fn values_are_those_that_serde_json_reads() {
        let text = r#"{"n":null,"t":true,"i":-3,"u":18446744073709551615,"f":1.5,"s":"\u00fc","l":[1,{}]}"#;
        assert_eq!(strict(text.as_bytes()).unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn whole_numbers_are_exact_however_they_are_written() {
        for (text, number) in [
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("3e2", Some(300)),
            ("-0.0", Some(0)),
            ("9007199254740991.0", Some(9_007_199_254_740_991)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("9007199254740992.0", None),
            ("3.5", None),
            ("-1", None),
            ("\"3\"", None),
        ] {
            assert_eq!(super::whole(&serde_json::from_str(text).unwrap()), number, "{text}");
        }
    }

    #[test]
    fn repeated_members_are_refused_at_every_depth_and_however_they_are_spelled() {
        assert!(strict_object(br#"{"a":1,"b":{"a":2},"c":[{"a":3}]}"#).is_some());
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":{"a":1,"a":2}}"#, r#"{"b":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(strict_object(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn only_one_whole_object_is_one() {
        for text in ["", "[]", "null", "1", "{} {}", "{}x", "{\"a\":}", "\u{feff}{}"] {
            assert!(strict_object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(strict_object(&[b'{', 0xff, b'}']).is_none());
        assert!(strict_object("[".repeat(100_000).as_bytes()).is_none(), "depth is bounded");
    }
}
