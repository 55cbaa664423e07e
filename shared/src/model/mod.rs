//! `model.yaml`: from text to a validated schema.

mod schema;

pub use schema::*;
