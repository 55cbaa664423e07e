//! The validated model: what all other rooms read.
//!
//! - Owns: the types of a model, look-ups in them, and the cache of compiled JSON Schemas that lives as long as a model.
//! - May import: nothing of the crate.
//! - Never here: YAML, mistakes, I/O. Code outside of [`crate::model`] never makes a [`Model`]; [`crate::model::parse`] does, so
//!   everything in one has been checked.
//!
//! Positions ([`EntityIx`], [`FieldIx`]) instead of names keep look-ups by string out of the hot path.

mod auth;
mod deprecation;
mod entity;
mod field;
mod field_type;
mod id;
mod index;
mod mask;
mod model;
mod operation;
mod plan;
mod positions;
mod relation;
mod role;
mod rule;
mod settings;
mod text_format;
mod validators;

pub use auth::{ALGORITHMS, Auth, GOOGLE, Issuer, Provider, Scopes};
pub use deprecation::Deprecation;
pub use entity::{CacheMode, Entity, PER_ITEM, by_ref};
pub use field::Field;
pub(in crate::model) use field_type::anchored;
pub use field_type::{FieldType, FileLimits, OnDelete, TextLimits, is_sortable};
pub use id::IdKind;
pub use index::{Index, MAX_SORT_KEY, Path, SortPart};
pub use mask::{FieldMask, Masks};
pub use model::Model;
pub use operation::Operation;
pub use plan::{Cost, Quota, Rate, RatePlan, Window};
pub use positions::{EntityIx, FieldIx, IndexIx};
pub use relation::{ToMany, ToOne};
pub use role::{Action, Grant, Role, SystemPermission};
pub use rule::{Op, Operand, Rule};
pub use settings::{Cors, Limits};
pub(in crate::model) use text_format::FORMATS;
pub use text_format::{TextFormat, UUID};
pub use validators::Purpose;
pub(in crate::model) use validators::compile;
