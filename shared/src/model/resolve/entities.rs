//! Entities from their raw form: names become positions, refs get their two sides, constants their type.

use std::collections::HashMap;

use super::constant::constants;
use super::fields::fields;
use super::ids::ids;
use super::indexes;
use super::relations::relations;
use super::renames;
use crate::model::schema::{Entity, EntityIx};
use crate::model::source::{RawEntity, Reader, Spot};

/// Maximum number of entities, and of the fields of one. Positions have 16 bits, and a record has at most 350 KB.
const MAX_ENTITIES: usize = 500;

/// All entities with their relations and indexes. After a mistake the result is incomplete but never misleading: what refers to a
/// broken part is left out.
pub(super) fn entities(reader: &mut Reader<'_>, raw: &[RawEntity<'_>]) -> Vec<Entity> {
    let by_name = names(reader, raw);
    renames::entities(reader, raw);
    let mut entities: Vec<Entity> = raw.iter().enumerate().map(|(at, raw)| fields(reader, raw, ix(at), &by_name)).collect();
    for (at, raw) in raw.iter().enumerate() {
        ids(reader, raw, &mut entities[at]);
        renames::fields(reader, raw, &entities[at]);
    }
    for (at, raw) in raw.iter().enumerate() {
        relations(reader, raw, ix(at), &mut entities);
    }
    for (at, raw) in raw.iter().enumerate() {
        constants(reader, raw, at, &mut entities);
    }
    indexes::resolve(reader, raw, &mut entities);
    entities
}

fn ix(at: usize) -> EntityIx {
    EntityIx(u16::try_from(at).unwrap_or(u16::MAX))
}

fn names<'r>(reader: &mut Reader<'_>, raw: &'r [RawEntity<'_>]) -> HashMap<&'r str, EntityIx> {
    let mut plurals: HashMap<&str, Spot> = HashMap::new();
    for entity in raw {
        if let Some(first) = plurals.insert(&entity.plural.value, entity.plural.spot) {
            let help = format!("line {} has it already; give one of the two a `plural`", first.line);
            reader.mistake(entity.plural.spot, format!("two entities have the plural `{}`", entity.plural.value), help);
        }
        if entity.fields.len() > MAX_ENTITIES {
            reader.mistake(entity.name.spot, format!("more than {MAX_ENTITIES} fields"), "split the entity");
        }
    }
    if raw.len() > MAX_ENTITIES {
        reader.mistake(raw[MAX_ENTITIES].name.spot, format!("more than {MAX_ENTITIES} entities"), "split the model");
    }
    raw.iter().enumerate().map(|(at, entity)| (entity.name.value.as_str(), ix(at))).collect()
}
