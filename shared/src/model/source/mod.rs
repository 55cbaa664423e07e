//! The file: from text to what it says, before names are resolved.
//!
//! ```text
//! text -> tree (nodes with places) -> raw (entities, fields, types)
//! ```
//! - Owns: YAML, places, mistakes, the reader that collects them, and the raw form of entities and fields.
//! - May import: `core::id`, [`crate::model::schema`] for types that need no names, [`crate::model::suggest`].
//! - Never here: a look-up of a name, and a mistake that ends the reading. A mistake is noted, and reading goes on.

mod deprecation;
mod document;
mod json;
mod mistake;
mod raw_entity;
mod raw_field;
mod raw_type;
mod reader;
mod tree;
mod units;

pub use document::Document;
pub(super) use json::to_json;
pub use mistake::Mistake;
pub(super) use mistake::{At, Spot};
#[cfg(test)]
pub(super) use raw_entity::KEYS as ENTITY_KEYS;
pub(super) use raw_entity::{RESERVED_FIELDS, RawEntity, RawId, RawIndex};
#[cfg(test)]
pub(super) use raw_field::COMMON as FIELD_KEYS;
pub(super) use raw_field::RawField;
pub(super) use raw_type::RawKind;
#[cfg(test)]
pub(super) use raw_type::types;
pub(super) use reader::Reader;
pub(super) use tree::{Data, Node, load};
