//! Entity tags and preconditions (RFC 9110, 8.8.3 and 13.1).
//!
//! A tag is `"<version>.<hash of the representation>"`. Whoever changes a record depends on its state, not on how it was shown, so
//! `If-Match` compares the version alone; whoever keeps a copy depends on every byte, so `If-None-Match` compares the whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::compress::Coding;
use super::header_value;
use crate::http::problem::Problem;

/// Longest condition of a write, in characters.
pub const MAX_CONDITION: usize = 2048;

/// The strong tag of a representation: `body` is not coded yet, `coding` is the one that it will be sent in.
pub fn etag(version: &str, body: &[u8], coding: Coding) -> HeaderValue {
    let mut hash = Sha256::new_with_prefix(coding.name());
    hash.update([0]);
    hash.update(body);
    let hash = URL_SAFE_NO_PAD.encode(&hash.finalize()[..12]);
    header_value(format!("\"{version}.{hash}\""))
}

/// What `If-Match` or `If-None-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: any state, as long as there is one.
    Any,
    /// One of these.
    Tags(Vec<Tag>),
}

/// One entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Whether it begins with `W/`.
    pub weak: bool,
    /// What stands between the quotes.
    pub opaque: String,
}

impl Tag {
    /// The version that it names: all before the last dot.
    fn version(&self) -> &str {
        self.opaque.rsplit_once('.').map_or(&self.opaque, |(version, _)| version)
    }
}

impl Condition {
    /// The request's `If-Match`.
    ///
    /// # Errors
    /// 400 `malformed_request`: a condition that is not understood must not be taken for met.
    pub fn if_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::read(headers, &IF_MATCH)
    }

    /// The request's `If-None-Match`.
    ///
    /// # Errors
    /// 400 `malformed_request`.
    pub fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::read(headers, &IF_NONE_MATCH)
    }

    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let mut lines = Vec::new();
        for value in headers.get_all(name) {
            lines.push(value.to_str().map_err(|_| malformed(name))?);
        }
        match lines.is_empty() {
            true => Ok(None),
            false => parse(&lines.join(",")).map(Some).ok_or_else(|| malformed(name)),
        }
    }

    /// Whether a record in this version meets it: the strong comparison of versions. `None`: there is no record.
    pub fn matches_version(&self, version: Option<&str>) -> bool {
        match (self, version) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(version)) => tags.iter().any(|tag| !tag.weak && tag.version() == version),
        }
    }

    /// Whether the whole tag of a representation is among these: the weak comparison. `etag` is a header's value.
    pub fn matches_representation(&self, etag: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => {
                let opaque = etag.as_bytes().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
                tags.iter().any(|tag| Some(tag.opaque.as_bytes()) == opaque)
            }
        }
    }
}

/// Holds a write to the request's conditions. `current` is the record's version, `None` where there is no record.
///
/// # Errors
/// 412 when `If-Match` is not met or `If-None-Match` is (`*`: there is a record already); 428 when `required` and there is no
/// `If-Match` though there is a record; 400 for a malformed condition.
pub fn check_write(headers: &HeaderMap, current: Option<&str>, required: bool) -> Result<(), Problem> {
    for name in [&IF_MATCH, &IF_NONE_MATCH] {
        let length: usize = headers.get_all(name).iter().map(HeaderValue::len).sum();
        if length > MAX_CONDITION {
            return Err(Problem::malformed(format!("{name} has {length} characters, at most {MAX_CONDITION} are taken.")));
        }
    }
    let (must, must_not) = (Condition::if_match(headers)?, Condition::if_none_match(headers)?);
    if must.is_none() && required && current.is_some() {
        return Err(Problem::precondition_required());
    }
    let met = must.is_none_or(|condition| condition.matches_version(current));
    // Before a write there is no representation to compare: the version is what both sides know.
    let unmet = must_not.is_none_or(|condition| !condition.names_version(current));
    if met && unmet { Ok(()) } else { Err(Problem::precondition_failed()) }
}

impl Condition {
    fn names_version(&self, version: Option<&str>) -> bool {
        match (self, version) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(version)) => tags.iter().any(|tag| tag.version() == version),
        }
    }
}

fn malformed(name: &HeaderName) -> Problem {
    let name = if name == IF_MATCH { "If-Match" } else { "If-None-Match" };
    Problem::malformed(format!("{name} must be * or a list of ETags in double quotes, as answers show them."))
}

/// `*`, or tags between commas; empty elements are allowed (RFC 9110, 5.6.1.2), an empty list is not.
fn parse(text: &str) -> Option<Condition> {
    if text.trim_matches([' ', '\t']) == "*" {
        return Some(Condition::Any);
    }
    let (mut tags, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let strong = rest.strip_prefix("W/");
        let quoted = strong.unwrap_or(rest).strip_prefix('"')?;
        let (opaque, after) = quoted.split_once('"')?;
        let allowed = |byte: u8| byte == 0x21 || (0x23..=0x7E).contains(&byte);
        if !opaque.bytes().all(allowed) {
            return None;
        }
        tags.push(Tag { weak: strong.is_some(), opaque: opaque.to_owned() });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    (!tags.is_empty()).then_some(Condition::Tags(tags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), header_value(value))).collect()
    }

    #[test]
    fn tags_differ_by_version_body_and_coding() {
        let tag = etag("v1", b"{}", Coding::Identity);
        assert!(tag.to_str().unwrap().starts_with("\"v1.") && tag.to_str().unwrap().ends_with('"'));
        assert_eq!(tag, etag("v1", b"{}", Coding::Identity));
        for other in [etag("v2", b"{}", Coding::Identity), etag("v1", b"[]", Coding::Identity), etag("v1", b"{}", Coding::Gzip)] {
            assert_ne!(tag, other);
        }
    }

    #[test]
    fn if_match_compares_versions_strongly() {
        let cases: [(&[&str], Option<&str>, bool); 10] = [
            (&["\"v1.abc\""], Some("v1"), true),
            (&["\"v1.other-mask\""], Some("v1"), true),
            (&["\"v1\""], Some("v1"), true),
            (&["\"v1.abc\""], Some("v2"), false),
            (&["W/\"v1.abc\""], Some("v1"), false),
            (&["\"v0.a\" ,, \"v1.b\""], Some("v1"), true),
            (&["\"v0.a\"", "\"v1.b\""], Some("v1"), true),
            (&["*"], Some("v1"), true),
            (&["*"], None, false),
            (&["\"v1.abc\""], None, false),
        ];
        for (values, current, met) in cases {
            let result = check_write(&headers(IF_MATCH, values), current, true).map_err(|problem| problem.code);
            assert_eq!(result, if met { Ok(()) } else { Err(Code::PreconditionFailed) }, "{values:?} {current:?}");
        }
    }

    #[test]
    fn if_none_match_before_a_write_keeps_what_is_there() {
        let cases =
            [("*", Some("v1"), false), ("*", None, true), ("\"v1.x\"", Some("v1"), false), ("\"v0.x\"", Some("v1"), true)];
        for (value, current, met) in cases {
            assert_eq!(check_write(&headers(IF_NONE_MATCH, &[value]), current, false).is_ok(), met, "{value} {current:?}");
        }
    }

    #[test]
    fn a_required_condition_is_asked_for_where_there_is_a_record() {
        let none = HeaderMap::new();
        assert_eq!(check_write(&none, Some("v1"), true).map_err(|problem| problem.code), Err(Code::PreconditionRequired));
        assert_eq!(check_write(&none, None, true), Ok(()));
        assert_eq!(check_write(&none, Some("v1"), false), Ok(()));
    }

    #[test]
    fn if_none_match_compares_the_whole_weakly() {
        let tag = etag("v1", b"{}", Coding::Identity);
        let own = tag.to_str().unwrap().to_owned();
        let other = etag("v1", b"{}", Coding::Gzip).to_str().unwrap().to_owned();
        let cases = [(own.clone(), true), (format!("W/{own}"), true), (format!("\"a\", {own}"), true), (other, false)];
        for (value, matches) in cases.into_iter().chain([("*".to_owned(), true), ("\"v1\"".to_owned(), false)]) {
            let condition = Condition::if_none_match(&headers(IF_NONE_MATCH, &[&value])).unwrap().unwrap();
            assert_eq!(condition.matches_representation(&tag), matches, "{value}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in ["", ",", "v1", "\"v1", "\"a\" \"b\"", "\"a b\"", "w/\"a\"", "*, \"a\"", "\"a\"x"] {
            let result = Condition::if_match(&headers(IF_MATCH, &[value])).map_err(|problem| problem.code);
            assert_eq!(result, Err(Code::MalformedRequest), "{value:?}");
        }
        assert_eq!(Condition::if_match(&HeaderMap::new()), Ok(None));
    }
}
