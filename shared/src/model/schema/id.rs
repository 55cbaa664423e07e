//! Kinds of ids.

use super::positions::FieldIx;

/// Kind of the ids of an entity. Ids and their parts match `[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}`.
#[derive(Debug, Clone, PartialEq)]
pub enum IdKind {
    /// A UUIDv7 that the server makes.
    Uuid,
    /// Chosen by the client.
    String,
    /// Chosen by the client: a whole number from 0 to 2^53 - 1 without leading zeros; JSON shows it as a number.
    Integer,
    /// The values of these fields joined by `,` in this order; each is required and immutable.
    Composite(Vec<FieldIx>),
}
