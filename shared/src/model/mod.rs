//! `model.yaml`: from text to a validated schema, and what everything else derives from it.
//!
//! ```text
//! text -> source (tree, raw) -> resolve -> schema -> body, report, value
//! ```
//! A mistake never ends the reading: [`parse`] returns all of them, each with its place and what would be right.
//!
//! - Owns: the model and everything that follows from it alone. Its rooms, each importing only rooms above it:
//!   `schema` and `suggest`; `source`, `body`, `report` and `value`; `evolution`; `resolve`; `format`.
//! - May import: `core`.
//! - Never here: I/O, a caller, and a store.
//!
//! This file is a facade: it defines nothing.

mod body;
pub mod evolution;
mod format;
mod report;
mod resolve;
mod schema;
mod source;
mod suggest;
pub mod value;

pub use body::{Fault, id_schema, json_schema, limits, normalise, normalise_id, type_schema, validate};
pub use format::format_schema;
pub use report::{
    Ceiling, Change, Class, Diff, EntityReport, Report, SubjectPath, Warning, WriteCost, check, describe_issuer, diff,
    diff_roles, subject_paths, warnings,
};
pub use resolve::parse;
pub use schema::{
    ALGORITHMS, Action, Auth, CacheMode, Cors, Cost, Deprecation, Entity, EntityIx, Field, FieldIx, FieldMask, FieldType,
    FileLimits, GOOGLE, Grant, IdKind, Index, IndexIx, Issuer, Limits, MAX_SORT_KEY, Masks, Model, OnDelete, Op, Operand,
    Operation, PER_ITEM, Path, Provider, Purpose, Quota, Rate, RatePlan, Role, Rule, Scopes, SortPart, SystemPermission,
    TextFormat, TextLimits, ToMany, ToOne, UUID, Window, by_ref, is_sortable,
};
pub use source::{Document, Mistake};
