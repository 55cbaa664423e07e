//! Durations, sizes and days as the file writes them: `30s`, `5 MB`, `2026-11-21`.

use std::time::Duration;

use time::macros::format_description;

use super::reader::Reader;
use super::tree::{Data, Node};

impl Reader<'_> {
    /// `500ms`, `30s`, `15m`, `1h`, `7d`, at least one millisecond, at most ten years.
    pub fn duration(&mut self, node: &Node, label: &str) -> Option<Duration> {
        let parsed = scalar(node).and_then(duration);
        if parsed.is_none() {
            self.mistake(node.spot, format!("{label} must be a duration"), "for example `30s`, `15m`, `1h` or `7d`");
        }
        parsed
    }

    /// `64 KB`, `5 MB`, `2 GB` (powers of 1024), or a plain number of bytes.
    pub fn bytes(&mut self, node: &Node, label: &str, max: u64) -> Option<u64> {
        let parsed = scalar(node).and_then(bytes).filter(|size| (1..=max).contains(size));
        if parsed.is_none() {
            self.mistake(node.spot, format!("{label} must be a size of at most {max} bytes"), "for example `64 KB` or `5 MB`");
        }
        parsed
    }

    /// A day, as seconds since 1970 at its start in UTC.
    pub fn day(&mut self, node: &Node, label: &str) -> Option<i64> {
        let parsed = scalar(node)
            .and_then(|text| time::Date::parse(text, format_description!("[year]-[month]-[day]")).ok())
            .map(|date| date.midnight().assume_utc().unix_timestamp());
        if parsed.is_none() {
            self.mistake(node.spot, format!("{label} must be a day"), "for example `2026-11-21`");
        }
        parsed
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

fn duration(text: &str) -> Option<Duration> {
    const TEN_YEARS: u64 = 3653 * 86_400_000;
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = number.checked_mul(millis).filter(|total| (1..=TEN_YEARS).contains(total))?;
    Some(Duration::from_millis(total))
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_known_unit() {
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for wrong in ["15", "m", "15 weeks", "0s", "-1s", "99999d", "18446744073709551615d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(bytes("64 KB"), Some(65_536));
        assert_eq!(bytes("12"), Some(12));
        assert_eq!(bytes("12 kb"), None);
    }
}
