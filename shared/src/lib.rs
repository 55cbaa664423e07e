//! Holdfast: what the handlers have in common.
//!
//! A module imports only modules of lower layers; `tests/system/layers.rs` keeps this table true. Only `aws`, `startup` and the
//! adapters (`dynamodb`, `s3`, `s3_archive`, `cloudwatch`, `sns`, `secretsmanager`, `cloudformation`) know an AWS SDK.
//! ```text
//! 0  clock, cloudformation, config, id, json, principal
//! 1  api_key, deadline, model, telemetry
//! 2  aws, object, value
//! 3  query, s3, store
//! 4  audit, dynamodb, idempotency, limit, policy, shape, usage
//! 5  cloudwatch, notify, plan, problem, s3_archive
//! 6  consumer, sns
//! 7  auth, cache, http, secret
//! 8  document, jwks_http, secretsmanager
//! 9  startup
//! 10 app
//! 11 expiring, files
//! 12 pipeline, report
//! 13 lambda
//! ```

pub mod api_key;
pub mod app;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod cache;
pub mod clock;
pub mod cloudformation;
pub mod cloudwatch;
pub mod config;
pub mod consumer;
pub mod deadline;
pub mod document;
pub mod dynamodb;
pub mod expiring;
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
pub mod report;
pub mod s3;
pub mod s3_archive;
pub mod secret;
pub mod secretsmanager;
pub mod shape;
pub mod sns;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod usage;
pub mod value;
