//! The JSON Schema of `model.yaml` (draft 2020-12), for editors: keys as one types, words that are known, what each means.
//!
//! It says what a file may look like. What needs more than one place of a file (names that exist, limits in order, an index for a row
//! condition) [`crate::model::parse`] says, so that a file that fits the schema may still have mistakes, and one that does not has some.
//!
//! - Owns: the schema. Its keys are those of [`crate::model::source`], which a test compares.
//! - May import: `schema` (words), `source` (keys).
//! - Never here: a second reading of a file.

mod auth;
mod entity;
mod field;
mod parts;
mod plan;
mod role;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use parts::{Key, duration, mapping, name, named, text, texts};

/// The schema.
pub fn format_schema() -> Value {
    let keys: [Key; 9] = [
        ("name", "Title of the API, shown in its documents.", text()),
        ("description", "What the API is for, in Markdown.", text()),
        ("version", "Your version of the API. Quote it: 1.0 is a number in YAML.", text()),
        ("entities", "Kinds of records, by name (singular).", entity::entities()),
        ("roles", "What callers may do, by name of the role. Nothing is permitted that no role says.", role::roles()),
        ("plans", "Rates, quotas and costs, by name of the plan.", plan::plans()),
        ("auth", "Whose tokens are accepted, and what callers have who say nothing.", auth::auth()),
        ("cors", "Origins whose pages may call the API.", cors()),
        ("limits", "Limits of the API as a whole.", limits()),
    ];
    let mut schema = mapping(&keys, &["name", "entities"]);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Holdfast model".into();
    schema["description"] = "The model.yaml of Holdfast: one file defines the API. docs/model.md explains each key.".into();
    schema["$defs"] = json!({
        "name": name(),
        "text": {"type": "string"},
        "duration": duration(),
        "size": parts::size(),
        "deprecation": entity::deprecation(true),
        "field_deprecation": entity::deprecation(false),
        "scalar": field::scalar(),
        "condition": role::condition(),
        "permission": role::permission(),
    });
    schema
}

fn cors() -> Value {
    mapping(
        &[
            ("origins", "Accepted origins, as `https://shop.example.com`; `\"*\"` accepts any. Default none.", texts(text())),
            ("max_age", "How long a browser may remember a preflight; default 10m.", named("duration")),
        ],
        &[],
    )
}

fn limits() -> Value {
    mapping(
        &[
            ("examine", "Rows that a request may read beyond those that it returns; default 1000.", parts::whole(0, 10_000)),
            (
                "per_address",
                "Requests a minute and client address without valid credentials; default 300.",
                parts::whole(1, 1_000_000),
            ),
        ],
        &[],
    )
}
