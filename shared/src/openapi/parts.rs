//! Small parts that many places of a document have: references, contents, the header `Idempotency-Key`.

use serde_json::{Map, Value, json};

/// A reference to a component.
pub(super) fn refer(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// An object of the pairs that have a value.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The content of a body or an answer: a schema and a value that fits it.
pub(super) fn with_example(schema: Value, example: Option<Value>) -> Value {
    Value::Object(object([("schema", Some(schema)), ("example", example)]))
}

/// The request body of an operation, required, by media type.
pub(super) fn body(contents: &[(&str, Value)]) -> Value {
    let content: Map<String, Value> =
        contents.iter().map(|(media_type, content)| ((*media_type).to_owned(), content.clone())).collect();
    json!({"required": true, "content": content})
}

/// The operation with the header `Idempotency-Key`, by which it takes effect once.
pub(super) fn with_idempotency(mut operation: Value) -> Value {
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.push(refer("parameters", "IdempotencyKey"));
    }
    for (_, answer) in operation["responses"].as_object_mut().into_iter().flatten().filter(|(status, _)| status.starts_with('2'))
    {
        answer["headers"]["Idempotency-Replayed"] = refer("headers", "IdempotencyReplayed");
    }
    operation
}
