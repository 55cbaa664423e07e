//! Answers of the embedded S3: errors, and conditions of reads (RFC 9110, 13).

use http::header::{
    CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// An answer.
pub(super) type Answer = Response<s3s::Body>;

/// Without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(s3s::Body::empty());
    *answer.status_mut() = status;
    answer
}

/// An error in the form of S3.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let xml =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let mut answer = Response::new(s3s::Body::from(xml));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// The answer to a read, if its conditions are met; else 412 or 304.
pub(super) fn conditional(conditions: &HeaderMap, answer: Answer) -> Answer {
    match answer.status().is_success().then(|| judged(conditions, answer.headers())).flatten() {
        None => answer,
        Some(StatusCode::NOT_MODIFIED) => {
            let mut kept = empty(StatusCode::NOT_MODIFIED);
            for name in [ETAG, LAST_MODIFIED] {
                if let Some(value) = answer.headers().get(&name) {
                    kept.headers_mut().insert(name, value.clone());
                }
            }
            kept
        }
        Some(status) => error(status, "PreconditionFailed", "At least one of the conditions was not met."),
    }
}

/// The status that conditions demand in the place of success, in the order of RFC 9110, 13.2.2.
fn judged(conditions: &HeaderMap, found: &HeaderMap) -> Option<StatusCode> {
    let changed = moment(found.get(LAST_MODIFIED));
    let since = |name: HeaderName| Some(changed? > moment(conditions.get(name))?);
    if let Some(tags) = conditions.get(IF_MATCH) {
        if !names(tags, found) {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
    } else if since(IF_UNMODIFIED_SINCE) == Some(true) {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    match conditions.get(IF_NONE_MATCH) {
        Some(tags) => names(tags, found),
        None => since(IF_MODIFIED_SINCE) == Some(false),
    }
    .then_some(StatusCode::NOT_MODIFIED)
}

/// Whether a list of tags has that of the answer.
fn names(tags: &HeaderValue, found: &HeaderMap) -> bool {
    let (Ok(tags), Some(Ok(own))) = (tags.to_str(), found.get(ETAG).map(HeaderValue::to_str)) else { return false };
    tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == own)
}

/// Whether `If-Range` names this very representation.
pub(super) fn is_of(range: &HeaderValue, found: &HeaderMap) -> bool {
    match range.to_str() {
        Ok(tag) if tag.starts_with('"') => found.get(ETAG).is_some_and(|own| own == tag),
        Ok(_) => moment(Some(range)).is_some_and(|asked| moment(found.get(LAST_MODIFIED)) == Some(asked)),
        Err(_) => false,
    }
}

/// An HTTP date.
fn moment(value: Option<&HeaderValue>) -> Option<PrimitiveDateTime> {
    let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(value?.to_str().ok()?, format).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "Sat, 21 Nov 2026 08:00:00 GMT";
    const EARLIER: &str = "Fri, 20 Nov 2026 08:00:00 GMT";

    #[test]
    fn reads_keep_their_conditions() {
        let found: HeaderMap =
            [(ETAG, HeaderValue::from_static("\"a\"")), (LAST_MODIFIED, HeaderValue::from_static(DAY))].into_iter().collect();
        let cases = [
            (IF_NONE_MATCH, "\"a\"", Some(304)),
            (IF_NONE_MATCH, "W/\"a\", \"b\"", Some(304)),
            (IF_NONE_MATCH, "*", Some(304)),
            (IF_NONE_MATCH, "\"b\"", None),
            (IF_MATCH, "\"a\"", None),
            (IF_MATCH, "\"b\"", Some(412)),
            (IF_MODIFIED_SINCE, DAY, Some(304)),
            (IF_MODIFIED_SINCE, EARLIER, None),
            (IF_MODIFIED_SINCE, "yesterday", None),
            (IF_UNMODIFIED_SINCE, DAY, None),
            (IF_UNMODIFIED_SINCE, EARLIER, Some(412)),
        ];
        for (name, value, expected) in cases {
            let conditions: HeaderMap = [(name.clone(), HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(judged(&conditions, &found).map(|status| status.as_u16()), expected, "{name}: {value}");
        }
        for (value, same) in [("\"a\"", true), ("\"b\"", false), (DAY, true), (EARLIER, false)] {
            assert_eq!(is_of(&HeaderValue::from_static(value), &found), same, "{value}");
        }
    }
}
