//! What every room builds on: clock, configuration, identifiers, JSON in canonical form, the caller as a value, and telemetry.
//!
//! Imports no other room. Nothing here reads the environment, the time or a random source by itself: they are passed in
//! ([`clock::Env`], [`config::Variables`]).

pub mod api_key;
pub mod backoff;
pub mod caller;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod id;
pub(crate) mod json;
pub mod telemetry;
