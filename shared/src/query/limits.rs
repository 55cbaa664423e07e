//! Limits of the parameters of a list.

/// Parameters of a list that are no filters.
pub(super) const PARAMETERS: [&str; 6] = ["limit", "cursor", "sort", "fields", "include", "count"];
/// Default size of a page, records.
pub const DEFAULT_LIMIT: usize = 20;
/// Maximum size of a page, records.
pub const MAX_LIMIT: usize = 100;
/// Maximum depth of embedded relations.
pub const MAX_DEPTH: usize = 3;
/// Maximum number of values of `in` and `nin`.
pub const MAX_VALUES: usize = 100;
/// Maximum length of a value of a filter, characters: encoded, it has to fit into a request line. An address, which is ASCII, may
/// be as long as its field allows.
pub const MAX_VALUE: usize = 512;
/// Maximum length of a cursor, characters.
pub const MAX_CURSOR: usize = 1024;
