//! Costs of writes, and how many per second each entity takes: the report of `model check`.
//!
//! One write is announced at its tags and gates (one unit each), committed by one transaction, and settled (one unit each again). Items
//! of the transaction: the record, a row for each stored index, rows of unique values and of references, the fence, and two attached
//! writes (idempotency, audit); each costs 2 write units per started KB. Tags: one for each partition of an index with equality fields
//! that lists are cached on, and one of the entity. Gates: one for each reference that comes.

use std::fmt;

use serde_json::{Value, json};

use crate::model::schema::{CacheMode, Entity, FieldType, Index, Model, PER_ITEM, Path};

/// Maximum number of items in one DynamoDB transaction.
pub const MAX_ITEMS: usize = 100;
/// Write units per second of one item or partition.
const PARTITION_UNITS: u32 = 1000;
/// Attached writes: idempotency row and audit entry.
const ATTACHED: usize = 2;
/// The fence, or what a delete requires of the record's gate.
const ONE: usize = 1;

/// Minimum and maximum cost of one kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteCost {
    /// Items of the transaction: if no row moves, and if all do.
    pub items: (usize, usize),
    /// Calls: the transaction, and two for each tag and gate.
    pub calls: (usize, usize),
    /// Write units, with items of up to 1 KB.
    pub units: (usize, usize),
    /// Write units with the largest record that the entity allows, if all rows move.
    pub largest_units: usize,
}

/// A limit on writes per second, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// Writes per second.
    pub writes: u32,
    /// The writes that it limits, and the reason.
    pub why: String,
}

/// Report on one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// Name of the entity.
    pub entity: String,
    /// Cost of a creation.
    pub create: WriteCost,
    /// Cost of a change.
    pub update: WriteCost,
    /// Cost of a deletion, without the children that it deletes.
    pub delete: WriteCost,
    /// Limits on its writes, the tightest first.
    pub ceilings: Vec<Ceiling>,
}

/// Report on a model. `model check` prints its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Reports by entity, in the order of the file.
    pub entities: Vec<EntityReport>,
}

/// The report on a model, from what writes of each entity touch.
pub fn check(model: &Model) -> Report {
    Report { entities: model.entities.iter().map(|entity| report(model, entity)).collect() }
}

fn report(model: &Model, entity: &Entity) -> EntityReport {
    let parts = Parts::of(model, entity);
    let cost = |items: (usize, usize), announced: (usize, usize), records: usize| {
        let kilobytes = entity.max_bytes.div_ceil(1024);
        let units = |items: usize, announced: usize| 2 * items + 2 * announced;
        WriteCost {
            items,
            calls: (1 + 2 * announced.0, 1 + 2 * announced.1),
            units: (units(items.0, announced.0), units(items.1, announced.1)),
            largest_units: units(items.1 - records, announced.1) + 2 * records * kilobytes,
        }
    };
    let once = 1 + parts.rows + ATTACHED + ONE;
    let tags = parts.row_tags + parts.entity_tag;
    let (unique, references) = (parts.unique, parts.references);
    // A row that moves is a delete and a put, and its partition may change too; so do rows of unique values and references.
    let moved = (once + parts.movable + 2 * (unique + references), tags + parts.movable_tags + references);
    EntityReport {
        entity: entity.name.clone(),
        create: cost((once, once + unique + references), (tags, tags + references), 1 + parts.rows),
        update: cost((once, moved.0), (tags, moved.1), 1 + parts.rows),
        // Its gate must not be there, or goes.
        delete: cost((once + ONE, once + ONE + unique + references), (tags, tags), 0),
        ceilings: ceilings(model, entity),
    }
}

/// Maximum number of items that one write of an entity needs.
pub(in crate::model) fn most_items(model: &Model, entity: &Entity) -> usize {
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
            row_tags: cached * stored().filter(|index| !index.equality.is_empty()).count(),
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
    let half = PARTITION_UNITS / 2;
    for index in entity.indexes.iter().filter(|index| index.is_stored()) {
        let of = match names(entity, index) {
            None => "all writes".to_owned(),
            Some(fields) => format!("writes with the same {fields}"),
        };
        let shards = u32::from(entity.shards);
        let (writes, why) = if cached && !index.equality.is_empty() && PER_ITEM * shards < half {
            (PER_ITEM * shards, format!("{shards} tag(s) of its partition, each of which takes {PARTITION_UNITS} units a second"))
        } else {
            (half, format!("its partition takes {PARTITION_UNITS} units a second"))
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
            let why = format!("creations with the same {}: {shards} gate(s) of the {}", field.name, target.name);
            let rows = format!("creations with the same {}: the rows of its references are one partition", field.name);
            let gates = PER_ITEM * shards;
            ceilings.push(if gates < half { Ceiling { writes: gates, why } } else { Ceiling { writes: half, why: rows } });
        }
    }
    // Limits on all writes come before limits on some, so that the first line matters most.
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

impl Report {
    /// Its JSON: costs and ceilings of each entity.
    pub fn json(&self) -> Value {
        let cost = |cost: &WriteCost| {
            let range = |(least, most): (usize, usize)| json!({"least": least, "most": most});
            json!({"items": range(cost.items), "calls": range(cost.calls), "units": range(cost.units), "largest_units": cost.largest_units})
        };
        let entity = |entity: &EntityReport| {
            let ceilings = entity.ceilings.iter().map(|ceiling| json!({"writes": ceiling.writes, "why": ceiling.why}));
            json!({
                "entity": entity.entity,
                "create": cost(&entity.create),
                "update": cost(&entity.update),
                "delete": cost(&entity.delete),
                "ceilings": ceilings.collect::<Vec<_>>(),
            })
        };
        self.entities.iter().map(entity).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entity in &self.entities {
            writeln!(out, "{}", entity.entity)?;
            for (name, cost) in [("create", entity.create), ("update", entity.update), ("delete", entity.delete)] {
                let (items, calls, units) = (range(cost.items), range(cost.calls), range(cost.units));
                write!(out, "  {name}  {items:>7} actions  {calls:>7} calls  {units:>8} units")?;
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
