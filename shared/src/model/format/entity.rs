//! Entities and their indexes.

use serde_json::{Value, json};

use super::field;
use super::parts::{Key, by_name, flag, mapping, named, text, texts, whole, word};
use crate::model::schema::Operation;

/// All entities.
pub(super) fn entities() -> Value {
    let keys: [Key; 13] = [
        ("was", "Name of this entity in the model before; `holdfast migrate` moves its records.", named("name")),
        (
            "plural",
            "Path segment: `/v1/categories`. Default: the name with an `s`.",
            json!({"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$", "not": {"enum": ["docs", "openapi.json", "openapi.yaml"]}}),
        ),
        ("description", "What it is, in Markdown.", text()),
        (
            "id",
            "`uuid` (made by the server; the default), `string` or `integer` (chosen by the client), or the fields that make it.",
            json!({"anyOf": [{"enum": ["uuid", "string", "integer"]}, {"type": "array", "items": {"$ref": "#/$defs/text"}, "minItems": 2, "uniqueItems": true}]}),
        ),
        ("fields", "Fields by name: a type, or a mapping of a type and its constraints.", by_name(field::field())),
        ("indexes", "Access paths by name: which fields queries fix, and what orders the result.", by_name(index())),
        (
            "cache",
            "`strict` (default): never older than the last acknowledged write. `{bounded: 30s}`: at most that much older. `off`.",
            json!({"anyOf": [{"enum": ["off", "strict"]}, cache()]}),
        ),
        (
            "public",
            "For how long shared caches may keep what callers without credentials see of it: whole seconds, at most a day.",
            named("duration"),
        ),
        ("contention", "Peak writes a second that you expect.", whole(1, 2500)),
        ("require_if_match", "Refuse a PUT, PATCH or DELETE without If-Match (428).", flag(false)),
        ("deprecated", "Announces that it goes.", named("deprecation")),
        ("max_bytes", "Largest record; default 64 KB, at most 350 KB.", named("size")),
        ("timestamps", "Whether records have `created_at` and `updated_at`, set by the server.", flag(true)),
    ];
    let mut entities = by_name(mapping(&keys, &["fields"]));
    entities["minProperties"] = 1.into();
    entities
}

fn cache() -> Value {
    mapping(&[("bounded", "How much older than the last write an answer may be.", named("duration"))], &["bounded"])
}

fn index() -> Value {
    let path = json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)?$"});
    let sorted = json!({"type": "string", "pattern": "^-?[a-z][a-z0-9_]*$"});
    let keys: [Key; 3] = [
        ("equality", "Fields that a query must fix; `customer.country` is a field of a related record.", texts(path)),
        ("sort", "Order of the result; `-` is descending. The id always is the last part.", texts(sorted)),
        ("fields", "Fields that the rows contain; default: all.", texts(text())),
    ];
    let mut index = mapping(&keys, &[]);
    index["anyOf"] = json!([{"required": ["equality"]}, {"required": ["sort"]}]);
    index
}

/// A deprecation of an entity, or of a field.
pub(super) fn deprecation(of_entity: bool) -> Value {
    let day = || json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"});
    let operations: Vec<&str> = Operation::ALL.into_iter().filter(|one| *one != Operation::System).map(Operation::name).collect();
    let mut keys: Vec<Key> = vec![
        ("since", "Day from which it is deprecated.", day()),
        ("sunset", "Day after which it may be gone.", day()),
        ("replacement", "What to use in its place.", text()),
    ];
    if of_entity {
        keys.push(("operations", "Only these operations; default: all.", texts(word(&operations))));
    }
    mapping(&keys, &["since"])
}
