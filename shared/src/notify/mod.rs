//! Notices to consumers and the operator before a limit hurts: each enqueued exactly once and delivered at least once.
//!
//! ```text
//! limit::Crossing -> enqueue    one transaction: "notified" in the limiter's item, outbox row, rows of `/v1/_notifications`
//! denials         -> watch      minutes with denials, from which the reporter finds sustained throttling
//!                 -> deliver    the reporter: outbox -> topic and webhooks, backoff, dead letters
//!                    send       one notice to all its targets;  breaker: receivers that fail;  ports: what that needs of the world
//!                    webhook    Standard Webhooks: secret, signature;  target: addresses that are allowed
//! ```
//! Enqueuing happens beside a request, delivery never does. A crash before the transaction leaves the crossing without a notice, so the next
//! request or the reporter finds it again; a crash after it leaves the row, which the reporter sends. A crash between a send and
//! its note sends again with the same `webhook-id`, by which receivers know the repetition.

pub mod breaker;
pub mod deliver;
pub mod enqueue;
pub mod log;
pub mod notice;
pub mod outbox;
pub mod ports;
mod send;
pub mod target;
pub mod watch;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use deliver::{Budget, Delivered, deliver};
pub use enqueue::{enqueue, enqueue_first, enqueue_for_operator, enqueue_hourly, lasting};
pub use notice::{Kind, Notice};
pub use outbox::{Listed, list};
pub use ports::{Addresses, Audience, Channels, Message, Post, Recipient, Topic};
