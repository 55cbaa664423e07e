//! References between the parts of a document, and removal of the components that none leads to.

use std::collections::BTreeSet;

use serde_json::Value;

/// Removes the components that no operation refers to, directly or through others.
pub(super) fn prune(document: &mut Value) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut found = Vec::new();
    references(&document["paths"], &mut found);
    while let Some(reference) = found.pop() {
        if let Some(target) = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer))
            && used.insert(reference.clone())
        {
            references(target, &mut found);
        }
    }
    let Some(components) = document["components"].as_object_mut() else { return };
    for (kind, members) in components.iter_mut() {
        if let (Value::Object(members), true) = (members, kind != "securitySchemes") {
            members.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
    components.retain(|_, members| members.as_object().is_none_or(|members| !members.is_empty()));
}

/// Adds all references below a value. A schema with an `$id` is a document of its own: its references lead into itself.
pub(super) fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if members.get("$id").is_some_and(Value::is_string) => {}
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
