//! Consumers of the API and their keys: who may call, on which plan, in which roles.
//!
//! A consumer is a row in the data table, an API key another, found by its id alone so that the authorizer needs one read for the
//! key and one for its owner. Every change raises the consumer's *epoch*, in the same transaction on its limiter item: answers of
//! the authorizer that the gateway still caches name the old epoch, the limiter refuses it, and the function verifies anew.
//!
//! The row of a deleted consumer stays, empty, so that its epoch never starts again.

pub mod apply;
mod commit;
mod directory;
pub mod input;
mod keys;
mod recipient;
pub mod record;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use commit::{AttachedWrites, Change, ChangeKind};
pub use directory::{Consumers, Listed};
pub use input::InputViolation;
pub use keys::{CreatedKey, KeyView};
pub use recipient::Recipients;
pub use record::{ApiKey, Consumer};

use crate::store::table::TableError;

/// Why an operation on consumers was refused or failed.
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
            Self::TooManyKeys => write!(f, "a consumer has at most {} keys: delete one first", keys::MAX_KEYS),
            Self::Cursor => f.write_str("the cursor is not one of this list"),
            Self::Contended => f.write_str("the consumer is being changed by others"),
            Self::Store(why) => write!(f, "store: {why}"),
        }
    }
}

impl std::error::Error for ConsumerError {}

impl From<record::Corrupt> for ConsumerError {
    fn from(corrupt: record::Corrupt) -> Self {
        Self::Store(corrupt.to_string())
    }
}

impl From<TableError> for ConsumerError {
    fn from(error: TableError) -> Self {
        Self::Store(error.to_string())
    }
}
