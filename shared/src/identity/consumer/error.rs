//! Errors of operations on consumers.

use super::input::InputViolation;
use super::record::{Corrupt, MAX_KEYS};
use crate::store::table::TableError;

/// Reason why an operation on consumers was refused or failed.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsumerError {
    /// There is no such consumer, or key of it.
    NotFound,
    /// There is one of this id already.
    Exists,
    /// Everything that is wrong with the body.
    Invalid(Vec<InputViolation>),
    /// The version is not the one that the caller wants to change.
    Precondition,
    /// The consumer has as many keys as it may have.
    TooManyKeys,
    /// The cursor is not one of ours.
    Cursor,
    /// Others change the same consumer all the time; nothing was done.
    Contended,
    /// The database failed, or holds what this program does not write; in words for the log.
    Store(String),
}

impl std::fmt::Display for ConsumerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such consumer or key"),
            Self::Exists => f.write_str("there is a consumer of this id already"),
            Self::Invalid(violations) => write!(f, "{} violations", violations.len()),
            Self::Precondition => f.write_str("the consumer has changed"),
            Self::TooManyKeys => write!(f, "a consumer has at most {} keys: delete one first", MAX_KEYS),
            Self::Cursor => f.write_str("the cursor is not one of this list"),
            Self::Contended => f.write_str("the consumer is being changed by others"),
            Self::Store(why) => write!(f, "store: {why}"),
        }
    }
}

impl std::error::Error for ConsumerError {}

impl From<Corrupt> for ConsumerError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.to_string())
    }
}

impl From<TableError> for ConsumerError {
    fn from(error: TableError) -> Self {
        Self::Store(error.to_string())
    }
}
