//! Names of components and operations: readable and distinct, for generated clients.

use crate::model::{Entity, Model};

/// Names of the schemas that belong to no entity.
pub(super) const OURS: [&str; 21] = [
    "Problem",
    "JsonPatch",
    "Me",
    "UsageList",
    "Notification",
    "NotificationList",
    "AuditEntry",
    "AuditEntryList",
    "Consumer",
    "ConsumerCreate",
    "ConsumerReplace",
    "ConsumerPatch",
    "ConsumerList",
    "KeyList",
    "Key",
    "KeyCreate",
    "Purge",
    "FileLink",
    "UploadLink",
    "Share",
    "ShareList",
];

/// A name in Pascal case: `OrderLine` for `order_line`.
pub(super) fn pascal(name: &str) -> String {
    name.split(['_', '-'])
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<Vec<char>>()
        })
        .collect()
}

/// Name of the schema of an entity: in Pascal case, unless another entity or one of [`OURS`] has that name.
pub(super) fn entity(model: &Model, of: &Entity) -> String {
    let name = pascal(&of.name);
    let taken = model.entities.iter().any(|other| other.ix != of.ix && pascal(&other.name) == name);
    if taken || OURS.contains(&name.as_str()) { format!("{}_record", of.name) } else { name }
}

/// The name of a schema that belongs to an entity: `OrderCreate`.
pub(super) fn schema(model: &Model, of: &Entity, suffix: &str) -> String {
    let name = format!("{}{suffix}", entity(model, of));
    let taken = model.entities.iter().any(|other| entity(model, other) == name);
    if taken { format!("{}_{suffix}", entity(model, of)) } else { name }
}

/// Plural in the names of operations: `OrderLines`.
pub(super) fn plural(model: &Model, of: &Entity) -> String {
    let name = pascal(&of.plural);
    let taken = model.entities.iter().any(|other| other.ix != of.ix && pascal(&other.plural) == name);
    if taken { format!("{}_records", of.plural) } else { name }
}

/// A name in words: `order line`.
pub(super) fn humanize(name: &str) -> String {
    name.replace('_', " ")
}

/// `a` or `an` before a word.
pub(super) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_collide_stay_apart() {
        let source = "name: n\nentities:\n  order: {fields: {a: string}}\n  order_create: {fields: {a: string}}\n  \
                      problem: {fields: {a: string}}\n";
        let model = crate::model::parse("m", source).unwrap();
        let all: Vec<String> = model
            .entities
            .iter()
            .flat_map(|of| [entity(&model, of), schema(&model, of, "Create"), schema(&model, of, "List")])
            .collect();
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        assert_eq!(pascal("order_line"), "OrderLine");
        assert_eq!(all[0], "Order");
        assert_eq!(all[6], "problem_record");
    }
}
