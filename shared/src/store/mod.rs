//! Records, index rows, guards, tags and constraints in DynamoDB items, and the transactions that change them.

pub mod indexes;
pub mod items;
pub mod keys;
pub(crate) mod repeat;
pub mod table;
pub mod tags;
#[cfg(test)]
pub(crate) mod testing;
pub mod vanish;
pub mod verify;
pub mod write;
