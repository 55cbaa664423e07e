//! Unique values: one row for each value of a unique field, named by a hash of the value, that says whose it is.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::value::encode;
use crate::model::{Entity, Field, Model};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, Write};

/// Attribute of a unique row: the id of the record that has the value.
pub const OWNER: &str = "id";

/// The name of a value in its row's key: a hash, because a value may be long and keys stand in more places than values do.
pub fn unique_hash(model: &Model, field: &Field, value: &Value) -> String {
    let digest = Sha256::digest(encode::encode(&encode::order_of(model, &field.kind), value));
    hex::encode(digest)
}

/// The key of the row for a value; `None` for null, which is never unique.
pub(super) fn row(model: &Model, entity: &Entity, field: &Field, value: Option<&Value>) -> Option<Key> {
    let value = value.filter(|value| !value.is_null())?;
    Some(keys::unique(entity, &field.name, &unique_hash(model, field, value)))
}

/// What a transaction does to one unique row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct UniqueClaim {
    /// Whose it is afterwards.
    pub(super) taken: Option<String>,
    /// Whose it was before.
    pub(super) released: Option<String>,
}

impl UniqueClaim {
    pub(super) fn write(&self, key: &Key) -> Write {
        let mut condition = Expr::new("attribute_not_exists(pk)");
        for (name, id) in [(":taken", &self.taken), (":released", &self.released)] {
            if let Some(id) = id {
                condition.text.push_str(&format!(" OR #id = {name}"));
                condition = condition.name("#id", OWNER).value(name, Attr::S(id.clone()));
            }
        }
        match &self.taken {
            Some(id) => Write::Put { item: Item::new(key.clone()).with(OWNER, Attr::S(id.clone())), condition: Some(condition) },
            None => Write::Delete { key: key.clone(), condition: Some(condition) },
        }
    }
}
