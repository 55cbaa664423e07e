//! API keys of a consumer: created, shown once, rotated with an overlap, revoked.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::commit::{ATTEMPTS, Change, ChangeKind, Committed, Present, backoff, commit, count_key, put_limiter};
use super::directory::Consumers;
use super::error::ConsumerError;
use super::input::{self, KeySettings};
use super::key_rows::{limiter_of, listed};
use super::record::{ApiKey, MAX_KEYS, Row};
use crate::core::api_key;
use crate::core::clock::Micros;
use crate::limit::item::used_name;
use crate::store::keys as place;
use crate::store::table::{Expr, TableName, Write};

/// How long a revoked key stays named in the limiter: API Gateway caches an authorizer's answer for an hour at most.
const REMEMBER: i64 = 2 * 3_600;
/// Maximum number of revoked keys in the limiter; older ones are refused by the epoch alone.
const MAX_REVOKED: usize = 25;

/// A new key.
#[derive(Clone, PartialEq, Serialize)]
pub struct CreatedKey {
    /// The part that may be shown again.
    #[serde(flatten)]
    pub view: KeyView,
    /// The key itself, shown only here.
    pub key: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("view", &self.view).finish_non_exhaustive()
    }
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// Scopes that narrow what its holder may do.
    pub scopes: Option<Vec<String>>,
    /// Time of creation, RFC 3339.
    pub created_at: String,
    /// Subject that made it.
    pub created_by: Option<String>,
    /// Minute of its last use, RFC 3339; `None`: it was never used.
    pub last_used_at: Option<String>,
    /// Time of expiry, RFC 3339.
    pub expires_at: Option<String>,
    /// Whether it may be published.
    pub publishable: bool,
}

impl KeyView {
    fn of(key: &ApiKey) -> Self {
        let moment = |seconds: i64| Micros(seconds.saturating_mul(1_000_000)).rfc3339();
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            created_at: moment(key.created),
            created_by: key.created_by.clone(),
            last_used_at: None,
            expires_at: key.expires.map(moment),
            publishable: key.publishable,
        }
    }
}

impl Consumers<'_> {
    /// The keys that a consumer has, expired ones too until they are deleted.
    ///
    /// # Errors
    /// [`ConsumerError::Store`].
    pub async fn keys(&self, id: &str) -> Result<Vec<KeyView>, ConsumerError> {
        let keys = self.stored_keys(id).await?;
        let used = self.last_uses(id, &keys).await?;
        let moment = |seconds: i64| Micros(seconds.saturating_mul(1_000_000)).rfc3339();
        let view = |(key, used): (&ApiKey, Option<i64>)| KeyView { last_used_at: used.map(moment), ..KeyView::of(key) };
        Ok(keys.iter().zip(used).map(view).collect())
    }

    /// When each key was last used, seconds since 1970 to the minute: the limiter notes it where it charges a key anyway.
    async fn last_uses(&self, id: &str, keys: &[ApiKey]) -> Result<Vec<Option<i64>>, ConsumerError> {
        let place = |key: &ApiKey| if key.publishable { place::account_of_key(&key.id) } else { id.to_owned() };
        let accounts: BTreeSet<String> = keys.iter().map(place).chain([id.to_owned()]).collect();
        let wanted: Vec<_> = accounts.iter().map(|account| (TableName::Data, place::limiter(account))).collect();
        let items = self.table.get(&wanted, true).await?;
        // A publishable key whose consumer has no plan is noted with its consumer.
        let noted = |key: &ApiKey| items.iter().flatten().filter_map(|item| item.n(&used_name(&key.id))).max();
        Ok(keys.iter().map(noted).collect())
    }

    /// The keys of a consumer that are not revoked, as they are stored.
    ///
    /// # Errors
    /// [`ConsumerError::Store`].
    pub async fn stored_keys(&self, id: &str) -> Result<Vec<ApiKey>, ConsumerError> {
        let keys = listed(self.table, id).await?;
        Ok(keys.into_iter().filter(|key| key.revoked.is_none()).collect())
    }

    /// Makes a key for `environment` (`live`, `test`; a publishable key always has its own), unless the body is wrong.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Invalid`], [`ConsumerError::TooManyKeys`], [`ConsumerError::Contended`],
    /// [`ConsumerError::Store`].
    pub async fn create_key(&self, id: &str, environment: &str, body: &Value) -> Result<CreatedKey, ConsumerError> {
        self.create_key_by(None, id, environment, body).await
    }

    /// As [`Self::create_key`], by a subject.
    ///
    /// # Errors
    /// As [`Self::create_key`].
    pub async fn create_key_by(
        &self,
        by: Option<&str>,
        id: &str,
        environment: &str,
        body: &Value,
    ) -> Result<CreatedKey, ConsumerError> {
        let KeySettings { name, scopes, expires_in, publishable } =
            input::key_settings(self.model, body).map_err(ConsumerError::Invalid)?;
        let environment = if publishable { api_key::PUBLISHABLE } else { environment };
        let mut backoff = backoff(self.env);
        for _ in 0..ATTEMPTS {
            let consumer = self.get(id).await?;
            let new = api_key::generate(&*self.env.random, environment)
                .ok_or_else(|| ConsumerError::Store(format!("`{environment}` is no name of an environment")))?;
            let now = self.env.now().seconds();
            let stored = ApiKey {
                id: new.id,
                consumer: id.to_owned(),
                name: name.clone(),
                scopes: scopes.clone(),
                created_by: by.map(str::to_owned),
                hash: new.hash.to_vec(),
                created: now,
                expires: expires_in.map(|seconds| now.saturating_add(seconds)),
                revoked: None,
                publishable,
            };
            let writes = vec![
                count_key(id, MAX_KEYS),
                Write::Put {
                    item: stored.to_item(place::api_key(&stored.id)),
                    condition: Some(Expr::new("attribute_not_exists(pk)")),
                },
                Write::Put { item: stored.to_item(place::api_key_listed(id, &stored.id)), condition: None },
            ];
            let shown = consumer.to_json();
            let change = Change {
                kind: ChangeKind::CreateKey,
                consumer: id.to_owned(),
                key_id: Some(stored.id.clone()),
                before: Some(shown.clone()),
                after: Some(shown),
                version: None,
                key: serde_json::to_value(KeyView::of(&stored)).ok(),
            };
            match commit(self.table, self.env, writes, (self.riders)(&change)).await? {
                Committed::Done => return Ok(CreatedKey { view: KeyView::of(&stored), key: new.key }),
                Committed::Again(0) if Present::read(self.table, id).await?.keys() >= MAX_KEYS => {
                    return Err(ConsumerError::TooManyKeys);
                }
                Committed::Again(_) => backoff.pause().await,
            }
        }
        Err(ConsumerError::Contended)
    }

    /// Revokes a key: it is refused from the next request on.
    ///
    /// # Errors
    /// [`ConsumerError::NotFound`], [`ConsumerError::Contended`], [`ConsumerError::Store`].
    pub async fn delete_key(&self, id: &str, key_id: &str) -> Result<(), ConsumerError> {
        let mut backoff = backoff(self.env);
        for _ in 0..ATTEMPTS {
            let present = Present::read(self.table, id).await?;
            let row = present.row.as_ref().ok_or(ConsumerError::NotFound)?;
            let consumer = row.consumer.as_ref().ok_or(ConsumerError::NotFound)?;
            let now = self.env.now().seconds();
            let keys = listed(self.table, id).await?;
            let key = keys.iter().find(|key| key.id == key_id && key.revoked.is_none()).ok_or(ConsumerError::NotFound)?;
            let next = Row { epoch: present.next_epoch(), keys: row.keys.saturating_sub(1), consumer: row.consumer.clone() };
            let (remembered, forgotten) = sort_out(&keys, now);
            let mut revoked: Vec<String> = remembered.iter().map(|key| key.id.clone()).collect();
            revoked.push(key_id.to_owned());
            let mut writes = vec![
                present.put_row(id, &next)?,
                put_limiter(id, next.epoch, consumer.disabled, Some(revoked), &[used_name(key_id)]),
                Write::Delete { key: place::api_key(key_id), condition: Some(Expr::new("attribute_exists(pk)")) },
                Write::Put {
                    item: ApiKey { revoked: Some(now), ..key.clone() }.to_item(place::api_key_listed(id, key_id)),
                    condition: None,
                },
            ];
            writes.extend(limiter_of(key));
            writes.extend(forgotten.iter().map(|key| Write::Delete { key: place::api_key_listed(id, &key.id), condition: None }));
            let shown = consumer.to_json();
            let change = Change {
                kind: ChangeKind::DeleteKey,
                consumer: id.to_owned(),
                key_id: Some(key_id.to_owned()),
                before: Some(shown.clone()),
                after: Some(shown),
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
}

/// Revoked keys that stay in the limiter (with room for one more), and those whose rows can be deleted.
fn sort_out(keys: &[ApiKey], now: i64) -> (Vec<&ApiKey>, Vec<&ApiKey>) {
    let mut revoked: Vec<(i64, &ApiKey)> = keys.iter().filter_map(|key| Some((key.revoked?, key))).collect();
    revoked.sort_by_key(|(at, key)| (std::cmp::Reverse(*at), key.id.clone()));
    let (mut remembered, mut forgotten) = (Vec::new(), Vec::new());
    for (at, key) in revoked {
        let keep = at > now.saturating_sub(REMEMBER) && remembered.len() + 1 < MAX_REVOKED;
        if keep { &mut remembered } else { &mut forgotten }.push(key);
    }
    (remembered, forgotten)
}
