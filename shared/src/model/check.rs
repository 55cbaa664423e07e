//! What writes of each entity cost, and how many a second it takes: the report of `model check`.
//!
//! One write is one transaction. Its items: the record, a row for each stored index, rows of unique values, a guard of each
//! record that it refers to, its own guards (created and removed with it), a tag for each index partition that lists are cached
//! on, one of the entity, and two riders (idempotency, audit). Each costs 2 write units for each started KB.

use std::fmt;

use super::schema::{CacheMode, Entity, FieldType, Index, Model, Path};

/// Items of one DynamoDB transaction.
pub const MAX_ITEMS: usize = 100;
/// Transactions a second that one item takes: one at a time, of 25 ms each when things are slow.
pub const PER_ITEM: u32 = 40;
/// Write units a second of one partition.
const PARTITION_UNITS: u32 = 1000;
/// Idempotency row and audit entry.
const RIDERS: usize = 2;

/// What one kind of write costs at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteCost {
    /// Items of the transaction: when nothing moves, and when everything does.
    pub items: (usize, usize),
    /// Write units, with items of up to 1 KB.
    pub units: (usize, usize),
    /// Write units with the largest record that the entity allows and everything moving.
    pub largest_units: usize,
}

/// A limit on writes a second, and what sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// Writes a second.
    pub writes: u32,
    /// Which writes it limits, and why.
    pub why: String,
}

/// The report on one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// The entity.
    pub entity: String,
    /// One creation.
    pub create: WriteCost,
    /// One change.
    pub update: WriteCost,
    /// One deletion, of its children apart.
    pub delete: WriteCost,
    /// Limits on its writes, the tightest first.
    pub ceilings: Vec<Ceiling>,
}

/// The report on a model. `Display` is what `model check` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// By entity, in the file's order.
    pub entities: Vec<EntityReport>,
}

/// Counts what writes of each entity touch.
pub fn check(model: &Model) -> Report {
    Report { entities: model.entities.iter().map(|entity| report(model, entity)).collect() }
}

fn report(model: &Model, entity: &Entity) -> EntityReport {
    let parts = Parts::of(model, entity);
    let own_guards = if entity.is_referenced() { usize::from(entity.shards) } else { 0 };
    let once = 1 + parts.rows + RIDERS + parts.row_tags + parts.entity_tag;
    let cost = |items: (usize, usize), records: usize| {
        let kilobytes = entity.max_bytes.div_ceil(1024);
        let largest_units = 2 * (items.1 - records) + 2 * records * kilobytes;
        WriteCost { items, units: (2 * items.0, 2 * items.1), largest_units }
    };
    let born = (once + own_guards, once + own_guards + parts.unique + parts.references);
    // A row that moves is a delete and a put, and its partition may change too; so do unique rows and referenced guards.
    let moved = once + parts.movable + parts.movable_tags + 2 * (parts.unique + parts.references);
    EntityReport {
        entity: entity.name.clone(),
        create: cost(born, 1 + parts.rows),
        update: cost((once, moved), 1 + parts.rows),
        delete: cost(born, 0),
        ceilings: ceilings(model, entity),
    }
}

/// Most items that one write of an entity can need.
pub(super) fn most_items(model: &Model, entity: &Entity) -> usize {
    let report = report(model, entity);
    report.create.items.1.max(report.update.items.1)
}

struct Parts {
    rows: usize,
    /// Rows whose key can change.
    movable: usize,
    row_tags: usize,
    movable_tags: usize,
    entity_tag: usize,
    unique: usize,
    references: usize,
}

impl Parts {
    fn of(model: &Model, entity: &Entity) -> Self {
        let stored = || entity.indexes.iter().filter(|index| index.is_stored());
        let rows = stored().count();
        let changes = |path: &Path| matches!(path, Path::Own(ix) if !entity.field(*ix).immutable);
        let cached = usize::from(entity.cache != CacheMode::Off);
        Self {
            rows,
            movable: stored()
                .filter(|index| index.equality.iter().chain(index.sort.iter().map(|part| &part.by)).any(changes))
                .count(),
            row_tags: cached * rows,
            movable_tags: cached * stored().filter(|index| index.equality.iter().any(changes)).count(),
            entity_tag: usize::from(model.entities.iter().any(|entity| entity.cache != CacheMode::Off)),
            unique: entity.fields.iter().filter(|field| field.unique).count(),
            references: entity.fields.iter().filter(|field| matches!(field.kind, FieldType::Ref { .. })).count(),
        }
    }
}

fn ceilings(model: &Model, entity: &Entity) -> Vec<Ceiling> {
    let mut ceilings = Vec::new();
    let cached = entity.cache != CacheMode::Off;
    for index in entity.indexes.iter().filter(|index| index.is_stored()) {
        let of = match names(entity, index) {
            None => "all writes".to_owned(),
            Some(fields) => format!("writes with the same {fields}"),
        };
        let shards = u32::from(entity.shards);
        let (writes, why) = if cached && PER_ITEM * shards < PARTITION_UNITS / 2 {
            (PER_ITEM * shards, format!("{shards} tag(s) of its partition, each of which takes one transaction at a time"))
        } else {
            (PARTITION_UNITS / 2, "its partition takes 1000 units a second".to_owned())
        };
        ceilings.push(Ceiling { writes, why: format!("{of}: index `{}`: {why}", index.name) });
    }
    if model.entities.iter().any(|entity| entity.cache != CacheMode::Off) {
        let shards = u32::from(entity.shards);
        let why = format!("all writes: {shards} tag(s) of the entity; `contention` sets how many");
        ceilings.push(Ceiling { writes: PER_ITEM * shards, why });
    }
    for field in &entity.fields {
        if let FieldType::Ref { target, .. } = field.kind {
            let target = model.entity(target);
            let shards = u32::from(target.shards);
            let why = format!("creations with the same {}: {shards} guard(s) of the {}", field.name, target.name);
            ceilings.push(Ceiling { writes: PER_ITEM * shards, why });
        }
    }
    // Those of all writes before those of some, so that the first line is the one to know.
    ceilings.sort_by_key(|ceiling| (!ceiling.why.starts_with("all"), ceiling.writes));
    ceilings
}

fn names(entity: &Entity, index: &Index) -> Option<String> {
    let names: Vec<&str> = index
        .equality
        .iter()
        .filter_map(|path| match path {
            Path::Own(ix) => Some(entity.field(*ix).name.as_str()),
            Path::Id | Path::Via(..) => None,
        })
        .collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entity in &self.entities {
            writeln!(out, "{}", entity.entity)?;
            for (name, cost) in [("create", entity.create), ("update", entity.update), ("delete", entity.delete)] {
                let (items, units) = (range(cost.items), range(cost.units));
                write!(out, "  {name}  {items:>7} actions  {units:>8} units")?;
                writeln!(
                    out,
                    "{}",
                    if cost.largest_units > cost.units.1 {
                        format!("  (largest record: {})", cost.largest_units)
                    } else {
                        String::new()
                    }
                )?;
            }
            for ceiling in &entity.ceilings {
                writeln!(out, "  {:>6}  {:>7} a second  {}", "at most", ceiling.writes, ceiling.why)?;
            }
        }
        Ok(())
    }
}

fn range((least, most): (usize, usize)) -> String {
    if least == most { least.to_string() } else { format!("{least}-{most}") }
}
