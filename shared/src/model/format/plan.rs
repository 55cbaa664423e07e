//! Plans: rates, quotas, costs.

use serde_json::{Value, json};

use super::parts::{Key, by_name, described, mapping, named, text, texts, whole, word};

/// Most units of a limit or a cost.
const UNITS: i64 = 1 << 50;

/// All plans.
pub(super) fn plans() -> Value {
    let keys: [Key; 6] = [
        ("description", "Who has it, in Markdown.", text()),
        ("rates", "Rates by name.", by_name(rate())),
        ("quotas", "Units per calendar window in UTC.", quotas()),
        (
            "costs",
            "Units of an operation (`list`), an entity (`order`) or an operation of an entity (`order.create`); default 1.",
            costs(),
        ),
        ("thresholds", "Per cent of a quota at which to notify; default 80, 95, 100.", texts(whole(1, 100))),
        (
            "when_unavailable",
            "While limits cannot be checked: `admit` (default), within a limit in memory, or `refuse`.",
            word(&["admit", "refuse"]),
        ),
    ];
    by_name(mapping(&keys, &["rates"]))
}

fn rate() -> Value {
    let keys: [Key; 4] = [
        ("rate", "Units per period.", whole(1, UNITS)),
        ("per", "The period; default 1s.", named("duration")),
        ("burst", "Units that may be used at once; default: `rate`.", whole(1, UNITS)),
        ("only", "Operations that it counts: `list`, `order`, `order.create`; default all.", texts(scope())),
    ];
    mapping(&keys, &["rate"])
}

fn scope() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*(\\.[a-z]+)?$"})
}

fn quotas() -> Value {
    let window = || whole(1, UNITS);
    mapping(
        &[
            ("hour", "Units an hour.", window()),
            ("day", "Units a day.", window()),
            ("month", "Units a calendar month.", window()),
        ],
        &[],
    )
}

fn costs() -> Value {
    let mut costs = json!({"type": "object", "additionalProperties": whole(1, UNITS)});
    costs["propertyNames"] = described(scope(), "An operation, an entity, or `entity.operation`.");
    costs
}
