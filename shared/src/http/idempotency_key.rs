//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): what may stand there, as the documents publish it
//! and as requests are held to it.

/// Name of the header.
pub(crate) const NAME: &str = "idempotency-key";

/// Longest key, characters.
const MAX_KEY: usize = 255;
/// Shortest key of anonymous callers, who share one scope, so that nobody can guess another's key: 22 characters of base64
/// carry 128 bits.
const SHORTEST_ANONYMOUS: usize = 22;

fn shortest(anonymous: bool) -> usize {
    if anonymous { SHORTEST_ANONYMOUS } else { 1 }
}

/// The values that [`parse`] takes, as a regular expression: a bare text, or a string of structured fields.
pub(crate) fn pattern(anonymous: bool) -> String {
    let least = shortest(anonymous);
    // Blanks around a value are none of it (RFC 9110, 5.5).
    let bare = match least {
        1 => format!("[!#-~](?:[ -~]{{0,{}}}[!-~])?", MAX_KEY - 2),
        _ => format!("[!#-~][ -~]{{{},{}}}[!-~]", least - 2, MAX_KEY - 2),
    };
    format!(r#"^(?:{bare}|"(?:[ !#-\[\]-~]|\\["\\]){{{least},{MAX_KEY}}}")$"#)
}

/// Longest value: a key in quotes, each of its characters escaped.
pub(crate) const MAX_VALUE: usize = 2 * MAX_KEY + 2;

/// The key that a value is: the same one with and without quotes.
///
/// # Errors
/// What the value must be instead.
pub(crate) fn parse(value: &[u8], anonymous: bool) -> Result<String, String> {
    let text = str::from_utf8(value.trim_ascii()).ok().filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    let text = text.ok_or("visible ASCII characters")?;
    let key = unquoted(text).ok_or("one string, with or without double quotes")?;
    let least = shortest(anonymous);
    match key.len() {
        length if (least..=MAX_KEY).contains(&length) => Ok(key),
        _ if anonymous => Err(format!("{least} to {MAX_KEY} characters long without credentials, such as a UUID")),
        _ => Err(format!("{least} to {MAX_KEY} characters long")),
    }
}

/// A string of structured fields (RFC 9651, 3.3.3), or a bare text.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let (mut key, mut symbols) = (String::new(), rest.chars());
    loop {
        match symbols.next()? {
            '"' => return symbols.next().is_none().then_some(key),
            '\\' => key.push(symbols.next().filter(|symbol| matches!(symbol, '"' | '\\'))?),
            symbol => key.push(symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn quoted_or_bare_is_one_key() {
        for (text, key) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (" abc\t", Some("abc")),
            ("a\"b\\c", Some(r#"a"b\c"#)),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("\"abc", None),
            ("\"a\"b", None),
            (r#""a\b""#, None),
            ("a\tb", None),
            ("ä", None),
            ("\"\"", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes(), false).ok().as_deref(), key, "{text}");
        }
    }

    proptest! {
        /// A client that goes by the document is never refused, and one that does not always is.
        #[test]
        fn what_is_published_is_what_is_taken(
            text in prop_oneof![
                r#""?([ -~]|[a"\\ \t\x7fä]){0,30}"?"#,
                (prop_oneof![Just(20_usize), Just(252)], 0_usize..6, any::<bool>()).prop_map(|(some, more, quoted)| {
                    let key = "k".repeat(some + more);
                    if quoted { format!("\"{key}\"") } else { key }
                }),
            ],
            anonymous: bool,
        ) {
            // A value has no blanks around it: they go before anyone could look at them.
            let text = text.trim_matches([' ', '\t']);
            let published = Regex::new(&pattern(anonymous)).unwrap().is_match(text);
            prop_assert_eq!(parse(text.as_bytes(), anonymous).is_ok(), published, "{:?}", text);
        }
    }
}
