//! Counting references against guards in bounded memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::find::named;
use super::{Kind, Problem, Report, Verifier, decoded};
use crate::model::value::Record;
use crate::model::value::encode::{encode, order_at};
use crate::model::{Entity, FieldType, OnDelete, Path, by_ref};
use crate::store::table::{Item, Key, RangeQuery, TableError, TableName};
use crate::store::write::{COUNT, RESTRICTING, referred};
use crate::store::{items, keys};

/// References found minus references counted, by guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Difference {
    pub(super) count: i64,
    pub(super) restricting: i64,
}

/// The counters of one part of all guards.
pub(super) struct Counts {
    by_guard: HashMap<Key, Difference>,
    most: usize,
    parts: u64,
    part: u64,
}

impl Counts {
    pub(super) fn new(most: usize) -> Self {
        Self { by_guard: HashMap::new(), most, parts: 1, part: 0 }
    }

    fn add(&mut self, key: Key, count: i64, restricting: i64) {
        if part_of(&key, self.parts) != self.part || (count, restricting) == (0, 0) {
            return;
        }
        let difference = self.by_guard.entry(key.clone()).or_default();
        difference.count += count;
        difference.restricting += restricting;
        if *difference == Difference::default() {
            self.by_guard.remove(&key);
        }
        // Only in the first scan may the division change: later scans must divide as the first ended.
        while self.part == 0 && self.by_guard.len() > self.most {
            self.parts *= 2;
            let parts = self.parts;
            self.by_guard.retain(|key, _| part_of(key, parts) == 0);
        }
    }

    /// Guards of this part that differ; the counters are empty afterwards.
    pub(super) fn wrong(&mut self) -> Vec<(Key, Difference)> {
        let mut wrong: Vec<_> = self.by_guard.drain().collect();
        wrong.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        wrong
    }

    /// Goes to the next part; `false` where there is none.
    pub(super) fn next_part(&mut self) -> bool {
        self.part += 1;
        self.part < self.parts
    }
}

/// Parts are powers of two, so that a part of the finer division lies within one of the coarser.
fn part_of(key: &Key, parts: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() % parts
}

impl Verifier {
    /// Counts an item: a record's references for, a guard's counters against.
    pub(super) fn count(&self, counts: &mut Counts, item: &Item) {
        match item.key.pk.split_once('#').map(|(kind, _)| kind) {
            Some("g") => {
                let number = |name| item.n(name).unwrap_or(0);
                counts.add(item.key.clone(), -number(COUNT), -number(RESTRICTING));
            }
            Some("r") => {
                let Some((entity, _)) = self.entity_of(&item.key) else { return };
                let Some(record) = items::decode(item) else { return };
                for (key, restricting) in self.references(entity, &record) {
                    counts.add(key, 1, restricting);
                }
            }
            _ => {}
        }
    }

    /// The guards at which a record's references count.
    fn references(&self, entity: &Entity, record: &Record) -> Vec<(Key, i64)> {
        entity
            .fields
            .iter()
            .filter_map(|field| {
                let FieldType::Ref { target, on_delete } = field.kind else { return None };
                let target = self.model.entity(target);
                let id = referred(record.fields.get(&field.name))?;
                let guard = keys::guard(target, &id, keys::shard(&record.id, target.shards));
                Some((guard, i64::from(on_delete == OnDelete::Restrict)))
            })
            .collect()
    }

    /// Looks at a guard that differed in the scan. While writes go on that may be an illusion: it is real where the guard
    /// reads the same before and after its references have been counted again, and still differs.
    pub(super) async fn recount(&self, key: &Key, scanned: Difference, report: &mut Report) -> Result<(), TableError> {
        let Some((entity, id)) = self.entity_of(key) else { return Ok(()) };
        for _ in 0..5 {
            let before = self.one(key.clone()).await?;
            let record = decoded(self.one(keys::record(entity, id)).await?.as_ref());
            let closing = self.one(keys::tombstone(entity, id)).await?.is_some();
            let guard = |name| before.as_ref().and_then(|guard| guard.n(name)).unwrap_or(0);
            let found = Difference { count: guard(COUNT), restricting: guard(RESTRICTING) };
            let expected = match self.counted(entity, id, key).await? {
                Some(expected) => expected,
                // No index tells; the scan's count stands if the guard has not moved since.
                None => Difference { count: found.count + scanned.count, restricting: found.restricting + scanned.restricting },
            };
            let after = self.at_once(vec![key.clone()]).await?.into_iter().next().flatten();
            if after != before {
                continue;
            }
            if found == expected {
                return Ok(());
            }
            let exists = record.is_some() || closing;
            let kind = if exists { Kind::GuardCount } else { Kind::Dangling };
            let repaired = self.repair && exists && self.set_guard(key, before.as_ref(), expected).await?;
            report.add(Problem {
                kind,
                key: key.clone(),
                record: named(entity, id),
                detail: format!(
                    "{} references of which {} restrict, but the guard says {} and {}",
                    expected.count, expected.restricting, found.count, found.restricting
                ),
                repaired,
            });
            return Ok(());
        }
        Ok(())
    }

    /// The references that count at one guard, by the indexes; `None` where a relation has none.
    async fn counted(&self, entity: &Entity, id: &str, guard: &Key) -> Result<Option<Difference>, TableError> {
        let mut counted = Difference::default();
        for (child, field) in &entity.referenced_by {
            let child = self.model.entity(*child);
            let Some(index) = by_ref(child, *field).filter(|index| index.is_stored()) else { return Ok(None) };
            let parent = Record { id: id.to_owned(), version: String::new(), fields: serde_json::Map::new() };
            let value = encode(&order_at(&self.model, child, Path::Own(*field)), &parent.id_value(entity));
            let mut query = RangeQuery {
                table: TableName::Data,
                pk: keys::partition(child, index, &[value]),
                from: None,
                to: None,
                after: None,
                descending: false,
                limit: None,
                consistent: true,
                count_only: false,
            };
            let restricting = matches!(child.field(*field).kind, FieldType::Ref { on_delete: OnDelete::Restrict, .. });
            loop {
                let page = self.table.query(query.clone()).await?;
                for row in &page.items {
                    let child_id = row.s(keys::ID).unwrap_or_default();
                    if keys::guard(entity, id, keys::shard(child_id, entity.shards)) == *guard {
                        counted.count += 1;
                        counted.restricting += i64::from(restricting);
                    }
                }
                let Some(next) = page.next else { break };
                query.after = Some(next);
            }
        }
        Ok(Some(counted))
    }
}
