//! Consumers of the API and their keys: who may call, on which plan, in which roles.
//!
//! A consumer is a row in the data table, an API key another, found by its id alone so that the authorizer needs one read for the
//! key and one for its owner. Every change raises the consumer's *epoch*, in the same transaction on its limiter item: answers of
//! the authorizer that the gateway still caches name the old epoch, the limiter refuses it, and the function verifies anew.

pub mod record;

pub use record::{ApiKey, Consumer};
