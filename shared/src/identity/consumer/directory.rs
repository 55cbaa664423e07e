//! The operations of `/v1/_consumers`, without HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::commit::{ATTEMPTS, AttachedWrites, Change, ChangeKind, Committed, Present, backoff, commit, put_limiter, put_listed};
use super::error::ConsumerError;
use super::input::{self, ConsumerSettings, InputViolation};
use super::key_rows::delete_all;
use super::record::{Consumer, Row};
use super::webhook::Salts;
use crate::core::clock::Env;
use crate::model::Model;
use crate::store::keys as place;
use crate::store::table::{RangeQuery, Table, TableName};

/// Consumers in a table.
#[derive(Clone, Copy)]
pub struct Consumers<'a> {
    /// Table that holds them.
    pub table: &'a dyn Table,
    /// Names of roles, plans and limits.
    pub model: &'a Model,
    /// Clock and randomness.
    pub env: &'a Env,
    /// Writes that commit with each change.
    pub riders: AttachedWrites<'a>,
}

/// A page of consumers in the order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The consumers.
    pub consumers: Vec<Consumer>,
    /// Start of the next page, if there may be one.
    pub next_cursor: Option<String>,
}

impl<'a> Consumers<'a> {
    /// A page of at most `limit`.
    ///
    /// # Errors
    /// [`ConsumerError::Cursor`], [`ConsumerError::Store`].
    pub async fn list(&self, limit: usize, cursor: Option<&str>) -> Result<Listed, ConsumerError> {
        let after = cursor.map(decode_cursor).transpose()?;
        let query =
            RangeQuery { after, limit: Some(limit), ..RangeQuery::partition(TableName::Data, place::consumer_listed("").pk) };
        let page = self.table.query(query).await?;
        let rows: Result<Vec<Row>, _> = page.items.iter().map(Row::from_item).collect();
        let consumers = rows?.into_iter().filter_map(|row| row.consumer).collect();
        Ok(Listed { consumers, next_cursor: page.next.map(|after| encode_cursor(&after)) })
    }

    /// One consumer.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Store`].
    pub async fn get(&self, id: &str) -> Result<Consumer, ConsumerError> {
        let present = Present::read(self.table, id).await?;
        present.row.and_then(|row| row.consumer).ok_or(ConsumerError::NotFound)
    }

    /// Creates a consumer, of the id that the body names or else a new one.
    ///
    /// # Errors
    /// [`ConsumerError::Invalid`], [`ConsumerError::Exists`], [`ConsumerError::Contended`], [`ConsumerError::Store`].
    pub async fn create(&self, body: &Value) -> Result<Consumer, ConsumerError> {
        let settings = input::settings(self.model, body, None);
        let (id, settings) = both(input::chosen_id(body), settings)?;
        let id = id.unwrap_or_else(|| self.env.uuid_v7().to_string());
        let decide = |present: Option<&Consumer>| match present {
            Some(_) => Err(ConsumerError::Exists),
            None => Ok(self.made(&id, settings.clone(), None)),
        };
        self.change(&id, decide).await
    }

    /// Replaces a consumer, or creates it; whether it was created.
    ///
    /// # Errors
    /// As [`Self::create`], and [`ConsumerError::Precondition`] where `if_match` names another version (or there is none).
    pub async fn put(&self, id: &str, body: &Value, if_match: Option<&str>) -> Result<(Consumer, bool), ConsumerError> {
        check_id(id)?;
        let mut created = false;
        let decide = |present: Option<&Consumer>| {
            check_version(present, if_match)?;
            created = present.is_none();
            // The id of the path is the one that counts; the body may repeat it.
            let mut shown = present.map_or_else(|| serde_json::json!({}), Consumer::to_json);
            shown["id"] = Value::String(id.to_owned());
            let settings = input::settings(self.model, body, Some(&shown)).map_err(ConsumerError::Invalid)?;
            Ok(self.made(id, settings, present))
        };
        let consumer = self.change(id, decide).await?;
        Ok((consumer, created))
    }

    /// Changes a consumer by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], and as [`Self::put`].
    pub async fn patch(&self, id: &str, patch: &Value, if_match: Option<&str>) -> Result<Consumer, ConsumerError> {
        let decide = |present: Option<&Consumer>| {
            let present = present.ok_or(ConsumerError::NotFound)?;
            check_version(Some(present), if_match)?;
            let (shown, mut body) = (present.to_json(), present.to_json());
            json_patch::merge(&mut body, patch);
            let settings = input::settings(self.model, &body, Some(&shown)).map_err(ConsumerError::Invalid)?;
            Ok(self.made(id, settings, Some(present)))
        };
        self.change(id, decide).await
    }

    /// Deletes a consumer and its keys. Tokens of this consumer keep working, as for any consumer without a record.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Precondition`], [`ConsumerError::Contended`], [`ConsumerError::Store`].
    pub async fn delete(&self, id: &str, if_match: Option<&str>) -> Result<(), ConsumerError> {
        let mut backoff = backoff(self.env);
        for _ in 0..ATTEMPTS {
            let present = Present::read(self.table, id).await?;
            let before = present.row.as_ref().and_then(|row| row.consumer.as_ref()).ok_or(ConsumerError::NotFound)?;
            check_version(Some(before), if_match)?;
            let gone = Row { epoch: present.next_epoch(), keys: 0, consumer: None };
            let mut writes = vec![
                present.put_row(id, &gone)?,
                put_listed(id, &gone)?,
                put_limiter(id, gone.epoch, false, Some(Vec::new()), &[]),
            ];
            writes.extend(delete_all(self.table, id).await?);
            let change = Change {
                kind: ChangeKind::Delete,
                consumer: id.to_owned(),
                key_id: None,
                before: Some(before.to_json()),
                after: None,
                version: None,
                key: None,
            };
            if commit(self.table, self.env, writes, (self.riders)(&change)).await? == Committed::Done {
                return Ok(());
            }
            backoff.pause().await;
        }
        Err(ConsumerError::Contended)
    }

    /// Reads, lets `decide` say what the consumer shall be, and commits; again where the row has changed meanwhile.
    async fn change(
        &self,
        id: &str,
        mut decide: impl FnMut(Option<&Consumer>) -> Result<Consumer, ConsumerError>,
    ) -> Result<Consumer, ConsumerError> {
        let mut backoff = backoff(self.env);
        for _ in 0..ATTEMPTS {
            let present = Present::read(self.table, id).await?;
            let before = present.row.as_ref().and_then(|row| row.consumer.as_ref());
            let consumer = decide(before)?;
            let next = Row { epoch: present.next_epoch(), keys: present.keys(), consumer: Some(consumer.clone()) };
            let writes = vec![
                present.put_row(id, &next)?,
                put_listed(id, &next)?,
                put_limiter(id, next.epoch, consumer.disabled, None, &[]),
            ];
            let change = Change {
                kind: if before.is_some() { ChangeKind::Update } else { ChangeKind::Create },
                consumer: id.to_owned(),
                key_id: None,
                before: before.map(Consumer::to_json),
                after: Some(consumer.to_json()),
                version: Some(consumer.version.clone()),
                key: None,
            };
            if commit(self.table, self.env, writes, (self.riders)(&change)).await? == Committed::Done {
                return Ok(consumer);
            }
            backoff.pause().await;
        }
        Err(ConsumerError::Contended)
    }

    fn made(&self, id: &str, settings: ConsumerSettings, present: Option<&Consumer>) -> Consumer {
        let now = self.env.now().rfc3339();
        let ConsumerSettings { name, plan, roles, claims, disabled, notify, overrides, new_webhook_secret } = settings;
        let version = hex::encode(self.env.bytes::<12>());
        let created_at = present.map_or_else(|| now.clone(), |present| present.created_at.clone());
        let salts = present.and_then(|present| present.webhook.as_ref());
        Consumer {
            id: id.to_owned(),
            webhook: Salts::next(salts, &notify, new_webhook_secret, &version, self.env),
            name,
            plan,
            roles,
            claims,
            disabled,
            notify,
            overrides,
            created_at,
            updated_at: now,
            version,
        }
    }
}

fn check_id(id: &str) -> Result<(), ConsumerError> {
    input::chosen_id(&serde_json::json!({ "id": id })).map(drop).map_err(ConsumerError::Invalid)
}

fn check_version(present: Option<&Consumer>, if_match: Option<&str>) -> Result<(), ConsumerError> {
    match (if_match, present) {
        (None, _) => Ok(()),
        (Some("*"), Some(_)) => Ok(()),
        (Some(version), Some(present)) if present.version == version => Ok(()),
        (Some(_), _) => Err(ConsumerError::Precondition),
    }
}

fn both<A, B>(a: Result<A, Vec<InputViolation>>, b: Result<B, Vec<InputViolation>>) -> Result<(A, B), ConsumerError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ConsumerError::Invalid(a.err().into_iter().chain(b.err()).flatten().collect())),
    }
}

/// `1` (the form of the cursor) and the last id.
fn encode_cursor(after: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([b"1", after].concat())
}

fn decode_cursor(cursor: &str) -> Result<Vec<u8>, ConsumerError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ConsumerError::Cursor)?;
    let id = bytes.strip_prefix(b"1").ok_or(ConsumerError::Cursor)?;
    std::str::from_utf8(id)
        .ok()
        .filter(|id| input::is_consumer_id(id))
        .map(|id| id.as_bytes().to_vec())
        .ok_or(ConsumerError::Cursor)
}
