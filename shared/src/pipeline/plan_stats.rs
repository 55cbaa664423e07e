//! Statistics of a list that was read: its form without values, and the index that would have served it better.

use std::time::Duration;

use crate::model::{Entity, FieldType, Index, Model, Op, Path, SortPart};
use crate::query::ListQuery;
use crate::query::plan::QueryPlan;
use crate::usage::plan_stats::{PlanObservation, PlanStats};

use super::list::Page;

/// Statistics of a page.
pub fn of(model: &Model, query: &ListQuery, plan: &QueryPlan, page: &Page, took: Duration) -> PlanObservation {
    let stats = PlanStats {
        calls: 1,
        examined: page.examined as u64,
        returned: page.rows.len() as u64,
        units: 0.0,
        millis: took.as_secs_f64() * 1_000.0,
        index: better(model, query, plan).unwrap_or_default(),
    };
    PlanObservation { form: form(model, query, plan), stats }
}

/// `order: status[eq], total[gte]; sort -placed_at; by by_status`.
fn form(model: &Model, query: &ListQuery, plan: &QueryPlan) -> String {
    let entity = model.entity(query.entity);
    let mut filters: Vec<String> =
        query.filters.iter().map(|filter| format!("{}[{}]", name(model, entity, filter.path), filter.op.name())).collect();
    filters.sort();
    filters.dedup();
    let mut parts = vec![if filters.is_empty() { "all".to_owned() } else { filters.join(", ") }];
    if let Some(sort) = &query.sort {
        parts.push(format!("sort {}", order(model, entity, sort)));
    }
    let indexes: Vec<&str> = indexes(entity, plan).map(|index| index.name.as_str()).collect();
    parts.push(format!("by {}", indexes.join(", ")));
    if query.count {
        parts.push("count".to_owned());
    }
    format!("{}: {}", entity.name, parts.join("; "))
}

/// The indexes that it reads, each once.
fn indexes<'m>(entity: &'m Entity, plan: &QueryPlan) -> impl Iterator<Item = &'m Index> {
    let mut used: Vec<_> = plan.scans.iter().map(|scan| scan.index).chain(plan.joins.iter().map(|join| join.index)).collect();
    used.sort_unstable_by_key(|index| index.0);
    used.dedup();
    used.into_iter().map(|index| entity.index(index))
}

/// An index over all that the caller filters by, where the one that was read leaves some of it to be evaluated row by row.
fn better(model: &Model, query: &ListQuery, plan: &QueryPlan) -> Option<String> {
    let entity = model.entity(query.entity);
    let served = |path: Path| {
        indexes(entity, plan).all(|index| index.equality.contains(&path) || index.sort.iter().any(|part| part.by == path))
    };
    // No index can serve a list of values within a record, nor a negation.
    let indexable = |path: Path| !matches!(path, Path::Own(field) if matches!(entity.field(field).kind, FieldType::List { .. }));
    let narrow = |op: Op| !matches!(op, Op::Ne | Op::Nin | Op::Contains);
    let left = query.filters.iter().filter(|filter| indexable(filter.path) && narrow(filter.op));
    if left.clone().all(|filter| served(filter.path)) {
        return None;
    }
    let fixed = |op: Op| matches!(op, Op::Eq | Op::In);
    let mut equality: Vec<String> =
        left.clone().filter(|filter| fixed(filter.op)).map(|filter| name(model, entity, filter.path)).collect();
    equality.dedup();
    let mut sort: Vec<String> = left.filter(|filter| !fixed(filter.op)).map(|filter| name(model, entity, filter.path)).collect();
    sort.truncate(1);
    if sort.is_empty() {
        sort.extend(query.sort.iter().flatten().map(|part| part_name(model, entity, part)));
    }
    let called = equality.iter().chain(&sort).map(|name| name.trim_start_matches('-').replace('.', "_"));
    let called = called.collect::<Vec<_>>().join("_");
    let parts = [("equality", &equality), ("sort", &sort)];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty()).map(|(key, names)| format!("{key}: [{}]", names.join(", ")));
    Some(format!("by_{called}: {{{}}}", parts.collect::<Vec<_>>().join(", ")))
}

fn order(model: &Model, entity: &Entity, sort: &[SortPart]) -> String {
    sort.iter().map(|part| part_name(model, entity, part)).collect::<Vec<_>>().join(",")
}

fn part_name(model: &Model, entity: &Entity, part: &SortPart) -> String {
    format!("{}{}", if part.descending { "-" } else { "" }, name(model, entity, part.by))
}

fn name(model: &Model, entity: &Entity, path: Path) -> String {
    match path {
        Path::Id => "id".to_owned(),
        Path::Own(field) => entity.field(field).name.clone(),
        Path::Via(via, field) => match &entity.field(via).kind {
            FieldType::Ref { target, .. } => {
                format!("{}.{}", entity.field(via).name.trim_end_matches("_id"), model.entity(*target).field(field).name)
            }
            _ => entity.field(via).name.clone(),
        },
    }
}

/// Names of the deprecated things that a list asks for by name: `book.sku`.
pub fn deprecated(model: &Model, query: &ListQuery) -> Vec<String> {
    let entity = model.entity(query.entity);
    let own = |path: Path| if let Path::Own(field) = path { Some(field) } else { None };
    let filters = query.filters.iter().filter_map(|filter| own(filter.path));
    let sorts = query.sort.iter().flatten().filter_map(|part| own(part.by));
    let named = filters.chain(sorts).collect::<Vec<_>>();
    let mentioned = |field: &crate::model::Field| {
        named.contains(&field.ix) || query.fields.as_ref().is_some_and(|selection| selection.shows(field.ix))
    };
    let old = entity.fields.iter().filter(|field| field.deprecated.is_some() && mentioned(field));
    old.map(|field| format!("{}.{}", entity.name, field.name)).collect()
}
