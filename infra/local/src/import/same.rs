//! Whether a record is what a line says.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whether a record has every value of a line. What the line leaves out may be anything, null is as good as nothing, and a value
/// that the API shows in its normal form (`14.50` for `14.5`, a moment in UTC) is that value.
pub(super) fn says(record: &Value, line: &Value) -> bool {
    let Some(members) = line.as_object() else { return false };
    members.iter().all(|(name, value)| equal(record.get(name).unwrap_or(&Value::Null), value))
}

fn equal(shown: &Value, given: &Value) -> bool {
    match (shown, given) {
        (Value::Object(shown), Value::Object(given)) => {
            let same = |(name, value): (&String, &Value)| shown.get(name).is_some_and(|shown| equal(shown, value));
            shown.len() == given.len() && given.iter().all(same)
        }
        (Value::Array(shown), Value::Array(given)) => {
            shown.len() == given.len() && shown.iter().zip(given).all(|(shown, given)| equal(shown, given))
        }
        _ => shown == given || normal(shown).is_some_and(|shown| Some(shown) == normal(given)),
    }
}

/// A text that equal moments, UUIDs, and numbers have in common, however they are written.
fn normal(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    if let Ok(moment) = OffsetDateTime::parse(&text, &Rfc3339) {
        // Three digits of the second are kept.
        return Some(format!("moment {}", moment.unix_timestamp_nanos().div_euclid(1_000_000)));
    }
    decimal(&text).or_else(|| (text.len() == 36 && text.matches('-').count() == 4).then(|| text.to_ascii_lowercase()))
}

/// A decimal without needless zeros; `None` for any other text.
fn decimal(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    is_number.then(|| format!("decimal {sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::says;

    #[test]
    fn a_record_says_a_line_if_every_value_of_it_is_there() {
        let record = json!({"id": "a", "name": "Ann", "price": "14.50", "n": 7, "at": "2026-11-21T09:30:00.123Z", "x": null,
            "uuid": "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10", "j": {"a": [1, 2]}});
        for same in [
            json!({"id": "a"}),
            json!({"name": "Ann", "x": null, "gone": null}),
            json!({"price": "14.5"}),
            json!({"price": 14.5, "n": 7.0}),
            json!({"at": "2026-11-21T10:30:00.1239+01:00"}),
            json!({"uuid": "0190B1F2-7C3E-7A41-9D52-3F1C5B7A9E10"}),
            json!({"j": {"a": [1, 2]}}),
        ] {
            assert!(says(&record, &same), "{same}");
        }
        for other in [
            json!({"name": "ann"}),
            json!({"name": null}),
            json!({"secret": "never shown"}),
            json!({"price": "14.51"}),
            json!({"n": -7}),
            json!({"x": ""}),
            json!({"at": "2026-11-21T09:30:00.123+01:00"}),
            json!({"j": {"a": [2, 1]}}),
            json!([1]),
        ] {
            assert!(!says(&record, &other), "{other}");
        }
    }
}
