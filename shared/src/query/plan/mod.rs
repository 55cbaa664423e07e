//! From a permitted list to the partitions that hold its rows.
//!
//! A plan is a set of scans, each part of one partition of a stored index, that are merged in the order of their sort keys. That
//! one form serves them all: a filter on equality is one scan, `in` is several, alternatives of a policy are several (each by
//! the index that serves it, as long as their orders agree), a filter over a to-one relation is one scan per matching parent.
//!
//! What the scans leave open stays as a residual filter: it is evaluated for every row anyway, so that scans only ever have to
//! cover a superset of the answer.

mod choose;
mod cursor;
mod help;
mod query_plan;
mod range;
mod read_plan;
#[cfg(test)]
mod tests;

pub use choose::plan;
pub use cursor::{BadCursor, Cursor};
pub use help::to_count;
pub use query_plan::{Join, MAX_SCANS, NoIndex, QueryPlan, Scan};
pub use read_plan::{ChildrenPlan, IncludePlan, ReadPlan, Reads};
