//! Indexes: access paths and the fields that they are made of.

use super::positions::{FieldIx, IndexIx};

/// An access path: records with equal values of some fields, in an order.
#[derive(Debug, Clone)]
pub struct Index {
    /// Position in the entity.
    pub ix: IndexIx,
    /// Name: `by_customer`.
    pub name: String,
    /// Fields that a query must fix, in the order of the partition key.
    pub equality: Vec<Path>,
    /// Fields that order a partition; the id follows as the last part, ascending, unless `id` is one of them.
    pub sort: Vec<SortPart>,
    /// Fields that the row carries; `None`: the whole record.
    pub projection: Option<Vec<FieldIx>>,
    /// Whether the file declares it; the others are those that Holdfast needs: the id index, inverse relations, unique fields.
    pub declared: bool,
}

impl Index {
    /// The implicit index over all records in the order of their ids.
    pub const ID: &'static str = "id";

    /// Whether rows are stored for it. An index over a field of a to-one relation (`customer.country`) stores none: it is a
    /// declared permission to join, served by the target's index on that field and this entity's index on the ref.
    pub fn is_stored(&self) -> bool {
        !self.equality.iter().any(|path| matches!(path, Path::Via(..)))
    }
}

/// A field of the entity, or of the target of a to-one relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// The record's id.
    Id,
    /// A field of the record.
    Own(FieldIx),
    /// A field of the record that the ref `0` points to (`customer.country`).
    Via(FieldIx, FieldIx),
}

/// One part of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SortPart {
    /// Path to sort by, never [`Path::Via`].
    pub by: Path,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

/// Maximum size of an encoded sort key, bytes. DynamoDB takes 1024; a cursor of at most 1 KB carries it in base64url with its seal.
pub const MAX_SORT_KEY: usize = 720;
