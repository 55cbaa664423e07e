//! Messages about a list that cannot be planned or counted: which index would serve it.

use super::query_plan::{NoIndex, QueryPlan};
use super::range::may_scan;
use crate::model::{Entity, EntityIx, FieldType, IndexIx, Model, Op, Path, is_sortable};
use crate::query::ListQuery;
use crate::query::condition::Comparison;
use crate::query::policy::Permitted;
use crate::store::constraints::States;

/// Most access paths that a message names.
const MAX_ACCESS_PATHS: usize = 5;

/// A list that no index serves.
pub(super) fn no_index(model: &Model, query: &ListQuery) -> NoIndex {
    let entity = model.entity(query.entity);
    let unserved = |filter: &&Comparison| !may_scan(model, entity, filter.path);
    if let Some(filter) = query.filters.iter().filter(unserved).find(|filter| !fits_an_index(model, entity, filter)) {
        let field = name(model, entity, filter.path);
        let parameter = if filter.op == Op::Eq { field.clone() } else { format!("{field}[{}]", filter.op.name()) };
        let instead = match kind(model, entity, filter.path) {
            Some(FieldType::Json { .. } | FieldType::File(_)) => "filter by other fields".to_owned(),
            Some(kind) if !is_sortable(kind) => format!("mark {field} with filter: scan"),
            None => "filter by its values".to_owned(),
            Some(_) => format!("mark {field} with filter: scan, or filter by its values"),
        };
        return NoIndex { help: format!("no index can serve {parameter}: {instead}"), parameter, is_building: false };
    }
    let unordered = |path: Path| !kind(model, entity, path).is_none_or(is_sortable);
    if let Some(part) = query.sort.iter().flatten().find(|part| unordered(part.by)) {
        let help = format!("no index can serve this sort: values of {} have no order", name(model, entity, part.by));
        return NoIndex { parameter: "sort".to_owned(), help, is_building: false };
    }
    let (equality, sort) = wanted(model, entity, query);
    let scan = if query.filters.is_empty() { "" } else { ", or mark a filtered field with filter: scan" };
    let help = format!("no index of {} serves this; declare one with {}{scan}", entity.name, definition(&equality, &sort));
    NoIndex { parameter: parameter(model, entity, query), help, is_building: false }
}

/// Records whose values stand under another name still.
pub(super) fn moving(model: &Model, entity: EntityIx) -> NoIndex {
    let plural = &model.entity(entity).plural;
    let help = format!("the values of {plural} have the names of an earlier model still; they follow by `holdfast migrate`");
    NoIndex { parameter: String::new(), help, is_building: true }
}

/// A list that an index of the model would serve which is not complete.
pub(super) fn not_built(model: &Model, states: &States, query: &ListQuery, plan: &QueryPlan) -> NoIndex {
    let entity = model.entity(query.entity);
    let own = plan.scans.iter().map(|scan| scan.index).chain(plan.joins.iter().map(|join| join.index));
    let mut missing: Vec<(&Entity, IndexIx)> = own.map(|index| (entity, index)).collect();
    // Which index of the parents a join reads is not kept in the plan.
    let parents = plan.joins.iter().map(|join| model.entity(join.parent));
    missing.extend(parents.flat_map(|parent| parent.indexes.iter().map(move |index| (parent, index.ix))));
    missing.retain(|(entity, index)| !states.is_ready(entity.ix, *index));
    let index = |(entity, index): &(&Entity, IndexIx)| {
        entity.indexes.iter().find(|own| own.ix == *index).map(|index| format!("{} {}", entity.name, index.name))
    };
    let mut names: Vec<String> = missing.iter().filter_map(index).collect();
    names.dedup();
    let names: Vec<String> = names.into_iter().take(MAX_ACCESS_PATHS).collect();
    let help = format!("the index that serves this is not built yet ({}); it is after `holdfast migrate`", names.join(", "));
    NoIndex { parameter: parameter(model, entity, query), help, is_building: true }
}

/// What would make a count possible that examines more rows than a request may.
pub fn to_count(model: &Model, permitted: &Permitted<ListQuery>) -> String {
    let query = permitted.query();
    let entity = model.entity(query.entity);
    let most = model.limits.examine;
    let (equality, sort) = wanted(model, entity, &ListQuery { sort: None, ..query.clone() });
    if equality.is_empty() && sort.is_empty() {
        let there = match access_paths(model, permitted) {
            paths if paths.is_empty() => String::new(),
            paths => format!(", such as {}", paths.join(" or ")),
        };
        return format!(
            "a request examines at most {most} rows, so all {} are not counted once they are more; a filter by the equality of an index narrows them{there}",
            entity.plural
        );
    }
    let exact = entity.indexes.iter().any(|index| {
        let fixed: Vec<String> = index.equality.iter().map(|path| name(model, entity, *path)).collect();
        let ordered = index.sort.first().map(|part| name(model, entity, part.by));
        fixed.len() == equality.len()
            && equality.iter().all(|path| fixed.contains(path))
            && sort.first().is_none_or(|first| ordered.as_ref() == Some(first))
    });
    if exact {
        return format!(
            "a request examines at most {most} rows, and an index finds more of {} by this filter; narrow it by a further field of an index",
            entity.plural
        );
    }
    format!(
        "counting would examine more than {most} rows of {}; declare an index with {}, which finds only those that the filter names",
        entity.name,
        definition(&equality, &sort)
    )
}

/// What an index must have for a query: its equality fields, and the order of its rows.
fn wanted(model: &Model, entity: &Entity, query: &ListQuery) -> (Vec<String>, Vec<String>) {
    let name = |path: Path| name(model, entity, path);
    let all = || query.filters.iter().chain(&query.fixed).filter(|filter| fits_an_index(model, entity, filter));
    // A filter by id needs no index of its own: the id is the last part of every one.
    let fixed = |filter: &&Comparison| filter.fixed().is_some() && filter.path != Path::Id;
    let mut equality: Vec<String> = all().filter(fixed).map(|filter| name(filter.path)).collect();
    equality.dedup();
    let ranges = all().filter(|filter| filter.fixed().is_none()).map(|filter| name(filter.path));
    let mut sort: Vec<String> =
        query.sort.iter().flatten().map(|part| format!("{}{}", if part.descending { "-" } else { "" }, name(part.by))).collect();
    for range in ranges {
        if !sort.iter().any(|part| part.trim_start_matches('-') == range) {
            sort.insert(0, range);
        }
    }
    (equality, sort)
}

/// Whether some index could serve a filter: rows stand together by values of this type, and by what is asked of them.
fn fits_an_index(model: &Model, entity: &Entity, filter: &Comparison) -> bool {
    !matches!(filter.op, Op::Ne | Op::Nin | Op::Contains) && kind(model, entity, filter.path).is_none_or(is_sortable)
}

fn definition(equality: &[String], sort: &[String]) -> String {
    format!("equality: [{}] and sort: [{}]", equality.join(", "), sort.join(", "))
}

/// Filters that indexes serve, as they stand in a query string; only those by fields that the caller may read.
fn access_paths(model: &Model, permitted: &Permitted<ListQuery>) -> Vec<String> {
    let entity = model.entity(permitted.query().entity);
    let readable = permitted.access().widest();
    let mut paths = Vec::new();
    for index in entity.indexes.iter().filter(|index| index.is_stored() && !index.equality.is_empty()) {
        let visible = index.equality.iter().all(|path| matches!(path, Path::Own(field) if readable.contains(*field)));
        let names: Vec<String> = index.equality.iter().map(|path| format!("{}=", name(model, entity, *path))).collect();
        if visible && !paths.contains(&names.join("&")) && paths.len() < MAX_ACCESS_PATHS {
            paths.push(names.join("&"));
        }
    }
    paths
}

/// The parameter that a list fails by.
fn parameter(model: &Model, entity: &Entity, query: &ListQuery) -> String {
    match (query.sort.is_some(), query.filters.last()) {
        (true, _) => "sort".to_owned(),
        (false, Some(filter)) => name(model, entity, filter.path),
        (false, None) => "include".to_owned(),
    }
}

/// What a path is called in a query string.
fn name(model: &Model, entity: &Entity, path: Path) -> String {
    match path {
        Path::Id => "id".to_owned(),
        Path::Own(field) => entity.field(field).name.clone(),
        Path::Via(reference, field) => {
            let relation = entity.to_one.iter().find(|relation| relation.field == reference);
            let target = relation.map(|relation| model.entity(relation.target));
            format!(
                "{}.{}",
                relation.map_or("", |relation| &relation.name),
                target.map_or("", |target| target.field(field).name.as_str())
            )
        }
    }
}

fn kind<'a>(model: &'a Model, entity: &'a Entity, path: Path) -> Option<&'a FieldType> {
    match path {
        Path::Id => None,
        Path::Own(field) => Some(&entity.field(field).kind),
        Path::Via(reference, field) => match entity.field(reference).kind {
            FieldType::Ref { target, .. } => Some(&model.entity(target).field(field).kind),
            _ => None,
        },
    }
}
