//! Resolution: from what a file says to a validated model.
//!
//! - Owns: [`parse`](crate::model::parse), names that become positions, implied indexes, and every check that needs more than one part
//!   of the file.
//! - May import: `schema`, `source`, `body` (values of constants), `report` (sizes of transactions, conditions without an index).
//! - Never here: YAML events, and a mistake that ends the reading: the rest of the file is still checked.

mod auth;
mod constant;
#[cfg(test)]
mod docs_tests;
mod entities;
mod fields;
mod ids;
mod indexes;
mod issuer;
#[cfg(test)]
mod mistakes_tests;
mod names;
mod parse;
mod plans;
mod relations;
mod renames;
mod roles;
mod rules;
mod sort_keys;
#[cfg(test)]
mod tests;

pub use parse::parse;
