//! Examples: values that fit a schema. The `example`s of a model take precedence over generated ones.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::names;

/// Candidates for a pattern, of which the first match is shown.
const GUESSES: [&str; 14] =
    ["example", "GB", "GBR", "1234", "1", "12", "A", "a", "A1", "a-1", "2026", "9780141439518", "+493012345678", "0"];
/// Number of members in the example of a change.
const CHANGED: usize = 2;

/// Example of a record in an answer, from its schema, without embedded records.
pub(super) fn record(schema: &Value) -> Option<Value> {
    members(schema, |member| member.get("anyOf").is_none() && member["items"].get("$ref").is_none())
}

/// Example of a body, from its schema, with the members that a client may set. Optional ones without an example are left out.
pub(super) fn body(schema: &Value) -> Option<Value> {
    members(schema, |member| member["readOnly"] != true)
}

/// Example of a change of a few members.
pub(super) fn patch(schema: &Value) -> Option<Value> {
    let mut whole = body(schema)?;
    let members = whole.as_object_mut()?;
    *members = std::mem::take(members).into_iter().take(CHANGED).collect();
    Some(whole)
}

fn members(schema: &Value, shown: impl Fn(&Value) -> bool) -> Option<Value> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|other| other == name));
    let mut object = Map::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let wanted = required(name) || (shown(member) && member["deprecated"] != true);
        match value(name, member) {
            Some(value) if wanted => drop(object.insert(name.clone(), value)),
            None if required(name) => return None,
            _ => {}
        }
    }
    Some(Value::Object(object))
}

/// A value that fits the schema of a member of this name; `None` if none can be generated.
pub(super) fn value(name: &str, schema: &Value) -> Option<Value> {
    if let Some(given) = schema["examples"].get(0).or_else(|| schema.get("default")).or_else(|| schema.get("const")) {
        return Some(given.clone());
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.first().cloned();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind? {
        "boolean" => Some(json!(true)),
        "integer" => {
            let bound = |key: &str, otherwise: i64| schema[key].as_i64().unwrap_or(otherwise);
            Some(json!(1.max(bound("minimum", i64::MIN)).min(bound("maximum", i64::MAX))))
        }
        "number" => {
            let bound = |key: &str, otherwise: f64| schema[key].as_f64().unwrap_or(otherwise);
            Some(json!(0.5_f64.max(bound("minimum", f64::MIN)).min(bound("maximum", f64::MAX))))
        }
        "array" => Some(json!([value(name, &schema["items"])?])),
        "object" => members(schema, |_| true),
        "string" => text(name, schema).map(Value::String),
        _ => None,
    }
}

fn text(name: &str, schema: &Value) -> Option<String> {
    let given = match schema["format"].as_str() {
        Some("date") => "2026-11-21",
        Some("date-time") => "2026-11-21T09:30:00.000Z",
        Some("uuid") => "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10",
        Some("email") => "ada@example.com",
        Some("uri") => "https://example.com/",
        Some("decimal") => return decimal(schema),
        _ => "",
    };
    if !given.is_empty() {
        return Some(given.to_owned());
    }
    let size = |key: &str| schema[key].as_u64().and_then(|size| usize::try_from(size).ok());
    let fits = |text: &str| {
        let length = text.chars().count();
        size("minLength").is_none_or(|least| length >= least) && size("maxLength").is_none_or(|most| length <= most)
    };
    if let Some(pattern) = schema["pattern"].as_str() {
        let pattern = Regex::new(pattern).ok()?;
        return GUESSES.into_iter().find(|guess| fits(guess) && pattern.is_match(guess)).map(str::to_owned);
    }
    let words = names::humanize(name);
    let padded = words.chars().chain(std::iter::repeat('.')).take(size("minLength").unwrap_or(0).max(words.chars().count()));
    Some(padded.take(size("maxLength").unwrap_or(usize::MAX)).collect())
}

fn decimal(schema: &Value) -> Option<String> {
    let pattern = Regex::new(schema["pattern"].as_str()?).ok()?;
    let bound = |key: &str| schema[key].as_str().map(str::to_owned);
    let number = |text: &str| text.parse::<f64>().ok();
    let within = |text: &String| {
        let at = number(text);
        bound("x-minimum").is_none_or(|least| at >= number(&least)) && bound("x-maximum").is_none_or(|most| at <= number(&most))
    };
    let guesses = [Some("9.90".to_owned()), Some("10".to_owned()), bound("x-minimum"), bound("x-maximum")];
    guesses.into_iter().flatten().find(|guess| pattern.is_match(guess) && within(guess))
}
