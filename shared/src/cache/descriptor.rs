//! Where an answer is kept and what it depends on: from model, question, permission and plan alone, before anything is read.

use std::collections::BTreeSet;
use std::time::Duration;

use super::key::CacheKey;
use crate::model::{CacheMode, Entity, EntityIx, FieldType, Model, Path};
use crate::query::ListQuery;
use crate::query::plan::{QueryPlan, Scan};
use crate::query::policy::Permitted;
use crate::store::constraints::States;
use crate::store::table::Key;
use crate::store::{keys, tags};

/// Most tags of an answer: with the entry they are one `BatchGetItem`.
const MAX_TAGS: usize = 99;

/// How an answer that is kept may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only while its tags say what they said.
    Strict,
    /// Without asking, until this much time has passed since they did.
    Bounded(Duration),
}

/// Everything that the cache knows of a read.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryDescriptor {
    /// Key of its answer.
    pub key: CacheKey,
    /// What it depends on, in a fixed order.
    pub tags: Vec<Key>,
    /// Use of the answer.
    pub mode: Mode,
}

impl EntryDescriptor {
    /// Where the answer of a planned list is kept; `None` where it may not be, or depends on too much.
    pub fn of_list(model: &Model, states: &States, permitted: &Permitted<ListQuery>, plan: &QueryPlan) -> Option<Self> {
        let entity = model.entity(permitted.query().entity);
        let mut others = others(model, permitted);
        let of_scan = |scan: &Scan| tags::of_partition(entity, entity.index(scan.index), &scan.pk);
        let own: BTreeSet<Key> = plan.scans.iter().flat_map(of_scan).collect();
        // Rows that carry only some fields are completed from their records, whose commit the entity's tag tells. Which
        // partitions a join reads is not known before it is read.
        let completed = plan.scans.iter().any(|scan| entity.index(scan.index).projection.is_some());
        if completed || !plan.joins.is_empty() {
            others.insert(entity.ix);
        }
        others.extend(plan.joins.iter().map(|join| join.parent));
        Self::new(model, states, permitted, None, own, &others)
    }

    /// Where the answer of a single read is kept; `None` as for [`EntryDescriptor::of_list`].
    pub fn of_record(model: &Model, states: &States, permitted: &Permitted<ListQuery>, id: &str) -> Option<Self> {
        let entity = model.entity(permitted.query().entity);
        let own = BTreeSet::from([keys::entity_tag(entity, keys::shard(id, entity.shards))]);
        let others = others(model, permitted);
        Self::new(model, states, permitted, Some(id), own, &others)
    }

    fn new(
        model: &Model,
        states: &States,
        permitted: &Permitted<ListQuery>,
        record: Option<&str>,
        own: BTreeSet<Key>,
        others: &BTreeSet<EntityIx>,
    ) -> Option<Self> {
        if !states.tags_are_kept() {
            return None;
        }
        let mode = mode(model, permitted, others)?;
        let mut tags = own;
        tags.insert(keys::global_tag());
        tags.extend(others.iter().flat_map(|other| tags::of_entity(model.entity(*other))));
        let tags: Vec<Key> = tags.into_iter().collect();
        let key = || CacheKey::new(model, states, permitted, record);
        (tags.len() <= MAX_TAGS).then(|| Self { key: key(), tags, mode })
    }
}

/// Whether an answer needs more than its own records: what one read gives by itself is not worth keeping.
pub fn reads_others(model: &Model, permitted: &Permitted<ListQuery>) -> bool {
    !others(model, permitted).is_empty()
}

/// Entities whose records the answer embeds, or that a row condition or a filter reads, at all depths.
fn others(model: &Model, permitted: &Permitted<ListQuery>) -> BTreeSet<EntityIx> {
    let mut others = BTreeSet::new();
    consulted(model, permitted, &mut others);
    others
}

fn consulted(model: &Model, permitted: &Permitted<ListQuery>, others: &mut BTreeSet<EntityIx>) {
    let query = permitted.query();
    let entity = model.entity(query.entity);
    let filtered = query.filters.iter().chain(&query.fixed).map(|comparison| comparison.path);
    others.extend(filtered.filter_map(|path| behind(entity, path)));
    permitted.access().paths(&mut |path| others.extend(behind(entity, path)));
    for (related, access) in permitted.all_related() {
        others.insert(related);
        access.paths(&mut |path| others.extend(behind(model.entity(related), path)));
    }
    for include in permitted.includes() {
        others.insert(include.target.query().entity);
        consulted(model, &include.target, others);
    }
}

/// The entity that a path over a relation reads.
fn behind(entity: &Entity, path: Path) -> Option<EntityIx> {
    match path {
        Path::Via(via, _) => match entity.field(via).kind {
            FieldType::Ref { target, .. } => Some(target),
            _ => None,
        },
        Path::Id | Path::Own(_) => None,
    }
}

/// What the model allows: nothing where anything shown is of an entity with `cache: off`; `bounded` where all that is shown or
/// consulted is, by the least of the bounds, since who may see what must not be older either.
fn mode(model: &Model, permitted: &Permitted<ListQuery>, others: &BTreeSet<EntityIx>) -> Option<Mode> {
    let mut shown = BTreeSet::new();
    collect_shown(permitted, &mut shown);
    if shown.iter().any(|entity| model.entity(*entity).cache == CacheMode::Off) {
        return None;
    }
    let bounds = shown.union(others).map(|entity| match model.entity(*entity).cache {
        CacheMode::Bounded(bound) => Some(bound),
        CacheMode::Strict | CacheMode::Off => None,
    });
    let least = bounds.reduce(|a, b| Some(a?.min(b?))).flatten();
    Some(least.map_or(Mode::Strict, Mode::Bounded))
}

fn collect_shown(permitted: &Permitted<ListQuery>, shown: &mut BTreeSet<EntityIx>) {
    shown.insert(permitted.query().entity);
    permitted.includes().iter().for_each(|include| collect_shown(&include.target, shown));
}
