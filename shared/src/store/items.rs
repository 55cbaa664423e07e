//! Records and index rows as items, and back.

use serde_json::Value;

use super::keys::{self, DOCUMENT, ID, VERSION};
use super::table::{Attr, Expr, Item, Key, TableError};
use crate::model::value::Record;
use crate::model::{Entity, Index, Model};

/// A record's item.
pub fn record(entity: &Entity, record: &Record) -> Item {
    filled(keys::record(entity, &record.id), record, Value::Object(record.fields.clone()))
}

/// A record's row in a stored index, with the fields that the index carries.
pub fn row(model: &Model, entity: &Entity, index: &Index, record: &Record) -> Item {
    let document = match &index.projection {
        None => Value::Object(record.fields.clone()),
        Some(fields) => fields
            .iter()
            .map(|field| &entity.field(*field).name)
            .filter_map(|name| Some((name.clone(), record.fields.get(name)?.clone())))
            .collect(),
    };
    filled(keys::index_row(model, entity, index, record), record, document)
}

fn filled(key: Key, record: &Record, document: Value) -> Item {
    Item::new(key)
        .with(ID, Attr::S(record.id.clone()))
        .with(VERSION, Attr::S(record.version.clone()))
        .with(DOCUMENT, Attr::S(document.to_string()))
}

/// The record that an item made by [`record`] or [`row`] holds (of a row: with the fields that it carries). `None` for an
/// item of another kind, or one that is damaged.
pub fn decode(item: &Item) -> Option<Record> {
    let Value::Object(fields) = serde_json::from_str(item.s(DOCUMENT)?).ok()? else { return None };
    Some(Record { id: item.s(ID)?.to_owned(), version: item.s(VERSION)?.to_owned(), fields })
}

/// Attribute of a tombstone.
const GONE: &str = "gone";

/// What stands in the place of a record that is gone while its children follow: no record of its id can be made until then.
/// `token`: of the attempt that deleted it.
pub fn tombstone(key: Key, token: &str) -> Item {
    Item::new(key).with(GONE, Attr::S(token.to_owned()))
}

/// Whether an item is a [`tombstone`].
pub fn is_tombstone(item: &Item) -> bool {
    item.attrs.contains_key(GONE)
}

/// The condition that a tombstone is still that of the same deletion.
pub fn still(tombstone: &Item) -> Expr {
    let token = tombstone.s(GONE).unwrap_or_default().to_owned();
    Expr::new("#gone = :gone").name("#gone", GONE).value(":gone", Attr::S(token))
}

/// The record at a record's key; `None` where there is none, or a tombstone.
///
/// # Errors
/// An item that cannot be read.
pub fn stored(item: Option<&Item>) -> Result<Option<Record>, TableError> {
    match item.filter(|item| !is_tombstone(item)) {
        Some(item) => decode(item).map(Some).ok_or_else(|| TableError::Broken("a record cannot be read".to_owned())),
        None => Ok(None),
    }
}

/// Attribute of an idempotency row: the token of the attempt that wrote it.
pub const ATTEMPT: &str = "t";
/// Attribute of an idempotency row: when it was made, seconds since 1970.
pub const MADE: &str = "m";
/// Attribute of an idempotency row: when it ends, seconds since 1970.
pub const EXPIRES: &str = "e";

/// Attribute of an idempotency row: what the request is compared by.
pub const PRINT: &str = "f";

/// The condition on which an idempotency row may be written: there is none, or it had expired when the new one was made.
pub fn is_free(row: &Item) -> Expr {
    Expr::new("attribute_not_exists(pk) OR #e <= :now").name("#e", EXPIRES).value(":now", Attr::N(row.n(MADE).unwrap_or(0)))
}

/// As [`is_free`], or what stands there is of the same request.
pub fn is_free_or_same(row: &Item) -> Expr {
    let mut condition = is_free(row);
    condition.text.push_str(" OR #f = :f");
    condition.name("#f", PRINT).value(":f", Attr::B(row.b(PRINT).unwrap_or_default().to_vec()))
}

/// Bytes that DynamoDB counts for an item: the names and values of all attributes.
pub fn size(item: &Item) -> usize {
    let key = "pk".len() + item.key.pk.len() + "sk".len() + item.key.sk.len();
    key + item.attrs.iter().map(|(name, value)| name.len() + size_of(value)).sum::<usize>()
}

/// Bytes that DynamoDB counts for a value.
pub fn size_of(value: &Attr) -> usize {
    match value {
        Attr::S(text) => text.len(),
        // 38 digits take 21 bytes: an upper bound.
        Attr::N(_) => 21,
        Attr::B(bytes) => bytes.len(),
        Attr::Bool(_) => 1,
        Attr::Ss(set) => set.iter().map(String::len).sum(),
        Attr::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size_of(value)).sum::<usize>(),
    }
}
