//! Holdfast: what the handlers have in common, in rooms.
//!
//! A room imports only rooms of lower layers, and only `aws` and `compose` know an AWS SDK; `tests/system/layers.rs` holds both.
//! `docs/architecture.md` has the picture.
//! ```text
//! 0  core
//! 1  model
//! 2  store
//! 3  limit, usage
//! 4  notify, http
//! 5  identity
//! 6  migrate, query
//! 7  cache, openapi
//! 8  app
//! 9  files
//! 10 pipeline, reporter
//! 11 aws
//! 12 compose
//! ```

pub mod app;
pub mod aws;
pub mod cache;
pub mod compose;
pub mod core;
pub mod files;
pub mod http;
pub mod identity;
pub mod limit;
pub mod migrate;
pub mod model;
pub mod notify;
pub mod openapi;
pub mod pipeline;
pub mod query;
pub mod reporter;
pub mod store;
pub mod usage;
