//! What a document says of the references that a body may set.

use super::source::Source;
use crate::model::{Action, Entity, Field, FieldType};

/// Which records the refs of a body may name; `None` where the action writes no ref.
pub(super) fn sentence(source: &Source<'_>, entity: &Entity, action: Action) -> Option<String> {
    let access = source.access(entity, action);
    let (writable, links) = (access.widest(), access.widest_links());
    let written = |field: &&Field| {
        let fixed = field.read_only || action == Action::Update && field.immutable;
        matches!(field.kind, FieldType::Ref { .. }) && writable.contains(field.ix) && !fixed
    };
    let (linked, others): (Vec<&Field>, Vec<&Field>) =
        entity.fields.iter().filter(written).partition(|field| links.contains(field.ix));
    let names: Vec<String> = linked.iter().map(|field| format!("`{}`", field.name)).collect();
    match (names.is_empty(), others.is_empty()) {
        (true, true) => None,
        (true, false) => Some("A reference must name a record that you may read.".to_owned()),
        (false, true) => Some(format!("{} may name a record that you may not read.", names.join(", "))),
        (false, false) => Some(format!(
            "A reference must name a record that you may read; {} may also name one that you may not.",
            names.join(", ")
        )),
    }
}

/// A description with that sentence behind it.
pub(super) fn described(source: &Source<'_>, entity: &Entity, action: Action, description: &str) -> String {
    let sentence = sentence(source, entity, action);
    std::iter::once(description.to_owned()).chain(sentence).collect::<Vec<_>>().join(" ")
}
