//! JSON as YAML 1.2.

use saphyr::{Mapping, Scalar, Yaml, YamlEmitter};
use serde_json::Value;

/// A document as YAML. All texts are quoted, so that parsers of YAML 1.1 do not read one as a date or a boolean.
///
/// # Errors
/// That of the emitter; no JSON value causes one.
pub fn yaml(document: &Value) -> Result<String, String> {
    let mut text = String::new();
    let mut emitter = YamlEmitter::new(&mut text);
    emitter.quoted_value(true);
    emitter.dump(&node(document)).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

fn node(value: &Value) -> Yaml<'_> {
    match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(truth) => Yaml::Value(Scalar::Boolean(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Yaml::Value(Scalar::Integer(whole)),
            (None, Some(real)) => Yaml::Value(Scalar::FloatingPoint(real.into())),
            (None, None) => Yaml::Value(Scalar::String(number.to_string().into())),
        },
        Value::String(text) => Yaml::Value(Scalar::String(text.as_str().into())),
        Value::Array(items) => Yaml::Sequence(items.iter().map(node).collect()),
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| (Yaml::Value(Scalar::String(name.as_str().into())), node(value)));
            Yaml::Mapping(pairs.collect::<Mapping<'_>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saphyr::LoadableYamlNode;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let values = json!({
            "200": {"a: b": "no", "c": ["2026-01-01", "1.0", "", "~", "a\nb\"c\\", "ü", " x ", "# y"]},
            "empty": {}, "none": [], "n": [1, -2.5, 9_007_199_254_740_991_i64, true, null], "yes": "null",
        });
        let text = yaml(&values).unwrap();
        let read = Yaml::load_from_str(&text).unwrap();
        assert_eq!(read[0], node(&values), "{text}");
        assert!(text.contains("\"200\":"), "a status stays a text: {text}");
    }
}
