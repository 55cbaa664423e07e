//! One-off changes of stored records, made while the service runs.
//!
//! ```text
//! scan, page by page -> what of a record has to change -> writes of the same kind as a client's -> place kept -> next page
//! ```
//! Every change is a write like any other: with index rows, unique rows and tags in one transaction, on condition that the record
//! is as it was read, and with an audit entry. A record that is as it should be is left alone, so a run can be cut short at any
//! point and repeated any number of times; the place is kept only to save the time of looking again.
//!
//! The exception is [`protocol_2`]: it changes how things are stored, and no record, while nobody may write.

mod drops;
mod entities;
mod evolve;
mod ids;
mod names;
mod one_way;
mod place;
mod plan;
mod progress;
pub mod protocol_2;
mod rewrite;
mod sorting;
mod stored_model;
mod subjects;
mod values;

pub use drops::{DropUnits, Dropped};
pub use evolve::{Evolution, Evolved};
pub use names::{Names, Wanted};
pub use one_way::OneWay;
pub use plan::{Plan, Units, step_of};
pub use progress::{MigrateError, Progress, Stuck};
pub use subjects::Subjects;
pub use values::Fills;
