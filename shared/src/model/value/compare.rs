//! Comparisons of values for filters and row conditions.
//!
//! Null equals null and nothing else; `ne` and `nin` are the negations of `eq` and `in`; the ordering comparisons, `prefix` and
//! `contains` are false for null.

use serde_json::Value;

use super::encode::{Order, encode, is_null};
use crate::model::schema::Op;

/// Whether `value op operands` holds. `operands` has one element, except for `in` and `nin`.
pub fn holds(order: &Order<'_>, value: &Value, op: Op, operands: &[Value]) -> bool {
    let first = operands.first().unwrap_or(&Value::Null);
    match op {
        Op::Eq => equal(order, value, first),
        Op::Ne => !equal(order, value, first),
        Op::In => operands.iter().any(|operand| equal(order, value, operand)),
        Op::Nin => !operands.iter().any(|operand| equal(order, value, operand)),
        Op::Null => value.is_null() == first.as_bool().unwrap_or(true),
        Op::Prefix => matches!((value.as_str(), first.as_str()), (Some(text), Some(prefix)) if text.starts_with(prefix)),
        Op::Contains => contains(value, first),
        Op::Gt | Op::Gte | Op::Lt | Op::Lte => ordered(order, value, op, first),
    }
}

fn equal(order: &Order<'_>, a: &Value, b: &Value) -> bool {
    match order {
        Order::None => a == b,
        _ => encode(order, a) == encode(order, b),
    }
}

fn contains(value: &Value, operand: &Value) -> bool {
    match value {
        Value::String(text) => operand.as_str().is_some_and(|part| text.contains(part)),
        Value::Array(items) => items.contains(operand),
        _ => false,
    }
}

fn ordered(order: &Order<'_>, value: &Value, op: Op, operand: &Value) -> bool {
    let (left, right) = (encode(order, value), encode(order, operand));
    if is_null(&left) || is_null(&right) {
        return false;
    }
    match op {
        Op::Gt => left > right,
        Op::Gte => left >= right,
        Op::Lt => left < right,
        _ => left <= right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_equals_only_null() {
        assert!(holds(&Order::Integer, &Value::Null, Op::Eq, &[Value::Null]));
        assert!(!holds(&Order::Integer, &Value::Null, Op::Eq, &[json!(1)]));
        assert!(holds(&Order::Integer, &Value::Null, Op::Ne, &[json!(1)]));
        assert!(!holds(&Order::Integer, &Value::Null, Op::Lt, &[json!(1)]));
        assert!(!holds(&Order::Integer, &Value::Null, Op::Gt, &[json!(1)]));
    }

    #[test]
    fn decimals_compare_by_value() {
        assert!(holds(&Order::Decimal, &json!("9.80"), Op::Lt, &[json!("10")]));
        assert!(holds(&Order::Decimal, &json!("14.00"), Op::Eq, &[json!("14")]));
    }

    #[test]
    fn contains_reads_texts_and_lists() {
        assert!(holds(&Order::Text, &json!("Grüße"), Op::Contains, &[json!("üß")]));
        assert!(holds(&Order::None, &json!(["a", "b"]), Op::Contains, &[json!("b")]));
        assert!(!holds(&Order::None, &json!(["ab"]), Op::Contains, &[json!("b")]));
    }
}
