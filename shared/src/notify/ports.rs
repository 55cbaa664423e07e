//! What the reporter needs of the world to deliver a notice: a topic, a way to post, and the addresses of recipients.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::breaker::Breaker;
use super::webhook::Secret;
use crate::store::table::TableError;

/// Whom a message on the topic is meant for. Subscriptions filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The operator of the API.
    Operator,
    /// A consumer, at this mail address: for a subscriber that sends mail.
    Consumer(&'a str),
    /// The operator of the API: a notice could not be delivered to all its recipients.
    DeadLetter,
}

/// A message on the topic.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// One line for people.
    pub subject: &'a str,
    /// JSON: a notice's payload, or of a dead letter `{"notice", "failed"}`.
    pub body: &'a str,
    /// The notice's type, such as `quota.threshold`.
    pub kind: &'a str,
    /// Whom it is for.
    pub audience: Audience<'a>,
}

/// Something that takes messages: an SNS topic, the log of one machine.
pub trait Topic: Send + Sync {
    /// Publishes; an error is in words for the log.
    fn publish<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), String>>;
}

/// Something that posts to a webhook: the status that came back.
pub trait Post: Send + Sync {
    /// Posts a body; redirects are not followed, addresses inside are refused.
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, String>>;
}

/// Addresses of a consumer, and the secrets that prove the sender.
#[derive(Debug, Clone, Default)]
pub struct Recipient {
    /// `https:` and `mailto:` addresses.
    pub addresses: Vec<String>,
    /// Secrets that its webhooks are signed with: the present one, and for a day the one before.
    pub secrets: Vec<Secret>,
}

/// Directory of the addresses of consumers.
pub trait Addresses: Send + Sync {
    /// The consumer's `notify`; empty for one without a record.
    fn of<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Recipient, TableError>>;
    /// A receiver answered 410: this address is not to be used again.
    fn gone<'a>(&'a self, consumer: &'a str, address: &'a str) -> BoxFuture<'a, Result<(), TableError>>;
}

/// Destination of notices.
#[derive(Clone)]
pub struct Channels {
    /// The operator's topic: it gets everything, mail for consumers and dead letters too.
    pub topic: Arc<dyn Topic>,
    /// Webhooks.
    pub post: Arc<dyn Post>,
    /// Consumers' addresses.
    pub addresses: Arc<dyn Addresses>,
    /// Circuit breakers of receivers.
    pub breaker: Arc<Breaker>,
}
