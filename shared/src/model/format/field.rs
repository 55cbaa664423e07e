//! Fields: a type and its constraints.

use serde_json::{Value, json};

use super::parts::{Key, flag, mapping, named, safe, text, texts, whole, word};
use crate::model::schema::FORMATS;
use crate::model::source::types;

/// Types that need a key of their own beside `type`, which says as much without it.
const SHORT: [&str; 3] = ["ref", "enum", "list"];

/// A field.
pub(super) fn field() -> Value {
    let names: Vec<&str> = types().map(|(name, _)| name).collect();
    shapes(&names, &common())
}

/// A type of scalars, as a list has it.
pub(super) fn scalar() -> Value {
    let names: Vec<&str> = types().map(|(name, _)| name).filter(|name| !["json", "ref", "file", "list"].contains(name)).collect();
    shapes(&names, &[])
}

/// A name of a type alone, or a mapping whose keys depend on the type.
fn shapes(names: &[&str], common: &[Key]) -> Value {
    let plain: Vec<&&str> = names.iter().filter(|name| !SHORT.contains(name)).collect();
    let short: Vec<&&str> = names.iter().filter(|name| SHORT.contains(name)).collect();
    let mut said = vec![json!({"required": ["type"]})];
    said.extend(short.iter().map(|name| json!({"required": [name]})));
    let mut rules: Vec<Value> = names.iter().map(|name| when_type(name, common)).collect();
    rules.extend(short.iter().map(|name| when_short(name, common)));
    json!({"anyOf": [
        {"enum": plain, "description": "A type without constraints."},
        {"type": "object", "properties": {"type": {"enum": names, "description": "The type."}}, "anyOf": said, "allOf": rules},
    ]})
}

fn when_type(name: &str, common: &[Key]) -> Value {
    json!({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": shape(name, common)})
}

fn when_short(name: &str, common: &[Key]) -> Value {
    json!({"if": {"required": [name], "not": {"required": ["type"]}}, "then": shape(name, common)})
}

/// The keys of a type, each known.
fn shape(name: &str, common: &[Key]) -> Value {
    let mut keys: Vec<Key> = vec![("type", "The type.", text())];
    keys.extend(limits(name));
    keys.extend(common.iter().cloned().map(|(key, meaning, value)| (key, meaning, constant(key, name).unwrap_or(value))));
    let needed: Vec<&str> = SHORT.into_iter().filter(|short| *short == name).collect();
    mapping(&keys, &needed)
}

/// Values of a type, where JSON tells them from others; null stands for nothing.
fn constant(key: &str, name: &str) -> Option<Value> {
    let is_text =
        FORMATS.iter().any(|format| format.name == name) || ["string", "text", "date", "timestamp", "enum"].contains(&name);
    let kinds = match name {
        _ if !["default", "fill", "example"].contains(&key) => return None,
        _ if is_text => json!(["string", "null"]),
        "integer" | "number" => json!(["number", "null"]),
        "decimal" => json!(["number", "string", "null"]),
        "boolean" => json!(["boolean", "null"]),
        "list" => json!(["array", "null"]),
        _ => return None,
    };
    Some(json!({"type": kinds}))
}

/// Keys of every field.
fn common() -> Vec<Key> {
    vec![
        ("was", "Name of this field in the model before; `holdfast migrate` moves its values.", named("name")),
        ("required", "A create, and a PUT, must contain it.", flag(false)),
        (
            "nullable",
            "Whether null is allowed. Default: true if it is neither required nor has a default.",
            json!({"type": "boolean"}),
        ),
        ("default", "The value if a create, or a PUT, contains none.", json!({})),
        ("fill", "The value that `holdfast migrate` gives records which have none.", json!({})),
        ("unique", "No two records have the same value; nulls do not count.", flag(false)),
        ("immutable", "Never changes after the creation.", flag(false)),
        ("read_only", "Set by the server, from `default`.", flag(false)),
        ("write_only", "Accepted, never shown.", flag(false)),
        ("description", "What it is, in Markdown.", text()),
        ("example", "A value for the documents.", json!({})),
        ("deprecated", "Announces that it goes.", named("field_deprecation")),
        ("filter", "`scan`: may be filtered by without an index, within the budget of `limits.examine`.", word(&["scan"])),
    ]
}

/// Keys of a type.
fn limits(name: &str) -> Vec<Key> {
    match name {
        "string" | "text" => texts_limits(),
        "integer" => vec![("min", "Least value.", safe()), ("max", "Greatest value.", safe())],
        "decimal" => vec![
            ("scale", "Digits after the point; default 2.", whole(0, 20)),
            ("min", "Least value.", json!({"type": ["number", "string"]})),
            ("max", "Greatest value.", json!({"type": ["number", "string"]})),
        ],
        "number" => {
            vec![("min", "Least value.", json!({"type": "number"})), ("max", "Greatest value.", json!({"type": "number"}))]
        }
        "enum" => vec![(
            "enum",
            "The words; they sort in this order.",
            texts(json!({"type": "string", "minLength": 1, "maxLength": 128})),
        )],
        "json" => vec![(
            "schema",
            "A JSON Schema (2020-12) of its values; its `$ref`s stay within it.",
            json!({"type": ["object", "boolean"]}),
        )],
        "ref" => reference(),
        "file" => file(),
        "list" => vec![
            ("list", "Type of the elements: scalars.", named("scalar")),
            ("max_items", "Most elements; default 100.", whole(1, 1000)),
        ],
        _ => Vec::new(),
    }
}

fn texts_limits() -> Vec<Key> {
    vec![
        ("min", "Least length in code points.", whole(0, 1_000_000)),
        ("max", "Greatest length in code points. A text in `sort` needs it.", whole(0, 1_000_000)),
        (
            "pattern",
            "Regular expression that the whole value must match: no look-around, no back references.",
            json!({"type": "string"}),
        ),
    ]
}

fn reference() -> Vec<Key> {
    vec![
        ("ref", "Entity that it refers to. The field is `<name>_id` in bodies and answers.", named("name")),
        (
            "on_delete",
            "What a deletion of that record does: refuse it, delete this one too, or set null.",
            word(&["restrict", "cascade", "set_null"]),
        ),
        ("inverse", "Name of the list of these records at that one: `include=orders`.", named("name")),
    ]
}

fn file() -> Vec<Key> {
    let media = || texts(json!({"type": "string", "pattern": "^[^/ ]+/[^/ ]+$"}));
    vec![
        ("max_size", "Largest file; default 10 MB, at most 5 GB.", named("size")),
        ("content_types", "Accepted media types, as `image/*`; default any.", media()),
        ("inline", "Media types that a browser may display instead of saving.", media()),
        ("link_expiry", "Longest validity of a signed link; default 5m, at most 1h.", named("duration")),
        ("share_expiry", "Longest validity of a share; default: no shares.", named("duration")),
    ]
}
