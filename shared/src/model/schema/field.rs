//! Stored fields: flags, default and documentation of one field.

use serde_json::Value;

use super::deprecation::Deprecation;
use super::field_type::FieldType;
use super::positions::FieldIx;

/// One stored field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Position in the entity.
    pub ix: FieldIx,
    /// API name.
    pub name: String,
    /// API name that it had in an earlier model (`was`).
    pub was: Option<String>,
    /// Type with its own limits.
    pub kind: FieldType,
    /// Whether a creation must give it, unless it has a default.
    pub required: bool,
    /// Whether it may be `null`.
    pub nullable: bool,
    /// Value of a record whose creation gives none.
    pub default: Option<Value>,
    /// Value that records get which are older than the field, or than the promise that it is not null.
    pub fill: Option<Value>,
    /// Whether no two records may have the same value (nulls apart).
    pub unique: bool,
    /// Whether it is fixed after creation.
    pub immutable: bool,
    /// Whether only the server sets it.
    pub read_only: bool,
    /// Whether it is never shown.
    pub write_only: bool,
    /// Description, Markdown.
    pub description: Option<String>,
    /// A valid value for documents.
    pub example: Option<Value>,
    /// Deprecation of this field.
    pub deprecated: Option<Deprecation>,
    /// Whether filters without an index may read it within the examine budget.
    pub scan: bool,
}
