//! Constants of the file (defaults, examples, operands of rules) as normalised values of a field's type.

use serde_json::Value;

use super::names::api_name;
use crate::model::body::{Fault, limits, normalise};
use crate::model::schema::{Entity, FieldType, compile};
use crate::model::source::{Data, Node, RawEntity, RawKind, Reader, to_json};

/// The normalised value of a node.
///
/// # Errors
/// The reason why the node has no value of this type; the message continues the name of the field ("must be ...").
pub(super) fn value(entities: &[Entity], kind: &FieldType, node: &Node) -> Result<Value, Fault> {
    let json = as_written(kind, node);
    let normalised = normalise(kind, &|target| &entities[usize::from(target.0)].id, &json)?;
    limits(kind, &normalised)?;
    if let FieldType::Json { schema: Some(schema) } = kind
        && let Ok(validator) = compile(schema)
        && let Some(error) = validator.iter_errors(&normalised).next()
    {
        return Err(Fault { code: "schema", message: format!("does not fit its schema: {error}") });
    }
    Ok(normalised)
}

/// The JSON of a node. The text of a decimal is kept, with or without quotes: `9.90` keeps both digits.
fn as_written(kind: &FieldType, node: &Node) -> Value {
    match (kind, &node.data) {
        (FieldType::Decimal { .. }, Data::Scalar { text, .. }) => Value::String(text.clone()),
        (FieldType::List { item, .. }, Data::Sequence(items)) => items.iter().map(|node| as_written(item, node)).collect(),
        _ => to_json(node),
    }
}

/// Sets defaults, examples and fills, which depend on the kinds of all ids.
pub(super) fn constants(reader: &mut Reader<'_>, raw: &RawEntity<'_>, at: usize, entities: &mut [Entity]) {
    for (position, field) in raw.fields.iter().enumerate() {
        let mut read = |node: Option<&Node>, label: &str| {
            let node = node?;
            let kind = &entities[at].fields.get(position)?.kind;
            match value(entities, kind, node) {
                Ok(value) => Some(value),
                Err(fault) => {
                    reader.mistake(node.spot, format!("the {label} of `{}` {}", api_name(field), fault.message), "");
                    None
                }
            }
        };
        let (default, example) = (read(field.default, "default"), read(field.example, "example"));
        // A file that has one is refused as such.
        let fill = if matches!(field.kind, RawKind::Plain(FieldType::File(_))) { None } else { read(field.fill, "fill") };
        if let Some(resolved) = entities[at].fields.get_mut(position) {
            (resolved.default, resolved.example, resolved.fill) = (default, example, fill);
        }
    }
}
