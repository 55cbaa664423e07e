//! Violations of a body.

/// One violation of a body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldViolation {
    /// JSON pointer (RFC 6901) to the value, or to where a missing member should be.
    pub pointer: String,
    /// The keyword of JSON Schema that the body breaks (`minimum`, `required`, `type`, ...), or `unknown_member`, `read_only`,
    /// `immutable`, `max_bytes`.
    pub code: String,
    /// What would be right. It shows only what the caller sent or may know.
    pub message: String,
}

impl FieldViolation {
    pub(super) fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), message: message.into() }
    }
}

/// A member's name in a JSON pointer.
pub(super) fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}
