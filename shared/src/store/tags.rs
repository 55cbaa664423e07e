//! Tags: what tells a cache that something under them has changed, or may be changing just now.
//!
//! Every write changes, in its own transaction, the tag of each index partition in which its records have rows and the tag of
//! its entity: `SET v = :random ADD u :element`. A committing transaction becomes visible item by item, so while `u` holds an
//! element, nothing under the tag may be served from or stored in a cache. After the acknowledgement the writer removes its
//! elements ([`Unsettled::clear`], best effort). What a dead writer leaves is removed by whoever finds it ([`settle`]): a
//! `TransactGetItems` over the items that the element names succeeds only when the commit has finished.
//!
//! An element is `token~milliseconds~part~part...`: the write's token, when it was made, and what it writes there. It names all
//! that anybody reads on the word of that tag, because the items of a commit become visible, and free, one by one: sort keys
//! (base64url) under the tag of a partition; under that of an entity record ids, and `+index partition+sort key` (base64url) of
//! rows where answers read them through a relation. The time decides only when to look.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future;

use super::keys;
use super::repeat::repeated;
use super::table::{Attr, Expr, Item, Key, Returning, Table, TableError, TableName, Write};
use crate::core::clock::{Env, Micros};
use crate::model::value::{Record, new_version};
use crate::model::{CacheMode, Entity, Model, Path};

/// Attribute of a tag: its random version.
pub const VERSION: &str = "v";
/// Attribute of a tag: elements of writes that are not known to be settled.
pub const UNSETTLED: &str = "u";
/// An element older than this belongs to a writer that died or could not remove it.
pub const OVERDUE: Duration = Duration::from_secs(2);
/// Before the parts of a row's key in an element; ids hold none.
const ROW: char = '+';
/// Most items of a `TransactGetItems`.
const MAX_READ: usize = 100;

/// A tag that a write touches, with what the write changes under it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Touch {
    pub(super) tag: Key,
    pub(super) part: String,
}

/// The tags that a change of one record touches.
pub(super) fn touched(model: &Model, entity: &Entity, before: Option<&Record>, after: Option<&Record>) -> Vec<Touch> {
    let mut touches = Vec::new();
    // Answers about other entities may depend on this one (embedding, row conditions), whatever its own mode is.
    let consulted = model.entities.iter().any(|entity| entity.cache != CacheMode::Off);
    let rows_consulted = consulted && is_listed_through_relations(model, entity);
    for record in [before, after].into_iter().flatten() {
        let shard = keys::shard(&record.id, entity.shards);
        let of_entity = |part: String| Touch { tag: keys::entity_tag(entity, shard), part };
        if consulted {
            touches.push(of_entity(record.id.clone()));
        }
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            let row = keys::index_row(model, entity, index, record);
            let sk = URL_SAFE_NO_PAD.encode(&row.sk);
            if rows_consulted {
                touches.push(of_entity(format!("{ROW}{}{ROW}{sk}", URL_SAFE_NO_PAD.encode(&row.pk))));
            }
            if entity.cache != CacheMode::Off {
                touches.push(Touch { tag: keys::partition_tag(&row.pk, shard), part: sk });
            }
        }
    }
    touches
}

/// Whether index rows of an entity are read on the word of its entity tag alone: as the many side of a relation, or by a join,
/// whose partitions nobody knows before they are read.
fn is_listed_through_relations(model: &Model, entity: &Entity) -> bool {
    let is_embedded = |other: &Entity| other.to_many.iter().any(|relation| relation.target == entity.ix);
    let is_joined = |other: &Entity| {
        let vias = other.indexes.iter().flat_map(|index| &index.equality).filter_map(|path| match path {
            Path::Via(via, _) => other.to_one.iter().find(|relation| relation.field == *via),
            Path::Id | Path::Own(_) => None,
        });
        vias.into_iter().any(|relation| other.ix == entity.ix || relation.target == entity.ix)
    };
    model.entities.iter().any(|other| is_embedded(other) || is_joined(other))
}

/// All tags of a partition of an entity's index: what a list of that partition depends on.
pub fn of_partition(entity: &Entity, partition: &str) -> Vec<Key> {
    (0..entity.shards).map(|shard| keys::partition_tag(partition, shard)).collect()
}

/// All tags of an entity: what an answer that embeds or consults any of its records depends on.
pub fn of_entity(entity: &Entity) -> Vec<Key> {
    (0..entity.shards).map(|shard| keys::entity_tag(entity, shard)).collect()
}

/// The change of a tag within a transaction.
pub(super) fn change(tag: &Key, version: &str, element: &str) -> Write {
    Write::Update {
        key: tag.clone(),
        update: Expr::new("SET #v = :v ADD #u :u")
            .name("#v", VERSION)
            .name("#u", UNSETTLED)
            .value(":v", Attr::S(version.to_owned()))
            .value(":u", Attr::Ss(vec![element.to_owned()])),
        condition: None,
    }
}

/// The element of a write under one tag.
pub(super) fn element(token: &str, now: Micros, parts: &[String]) -> String {
    let mut element = format!("{token}~{}", now.millis());
    for part in parts {
        element.push('~');
        element.push_str(part);
    }
    element
}

/// Changes a tag outside of any write: everything cached under it is void from now on. A purge.
///
/// # Errors
/// What the table says.
pub async fn touch(table: &dyn Table, env: &Env, tag: Key) -> Result<(), TableError> {
    let update = Expr::new("SET #v = :v").name("#v", VERSION).value(":v", Attr::S(new_version(env)));
    let write = Write::Update { key: tag, update, condition: None };
    repeated(env, || table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
}

/// Elements that an acknowledged write has still to remove.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "until they are removed nothing under these tags is served from the cache"]
pub struct Unsettled {
    pub(super) elements: Vec<(Key, String)>,
}

impl Unsettled {
    /// Best effort: removes the elements, one call for each tag, all at a time. What fails is left to [`settle`].
    pub async fn clear(self, table: &dyn Table) {
        let removals = self.elements.into_iter().map(|(tag, element)| remove(table, tag, vec![element]));
        for outcome in future::join_all(removals).await {
            if let Err(error) = outcome {
                tracing::debug!(%error, "an element of a tag stays until somebody settles it");
            }
        }
    }
}

async fn remove(table: &dyn Table, tag: Key, elements: Vec<String>) -> Result<(), TableError> {
    let update = Expr::new("DELETE #u :u").name("#u", UNSETTLED).value(":u", Attr::Ss(elements));
    let write = Write::Update { key: tag, update, condition: Some(Expr::new("attribute_exists(pk)")) };
    match table.write(TableName::Data, write, Returning::Nothing).await {
        Err(TableError::ConditionFailed(_)) => Ok(()),
        other => other.map(drop),
    }
}

/// The elements of a tag that is not settled; empty for one that is.
pub fn unsettled(tag: &Item) -> &[String] {
    tag.attrs.get(UNSETTLED).and_then(Attr::as_ss).unwrap_or_default()
}

/// How many elements of a tag are older than a writer needs.
pub fn overdue(env: &Env, tag: &Item) -> usize {
    let now = env.now();
    unsettled(tag).iter().filter(|element| parse(&tag.key, element).is_none_or(|(made, _)| is_overdue(now, made))).count()
}

fn is_overdue(now: Micros, made: i64) -> bool {
    now.millis().saturating_sub(made) >= i64::try_from(OVERDUE.as_millis()).unwrap_or(i64::MAX)
}

/// Removes the elements of a tag that are overdue and whose commits have finished. Gives back how many were removed.
///
/// An element that names nothing readable is removed too, because nothing could ever settle it; the tag's version already
/// differs from that of every entry made before the write.
///
/// # Errors
/// What the table says; a commit that is still under way is no error.
pub async fn settle(table: &dyn Table, env: &Env, tag: &Item) -> Result<usize, TableError> {
    let now = env.now();
    let mut finished = Vec::new();
    for element in unsettled(tag) {
        let Some((made, keys)) = parse(&tag.key, element) else {
            finished.push(element.clone());
            continue;
        };
        if is_overdue(now, made) && has_finished(table, &keys).await? {
            finished.push(element.clone());
        }
    }
    let count = finished.len();
    if count > 0 {
        repeated(env, || remove(table, tag.key.clone(), finished.clone())).await?;
    }
    Ok(count)
}

async fn has_finished(table: &dyn Table, keys: &[(TableName, Key)]) -> Result<bool, TableError> {
    for keys in keys.chunks(MAX_READ) {
        match table.get_transaction(keys).await {
            Ok(_) => {}
            Err(TableError::Busy(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// When an element was made (milliseconds since 1970) and the items that it names.
fn parse(tag: &Key, element: &str) -> Option<(i64, Vec<(TableName, Key)>)> {
    let mut parts = element.split('~');
    let (_token, made) = (parts.next()?, parts.next()?.parse().ok()?);
    let under = tag.pk.strip_prefix("t#")?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let keys = parts.map(|part| {
        let key = match (under.strip_prefix("e#"), part.strip_prefix(ROW)) {
            (Some(_), Some(row)) => {
                let (pk, sk) = row.split_once(ROW)?;
                Key::new(String::from_utf8(bytes(pk)?).ok()?, bytes(sk)?)
            }
            (Some(entity), None) => Key::new(format!("r#{entity}#{part}"), keys::ONLY),
            (None, _) => Key::new(under, bytes(part)?),
        };
        Some((TableName::Data, key))
    });
    Some((made, keys.collect::<Option<Vec<_>>>()?))
}

/// Parts by tag, each part once, tags in the order of their first touch.
pub(super) fn gather(touches: impl IntoIterator<Item = Touch>) -> Vec<(Key, Vec<String>)> {
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut gathered: Vec<(Key, Vec<String>)> = Vec::new();
    for Touch { tag, part } in touches {
        let place = *places.entry(tag.clone()).or_insert_with(|| {
            gathered.push((tag, Vec::new()));
            gathered.len() - 1
        });
        if !gathered[place].1.contains(&part) {
            gathered[place].1.push(part);
        }
    }
    gathered
}
