//! The OpenAPI 3.1 document of an API as one caller may use it, and its forms for people: a page and a Markdown text.
//!
//! ```text
//! source (model, caller, address) -> paths, components -> document -> YAML, Markdown; page
//! ```
//! Everything in a document comes from the model, from [`Access`](crate::query::policy::Access), from the catalogue of
//! [`Code`](crate::http::problem::Code)s and from the same [`json_schema`](crate::model::json_schema) that validates bodies, so it cannot
//! drift from what the API does. It is built as JSON; a test reads every document into the types of `oas3` and checks that nothing
//! is lost (`infra/adr/0011-documents-as-json.md` has the reason why it is not built from them).
//!
//! - Owns: the documents, their cache, the documentation page, and the sample caller of a role.
//! - May import: `core`, `model`, `store`, `query`, `limit`, `http`.
//! - Never here: data of records, and anything that the caller of a document may not use.
//!
//! This file is a facade: it defines nothing.

mod cache;
mod caller;
mod components;
mod document;
mod entity_operations;
mod examples;
mod file_schemas;
mod files;
mod filters;
mod kinds;
mod markdown;
mod names;
mod operations;
mod page;
mod parameters;
mod parts;
mod paths;
mod prose;
mod prune;
mod records;
mod references;
mod responses;
mod source;
mod system;
mod system_schemas;
#[cfg(test)]
mod tests;
mod yaml;

pub use cache::{Documents, Form};
pub use caller::of_role;
pub use document::{openapi, openapi_of_all, openapi_of_role};
pub use markdown::markdown;
pub use page::{Page, assemble, page};
pub use source::Site;
pub use yaml::yaml;
