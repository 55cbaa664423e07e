//! Constants of the file (defaults, examples, operands of rules) as normalised values of a field's type.

use serde_json::Value;

use super::json::to_json;
use super::scalar::{self, Fault};
use super::schema::{Entity, FieldType};
use super::tree::{Data, Node};

/// The value of a node that stands for a value of this type.
///
/// # Errors
/// Why it is none; the message goes on from the name of the field ("must be ...").
pub(super) fn value(entities: &[Entity], kind: &FieldType, node: &Node) -> Result<Value, Fault> {
    let json = as_written(kind, node);
    let normalised = scalar::normalise(kind, &|target| &entities[usize::from(target.0)].id, &json)?;
    scalar::limits(kind, &normalised)?;
    if let FieldType::Json { schema: Some(schema) } = kind
        && let Ok(validator) = super::compiled::compile(schema)
        && let Some(error) = validator.iter_errors(&normalised).next()
    {
        return Err(Fault { code: "schema", message: format!("does not fit its schema: {error}") });
    }
    Ok(normalised)
}

/// The JSON of a node. The text of a decimal is taken as it stands, with or without quotes: `9.90` keeps both digits.
fn as_written(kind: &FieldType, node: &Node) -> Value {
    match (kind, &node.data) {
        (FieldType::Decimal { .. }, Data::Scalar { text, .. }) => Value::String(text.clone()),
        (FieldType::List { item, .. }, Data::Sequence(items)) => items.iter().map(|node| as_written(item, node)).collect(),
        _ => to_json(node),
    }
}
