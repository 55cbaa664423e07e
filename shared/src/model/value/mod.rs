//! Values of fields: the JSON form in which they are stored and shown, their order as bytes, and records.

pub mod compare;
pub mod encode;
mod record;

pub use crate::core::id::{MAX_SAFE_INTEGER, is_id_part};
pub use record::{Record, new_version};
