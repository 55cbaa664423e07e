//! Notices on an SNS topic: the adapter behind [`crate::notify::Topic`].
//!
//! One topic takes everything; the message attribute `audience` (`operator`, `consumer`, `dead_letter`), `type` and, for mail to
//! a consumer, `recipient` are what subscriptions filter by. SNS sends mail only to addresses that subscribed themselves, so mail
//! to consumers needs a subscriber that sends it.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::error::DisplayErrorContext;
use aws_sdk_sns::types::MessageAttributeValue;
use futures::future::BoxFuture;

use crate::notify::{Audience, Message, Topic};

/// How long one attempt may take; the SDK makes three.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);
/// Most characters of a subject.
const SUBJECT: usize = 99;

/// A topic.
pub struct SnsTopic {
    client: Client,
    arn: String,
}

impl SnsTopic {
    /// Makes the client: once per process, at the composition root. No call is made.
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build();
        let config = aws_sdk_sns::config::Builder::from(config).timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), arn: arn.into() }
    }

    async fn send(&self, message: Message<'_>) -> Result<(), String> {
        let (audience, recipient) = match message.audience {
            Audience::Operator => ("operator", None),
            Audience::Consumer(address) => ("consumer", Some(address)),
            Audience::DeadLetter => ("dead_letter", None),
        };
        let request = self.client.publish().topic_arn(&self.arn).subject(subject(message.subject)).message(message.body);
        let attributes = [("audience", Some(audience)), ("type", Some(message.kind)), ("recipient", recipient)];
        let request = attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).try_fold(
            request,
            |request, (name, value)| {
                let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
                attribute.map(|attribute| request.message_attributes(name, attribute))
            },
        );
        let request = request.map_err(|error| error.to_string())?;
        request.send().await.map(drop).map_err(|error| DisplayErrorContext(error).to_string())
    }
}

impl Topic for SnsTopic {
    fn publish<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.send(message))
    }
}

/// A subject as SNS takes it: printable ASCII, fewer than 100 characters, not beginning with a blank.
fn subject(text: &str) -> String {
    let ascii = text.chars().map(|symbol| if symbol.is_ascii_graphic() || symbol == ' ' { symbol } else { '?' });
    ascii.collect::<String>().trim_start().chars().take(SUBJECT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_such_as_sns_takes() {
        assert_eq!(subject(" acme: 80 % of quota day"), "acme: 80 % of quota day");
        assert_eq!(subject("a\nb\u{e4}"), "a?b?");
        assert_eq!(subject(&"x".repeat(200)).len(), SUBJECT);
    }
}
