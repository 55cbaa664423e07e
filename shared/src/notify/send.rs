//! Sending a notice to those of its targets that do not have it yet.

use super::notice::Notice;
use super::ports::{Audience, Channels, Message, Recipient};
use super::{target, webhook};
use crate::core::clock::Micros;

/// The operator's topic among the targets of a notice.
const TOPIC: &str = "topic";

/// Result of an attempt at a notice.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Targets that have it, from earlier attempts too.
    pub(super) have: Vec<String>,
    /// Targets that do not, each with why, for the log.
    pub(super) failed: Vec<(String, String)>,
    /// The earliest moment at which a circuit that was open lets a call through; `None`: none was open.
    pub(super) waiting: Option<Micros>,
}

impl Sent {
    /// Whether all targets have it.
    pub(super) fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.waiting.is_none()
    }

    /// The consumer's own addresses that failed: what may be shown to it.
    pub(super) fn failed_addresses(&self) -> Vec<String> {
        let targets = self.failed.iter().map(|(target, _)| target);
        targets.filter(|target| target.contains(':')).cloned().collect()
    }
}

/// Result for one target.
enum DeliveryOutcome {
    Has,
    Failed(String),
    /// Its circuit is open until then.
    LeftAlone(Micros),
}

/// Sends to all targets that are not among `before`.
pub(super) async fn send(channels: &Channels, notice: &Notice, before: &[String], now: Micros) -> Sent {
    let mut sent = Sent { have: before.to_vec(), ..Sent::default() };
    let mut recipient = Recipient::default();
    if let Some(consumer) = &notice.consumer {
        match channels.addresses.of(consumer).await {
            Ok(found) => recipient = found,
            Err(error) => sent.failed.push(("addresses".to_owned(), error.to_string())),
        }
    }
    for target in [TOPIC].into_iter().chain(recipient.addresses.iter().map(String::as_str)) {
        if sent.have.iter().any(|has| has == target) {
            continue;
        }
        match send_one(channels, notice, &recipient, target, now).await {
            DeliveryOutcome::Has => sent.have.push(target.to_owned()),
            DeliveryOutcome::Failed(why) => sent.failed.push((target.to_owned(), why)),
            DeliveryOutcome::LeftAlone(until) => sent.waiting = Some(sent.waiting.map_or(until, |earlier| earlier.min(until))),
        }
    }
    sent
}

async fn send_one(channels: &Channels, notice: &Notice, recipient: &Recipient, target: &str, now: Micros) -> DeliveryOutcome {
    let body = notice.payload().to_string();
    let audience = match target.strip_prefix("mailto:") {
        Some(address) => Audience::Consumer(address),
        None if target == TOPIC => Audience::Operator,
        None => return post(channels, notice, recipient, target, &body, now).await,
    };
    let message = Message { subject: &notice.subject(), body: &body, kind: notice.kind.name(), audience };
    match channels.topic.publish(message).await {
        Ok(()) => DeliveryOutcome::Has,
        Err(why) => DeliveryOutcome::Failed(why),
    }
}

async fn post(
    channels: &Channels,
    notice: &Notice,
    recipient: &Recipient,
    url: &str,
    body: &str,
    now: Micros,
) -> DeliveryOutcome {
    let Some(consumer) = &notice.consumer else { return DeliveryOutcome::Has };
    let host = match target::check(url) {
        Ok(uri) => uri.host().unwrap_or_default().to_ascii_lowercase(),
        Err(refused) => {
            // It will never be right: logged, not tried again.
            tracing::warn!(consumer, url, %refused, "a webhook's address is refused");
            return DeliveryOutcome::Has;
        }
    };
    if let Err(until) = channels.breaker.enter(&host, now) {
        return DeliveryOutcome::LeftAlone(until);
    }
    let headers = webhook::headers(&recipient.secrets, &notice.id, now.seconds(), body);
    let answer = channels.post.post(url, &headers, body).await;
    // 410 is an answer of a receiver that works.
    channels.breaker.leave(&host, matches!(answer, Ok(200..=299 | 410)), now);
    match answer {
        Ok(200..=299) => DeliveryOutcome::Has,
        Ok(410) => match channels.addresses.gone(consumer, url).await {
            Ok(()) => DeliveryOutcome::Has,
            Err(error) => DeliveryOutcome::Failed(error.to_string()),
        },
        Ok(status) => DeliveryOutcome::Failed(format!("status {status}")),
        Err(why) => DeliveryOutcome::Failed(why),
    }
}
