//! The form of ids, and the range of whole numbers.

/// Whether a text may be an id or a part of one: `[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}`. API Gateway decodes paths before the
/// functions see them, so no other character would arrive as it was sent.
pub fn is_id_part(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 128
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte))
}

/// Whether a text may be an id: parts as above, joined by `,`.
pub fn is_id(text: &str) -> bool {
    // As many parts as a key holds.
    text.len() <= 1024 && text.split(',').all(is_id_part)
}

/// The greatest whole number that a JSON number carries exactly everywhere: 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
