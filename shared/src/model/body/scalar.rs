//! Single values: their normalised form and the limits of their types.
//!
//! [`normalise`] checks what a JSON Schema cannot express well (a day that exists, an address, the range of an exact decimal) and
//! gives the one form in which a value is stored, so that equal values are equal bytes. [`limits`] checks what the schemas express
//! (lengths, ranges, patterns) for values that do not come from bodies: defaults, constants of rules, operands of filters.

use rust_decimal::Decimal;
use serde_json::{Number, Value};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

use crate::core::id::{MAX_SAFE_INTEGER, is_id_part};
use crate::model::schema::{EntityIx, FieldType, IdKind, TextFormat, TextLimits, UUID, anchored};

/// Reason why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The keyword of JSON Schema that the value breaks: `type`, `format`, `minimum`, ...
    pub code: &'static str,
    /// What would be right, as the rest of a sentence: `must be ...`.
    pub message: String,
}

fn fault<T>(code: &'static str, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { code, message: message.into() })
}

/// The normalised form of a value of a type. `id_of` gives the kind of ids of an entity, for refs.
///
/// Timestamps become UTC with milliseconds (finer parts are cut off), UUIDs lower case, whole numbers JSON integers (`1.0` is
/// `1`), decimals keep their scale; texts stay byte for byte.
///
/// # Errors
/// A [`Fault`] when the value is not of the type.
pub fn normalise<'a>(kind: &FieldType, id_of: &dyn Fn(EntityIx) -> &'a IdKind, value: &Value) -> Result<Value, Fault> {
    match kind {
        FieldType::String(_) | FieldType::Text(_) => text(value).map(Value::from),
        FieldType::Integer { .. } => integer(value),
        FieldType::Decimal { scale, min, max } => decimal(value, *scale, *min, *max),
        FieldType::Number { .. } => number(value),
        FieldType::Boolean => match value {
            Value::Bool(_) => Ok(value.clone()),
            _ => fault("type", "must be true or false"),
        },
        FieldType::Date => date(text(value)?),
        FieldType::Timestamp => timestamp(text(value)?),
        FieldType::Enum(words) => match value.as_str() {
            Some(word) if words.iter().any(|known| known == word) => Ok(value.clone()),
            _ => fault("enum", format!("must be one of {}", words.join(", "))),
        },
        FieldType::Formatted(format) => formatted(format, text(value)?),
        FieldType::Json { .. } => Ok(value.clone()),
        FieldType::Ref { target, .. } => id(id_of(*target), value),
        FieldType::File(_) => match value {
            Value::Object(_) => Ok(value.clone()),
            _ => fault("type", "a file is changed by upload and complete; only null may be written"),
        },
        FieldType::List { item, .. } => match value {
            Value::Array(items) => items.iter().map(|value| normalise(item, id_of, value)).collect(),
            _ => fault("type", "must be a list"),
        },
    }
}

/// Checks a normalised value against the limits of its type.
///
/// # Errors
/// The first limit that it breaks.
pub fn limits(kind: &FieldType, value: &Value) -> Result<(), Fault> {
    match (kind, value) {
        (FieldType::String(limits) | FieldType::Text(limits), Value::String(text)) => text_limits(limits, text),
        (FieldType::Integer { min, max }, value) => match value.as_i64() {
            Some(number) if number < *min => fault("minimum", format!("must be at least {min}")),
            Some(number) if number > *max => fault("maximum", format!("must be at most {max}")),
            _ => Ok(()),
        },
        (FieldType::Number { min, max }, value) => {
            let number = value.as_f64().unwrap_or_default();
            match (min, max) {
                (Some(min), _) if number < *min => fault("minimum", format!("must be at least {min}")),
                (_, Some(max)) if number > *max => fault("maximum", format!("must be at most {max}")),
                _ => Ok(()),
            }
        }
        (FieldType::List { max_items, .. }, Value::Array(items)) if items.len() > *max_items => {
            fault("maxItems", format!("must have at most {max_items} elements"))
        }
        (FieldType::List { item, .. }, Value::Array(items)) => items.iter().try_for_each(|value| limits(item, value)),
        _ => Ok(()),
    }
}

fn text_limits(limits: &TextLimits, text: &str) -> Result<(), Fault> {
    let length = text.chars().count();
    if let Some(min) = limits.min.filter(|min| length < *min) {
        return fault("minLength", format!("must have at least {min} characters"));
    }
    if let Some(max) = limits.max.filter(|max| length > *max) {
        return fault("maxLength", format!("must have at most {max} characters"));
    }
    match &limits.pattern {
        Some(pattern) if !regex::Regex::new(&anchored(pattern)).is_ok_and(|regex| regex.is_match(text)) => {
            fault("pattern", format!("must match {pattern}"))
        }
        _ => Ok(()),
    }
}

fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(text) => Ok(text),
        _ => fault("type", "must be a text"),
    }
}

fn integer(value: &Value) -> Result<Value, Fault> {
    let exact = value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER as f64)?;
        Some(float as i64)
    });
    match exact {
        Some(number) if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&number) => Ok(Value::from(number)),
        Some(number) if number < 0 => fault("minimum", format!("must be at least {}", -MAX_SAFE_INTEGER)),
        Some(_) => fault("maximum", format!("must be at most {MAX_SAFE_INTEGER}")),
        None => fault("type", "must be a whole number"),
    }
}

/// A double. Whole ones that are exact become JSON integers, so that `1` and `1.0` are one value.
fn number(value: &Value) -> Result<Value, Fault> {
    let Some(number) = value.as_f64().filter(|number| number.is_finite()) else {
        return fault("type", "must be a number");
    };
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
        return Ok(Value::from(number as i64));
    }
    Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

/// The pattern of decimals with at most `scale` digits after the point.
pub(super) fn decimal_pattern(scale: u32) -> String {
    if scale == 0 {
        return "^-?(?:0|[1-9][0-9]{0,27})$".to_owned();
    }
    format!("^-?(?:0|[1-9][0-9]{{0,27}})(?:\\.[0-9]{{1,{scale}}})?$")
}

fn decimal(value: &Value, scale: u32, min: Option<Decimal>, max: Option<Decimal>) -> Result<Value, Fault> {
    let example = if scale == 0 { "\"12\"".to_owned() } else { format!("\"9.{:0<1$}\"", "9", scale.min(2) as usize) };
    let Value::String(text) = value else {
        return fault("type", format!("must be a decimal in a string, such as {example}"));
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = plain.split_once('.').map_or((plain, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || fraction.is_some_and(|part| !all_digits(part)) || (whole.len() > 1 && whole.starts_with('0')) {
        return fault("pattern", format!("must be a decimal such as {example}"));
    }
    if fraction.is_some_and(|part| part.len() > scale as usize) {
        return fault("pattern", format!("must have at most {scale} digits after the point"));
    }
    if digits > 28 {
        return fault("format", "must have at most 28 digits");
    }
    let Ok(number) = Decimal::from_str_exact(text) else {
        return fault("pattern", format!("must be a decimal such as {example}"));
    };
    if let Some(min) = min.filter(|min| number < *min) {
        return fault("minimum", format!("must be at least {min}"));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return fault("maximum", format!("must be at most {max}"));
    }
    // Zero has no sign: "-0.00" and "0.00" are one value.
    Ok(Value::from(if number.is_zero() { plain } else { text }))
}

fn date(text: &str) -> Result<Value, Fault> {
    // The length keeps out signs and years beyond 9999.
    match Date::parse(text, format_description!("[year]-[month]-[day]")) {
        Ok(_) if text.len() == 10 => Ok(Value::from(text)),
        _ => fault("format", "must be a day such as 2026-11-21"),
    }
}

fn timestamp(text: &str) -> Result<Value, Fault> {
    const FORM: &str = "must be a moment such as 2026-11-21T09:30:00Z (RFC 3339)";
    let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) else { return fault("format", FORM) };
    let Some(utc) = moment.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year())) else {
        return fault("format", FORM);
    };
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    utc.format(form).map(Value::from).or_else(|_| fault("format", FORM))
}

fn formatted(format: &TextFormat, text: &str) -> Result<Value, Fault> {
    match (format.normalise)(text) {
        Some(text) => Ok(Value::from(text)),
        None => fault("format", format!("must be {}", format.expected)),
    }
}

/// An id of this kind in its JSON form: a number for integer ids, else a string.
///
/// # Errors
/// A [`Fault`] when it cannot be an id.
pub fn id(kind: &IdKind, value: &Value) -> Result<Value, Fault> {
    const PART: &str = "must begin with a letter or digit and go on with letters, digits and ._:@-, at most 128 characters";
    match kind {
        IdKind::Integer => match integer(value)? {
            number if number.as_i64().is_some_and(|number| number >= 0) => Ok(number),
            _ => fault("minimum", "must be at least 0"),
        },
        IdKind::Uuid => formatted(&UUID, text(value)?),
        IdKind::String => match text(value)? {
            text if is_id_part(text) => Ok(Value::from(text)),
            _ => fault("pattern", PART),
        },
        IdKind::Composite(parts) => {
            let text = text(value)?;
            let given: Vec<&str> = text.split(',').collect();
            if given.len() != parts.len() {
                return fault("pattern", format!("must have {} parts, joined by commas", parts.len()));
            }
            if given.iter().all(|part| is_id_part(part)) {
                Ok(Value::from(text))
            } else {
                fault("pattern", format!("every part {PART}"))
            }
        }
    }
}
