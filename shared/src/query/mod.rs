//! What a caller asks for, may see, and how it is found: query strings become a [`ListQuery`] without any I/O and without knowing who
//! asks; [`policy`] makes it a permitted one, [`plan`] finds its partitions, [`shape`] forms the page.
//!
//! Imports `core`, `model`, `store`. A plan is made from nothing but what [`policy`] permitted.

pub mod condition;
mod filter;
mod include;
mod names;
mod parse;
pub mod plan;
pub mod policy;
mod scope;
pub mod shape;
#[cfg(test)]
mod tests;

use crate::model::{EntityIx, FieldIx, FieldMask, SortPart};
use condition::Comparison;

pub use filter::applies;
pub use include::{Include, Relation};
pub use parse::{BadParameter, parse_get, parse_list};
pub(crate) use parse::{limit as page_limit, split as split_parameters};
#[cfg(test)]
pub(crate) use scope::Everything;
pub use scope::Visibility;

/// Parameters of a list that are no filters.
const PARAMETERS: [&str; 6] = ["limit", "cursor", "sort", "fields", "include", "count"];
/// Records of a page where nothing is said.
pub const DEFAULT_LIMIT: usize = 20;
/// Most records of a page.
pub const MAX_LIMIT: usize = 100;
/// How deep relations may be embedded.
pub const MAX_DEPTH: usize = 3;
/// Most values of `in` and `nin`.
pub const MAX_VALUES: usize = 100;
/// Longest value of a filter, in characters: encoded it has to fit into a request line. An address, which is ASCII, may have
/// as many as its field.
pub const MAX_VALUE: usize = 512;
/// Longest cursor, in characters.
pub const MAX_CURSOR: usize = 1024;

/// A list as it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// Of which entity.
    pub entity: EntityIx,
    /// Filters of the caller, all of which must hold.
    pub filters: Vec<Comparison>,
    /// Comparisons that the embedding of a relation adds: they are no filters of the caller, so no permission is needed to
    /// state them.
    pub fixed: Vec<Comparison>,
    /// The order asked for; `None`: that of the index that serves the list.
    pub sort: Option<Vec<SortPart>>,
    /// Fields asked for; `None`: all that may be read.
    pub fields: Option<Selection>,
    /// Relations to embed.
    pub includes: Vec<Include>,
    /// Most records.
    pub limit: usize,
    /// Where to go on.
    pub cursor: Option<String>,
    /// Whether to count all.
    pub count: bool,
}

impl ListQuery {
    /// All records of an entity, a page of the default size.
    pub fn all(entity: EntityIx) -> Self {
        Self {
            entity,
            filters: Vec::new(),
            fixed: Vec::new(),
            sort: None,
            fields: None,
            includes: Vec::new(),
            limit: DEFAULT_LIMIT,
            cursor: None,
            count: false,
        }
    }
}

/// Fields asked for by `fields=`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Whether `id` is among them.
    pub id: bool,
    /// The others.
    pub mask: FieldMask,
}

impl Selection {
    /// Whether a field is shown.
    pub fn shows(&self, field: FieldIx) -> bool {
        self.mask.contains(field)
    }
}
