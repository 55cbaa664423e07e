//! Bodies and values: JSON Schemas of entities, validation, and the normalised form of single values.
//!
//! - Owns: JSON Schemas, the checks of request bodies, and the one form in which a value is stored.
//! - May import: `core::id`, [`crate::model::schema`], [`crate::model::suggest`].
//! - Never here: YAML, storage, HTTP, and a message that shows what the caller neither sent nor may read.

mod json_schema;
mod scalar;
pub mod validate;

pub use json_schema::{id_schema, json_schema, type_schema};
pub use scalar::{Fault, id as normalise_id, limits, normalise};
