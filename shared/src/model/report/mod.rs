//! Reports on models: costs of writes, differences between two models, and conditions that no index serves.
//!
//! - Owns: what `model check` and `model diff` print, and the words that describe parts of a schema.
//! - May import: [`crate::model::schema`].
//! - Never here: a change of a model, and the reading of a file.

mod check;
mod describe;
mod diff;
mod issuer;
mod served;
mod subjects;
mod warnings;

pub use check::{Ceiling, EntityReport, Report, WriteCost, check};
pub(super) use check::{MAX_ITEMS, most_items};
pub(super) use describe::{id as describe_id, kind as describe_kind};
pub use diff::{Change, Class, Diff, diff, diff_roles};
pub use issuer::describe_issuer;
pub(super) use served::missing_index;
pub(super) use subjects::{SUBJECT, can_hold_subject};
pub use subjects::{SubjectPath, subject_paths};
pub use warnings::{Warning, warnings};
