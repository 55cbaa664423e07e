//! Tags: what tells a cache that something under them has changed, or may be changing just now.
//!
//! Before a write commits it *announces* itself at the tag of each index partition in which its records have rows (of indexes with
//! equality fields) and at that of its entity: `ADD c 1, u :element`, plain calls and no part of the transaction, so no two writes
//! meet in a tag. `c` only grows. While `u` holds an element nothing under the tag is served from or stored in a cache, because the
//! write may be half visible. When the write is over the element is taken out again: by the writer, before it answers, or by whoever
//! finds it there too long ([`super::settle`]).
//!
//! So whoever reads a tag after a write was acknowledged finds another `c` than was there before the write began. A late or repeated
//! announcement makes `c` grow once more and leaves an element that somebody settles; neither makes an old entry right again.

use super::fence::Element;
use super::gate::UNSETTLED;
use super::keys;
use super::repeat::repeated;
use super::table::{Attr, Expr, Item, Key, Returning, Table, TableError, TableName, Write};
use crate::core::clock::Env;
use crate::model::value::{Record, new_version};
use crate::model::{CacheMode, Entity, Index, Model};

/// Attribute of a tag: its random version, new with each repair.
pub const VERSION: &str = "v";
/// Attribute of a tag: how often something under it was announced.
pub const COUNT: &str = "c";

/// The tags at which a change of one record is announced.
pub(super) fn touched(model: &Model, entity: &Entity, before: Option<&Record>, after: Option<&Record>) -> Vec<Key> {
    let mut tags = Vec::new();
    // Answers about other entities may depend on this one (embedding, row conditions), whatever its own mode is.
    let consulted = model.entities.iter().any(|entity| entity.cache != CacheMode::Off);
    for record in [before, after].into_iter().flatten() {
        let shard = keys::shard(&record.id, entity.shards);
        if consulted {
            tags.push(keys::entity_tag(entity, shard));
        }
        if entity.cache != CacheMode::Off {
            let tagged = entity.indexes.iter().filter(|index| has_tags(index));
            tags.extend(tagged.map(|index| keys::partition_tag(&keys::index_row(model, entity, index, record).pk, shard)));
        }
    }
    tags
}

/// Whether the partitions of an index have tags of their own. An index without equality fields has one partition, which changes with
/// every write of the entity, so the entity's tag tells it.
pub fn has_tags(index: &Index) -> bool {
    index.is_stored() && !index.equality.is_empty()
}

/// All tags of a partition of an entity's index: what a list of that partition depends on.
pub fn of_partition(entity: &Entity, index: &Index, partition: &str) -> Vec<Key> {
    if has_tags(index) {
        (0..entity.shards).map(|shard| keys::partition_tag(partition, shard)).collect()
    } else {
        of_entity(entity)
    }
}

/// All tags of an entity: what an answer that embeds or consults any of its records depends on.
pub fn of_entity(entity: &Entity) -> Vec<Key> {
    (0..entity.shards).map(|shard| keys::entity_tag(entity, shard)).collect()
}

/// Announces an attempt to write at a tag.
pub fn announce(tag: &Key, element: &Element) -> Write {
    let update = Expr::new("ADD #c :one, #u :e")
        .name("#c", COUNT)
        .name("#u", UNSETTLED)
        .value(":one", Attr::N(1))
        .value(":e", Attr::Ss(vec![element.text()]));
    Write::Update { key: tag.clone(), update, condition: None }
}

/// Counts a write at a tag, within the write's transaction: on a table that commits atomically, where nothing is half visible.
pub(super) fn count(tag: &Key) -> Write {
    let update = Expr::new("ADD #c :one").name("#c", COUNT).value(":one", Attr::N(1));
    Write::Update { key: tag.clone(), update, condition: None }
}

/// Voids all that is cached under a tag. The version is new and the count grows, because a restored table may count again what it
/// has counted before, and a late copy of this call may bring back its version.
pub fn void(tag: &Key, env: &Env) -> Write {
    let update = Expr::new("SET #v = :v ADD #c :one")
        .name("#v", VERSION)
        .name("#c", COUNT)
        .value(":v", Attr::S(new_version(env)))
        .value(":one", Attr::N(1));
    Write::Update { key: tag.clone(), update, condition: None }
}

/// As [`void`], as a call of its own.
///
/// # Errors
/// Errors of the table.
pub async fn touch(table: &dyn Table, env: &Env, tag: Key) -> Result<(), TableError> {
    let write = void(&tag, env);
    repeated(env, || table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
}

/// What a tag says: equal stamps mean that nothing was announced in between.
pub fn stamp(tag: Option<&Item>) -> (&str, i64) {
    // A tag that no write has touched yet has no item; no version is empty.
    tag.map_or(("", 0), |tag| (tag.s(VERSION).unwrap_or_default(), tag.n(COUNT).unwrap_or(0)))
}

pub use super::gate::unsettled;
