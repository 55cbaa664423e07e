//! Who is calling: credentials and their verification, API consumers and their keys, and the secrets of the deployment.
//!
//! Imports `core`, `model`, `store`, `limit`, `notify`. Nothing outside of this room makes a
//! [`Principal`](auth::Principal), and no secret leaves it in a `Debug` output, an error or a log line.

pub mod auth;
pub mod consumer;
pub mod secret;
