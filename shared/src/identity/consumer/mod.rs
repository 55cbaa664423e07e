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
mod error;
pub mod input;
mod key_rows;
mod keys;
mod recipient;
pub mod record;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use commit::{AttachedWrites, Change, ChangeKind};
pub use directory::{Consumers, Listed};
pub use error::ConsumerError;
pub use input::InputViolation;
pub use keys::{CreatedKey, KeyView};
pub use recipient::Recipients;
pub use record::{ApiKey, Consumer};
