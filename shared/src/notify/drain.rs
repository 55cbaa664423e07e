//! The reporter's part: takes due rows from the outbox and delivers each to the operator's topic and to its consumer's addresses.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::notice::Notice;
use super::outbox::{Entry, SHARDS};
use super::target;
use super::webhook::Secret;
use crate::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{RangeQuery, Returning, Table, TableError, TableName, Write};

/// Attempts at one notice before it becomes a dead letter: with [`backoff`] about eleven hours.
pub const MOST_ATTEMPTS: u32 = 10;
/// While one reporter sends, others leave the row alone for this long.
const CLAIM: Duration = Duration::from_secs(120);
/// Rows read at once.
const PAGE: usize = 50;

/// Something that takes messages: an SNS topic, a queue of dead letters, the log of one machine.
pub trait Topic: Send + Sync {
    /// Publishes; `recipient` is a mail address where the message is meant for one.
    fn publish<'a>(&'a self, subject: &'a str, body: &'a str, recipient: Option<&'a str>) -> BoxFuture<'a, Result<(), String>>;
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

/// Something that knows where a consumer wants to be told.
pub trait Addresses: Send + Sync {
    /// The consumer's `notify`: `https:` and `mailto:` addresses.
    fn of<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Vec<String>, TableError>>;
    /// A receiver answered 410: this address is not to be used again.
    fn gone<'a>(&'a self, consumer: &'a str, address: &'a str) -> BoxFuture<'a, Result<(), TableError>>;
}

/// Where notices go.
#[derive(Clone)]
pub struct Channels {
    /// The operator's topic: hears everything, mail for consumers too.
    pub topic: Arc<dyn Topic>,
    /// Where notices end that could not be delivered.
    pub dead: Arc<dyn Topic>,
    /// Webhooks.
    pub post: Arc<dyn Post>,
    /// Consumers' addresses.
    pub addresses: Arc<dyn Addresses>,
    /// The deployment's secret, from which consumers' webhook secrets derive.
    pub secret: Arc<[u8]>,
}

/// What a drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Notices that everybody has.
    pub delivered: u32,
    /// Notices that are tried again later.
    pub put_off: u32,
    /// Notices that became dead letters.
    pub dead: u32,
}

/// The pause after the `attempts`-th failed attempt: 10 s doubled each time, at most 6 h, the second half of it random.
pub fn backoff(attempts: u32, env: &Env) -> Duration {
    let whole = 10u64.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(6 * 3_600);
    let half = whole * 1_000 / 2;
    Duration::from_millis(half + u64::from(env.random.below(u32::try_from(half).unwrap_or(u32::MAX))))
}

/// Delivers what is due, at most `limit` notices.
///
/// # Errors
/// The store's; what was delivered stays delivered.
pub async fn drain(table: &dyn Table, env: &Env, channels: &Channels, limit: u32, now: Micros) -> Result<Drained, TableError> {
    let mut done = Drained::default();
    for shard in 0..SHARDS {
        let mut after = None;
        loop {
            let page = table.query(page(shard, after.take())).await?;
            for entry in page.items.iter().filter_map(Entry::read).filter(|entry| entry.next <= now) {
                if done.delivered + done.put_off + done.dead >= limit {
                    return Ok(done);
                }
                deliver(table, env, channels, entry, now, &mut done).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(done)
}

fn page(shard: u16, after: Option<Vec<u8>>) -> RangeQuery {
    RangeQuery {
        table: TableName::Data,
        pk: keys::outbox(shard, &[]).pk,
        from: None,
        to: None,
        after,
        descending: false,
        limit: Some(PAGE),
        consistent: true,
        count_only: false,
    }
}

async fn deliver(
    table: &dyn Table,
    env: &Env,
    channels: &Channels,
    entry: Entry,
    now: Micros,
    done: &mut Drained,
) -> Result<(), TableError> {
    // Claimed by moving its time on: another reporter that read the same row fails here.
    let claimed = Entry { next: now.plus(CLAIM), attempts: entry.attempts + 1, ..entry.clone() };
    match table.write(TableName::Data, entry.put_off(claimed.attempts, claimed.next, &entry.done), Returning::Nothing).await {
        Err(TableError::ConditionFailed(_)) => return Ok(()),
        other => other?,
    };
    let (have, failed) = send(channels, &entry.notice, &entry.done, now).await;
    if !failed.is_empty() && claimed.attempts < MOST_ATTEMPTS {
        tracing::warn!(notice = entry.notice.id, ?failed, attempts = claimed.attempts, "a notice could not be delivered yet");
        let next = now.plus(backoff(claimed.attempts, env));
        table.write(TableName::Data, claimed.put_off(claimed.attempts, next, &have), Returning::Nothing).await?;
        done.put_off += 1;
        return Ok(());
    }
    if failed.is_empty() {
        done.delivered += 1;
    } else {
        let body = serde_json::json!({"notice": entry.notice, "failed": failed}).to_string();
        if let Err(why) = channels.dead.publish(&entry.notice.subject(), &body, None).await {
            // Kept: better late than lost.
            tracing::error!(notice = entry.notice.id, why, "a dead letter could not be delivered");
            done.put_off += 1;
            return Ok(());
        }
        done.dead += 1;
    }
    table.write(TableName::Data, Write::Delete { key: entry.key, condition: None }, Returning::Nothing).await?;
    Ok(())
}

/// Sends to everybody who does not have it yet: who has it now, and who failed why.
async fn send(channels: &Channels, notice: &Notice, before: &[String], now: Micros) -> (Vec<String>, Vec<String>) {
    let (mut have, mut failed) = (before.to_vec(), Vec::new());
    let mut targets = vec!["topic".to_owned()];
    if let Some(consumer) = &notice.consumer {
        match channels.addresses.of(consumer).await {
            Ok(addresses) => targets.extend(addresses),
            Err(error) => failed.push(format!("addresses: {error}")),
        }
    }
    for target in targets {
        if have.contains(&target) {
            continue;
        }
        match send_one(channels, notice, &target, now).await {
            Ok(()) => have.push(target),
            Err(why) => failed.push(format!("{target}: {why}")),
        }
    }
    (have, failed)
}

async fn send_one(channels: &Channels, notice: &Notice, target: &str, now: Micros) -> Result<(), String> {
    let body = notice.payload().to_string();
    if target == "topic" {
        return channels.topic.publish(&notice.subject(), &body, None).await;
    }
    if let Some(recipient) = target.strip_prefix("mailto:") {
        return channels.topic.publish(&notice.subject(), &body, Some(recipient)).await;
    }
    let Some(consumer) = &notice.consumer else { return Ok(()) };
    if let Err(refused) = target::check(target) {
        // It will never be right: told to the log, not tried again.
        tracing::warn!(consumer, target, %refused, "a webhook's address is refused");
        return Ok(());
    }
    let headers = Secret::of(&channels.secret, consumer).headers(&notice.id, now.seconds(), &body);
    match channels.post.post(target, &headers, &body).await? {
        200..=299 => Ok(()),
        410 => channels.addresses.gone(consumer, target).await.map_err(|error| error.to_string()),
        status => Err(format!("status {status}")),
    }
}
