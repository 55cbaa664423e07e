//! Values of fields: their order as bytes, comparisons of them, and records.
//!
//! - Owns: the encoding of sort keys, the comparisons of filters and rules, and the record in memory.
//! - May import: `core`, [`crate::model::schema`].
//! - Never here: a second order or equality of values. Indexes, filters and sorts agree because they share this one.

pub mod compare;
pub mod encode;
mod record;

pub use crate::core::id::{MAX_SAFE_INTEGER, is_id_part};
pub use record::{Record, new_version};
