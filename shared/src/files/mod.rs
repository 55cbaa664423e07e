//! Rows about files beside the records: uploads under way, shares, and what is to vanish.
//!
//! ```text
//! upload    row of the caller's upload + row that lets the object vanish  ->  link
//! complete  the object is verified; one transaction: record, vanishing row kept, the old object's vanishing row, audit
//! share     row by the hash of its secret, rows in the lists of its file and its consumer, row that lets all three vanish
//! sweep     the reporter: what is due is deleted, its row last
//! ```

pub mod share;
mod sweep;
pub mod upload;

#[cfg(test)]
mod tests;

pub use sweep::{Swept, sweep};
