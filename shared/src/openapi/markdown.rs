//! A document as short Markdown, for language models.

use std::fmt::Write as _;

use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The Markdown of an OpenAPI document that [`openapi`](super::openapi) made.
pub fn markdown(document: &Value) -> String {
    let mut text = String::new();
    let _infallible = write_all(document, &mut text);
    text
}

fn write_all(document: &Value, out: &mut String) -> std::fmt::Result {
    let info = &document["info"];
    writeln!(out, "# {} {}\n", str(&info["title"]), str(&info["version"]))?;
    writeln!(out, "Base address: {}", str(&document["servers"][0]["url"]))?;
    writeln!(out, "Credentials: `Authorization: Bearer <token or API key>`")?;
    writeln!(out, "Complete description: /v1/openapi.json\n\n{}\n", str(&info["description"]))?;
    writeln!(out, "## Operations\n")?;
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in METHODS.iter().filter_map(|method| Some((*method, item.get(*method)?))) {
            operation_of(document, path, method, operation, out)?;
        }
    }
    writeln!(out, "## Schemas\n")?;
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        schema_of(name, schema, out)?;
    }
    writeln!(out, "## Error codes\n")?;
    for error in document["x-errors"].as_array().into_iter().flatten() {
        writeln!(out, "- `{}` ({}): {}", str(&error["code"]), error["status"], str(&error["meaning"]))?;
    }
    Ok(())
}

fn operation_of(document: &Value, path: &str, method: &str, operation: &Value, out: &mut String) -> std::fmt::Result {
    writeln!(out, "### {} {path}\n", method.to_uppercase())?;
    let deprecated = if operation["deprecated"] == true { " (deprecated)" } else { "" };
    writeln!(out, "{}{deprecated}. {}\n", str(&operation["summary"]), str(&operation["description"]))?;
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolve(document, parameter);
        if parameter["in"] == "query" {
            writeln!(out, "- `{}`: {}", str(&parameter["name"]), str(&parameter["description"]))?;
        }
    }
    for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        writeln!(out, "- body {media_type}: {}", kind(&content["schema"]))?;
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten().filter(|(status, _)| status.starts_with('2'))
    {
        let schema = &answer["content"]["application/json"]["schema"];
        let of = if schema.is_null() { String::new() } else { format!(", {}", kind(schema)) };
        writeln!(out, "- answer {status}{of}")?;
    }
    writeln!(out)
}

fn schema_of(name: &str, schema: &Value, out: &mut String) -> std::fmt::Result {
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    writeln!(out, "### {name}\n")?;
    let required = |member: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|name| name == member));
    for (member, of) in properties {
        let mark = if required(member) { ", required" } else { "" };
        let about = of["description"].as_str().map(|about| format!(": {}", about.trim())).unwrap_or_default();
        writeln!(out, "- `{member}` ({}{mark}){about}", kind(of))?;
    }
    writeln!(out)
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", word.as_str().unwrap_or("null"))).collect::<Vec<_>>().join(" or ");
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(str).collect::<Vec<_>>().join(" or "),
        Value::String(name) => name.clone(),
        _ => "any JSON".to_owned(),
    };
    schema["format"].as_str().map(|format| format!("{types}, {format}")).unwrap_or(types)
}

fn resolve<'v>(document: &'v Value, value: &'v Value) -> &'v Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(value)
}

fn str(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
