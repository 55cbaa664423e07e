//! The topic of one machine: the log.

use futures::future::BoxFuture;

use super::ports::{Audience, Message, Topic};

/// Notices as lines of the log, at the level that is shown by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogTopic;

impl Topic for LogTopic {
    fn publish<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), String>> {
        match message.audience {
            Audience::Operator => tracing::warn!(kind = message.kind, "notice: {}", message.subject),
            Audience::Consumer(address) => tracing::warn!(kind = message.kind, address, "notice by mail: {}", message.subject),
            Audience::DeadLetter => tracing::warn!(kind = message.kind, body = message.body, "{}", message.subject),
        }
        Box::pin(async { Ok(()) })
    }
}
