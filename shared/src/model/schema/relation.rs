//! Relations: the two sides of a ref.

use super::positions::{EntityIx, FieldIx};

/// A to-one relation.
#[derive(Debug, Clone)]
pub struct ToOne {
    /// Name in `include`, in answers and in filters: `customer`.
    pub name: String,
    /// The field that holds the id: `customer_id`.
    pub field: FieldIx,
    /// The entity referred to.
    pub target: EntityIx,
}

/// A to-many relation, the inverse of a ref.
#[derive(Debug, Clone)]
pub struct ToMany {
    /// Name in `include` and in answers: `orders`.
    pub name: String,
    /// The entity that holds the ref.
    pub target: EntityIx,
    /// The ref field in that entity.
    pub field: FieldIx,
}
