//! Holdfast on one machine: embedded DynamoDB and S3, a gateway that behaves as API Gateway does, and the command line.
//!
//! `template` says what is deployed, `functions` are called by `gateway` exactly as Lambda calls them.

pub mod cli;
pub mod client;
mod compose;
pub mod demo;
pub mod embedded;
pub mod functions;
pub mod gateway;
pub mod import;
mod schedule;
mod server;
mod system;
pub mod template;

pub use system::{Between, Local, Options, StartError, Stores};
