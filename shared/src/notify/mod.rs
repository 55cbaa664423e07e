//! Notices: what a consumer and the operator hear before it hurts, each exactly once told and at least once delivered.
//!
//! ```text
//! limit::Crossing -> tell       one transaction: "told" in the limiter's item, outbox row, rows of `/v1/_notifications`
//!                 -> drain      the reporter: outbox -> topic and webhooks, backoff, dead letters
//!                    webhook    Standard Webhooks: secret, signature;   target: where one may be sent
//! ```
//! Telling happens beside a request, delivery never does. A crash before the transaction leaves the crossing untold, so the next
//! request or the reporter finds it again; a crash after it leaves the row, which the reporter sends. A crash between a send and
//! its note sends again with the same `webhook-id`, by which receivers know the repetition.

pub mod drain;
pub mod notice;
pub mod outbox;
pub mod post;
pub mod target;
pub mod tell;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use drain::{Addresses, Channels, Drained, Post, Topic, drain};
pub use notice::{Kind, Notice};
pub use outbox::list;
pub use tell::{tell, tell_operator, tell_throttled, throttled};
