//! Unique values: one row for each value of a unique field, named by a hash of the value, that says whose it is.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::value::encode::{self, Order};
use crate::model::{Entity, Field, Model};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, Write};

/// Attribute of a unique row: the id of the record that has the value.
pub const OWNER: &str = "id";

/// The name of a value in its row's key: a hash, because a value may be long and keys stand in more places than values do.
pub fn unique_hash(model: &Model, field: &Field, value: &Value) -> String {
    // By what it means: a word stays what it is wherever the model lists it.
    let order = match encode::order_of(model, &field.kind) {
        Order::Enum(_) => Order::Text,
        order => order,
    };
    let encoded = encode::encode(&order, value);
    // A value of another type, stored under an older model, is one of its own.
    let digest = if encode::is_null(&encoded) { Sha256::digest(value.to_string()) } else { Sha256::digest(encoded) };
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
    /// The part of the transaction. `void`: the owner in the row that does not have the value.
    pub(super) fn write(&self, key: &Key, void: Option<&str>) -> Write {
        let mut condition = Expr::new("attribute_not_exists(pk)");
        let void = void.map(str::to_owned);
        for (name, id) in [(":taken", &self.taken), (":released", &self.released), (":void", &void)] {
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
