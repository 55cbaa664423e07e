//! Roles: permissions, row conditions, fields.

use serde_json::{Value, json};

use super::parts::{Key, by_name, flag, mapping, named, text, texts, word};
use crate::model::schema::{Action, Op, SystemPermission};

/// All roles.
pub(super) fn roles() -> Value {
    let system = SystemPermission::ALL.map(SystemPermission::name);
    let keys: [Key; 5] = [
        ("description", "Who has it, in Markdown.", text()),
        ("inherits", "Roles whose permissions it has too.", texts(text())),
        ("all", "Everything, of every entity.", flag(false)),
        ("entities", "Permissions by entity; `\"*\"` is every entity that has no key of its own.", entities()),
        (
            "system",
            "Access to consumers, usage, cache and audit trail; `all` of them.",
            json!({"anyOf": [{"const": "all"}, texts(word(&system))]}),
        ),
    ];
    by_name(mapping(&keys, &[]))
}

fn entities() -> Value {
    let mut all = by_name(json!({"anyOf": [{"const": "all"}, actions()]}));
    all["propertyNames"] = json!({"anyOf": [{"const": "*"}, {"$ref": "#/$defs/name"}]});
    all
}

fn actions() -> Value {
    let groups: [Key; 3] = [
        ("view", "List, read and download.", named("permission")),
        ("write", "Create, update, delete and upload.", named("permission")),
        ("all", "Every action.", named("permission")),
    ];
    let single = Action::ALL.map(|action| (action.name(), "This action; it overrides a group.", named("permission")));
    mapping(&single.into_iter().chain(groups).collect::<Vec<Key>>(), &[])
}

/// `true`, `false`, or rows and fields.
pub(super) fn permission() -> Value {
    let limited = mapping(
        &[
            ("rows", "Condition of the records that it covers.", named("condition")),
            (
                "fields",
                "`all`, a list, or `{except: [...]}`: readable ones for list and read, writable ones for create and update.",
                fields(),
            ),
        ],
        &[],
    );
    json!({"anyOf": [{"type": "boolean"}, limited]})
}

fn fields() -> Value {
    let link = mapping(&[("link", "The reference may name records that the role may not read.", flag(false))], &[]);
    let said = json!({"anyOf": [{"const": true}, {"type": "null"}, link]});
    let with = json!({"type": "object", "properties": {"except": texts(text())}, "additionalProperties": said});
    let listed = json!({"type": "object", "additionalProperties": said});
    json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, listed]}}, with]})
}

/// A row condition: all members hold.
pub(super) fn condition() -> Value {
    let scalar = json!({"type": ["string", "number", "boolean", "null"]});
    let operand = json!({"anyOf": [scalar, {"type": "array", "items": scalar}]});
    let operators: Value =
        Op::ALL.into_iter().map(|op| (op.name().to_owned(), operand.clone())).collect::<serde_json::Map<_, _>>().into();
    let comparison = json!({"type": "object", "properties": operators, "additionalProperties": false});
    let conditions = json!({"type": "array", "items": {"$ref": "#/$defs/condition"}, "minItems": 1});
    json!({
        "type": "object",
        "description": "All members hold. A plain value means equal, a list any of its elements; `$subject`, `$consumer` and `$claim.x` stand for the caller's.",
        "properties": {"and": conditions, "or": conditions, "not": {"$ref": "#/$defs/condition"}},
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)?$"},
        "additionalProperties": {"anyOf": [operand, comparison]},
    })
}
