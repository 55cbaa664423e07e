//! `Accept` and `Accept-Encoding` (RFC 9110, 12.5).

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName};

use super::compress::Coding;
use super::{JSON, PROBLEM_JSON};
use crate::http::problem::{Code, Problem};

/// Holds a request to what a JSON resource can send. Call it before anything that has an effect.
///
/// # Errors
/// 406 `not_acceptable`.
pub fn json(headers: &HeaderMap) -> Result<(), Problem> {
    if accepts(headers, JSON) || accepts(headers, PROBLEM_JSON) {
        return Ok(());
    }
    Err(Problem::new(Code::NotAcceptable, format!("This resource can be sent as {JSON}; let Accept admit it.")))
}

/// Whether `Accept` admits a media type, given without parameters. Without the header everything is admitted, and by an empty one.
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    quality(headers, media_type) > 0
}

/// Whether `Accept` says nothing: it is missing, or a list of nothing, which RFC 9110, 12.5.1 allows.
fn says_nothing(headers: &HeaderMap) -> bool {
    let nothing = |value: &http::HeaderValue| value.as_bytes().iter().all(|byte| matches!(byte, b' ' | b'\t' | b','));
    headers.get_all(ACCEPT).iter().all(nothing)
}

/// Whether `Accept` names this very media type, with a weight above zero: for answers that only those get who ask for them.
pub fn names(headers: &HeaderMap, media_type: &str) -> bool {
    weighted(headers, ACCEPT).any(|(range, weight)| weight > 0 && range.eq_ignore_ascii_case(media_type))
}

/// The weight of a media type in thousandths: that of the most specific range that fits it; all of it where nothing is said.
pub fn quality(headers: &HeaderMap, media_type: &str) -> u16 {
    if says_nothing(headers) {
        return 1000;
    }
    let family = media_type.split_once('/').map_or(media_type, |(family, _)| family);
    let specificity = |range: &str| match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => 3,
        Some((of, "*")) if of.eq_ignore_ascii_case(family) => 2,
        Some(("*", "*")) => 1,
        _ => 0,
    };
    let fitting = weighted(headers, ACCEPT).map(|(range, weight)| (specificity(range), weight));
    fitting.filter(|(specificity, _)| *specificity > 0).max().map_or(0, |(_, weight)| weight)
}

/// The coding of the answer: the one that the client weighs most; of equals the one that packs better, where packing is worth it.
pub fn coding(headers: &HeaderMap, worth_packing: bool) -> Coding {
    let listed: Vec<(&str, u16)> = weighted(headers, ACCEPT_ENCODING).collect();
    let named = |name: &str| listed.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight).max();
    let any = named("*");
    let weight = |coding: Coding| {
        let alias = if coding == Coding::Gzip { named("x-gzip") } else { None };
        named(coding.name()).or(alias).or(any)
    };
    // Identity is admitted unless it is excluded by name or by `*;q=0`.
    let identity = weight(Coding::Identity).filter(|_| named("identity").is_some() || any == Some(0)).unwrap_or(1);
    let best =
        [Coding::Gzip, Coding::Brotli].into_iter().filter_map(|coding| Some((weight(coding)?, coding))).max_by_key(|at| at.0);
    match best {
        Some((weight, coding)) if weight > 0 && (identity == 0 || worth_packing && weight >= identity) => coding,
        _ => Coding::Identity,
    }
}

/// The elements of a list header with their weights in thousandths; one that is not understood has none.
fn weighted(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = (&str, u16)> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let token = parts.next().filter(|token| !token.is_empty())?;
        let weight = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        Some((token, weight.map_or(1000, |(_, value)| thousandths(value.trim()))))
    })
}

/// `0`, `1`, `0.x`, `1.000`: at most three digits behind the point. Anything else counts as 0.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or(0),
        "1" if digits && fraction.bytes().all(|byte| byte == b'0') => 1000,
        _ => 0,
    }
}

/// The values of `Vary` that every answer has.
pub const VARY: &str = "Authorization, Accept, Accept-Encoding";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_value;

    fn with(name: http::header::HeaderName, value: &str) -> HeaderMap {
        [(name, header_value(value))].into_iter().collect()
    }

    #[test]
    fn json_is_sent_to_whoever_admits_it() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/*;q=0.1", true),
            ("*/*", true),
            ("text/html, */*;q=0.8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("application/xml, text/*", false),
            ("application/json;q=0", false),
            ("*/*, application/json;q=0, application/problem+json; q=0.0", false),
            ("", true),
            (" , ", true),
            (";q=1", false),
            ("application/json;q=2", false),
        ];
        for (accept, fits) in cases {
            assert_eq!(json(&with(ACCEPT, accept)).is_ok(), fits, "{accept}");
        }
        assert!(json(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn only_an_exact_name_asks_for_an_alternative() {
        assert!(names(&with(ACCEPT, "text/html, application/json"), JSON));
        assert!(!names(&with(ACCEPT, "*/*, application/json;q=0"), JSON));
        assert!(!names(&HeaderMap::new(), JSON));
    }

    #[test]
    fn codings_follow_the_weights() {
        use Coding::{Brotli, Gzip, Identity};
        let cases = [
            ("gzip", Gzip, Identity),
            ("x-gzip", Gzip, Identity),
            ("gzip, br", Brotli, Identity),
            ("gzip;q=1.0, br;q=0.5", Gzip, Identity),
            ("gzip;q=0, br;q=0", Identity, Identity),
            ("*", Brotli, Identity),
            ("*;q=0, gzip", Gzip, Gzip),
            ("identity;q=0, gzip;q=0.2", Gzip, Gzip),
            ("identity, gzip;q=0.5", Identity, Identity),
            ("gzip;q=0.5, identity;q=0.5", Gzip, Identity),
            ("zstd, deflate", Identity, Identity),
            ("identity;q=0", Identity, Identity),
            ("", Identity, Identity),
        ];
        for (accept, large, small) in cases {
            let headers = with(ACCEPT_ENCODING, accept);
            assert_eq!((coding(&headers, true), coding(&headers, false)), (large, small), "{accept}");
        }
        assert_eq!(coding(&HeaderMap::new(), true), Identity);
    }
}
