//! Media types (RFC 9110, 8.3.1).

/// Longest media type with its parameters, bytes.
const MAX_LENGTH: usize = 255;

/// Type and subtype in lower case, without parameters; `None` for what is no media type.
pub fn essence(media_type: &str) -> Option<String> {
    if media_type.len() > MAX_LENGTH {
        return None;
    }
    let mut parts = media_type.split(';');
    let essence = parts.next()?.trim_matches(' ');
    let (family, subtype) = essence.split_once('/')?;
    let parameter = |part: &str| {
        let (name, value) = part.trim_matches(' ').split_once('=')?;
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let sound = match quoted {
            Some(text) => text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'),
            None => is_token(value),
        };
        (is_token(name) && sound).then_some(())
    };
    let sound = is_token(family) && is_token(subtype) && parts.all(|part| parameter(part).is_some());
    sound.then(|| essence.to_ascii_lowercase())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+'*`|~%".contains(&byte))
}

/// Whether a list of types and families (`image/*`), as the model has it, names an essence.
pub fn is_listed(list: &[String], essence: &str) -> bool {
    list.iter().any(|listed| match listed.strip_suffix('*') {
        Some(family) if family.ends_with('/') => essence.starts_with(family),
        _ => listed == essence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_told_from_other_texts() {
        let cases = [
            ("image/png", Some("image/png")),
            ("Image/PNG", Some("image/png")),
            ("text/plain; charset=utf-8", Some("text/plain")),
            ("text/plain;charset=\"utf 8\"", Some("text/plain")),
            ("application/vnd.api+json", Some("application/vnd.api+json")),
            ("", None),
            ("image", None),
            ("image/", None),
            ("/png", None),
            ("image/png\r\nx: y", None),
            ("image/p ng", None),
            ("image/png;", None),
            ("image/png; x", None),
            ("text/html, text/plain", None),
            ("text/plain; a=\"b\"c\"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(essence(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(essence(&format!("text/{}", "a".repeat(255))), None);
    }

    #[test]
    fn families_are_listed_by_a_star() {
        let list = ["image/*".to_owned(), "application/pdf".to_owned()];
        for (essence, listed) in [("image/png", true), ("application/pdf", true), ("imagex/png", false), ("text/plain", false)] {
            assert_eq!(is_listed(&list, essence), listed, "{essence}");
        }
    }
}
