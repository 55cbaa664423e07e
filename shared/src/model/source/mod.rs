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
pub(super) mod keys;
mod mistake;
mod raw_entity;
mod raw_field;
mod raw_type;
mod reader;
mod salvage;
mod syntax;
mod tree;
mod units;

pub use document::Document;
pub(super) use json::to_json;
pub use mistake::Mistake;
pub(super) use mistake::{At, Spot};
pub(super) use raw_entity::{RESERVED_FIELDS, RawEntity, RawId, RawIndex};
pub(super) use raw_field::RawField;
pub(super) use raw_type::RawKind;
pub(super) use raw_type::types;
pub(super) use reader::{Keys, Reader, fields_of};
pub(super) use salvage::{Salvage, salvage};
pub(super) use tree::{Data, Node, load};
