//! YAML nodes as JSON values.

use serde_json::{Map, Value};

use super::reader::is_other_than_text;
use super::tree::{Data, Node};

/// The JSON value of a node, plain scalars read by the YAML 1.2 core schema.
pub(in crate::model) fn to_json(node: &Node) -> Value {
    match &node.data {
        _ if node.is_null() => Value::Null,
        Data::Scalar { text, plain: true } if is_other_than_text(text) => plain(text),
        Data::Scalar { text, .. } => Value::String(text.clone()),
        Data::Sequence(items) => items.iter().map(to_json).collect(),
        Data::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                if let Data::Scalar { text, .. } = &key.data {
                    map.insert(text.clone(), to_json(value));
                }
            }
            Value::Object(map)
        }
    }
}

fn plain(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    match text {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => text.parse::<f64>().ok().map_or_else(|| Value::String(text.to_owned()), Value::from),
    }
}
