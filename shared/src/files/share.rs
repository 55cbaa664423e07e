//! Shares: an address of ours for one file, for somebody without an account.
//!
//! The secret is 256 random bits and is stored as its SHA-256 alone; with that much entropy nothing slower is needed. A share
//! belongs to one object: a file that is replaced is another file.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::core::clock::{Env, Micros};
use crate::identity::auth::Sharer;
use crate::model::Entity;
use crate::store::keys;
use crate::store::pending_deletion::{OBJECT, PendingDeletion};
use crate::store::table::{Attr, Expr, Item, Key, RangeQuery, Table, TableError, TableName, Write};

/// How long a share that has ended says so before it is unknown.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

const DOCUMENT: &str = "d";
const USED: &str = "n";
const MAX_DOWNLOADS: &str = "m";
const ENDS: &str = "e";
const REVOKED: &str = "r";
const HASH: &str = "h";

/// What does not change about a share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Its id, which may be shown.
    pub id: String,
    /// Entity of the record.
    pub entity: String,
    /// Id of the record.
    pub record: String,
    /// The file field.
    pub field: String,
    /// Sharer.
    pub sharer: Sharer,
    /// Time of creation, RFC 3339.
    pub created_at: String,
}

/// A share.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Key of its row.
    pub key: Key,
    /// What does not change.
    pub terms: Terms,
    /// The object.
    pub object: String,
    /// Time of expiry.
    pub ends: Micros,
    /// How often it may be used; `None`: any number.
    pub most: Option<i64>,
    /// How often it was used.
    pub used: i64,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// The hash of a secret, as it stands in keys.
fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Key of the share of a secret.
pub fn place(secret: &str) -> Key {
    keys::share(&hash(secret))
}

/// A new share: its secret, and the rows that make it.
pub fn create(env: &Env, entity: &Entity, terms: &Terms, object: &str, ends: Micros, most: Option<i64>) -> (String, Vec<Write>) {
    let secret = URL_SAFE_NO_PAD.encode(env.bytes::<32>());
    let hash = hash(&secret);
    // Texts: there is nothing in them that could not be written.
    let document = serde_json::to_string(terms).unwrap_or_default();
    let mut row = Item::new(keys::share(&hash))
        .with(OBJECT, Attr::S(object.to_owned()))
        .with(DOCUMENT, Attr::S(document))
        .with(ENDS, Attr::N(ends.0))
        .with(USED, Attr::N(0));
    if let Some(most) = most {
        row = row.with(MAX_DOWNLOADS, Attr::N(most));
    }
    let listed = listings(entity, terms);
    let mut rows = vec![row.key.clone()];
    rows.extend(listed.iter().cloned());
    let vanishing = PendingDeletion::object(env, object, ends.plus(REMEMBERED)).with_rows(rows).rows_only();
    let listing = |key: Key| Item::new(key).with(OBJECT, Attr::S(object.to_owned())).with(HASH, Attr::S(hash.clone()));
    let items = [row, vanishing.item()].into_iter().chain(listed.into_iter().map(listing));
    (secret, items.map(|item| Write::Put { item, condition: None }).collect())
}

fn listings(entity: &Entity, terms: &Terms) -> [Key; 2] {
    [
        keys::share_of_file(entity, &terms.record, &terms.field, &terms.id),
        keys::share_of_consumer(&terms.sharer.consumer, &terms.id),
    ]
}

impl Share {
    /// Reads a share's row; `None` for what is none.
    pub fn read(item: &Item) -> Option<Self> {
        Some(Self {
            key: item.key.clone(),
            terms: serde_json::from_str(item.s(DOCUMENT)?).ok()?,
            object: item.s(OBJECT)?.to_owned(),
            ends: Micros(item.n(ENDS)?),
            most: item.n(MAX_DOWNLOADS),
            used: item.n(USED)?,
            revoked: item.attrs.contains_key(REVOKED),
        })
    }

    /// Whether it may be used at this moment, for all that the share itself says.
    pub fn is_live(&self, now: Micros) -> bool {
        !self.revoked && now < self.ends && self.most.is_none_or(|most| self.used < most)
    }

    /// Counts one use, on condition that there is one left.
    pub fn count(&self, now: Micros) -> Write {
        let condition =
            "attribute_exists(pk) AND attribute_not_exists(#r) AND #e > :now AND (attribute_not_exists(#m) OR #n < #m)";
        let condition = Expr::new(condition)
            .name("#r", REVOKED)
            .name("#e", ENDS)
            .name("#m", MAX_DOWNLOADS)
            .name("#n", USED)
            .value(":now", Attr::N(now.0));
        let update = Expr::new("SET #n = #n + :one").name("#n", USED).value(":one", Attr::N(1));
        Write::Update { key: self.key.clone(), update, condition: Some(condition) }
    }

    /// Revokes it: it is in no list any more, and its address says that it is gone.
    pub fn revoke(&self, entity: &Entity) -> Vec<Write> {
        let condition = Some(Expr::new("attribute_exists(pk)"));
        let update = Expr::new("SET #r = :yes").name("#r", REVOKED).value(":yes", Attr::Bool(true));
        let mut writes = vec![Write::Update { key: self.key.clone(), update, condition }];
        writes.extend(listings(entity, &self.terms).map(|key| Write::Delete { key, condition: None }));
        writes
    }
}

/// The share behind a row of a list.
///
/// # Errors
/// Errors of the table.
pub async fn one(table: &dyn Table, listing: Key) -> Result<Option<Share>, TableError> {
    let found = table.get(&[(TableName::Data, listing)], true).await?.into_iter().next().flatten();
    Ok(shares(table, &found.into_iter().collect::<Vec<_>>()).await?.into_iter().next())
}

/// A page of a list (of a file, or of a consumer), in the order in which they were made; and where the next begins.
///
/// # Errors
/// Errors of the table.
pub async fn list(
    table: &dyn Table,
    pk: String,
    limit: usize,
    after: Option<Vec<u8>>,
) -> Result<(Vec<Share>, Option<Vec<u8>>), TableError> {
    let query = RangeQuery { after, limit: Some(limit), ..RangeQuery::partition(TableName::Data, pk) };
    let page = table.query(query).await?;
    Ok((shares(table, &page.items).await?, page.next))
}

/// The shares of rows in a list.
async fn shares(table: &dyn Table, listed: &[Item]) -> Result<Vec<Share>, TableError> {
    let keys: Vec<_> = listed.iter().filter_map(|row| Some((TableName::Data, keys::share(row.s(HASH)?)))).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(table.get(&keys, true).await?.iter().flatten().filter_map(Share::read).collect())
}
