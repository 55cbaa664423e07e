//! Holdfast: what the handlers have in common, in rooms.
//!
//! A room imports only rooms of lower layers, and only `aws` and `compose` know an AWS SDK; `tests/system/layers.rs` holds both.
//! `docs/architecture.md` has the picture.
//! ```text
//! 0  core
//! 1  model
//! 2  store
//! 3  query, limit, usage
//! 4  notify, http
//! 5  identity
//! 6  cache, migrate, openapi
//! 7  app
//! 8  files
//! 9  pipeline, reporter
//! 10 aws
//! 11 compose
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
