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

    use crate::aws;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// What a topic on this machine is sent, and what the client makes of the answer.
    async fn published(message: Message<'_>, status: &str) -> (String, Result<(), String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let body = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId>\
             </PublishResult></PublishResponse>";
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut text, mut part) = (String::new(), [0u8; 8192]);
            // Until all that the head announces has come.
            loop {
                let read = socket.read(&mut part).await.unwrap();
                text.push_str(std::str::from_utf8(&part[..read]).unwrap());
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let lower = head.to_ascii_lowercase();
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if rest.len() >= length.unwrap() {
                    break;
                }
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            text
        });
        let topic = SnsTopic::new(&aws::local_config(&endpoint, aws::plain_http_client()), "arn:aws:sns:us-east-1:1:t");
        let outcome = topic.publish(message).await;
        (server.await.unwrap(), outcome)
    }

    #[tokio::test]
    async fn a_message_names_its_audience_type_and_recipient() {
        let audience = Audience::Consumer("a@example.com");
        let message = Message { subject: "acme: 80 %", body: "{}", kind: "quota.threshold", audience };
        let (sent, outcome) = published(message, "200 OK").await;
        assert_eq!(outcome, Ok(()));
        for part in ["Action=Publish", "TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A1%3At", "Message=%7B%7D", "quota.threshold"] {
            assert!(sent.contains(part), "{part} in {sent}");
        }
        assert!(sent.contains("a%40example.com") && sent.contains("recipient") && sent.contains("consumer"), "{sent}");
        let message = Message { audience: Audience::DeadLetter, ..message };
        let (sent, refused) = published(message, "403 Forbidden").await;
        assert!(sent.contains("dead_letter") && !sent.contains("recipient"), "{sent}");
        assert!(refused.is_err());
    }

    #[test]
    fn subjects_are_such_as_sns_takes() {
        assert_eq!(subject(" acme: 80 % of quota day"), "acme: 80 % of quota day");
        assert_eq!(subject("a\nb\u{e4}"), "a?b?");
        assert_eq!(subject(&"x".repeat(200)).len(), SUBJECT);
    }
}
