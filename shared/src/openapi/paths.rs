//! Paths of all entities.

use serde_json::{Map, Value};

use super::entity_operations::EntityOperations;
use super::source::Source;
use super::{files, operations};

/// The paths of all entities that the caller may use.
pub(super) fn of_entities(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    for entity in source.entities() {
        let of_entity = EntityOperations::new(source, entity);
        paths.extend(operations::paths(&of_entity));
        paths.extend(files::paths(&of_entity));
    }
    paths
}
