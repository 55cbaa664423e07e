//! The rows of consumers and keys, and their form in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::webhook::Salts;
use crate::store::table::{Attr, Item, Key};

/// Maximum number of keys of one consumer: they are deleted with it in one transaction.
pub(super) const MAX_KEYS: i64 = 20;

/// A client of the API: it calls, pays and is limited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its id; of a caller with a token `<issuer alias>:<claim>`.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// Plan; `None`: the token's, else the default.
    pub plan: Option<String>,
    /// Roles; `None`: the token's (an API key then has none).
    pub roles: Option<Vec<String>>,
    /// Claims that rules may use; they take precedence over a token's.
    pub claims: BTreeMap<String, Value>,
    /// Whether every call is refused.
    pub disabled: bool,
    /// Addresses for notices: `mailto:` and `https:`.
    pub notify: Vec<String>,
    /// Limits that differ from the plan's.
    pub overrides: Option<Value>,
    /// Salts of the secrets of its webhooks; never shown.
    #[serde(default)]
    pub webhook: Option<Salts>,
    /// Time of creation, RFC 3339.
    pub created_at: String,
    /// Time of the last change, RFC 3339.
    pub updated_at: String,
    /// Random version, for conditional requests.
    pub version: String,
}

/// A consumer's row: the consumer, or what is left after its deletion, with the epoch that never falls.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Number of changes.
    pub epoch: i64,
    /// Number of its keys. Creating one changes the row, so a change on condition of the row overlooks no new key.
    pub keys: i64,
    /// `None`: deleted. The row stays for the sake of the epoch.
    pub consumer: Option<Consumer>,
}

/// A row that this program did not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unreadable row: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

pub(super) const DOCUMENT: &str = "d";
pub(super) const EPOCH: &str = "epoch";
pub(super) const KEYS: &str = "keys";

impl Consumer {
    /// As the API shows it: all but the version, which is the `ETag`.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "id": self.id,
            "name": self.name,
            "plan": self.plan,
            "roles": self.roles,
            "claims": self.claims,
            "disabled": self.disabled,
            "notify": self.notify,
            "overrides": self.overrides,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}

impl Row {
    /// The item at `key` (the consumer's own, or its row in the list).
    ///
    /// # Errors
    /// [`Corrupt`] where the consumer cannot be written as JSON, which no value that came from JSON does.
    pub fn to_item(&self, key: Key) -> Result<Item, Corrupt> {
        let item = Item::new(key).with(EPOCH, Attr::N(self.epoch)).with(KEYS, Attr::N(self.keys));
        Ok(match &self.consumer {
            None => item,
            Some(consumer) => {
                let document = serde_json::to_string(consumer).map_err(|error| Corrupt(error.to_string()))?;
                item.with(DOCUMENT, Attr::S(document))
            }
        })
    }

    /// Reads [`Self::to_item`].
    ///
    /// # Errors
    /// [`Corrupt`] where the item is no consumer's.
    pub fn from_item(item: &Item) -> Result<Self, Corrupt> {
        let corrupt = |what: &str| Corrupt(format!("{}: {what}", item.key.pk));
        let epoch = item.n(EPOCH).ok_or_else(|| corrupt("no epoch"))?;
        let consumer = match item.s(DOCUMENT) {
            None => None,
            Some(document) => Some(serde_json::from_str(document).map_err(|error| corrupt(&error.to_string()))?),
        };
        Ok(Self { epoch, keys: item.n(KEYS).unwrap_or(0), consumer })
    }
}

/// An API key as it is stored: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The part of the key that may be shown.
    pub id: String,
    /// Owner.
    pub consumer: String,
    /// Name for people.
    pub name: Option<String>,
    /// Scopes that narrow what its holder may do; `None`: not narrowed.
    pub scopes: Option<Vec<String>>,
    /// Subject that made it; `None` where nobody did over HTTP.
    pub created_by: Option<String>,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// Time of creation, seconds since 1970.
    pub created: i64,
    /// Time of expiry, seconds since 1970.
    pub expires: Option<i64>,
    /// When it was revoked, seconds since 1970: a key's listed row stays for a while after it.
    pub revoked: Option<i64>,
    /// Whether it may be published: its holder is anonymous and limited by address.
    pub publishable: bool,
}

impl ApiKey {
    /// The item at `key` (the key's own, or its row beside the consumer).
    pub fn to_item(&self, key: Key) -> Item {
        let mut item = Item::new(key)
            .with("id", Attr::S(self.id.clone()))
            .with("consumer", Attr::S(self.consumer.clone()))
            .with("hash", Attr::B(self.hash.clone()))
            .with("created", Attr::N(self.created));
        for (name, value) in [("expires", self.expires), ("revoked", self.revoked)] {
            if let Some(seconds) = value {
                item.attrs.insert(name.to_owned(), Attr::N(seconds));
            }
        }
        for (name, value) in [("name", &self.name), ("created_by", &self.created_by)] {
            if let Some(text) = value {
                item.attrs.insert(name.to_owned(), Attr::S(text.clone()));
            }
        }
        if let Some(scopes) = &self.scopes {
            // No scope has a blank.
            item.attrs.insert("scopes".to_owned(), Attr::S(scopes.join(" ")));
        }
        if self.publishable {
            item.attrs.insert("publishable".to_owned(), Attr::Bool(true));
        }
        item
    }

    /// Reads [`Self::to_item`].
    ///
    /// # Errors
    /// [`Corrupt`] where the item is no key's.
    pub fn from_item(item: &Item) -> Result<Self, Corrupt> {
        let corrupt = |what: &str| Corrupt(format!("{}: no {what}", item.key.pk));
        Ok(Self {
            id: item.s("id").ok_or_else(|| corrupt("id"))?.to_owned(),
            consumer: item.s("consumer").ok_or_else(|| corrupt("consumer"))?.to_owned(),
            name: item.s("name").map(str::to_owned),
            scopes: item.s("scopes").map(|scopes| scopes.split(' ').map(str::to_owned).collect()),
            created_by: item.s("created_by").map(str::to_owned),
            hash: item.b("hash").ok_or_else(|| corrupt("hash"))?.to_vec(),
            created: item.n("created").ok_or_else(|| corrupt("created"))?,
            expires: item.n("expires"),
            revoked: item.n("revoked"),
            publishable: item.attrs.get("publishable") == Some(&Attr::Bool(true)),
        })
    }
}
