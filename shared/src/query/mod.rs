//! What a caller asks for, may see, and how it is found: query strings become a [`ListQuery`] without any I/O and without knowing who
//! asks; [`policy`] makes it a permitted one, [`plan`] finds its partitions, [`shape`] forms the page.
//!
//! Imports `core`, `model`, `store`, `identity`. A plan is made from nothing but what [`policy`] permitted.

pub mod condition;
mod filter;
mod include;
mod limits;
mod list;
mod names;
mod parse;
pub mod plan;
pub mod policy;
mod scope;
pub mod shape;
#[cfg(test)]
mod tests;

pub use filter::applies;
pub use include::{Include, Relation};
pub use limits::{DEFAULT_LIMIT, MAX_CURSOR, MAX_DEPTH, MAX_LIMIT, MAX_VALUE, MAX_VALUES};
pub use list::{ListQuery, Selection};
pub use parse::{BadParameter, parse_get, parse_list};
pub(crate) use parse::{limit as page_limit, split as split_parameters};
#[cfg(test)]
pub(crate) use scope::Everything;
pub use scope::Visibility;
