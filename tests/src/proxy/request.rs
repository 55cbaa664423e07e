//! Reading the requests of DynamoDB's JSON protocol.

use serde_json::{Map, Value, json};

/// The store behind the proxy checks the form of a signature, not its value.
pub(crate) const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host;x-amz-date;x-amz-target, Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// The kinds of action in a transaction.
const ACTIONS: [&str; 5] = ["Put", "Update", "Delete", "ConditionCheck", "Get"];

/// The name and the content of an action.
pub(crate) fn action(item: &Value) -> Option<(&'static str, &Value)> {
    ACTIONS.into_iter().find_map(|name| Some((name, item.get(name)?)))
}

/// One text for the item that a request or action is about.
pub(crate) fn single_key(content: &Value) -> Option<String> {
    let key = content.get("Key").or_else(|| content.get("Item"))?;
    Some(format!("{}|{}|{}", content.get("TableName")?, key.get("pk")?, key.get("sk")?))
}

/// The items of a transaction, in the order of its actions.
pub(crate) fn transaction_keys(body: &Value) -> Vec<String> {
    let items = body.get("TransactItems").and_then(Value::as_array);
    let keys = items.into_iter().flatten().filter_map(|item| single_key(action(item)?.1));
    keys.collect()
}

/// Takes half of each table's keys or requests out of a batch and gives back what was taken, never all.
pub(crate) fn split_batch(body: &mut Value) -> Value {
    let mut left = Map::new();
    let Some(tables) = body.get_mut("RequestItems").and_then(Value::as_object_mut) else { return json!({}) };
    for (name, asked) in tables.iter_mut() {
        let nested = asked.get("Keys").is_some();
        let list = if nested { asked.get_mut("Keys") } else { Some(&mut *asked) };
        let Some(list) = list.and_then(Value::as_array_mut).filter(|list| list.len() > 1) else { continue };
        let rest = Value::Array(list.split_off(list.len().div_ceil(2)));
        let rest = if nested {
            let mut others = asked.clone();
            others["Keys"] = rest;
            others
        } else {
            rest
        };
        left.insert(name.clone(), rest);
    }
    Value::Object(left)
}

/// Leaves only the placeholders that `text` uses: DynamoDB refuses unused ones.
pub(crate) fn keep_used(content: &mut Map<String, Value>, text: &str) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    for name in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let Some(Value::Object(placeholders)) = content.get_mut(name) else { continue };
        placeholders.retain(|placeholder, _| {
            text.match_indices(placeholder.as_str())
                .any(|(at, found)| !text.as_bytes().get(at + found.len()).copied().is_some_and(is_part))
        });
        if placeholders.is_empty() {
            content.remove(name);
        }
    }
}
