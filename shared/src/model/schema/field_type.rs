//! Field types and the limits of each.

use std::time::Duration;

use serde_json::Value;

use super::positions::EntityIx;
use super::text_format::TextFormat;

/// Type of a field with its limits.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// A short text, indexable. Lengths count Unicode code points.
    String(TextLimits),
    /// A long text, not indexable.
    Text(TextLimits),
    /// A whole number within ±(2^53 - 1).
    Integer {
        /// Minimum.
        min: i64,
        /// Maximum.
        max: i64,
    },
    /// An exact decimal, a string in JSON.
    Decimal {
        /// Maximum number of digits after the point.
        scale: u32,
        /// Minimum.
        min: Option<rust_decimal::Decimal>,
        /// Maximum.
        max: Option<rust_decimal::Decimal>,
    },
    /// A binary floating-point number (IEEE 754 double, finite).
    Number {
        /// Minimum.
        min: Option<f64>,
        /// Maximum.
        max: Option<f64>,
    },
    /// `true` or `false`.
    Boolean,
    /// A calendar day, `2026-11-21`.
    Date,
    /// A moment, RFC 3339, stored in UTC with milliseconds.
    Timestamp,
    /// One of these words; they sort in this order.
    Enum(Vec<String>),
    /// A text of a fixed form: an email address, a URL, a UUID.
    Formatted(&'static TextFormat),
    /// Any JSON value, checked against a JSON Schema (2020-12) if there is one.
    Json {
        /// The schema.
        schema: Option<Value>,
    },
    /// The id of a record of another (or this) entity.
    Ref {
        /// The entity referred to.
        target: EntityIx,
        /// Effect on this record of deleting that one.
        on_delete: OnDelete,
    },
    /// A file: `{filename, content_type, size, sha256, uploaded_at}` or null; changed by upload and complete only (null clears it).
    File(FileLimits),
    /// A list of scalars.
    List {
        /// Type of the elements: never List, Json, Ref or File.
        item: Box<FieldType>,
        /// Maximum number of elements.
        max_items: usize,
    },
}

/// Limits of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextLimits {
    /// Minimum length, code points.
    pub min: Option<usize>,
    /// Maximum length, code points.
    pub max: Option<usize>,
    /// A regular expression that the whole value must match.
    pub pattern: Option<String>,
}

/// Effect on a record of deleting the one that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The delete is refused.
    Restrict,
    /// It is deleted too.
    Cascade,
    /// Its reference becomes null.
    SetNull,
}

impl OnDelete {
    /// Its word in a model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restrict => "restrict",
            Self::Cascade => "cascade",
            Self::SetNull => "set_null",
        }
    }

    /// The rule that this word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Restrict, Self::Cascade, Self::SetNull].into_iter().find(|rule| rule.name() == word)
    }
}

/// Limits of a file field.
#[derive(Debug, Clone, PartialEq)]
pub struct FileLimits {
    /// Maximum size, bytes; at most 5 GiB.
    pub max_size: u64,
    /// Accepted media types; `image/*` accepts a whole family. Empty: any.
    pub content_types: Vec<String>,
    /// Media types that a browser may show inline.
    pub inline: Vec<String>,
    /// Maximum lifetime of a download link.
    pub link_expiry: Duration,
    /// Maximum lifetime of a share; `None`: shares are off.
    pub share_expiry: Option<Duration>,
}

/// Whether values of the type have an order, so that an index can hold them.
pub fn is_sortable(kind: &FieldType) -> bool {
    !matches!(kind, FieldType::Text(_) | FieldType::Json { .. } | FieldType::File(_) | FieldType::List { .. })
}

/// The pattern as a regular expression that matches whole values only.
pub(in crate::model) fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}
