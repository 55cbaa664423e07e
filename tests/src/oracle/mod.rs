//! The oracle of access: random models, data, callers and requests; every answer is compared with what a world would answer in
//! which nothing exists that the caller may not see.
//!
//! It shares no code with policy, plan and filters: rules are evaluated row by row over whole tables in plain Rust, the way in
//! which one would explain them. What it cannot know by itself (which lists an index serves) it bounds from both sides.
//!
//! ```text
//! seed -> spec (model, roles) -> model.yaml -> stage (pipeline on an embedded DynamoDB)
//!              |                                   ^        |
//!              +-> rows -> eyes (what is seen) -> ask, attempt -> judge: equal?
//! ```
//! A failure prints its seed, the request, the records and the model: `HOLDFAST_ORACLE_SEED=n` repeats it alone.

mod ask;
mod attempt;
mod case;
mod change;
mod convert;
mod generate;
mod grants;
mod judge;
mod pairs;
mod served;
mod spec;
mod stage;
mod value;
mod viewer;

pub use case::{Size, Tally, run};
pub use pairs::{Somebody, pairs};
