//! Holdfast: what the handlers have in common.
//!
//! A module imports only modules of lower layers; `tests/system/layers.rs` keeps this table true. Only `aws`, `startup` and the
//! adapters (`dynamodb`, `s3`) know an AWS SDK.
//! ```text
//! 0  aws, clock, config, id, json, principal
//! 1  api_key, model
//! 2  object, value
//! 3  query, s3, store
//! 4  audit, dynamodb, idempotency, limit, policy, shape
//! 5  consumer, notify, plan, problem
//! 6  auth, cache, http
//! 7  document, jwks_http
//! 8  startup
//! 9  app
//! 10 files
//! 11 pipeline
//! 12 lambda
//! ```

pub mod api_key;
pub mod app;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod cache;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod document;
pub mod dynamodb;
pub mod files;
pub mod http;
pub mod id;
pub mod idempotency;
mod json;
pub mod jwks_http;
pub mod lambda;
pub mod limit;
pub mod model;
pub mod notify;
pub mod object;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod principal;
pub mod problem;
pub mod query;
pub mod s3;
pub mod shape;
pub mod startup;
pub mod store;
pub mod value;
