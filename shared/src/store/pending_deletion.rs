//! What is to vanish: objects that nothing refers to any more, or that may never come to be referred to, and rows that end.
//!
//! A row says what and when, and commits with whatever makes it true: with the change that lets go of a file, before the link of
//! an upload is given away, with a share. `crate::files::sweep` does what is due and removes the row last, so nothing is forgotten
//! when it dies. An upload that is completed marks its row as [`RETAINED`], the sweep marks a row as [`CLAIMED`] before it deletes, each on
//! condition that the other has not: an object is either kept or deleted.

use serde::{Deserialize, Serialize};

use super::keys;
use super::table::{Attr, Expr, Item, Key, Write};
use crate::core::clock::{Env, Micros};

/// Shards of the rows.
pub const SHARDS: u16 = 4;
/// Attribute of rows that end with an object: its key. A row that names another object by now stays.
pub const OBJECT: &str = "o";
/// Attribute of a row whose object is in use.
pub const RETAINED: &str = "kept";
/// Attribute of a row whose object is being deleted.
pub const CLAIMED: &str = "taken";

const ROWS: &str = "d";

/// Something that is to vanish.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingDeletion {
    /// Key of its row.
    pub key: Key,
    /// The key of the object.
    pub object: String,
    /// Whether the object stays and only the rows go.
    pub kept: bool,
    /// Rows that go with it, if they still name this object.
    pub rows: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct RowKey(String, Vec<u8>);

impl PendingDeletion {
    /// An object, from `due` on.
    pub fn object(env: &Env, object: &str, due: Micros) -> Self {
        let mut sk = u64::try_from(due.0).unwrap_or(0).to_be_bytes().to_vec();
        sk.extend(env.bytes::<8>());
        let shard = keys::shard(object, SHARDS);
        Self { key: keys::vanishing(shard, &sk), object: object.to_owned(), kept: false, rows: Vec::new() }
    }

    /// With rows.
    #[must_use]
    pub fn with_rows(self, rows: Vec<Key>) -> Self {
        Self { rows, ..self }
    }

    /// The rows alone.
    #[must_use]
    pub fn rows_only(self) -> Self {
        Self { kept: true, ..self }
    }

    /// The row.
    pub fn item(&self) -> Item {
        let mut item = Item::new(self.key.clone()).with(OBJECT, Attr::S(self.object.clone()));
        if self.kept {
            item = item.with(RETAINED, Attr::Bool(true));
        }
        if !self.rows.is_empty() {
            let places: Vec<RowKey> = self.rows.iter().map(|key| RowKey(key.pk.clone(), key.sk.clone())).collect();
            // Texts and numbers: there is nothing in them that could not be written.
            item = item.with(ROWS, Attr::S(serde_json::to_string(&places).unwrap_or_default()));
        }
        item
    }

    /// Reads [`Self::item`]; `None` for what is none.
    pub fn read(item: &Item) -> Option<Self> {
        let places: Vec<RowKey> = match item.s(ROWS) {
            Some(text) => serde_json::from_str(text).ok()?,
            None => Vec::new(),
        };
        Some(Self {
            key: item.key.clone(),
            object: item.s(OBJECT)?.to_owned(),
            kept: item.attrs.contains_key(RETAINED),
            rows: places.into_iter().map(|RowKey(pk, sk)| Key { pk, sk }).collect(),
        })
    }

    /// Marks the object of a row as one that is in use, unless it was before, or is being deleted.
    pub fn keep(key: Key) -> Write {
        mark(key, RETAINED, "attribute_not_exists(#kept) AND attribute_not_exists(#taken)")
    }

    /// Marks the object of a row as one that is being deleted, unless it is in use.
    pub fn take(key: Key) -> Write {
        mark(key, CLAIMED, "attribute_not_exists(#kept)")
    }
}

fn mark(key: Key, mark: &str, unless: &str) -> Write {
    let mut condition = Expr::new(format!("attribute_exists(pk) AND {unless}")).name("#kept", RETAINED);
    if unless.contains("#taken") {
        condition = condition.name("#taken", CLAIMED);
    }
    let update = Expr::new("SET #mark = :yes").name("#mark", mark).value(":yes", Attr::Bool(true));
    Write::Update { key, update, condition: Some(condition) }
}
