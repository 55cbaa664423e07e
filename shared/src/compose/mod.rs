//! The composition root of the functions: settings, model, clients and their log are made here, once per process, and passed on.
//!
//! The only room that knows both the adapters (`aws`) and what they serve. No decision about a request is made here.

pub mod lambda;
mod log;
pub mod startup;

pub use log::start_log;
