//! Between the port's items and the SDK's.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};

use crate::store::table::{Attr, Expr, Item, Key, TableError};

/// Attribute names of the primary key, of both tables.
pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";

pub(super) type SdkItem = HashMap<String, AttributeValue>;

/// Capacity units of an answer, over all tables that it names.
pub(super) fn units(capacity: &[ConsumedCapacity]) -> f64 {
    capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

pub(super) fn attr(value: Attr) -> AttributeValue {
    match value {
        Attr::S(text) => AttributeValue::S(text),
        Attr::N(number) => AttributeValue::N(number.to_string()),
        Attr::B(bytes) => AttributeValue::B(Blob::new(bytes)),
        Attr::Bool(truth) => AttributeValue::Bool(truth),
        Attr::Ss(texts) => AttributeValue::Ss(texts),
        Attr::M(map) => AttributeValue::M(map.into_iter().map(|(name, value)| (name, attr(value))).collect()),
    }
}

fn back(name: &str, value: AttributeValue) -> Result<Attr, TableError> {
    let wrong = |what: &str| TableError::Broken(format!("attribute {name} holds {what}, which Holdfast never stores"));
    Ok(match value {
        AttributeValue::S(text) => Attr::S(text),
        AttributeValue::N(number) => Attr::N(number.parse().map_err(|_| wrong("a number outside 64 bits or with a fraction"))?),
        AttributeValue::B(bytes) => Attr::B(bytes.into_inner()),
        AttributeValue::Bool(truth) => Attr::Bool(truth),
        AttributeValue::Ss(texts) => Attr::Ss(texts),
        AttributeValue::M(map) => {
            let mut attrs = BTreeMap::new();
            for (name, value) in map {
                let value = back(&name, value)?;
                attrs.insert(name, value);
            }
            Attr::M(attrs)
        }
        _ => return Err(wrong("a type")),
    })
}

pub(super) fn key(key: &Key) -> SdkItem {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (SK.to_owned(), AttributeValue::B(Blob::new(key.sk.clone()))),
    ])
}

pub(super) fn item(item: Item) -> SdkItem {
    let mut sdk: SdkItem = item.attrs.into_iter().map(|(name, value)| (name, attr(value))).collect();
    sdk.insert(PK.to_owned(), AttributeValue::S(item.key.pk));
    sdk.insert(SK.to_owned(), AttributeValue::B(Blob::new(item.key.sk)));
    sdk
}

pub(super) fn key_back(sdk: &mut SdkItem) -> Result<Key, TableError> {
    match (sdk.remove(PK), sdk.remove(SK)) {
        (Some(AttributeValue::S(pk)), Some(AttributeValue::B(sk))) => Ok(Key { pk, sk: sk.into_inner() }),
        _ => Err(TableError::Broken("an item without the key attributes pk (text) and sk (bytes)".to_owned())),
    }
}

pub(super) fn item_back(mut sdk: SdkItem) -> Result<Item, TableError> {
    let key = key_back(&mut sdk)?;
    let mut attrs = BTreeMap::new();
    for (name, value) in sdk {
        let value = back(&name, value)?;
        attrs.insert(name, value);
    }
    Ok(Item { key, attrs })
}

/// Placeholders of one request: those of its expressions together. `None` where there are none, because DynamoDB refuses empty maps.
pub(super) struct Placeholders {
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<SdkItem>,
}

/// The texts of an update and of a condition, and their placeholders together.
pub(super) fn expressions(update: Option<Expr>, condition: Option<Expr>) -> (Option<String>, Option<String>, Placeholders) {
    let (mut names, mut values) = (HashMap::new(), SdkItem::new());
    let mut text = |expr: Option<Expr>| {
        expr.map(|expr| {
            names.extend(expr.names);
            values.extend(expr.values.into_iter().map(|(name, value)| (name, attr(value))));
            expr.text
        })
    };
    let (update, condition) = (text(update), text(condition));
    let names = Some(names).filter(|names| !names.is_empty());
    let values = Some(values).filter(|values| !values.is_empty());
    (update, condition, Placeholders { names, values })
}
