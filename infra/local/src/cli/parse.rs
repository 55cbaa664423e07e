//! Values of options that have a form of their own.

use std::time::Duration;

use serde_json::Value;

/// `90s`, `15m`, `1h`, `7d`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write a whole number and s, m, h or d, for example 1h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|total| *total > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// `name=value`; a value that is JSON counts as such (`level=3`, `teams=["a"]`), any other as text.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = pair(text)?;
    let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
    Ok((name, value))
}

/// `from=to`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not of the form name=value")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(604_800));
        for wrong in ["", "h", "1", "0h", "-1h", "1w", "1.5h", "99999999999999999d", "1é"] {
            assert!(duration(wrong).unwrap_err().contains("1h"), "{wrong}");
        }
    }

    #[test]
    fn claims() {
        assert_eq!(claim("customer=ALFKI").unwrap(), ("customer".into(), json!("ALFKI")));
        assert_eq!(claim("level=3").unwrap(), ("level".into(), json!(3)));
        assert_eq!(claim("teams=[\"a\",\"b\"]").unwrap(), ("teams".into(), json!(["a", "b"])));
        assert_eq!(claim("q=a=b").unwrap(), ("q".into(), json!("a=b")));
        assert!(claim("x").is_err() && claim("=x").is_err());
    }
}
