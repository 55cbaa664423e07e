//! The body of an upload's request, held to the limits of its field.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::core::json::whole;
use crate::files::upload::Announced;
use crate::http::problem::{Code, FieldError, Problem};
use crate::model::FileLimits;
use crate::store::object::media;

const MEMBERS: [&str; 4] = ["filename", "content_type", "size", "sha256"];
/// Longest name, characters.
const MAX_NAME: usize = 255;

/// What the caller announces.
///
/// # Errors
/// 422 with everything that is wrong.
pub(super) fn read(body: &Value, limits: &FileLimits) -> Result<Announced, Problem> {
    let mut errors = Vec::new();
    let Some(body) = body.as_object() else {
        return Err(invalid(vec![FieldError::new("", "type", "must be an object with filename, content_type, size and sha256")]));
    };
    errors.extend(unknown(body, &MEMBERS));
    let mut take = |name: &str, read: &dyn Fn(&Value) -> Result<(), (&'static str, String)>| {
        let outcome = match body.get(name) {
            None => Err(("required", "is required".to_owned())),
            Some(value) => read(value),
        };
        if let Err((code, message)) = outcome {
            errors.push(FieldError::new(format!("/{name}"), code, message));
        }
    };
    take("filename", &|value| filename(value));
    take("content_type", &|value| content_type(value, limits));
    take("size", &|value| size(value, limits.max_size));
    take("sha256", &|value| match sha256(value) {
        Some(_) => Ok(()),
        None => {
            Err(("format", "must be the SHA-256 of the content: 64 hexadecimal digits, or 44 characters of base64".to_owned()))
        }
    });
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match (errors.is_empty(), body.get("size").and_then(whole), body.get("sha256").and_then(sha256)) {
        (true, Some(size), Some(sha256)) => {
            Ok(Announced { filename: text("filename"), content_type: text("content_type"), size, sha256 })
        }
        _ => Err(invalid(errors)),
    }
}

/// Errors for the members that are not known.
pub(super) fn unknown(body: &Map<String, Value>, known: &[&str]) -> Vec<FieldError> {
    let strange = body.keys().filter(|name| !known.contains(&name.as_str()));
    let error = |name: &String| {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        FieldError::new(pointer, "unknown_member", format!("is not known here; known are: {}", known.join(", ")))
    };
    strange.map(error).collect()
}

/// 422 with these errors.
pub(super) fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::new(Code::ValidationFailed, "The body breaks rules; `errors` lists all of them.").with_errors(errors)
}

fn filename(value: &Value) -> Result<(), (&'static str, String)> {
    match value.as_str().map(|name| name.chars().count()) {
        None => Err(("type", "must be a text".to_owned())),
        Some(0) => Err(("minLength", "must not be empty".to_owned())),
        Some(count) if count > MAX_NAME => Err(("maxLength", format!("must have at most {MAX_NAME} characters, has {count}"))),
        Some(_) => Ok(()),
    }
}

fn content_type(value: &Value, limits: &FileLimits) -> Result<(), (&'static str, String)> {
    let Some(text) = value.as_str() else { return Err(("type", "must be a text".to_owned())) };
    let Some(essence) = media::essence(text).filter(|_| text.trim() == text) else {
        return Err(("format", "must be a media type, such as image/png".to_owned()));
    };
    match limits.content_types.is_empty() || media::is_listed(&limits.content_types, &essence) {
        true => Ok(()),
        false => Err(("enum", format!("must be one of {}", limits.content_types.join(", ")))),
    }
}

fn size(value: &Value, most: u64) -> Result<(), (&'static str, String)> {
    match whole(value) {
        None if value.is_number() => Err(("minimum", "must be a whole number of bytes, 0 or more".to_owned())),
        None => Err(("type", "must be a whole number of bytes".to_owned())),
        Some(size) if size > most => Err(("maximum", format!("must be at most {most} bytes"))),
        Some(_) => Ok(()),
    }
}

/// A SHA-256 as 64 hexadecimal digits in lower case; given as digits or as base64, which S3 speaks.
fn sha256(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))).ok()?;
    (bytes.len() == 32).then(|| hex::encode(bytes))
}

/// The bytes of a SHA-256 in hexadecimal digits; none where the text is something else.
pub(super) fn digest(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn limits() -> FileLimits {
        FileLimits {
            max_size: 1000,
            content_types: vec!["image/*".into(), "application/pdf".into()],
            inline: Vec::new(),
            link_expiry: Duration::from_secs(300),
            share_expiry: None,
        }
    }

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_digest_is_taken_in_both_notations() {
        for given in [HEX.to_owned(), HEX.to_uppercase(), STANDARD.encode(digest(HEX)), URL_SAFE_NO_PAD.encode(digest(HEX))] {
            let body = json!({"filename": "a.png", "content_type": "image/png", "size": 4.0, "sha256": given});
            let read = read(&body, &limits()).unwrap();
            assert_eq!((read.sha256.as_str(), read.size), (HEX, 4));
        }
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let long = "a".repeat(256);
        let cases = [
            (json!({}), vec!["/filename required", "/content_type required", "/size required", "/sha256 required"]),
            (json!([]), vec![" type"]),
            (
                json!({"filename": "", "content_type": "text/html", "size": 1001, "sha256": "x", "key": "f/1"}),
                vec!["/key unknown_member", "/filename minLength", "/content_type enum", "/size maximum", "/sha256 format"],
            ),
            (
                json!({"filename": long, "content_type": "image/png\r\nx: y", "size": -1, "sha256": HEX}),
                vec!["/filename maxLength", "/content_type format", "/size minimum"],
            ),
            (
                json!({"filename": 1, "content_type": "image", "size": "1", "sha256": &HEX[1..]}),
                vec!["/filename type", "/content_type format", "/size type", "/sha256 format"],
            ),
        ];
        for (body, expected) in cases {
            let problem = read(&body, &limits()).unwrap_err();
            let found: Vec<String> = problem.errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect();
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn any_unicode_name_of_255_characters_is_taken() {
        for name in ["\u{1F600}".repeat(255), "a\"b\r\nc\u{202E}d".to_owned(), "..".to_owned()] {
            let body = json!({"filename": name, "content_type": "image/png", "size": 0, "sha256": HEX});
            assert_eq!(read(&body, &limits()).unwrap().filename, name);
        }
    }
}
