//! Deprecations of entities, operations and fields.

use super::changes::Changes;
use crate::model::schema::Deprecation;

/// Adds what changes of a deprecation. It is an announcement: nothing breaks by it.
pub(super) fn deprecation(changes: &mut Changes, place: &str, was: Option<&Deprecation>, now: Option<&Deprecation>) {
    if was == now {
        return;
    }
    let what = match (was, now) {
        (None, Some(now)) => format!("deprecated: {}", told(now)),
        (Some(_), None) => "no longer deprecated".to_owned(),
        (Some(was), Some(now)) => format!("deprecation: {} -> {}", told(was), told(now)),
        (None, None) => return,
    };
    changes.compatible(place, what, "headers and documents say so");
}

fn told(deprecation: &Deprecation) -> String {
    let operations: Vec<&str> = deprecation.operations.iter().map(|operation| operation.name()).collect();
    let words = deprecation.in_words();
    if operations.is_empty() { words } else { format!("{}: {words}", operations.join(", ")) }
}
