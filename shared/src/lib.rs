//! Holdfast: what the handlers have in common.

pub mod app;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod dynamodb;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod jwks_http;
pub mod lambda;
pub mod limit;
pub mod model;
pub mod notify;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod principal;
pub mod problem;
pub mod query;
pub mod shape;
pub mod startup;
pub mod store;
pub mod value;
