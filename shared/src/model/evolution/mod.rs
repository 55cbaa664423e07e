//! Evolution: what stored data needs when a model changes over it.
//!
//! ```text
//! (old model, new model) -> pairs (what became what) -> steps (what has to be done, before or after the deployment)
//! ```
//! - Owns: the list of steps that `model diff` and `migrate --plan` both print, the forms of rows by which a store decides whether rows
//!   of an earlier model are still right, and the conversion of stored values.
//! - May import: [`crate::model::schema`], `body` (the one form of a value), [`crate::model::value`] (orders), and of `report` the words
//!   and where subjects are.
//! - Never here: a table, and what clients see of a change ([`crate::model::diff`]).

/// A type in a few words: `string`, `decimal (scale 2)`.
pub fn describe(model: &crate::model::Model, kind: &crate::model::FieldType) -> String {
    crate::model::report::describe_kind(model, kind)
}

mod convert;
mod form;
mod narrow;
mod pairs;
mod step;
mod steps;
#[cfg(test)]
mod tests;

pub(super) use convert::shown;
pub use convert::{Conversion, conversion, convert};
pub use form::{Form, index_form, reference_form, unique_form};
pub(super) use narrow::narrower;
pub use pairs::Pairs;
pub(super) use pairs::{field_after, field_before};
pub use step::{FillValue, MigrationStep, Step, When};
pub use steps::{fill, in_order, steps};
pub(super) use steps::{is_same_target, issuer_after, lacks_value, may_forbid};
