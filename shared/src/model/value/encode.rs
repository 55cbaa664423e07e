//! Values as bytes whose unsigned order is the natural order of the type: sort keys consist of them, and comparisons compare them.
//! With one order for index and filter, an index never disagrees with a naive filter and sort.
//!
//! A value is `marker, body`. The marker puts null last: `0x01` marks a value, `0xFF` null. Bodies:
//! - texts: their UTF-8 (byte order is code point order) with `0x00` escaped as `0x00 0xFF`, ended by `0x00 0x00`, so that a
//!   prefix sorts before its extensions whatever part follows;
//! - integers: 8 bytes big endian with the sign bit flipped;
//! - numbers: IEEE 754 total order: all bits flipped when negative, else the sign bit;
//! - decimals: sign, exponent, digits (below); equal values have equal bytes whatever their scale;
//! - booleans: one byte; enums: position of the word, two bytes; dates: days; timestamps: microseconds.
//!
//! A descending part is the complement of all its bytes. Nulls stay last in both directions: the marker is not complemented.

use rust_decimal::Decimal;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::model::schema::{Entity, FieldType, IdKind, Model, Path};

/// Marker of a value other than null.
const PRESENT: u8 = 0x01;
/// Marker of null, after every value.
const NULL: u8 = 0xFF;

/// Order of the values of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Order<'a> {
    /// By Unicode code points.
    Text,
    /// By value, of whole numbers.
    Integer,
    /// By value, of exact decimals of any scale.
    Decimal,
    /// By value, of doubles.
    Number,
    /// `false`, then `true`.
    Boolean,
    /// By day.
    Date,
    /// By moment.
    Timestamp,
    /// By position of the word in the declaration.
    Enum(&'a [String]),
    /// No order: JSON, files, lists.
    None,
}

/// The order of a type. A ref has the order of the ids of its target.
pub fn order_of<'a>(model: &'a Model, kind: &'a FieldType) -> Order<'a> {
    match kind {
        FieldType::String(_) | FieldType::Text(_) | FieldType::Formatted(_) => Order::Text,
        FieldType::Integer { .. } => Order::Integer,
        FieldType::Decimal { .. } => Order::Decimal,
        FieldType::Number { .. } => Order::Number,
        FieldType::Boolean => Order::Boolean,
        FieldType::Date => Order::Date,
        FieldType::Timestamp => Order::Timestamp,
        FieldType::Enum(words) => Order::Enum(words),
        FieldType::Ref { target, .. } => order_of_id(&model.entity(*target).id),
        FieldType::Json { .. } | FieldType::File(_) | FieldType::List { .. } => Order::None,
    }
}

/// The order of ids.
pub fn order_of_id(kind: &IdKind) -> Order<'static> {
    match kind {
        IdKind::Integer => Order::Integer,
        IdKind::Uuid | IdKind::String | IdKind::Composite(_) => Order::Text,
    }
}

/// The order of the values at a path of an entity.
pub fn order_at<'a>(model: &'a Model, entity: &'a Entity, path: Path) -> Order<'a> {
    match path {
        Path::Id => order_of_id(&entity.id),
        Path::Own(field) => order_of(model, &entity.field(field).kind),
        Path::Via(via, field) => match &entity.field(via).kind {
            FieldType::Ref { target, .. } => order_of(model, &model.entity(*target).field(field).kind),
            _ => Order::None,
        },
    }
}

/// Appends a value. A value that is not of the type (it cannot come from a validated record) is encoded as null.
pub fn append(out: &mut Vec<u8>, order: &Order<'_>, value: &Value, descending: bool) {
    let start = out.len();
    out.push(PRESENT);
    if body(out, order, value).is_none() {
        out.truncate(start);
        out.push(NULL);
        return;
    }
    if descending {
        for byte in &mut out[start + 1..] {
            *byte = !*byte;
        }
    }
}

/// The bytes of one ascending value.
pub fn encode(order: &Order<'_>, value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    append(&mut out, order, value, false);
    out
}

/// Whether bytes that [`encode`] made are those of null.
pub fn is_null(encoded: &[u8]) -> bool {
    encoded.first() == Some(&NULL)
}

/// Lower bound of the bytes of all values other than null: the start of a range without a lower bound.
pub const FIRST_PRESENT: u8 = PRESENT;

/// Common start of the bytes of all texts that start with `prefix`: marker and escaped body, without the end.
pub fn text_prefix(prefix: &str, descending: bool) -> Vec<u8> {
    let mut out = vec![PRESENT];
    escape(&mut out, prefix.as_bytes());
    if descending {
        for byte in &mut out[1..] {
            *byte = !*byte;
        }
    }
    out
}

fn body(out: &mut Vec<u8>, order: &Order<'_>, value: &Value) -> Option<()> {
    match order {
        Order::Text => {
            escape(out, value.as_str()?.as_bytes());
            out.extend([0, 0]);
        }
        Order::Integer => {
            let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
            out.extend((number.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        }
        Order::Number => {
            // -0.0 and 0.0 are one value.
            let bits = (value.as_f64()? + 0.0).to_bits();
            out.extend((if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }).to_be_bytes());
        }
        Order::Decimal => decimal(out, value.as_str()?.parse().ok()?),
        Order::Boolean => out.push(u8::from(value.as_bool()?)),
        Order::Enum(words) => {
            let position = words.iter().position(|word| Some(word.as_str()) == value.as_str())?;
            out.extend(u16::try_from(position).ok()?.to_be_bytes());
        }
        Order::Date => {
            let date = Date::parse(value.as_str()?, format_description!("[year]-[month]-[day]")).ok()?;
            out.extend((date.to_julian_day().cast_unsigned() ^ (1 << 31)).to_be_bytes());
        }
        Order::Timestamp => {
            let moment = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
            let micros = i64::try_from(moment.unix_timestamp_nanos() / 1_000).ok()?;
            out.extend((micros.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        }
        Order::None => return None,
    }
    Some(())
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
}

/// Sign (0 negative, 1 zero, 2 positive), then for a number `0.d1d2.. * 10^e` the exponent (one byte, biased by 64) and the digits
/// (each plus one, ended by zero). Exponent and digits of negative numbers are complemented.
fn decimal(out: &mut Vec<u8>, number: Decimal) {
    let number = number.normalize();
    if number.is_zero() {
        out.push(1);
        return;
    }
    let negative = number.is_sign_negative();
    let digits = number.mantissa().unsigned_abs().to_string();
    let exponent = i64::try_from(digits.len()).unwrap_or(0) - i64::from(number.scale());
    out.push(if negative { 0 } else { 2 });
    let start = out.len();
    // A Decimal has at most 29 digits and a scale of at most 28, so the exponent fits easily.
    out.push(u8::try_from(exponent + 64).unwrap_or(u8::MAX));
    out.extend(digits.trim_end_matches('0').bytes().map(|digit| digit - b'0' + 1));
    out.push(0);
    if negative {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check<T: Clone>(order: &Order<'_>, a: &T, b: &T, natural: std::cmp::Ordering, json: impl Fn(&T) -> Value) {
        let (ea, eb) = (encode(order, &json(a)), encode(order, &json(b)));
        assert_eq!(ea.cmp(&eb), natural, "{:?} {:?}", json(a), json(b));
        // Followed by another part, and descending.
        let (mut da, mut db) = (Vec::new(), Vec::new());
        append(&mut da, order, &json(a), true);
        append(&mut db, order, &json(b), true);
        assert_eq!(da.cmp(&db), natural.reverse());
        if natural.is_ne() {
            assert!(!ea.starts_with(&eb) && !eb.starts_with(&ea), "no encoding is a prefix of another");
        }
    }

    proptest! {
        #[test]
        fn texts(a in "\\PC{0,6}|[\u{0}a]{0,4}", b in "\\PC{0,6}|[\u{0}a]{0,4}") {
            check(&Order::Text, &a, &b, a.as_bytes().cmp(b.as_bytes()), |text| json!(text));
        }

        #[test]
        fn integers(a: i64, b in -3i64..3) {
            check(&Order::Integer, &a, &b, a.cmp(&b), |number| json!(number));
        }

        #[test]
        fn numbers(a in -1e300f64..1e300, b in -2.0f64..2.0) {
            check(&Order::Number, &a, &b, a.total_cmp(&b), |number| json!(number));
        }

        #[test]
        fn decimals(a in -2_000_000i64..2_000_000, sa in 0u32..8, b in -2_000_000i64..2_000_000, sb in 0u32..8) {
            let (a, b) = (Decimal::new(a, sa), Decimal::new(b, sb));
            check(&Order::Decimal, &a, &b, a.cmp(&b), |number| json!(number.to_string()));
        }

        #[test]
        fn timestamps(a in 0i64..4_000_000_000_000, b in 0i64..4_000_000_000_000) {
            let show = |millis: &i64| json!(crate::core::clock::Micros(millis * 1000).rfc3339());
            check(&Order::Timestamp, &a, &b, a.cmp(&b), show);
        }
    }

    #[test]
    fn equal_decimals_of_other_scale_are_equal() {
        assert_eq!(encode(&Order::Decimal, &json!("14.00")), encode(&Order::Decimal, &json!("14")));
        assert_eq!(encode(&Order::Decimal, &json!("-0.0")), encode(&Order::Decimal, &json!("0")));
    }

    #[test]
    fn null_is_last_in_both_directions() {
        for descending in [false, true] {
            let (mut null, mut some) = (Vec::new(), Vec::new());
            append(&mut null, &Order::Integer, &Value::Null, descending);
            append(&mut some, &Order::Integer, &json!(i64::MAX), descending);
            assert!(some < null);
        }
    }

    #[test]
    fn a_prefix_covers_its_extensions() {
        for descending in [false, true] {
            let prefix = text_prefix("a\0", descending);
            for text in ["a\0", "a\0b", "a\0\0"] {
                let mut encoded = Vec::new();
                append(&mut encoded, &Order::Text, &json!(text), descending);
                assert!(encoded.starts_with(&prefix), "{text:?}");
            }
            let mut other = Vec::new();
            append(&mut other, &Order::Text, &json!("a"), descending);
            assert!(!other.starts_with(&prefix));
        }
    }
}
