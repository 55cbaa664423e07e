//! Loading records through the API, for `holdfast import` and for the demo data of a first start.
//!
//! Every line is one `POST` with an `Idempotency-Key` made of its place and content, so a load that was cut short is simply
//! repeated: what was created answers as before. A line whose id another record has is refused, unless that record has all that
//! the line says. Lines refused only because they refer to a record that is not there yet are
//! tried again as long as that helps, so order within a file, and records that refer to their own kind, need no care.

mod loader;
mod row;
mod same;

pub use loader::{LoadError, Loader, Refused, Report};
pub use row::{Reshape, Row, rows};

#[cfg(test)]
mod tests;
