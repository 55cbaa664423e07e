//! Relations: what can be included.

use super::changes::Changes;
use crate::model::schema::Entity;

/// Adds relations that go and come, both sides alike.
pub(super) fn relations(changes: &mut Changes, before: &Entity, after: &Entity) {
    let (old, new) = (names(before), names(after));
    for name in old.iter().filter(|name| !new.contains(name)) {
        changes.breaking(format!("relation {}.{name}", after.name), "removed", "it can no longer be included");
    }
    for name in new.iter().filter(|name| !old.contains(name)) {
        changes.compatible(format!("relation {}.{name}", after.name), "added", "it can be included");
    }
}

fn names(entity: &Entity) -> Vec<&str> {
    let to_one = entity.to_one.iter().map(|relation| relation.name.as_str());
    to_one.chain(entity.to_many.iter().map(|relation| relation.name.as_str())).collect()
}
