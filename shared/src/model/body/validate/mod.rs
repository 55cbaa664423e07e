//! Request bodies: from JSON to normalised fields, or all violations at once.
//!
//! The JSON Schema of the entity (the one that the documents publish) checks a body; then every value gets its normalised form.
//! [`create`], [`replace`], [`merge_patch`] and [`document`] all return the complete new fields of the record: every declared
//! field, null if it has no value. `created_at` and `updated_at` are returned as they were stored (not at all for a new record):
//! the store sets them.

mod change;
mod check;
mod create;
mod forbidden;
mod ids;
mod messages;
mod patch;
mod replace;
mod stored;
#[cfg(test)]
mod tests;
mod violation;

pub use create::{New, create};
pub use forbidden::forbidden;
pub use ids::composite_id;
pub use patch::{Current, document, merge_patch, readable};
pub use replace::replace;
pub use violation::FieldViolation;
