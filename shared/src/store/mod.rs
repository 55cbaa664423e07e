//! Records, index rows, references, gates, tags and constraints in DynamoDB items, the transactions that change them, and what rides in such a
//! transaction: the audit entry and the row of an `Idempotency-Key`.
//!
//! Imports `core` and `model`. Nothing here knows HTTP or an SDK ([`table`] and [`object`] are ports), and nothing writes a record
//! other than by [`write`].

pub mod audit;
#[cfg(any(test, feature = "test-util"))]
pub mod double;
pub mod fence;
pub mod gate;
pub mod heat;
pub mod idempotency;

pub mod constraints;
pub mod items;
pub mod keys;
pub mod meter;
pub mod object;
pub mod pending_deletion;
pub mod references;
pub(crate) mod repeat;
pub mod settle;
pub mod table;
pub mod tags;
#[cfg(test)]
pub(crate) mod testing;
pub mod verify;
pub mod write;
