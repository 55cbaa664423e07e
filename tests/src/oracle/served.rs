//! Which lists an index serves, as simply as it can be said. Between "surely" and "never" the planner may do better than this.

use super::ask::{Filter, Include, OracleRequest, Way};
use super::spec::{Entity, Path, Spec};

/// Whether a list has to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// An index serves it: a refusal is wrong.
    Surely,
    /// It may be answered or refused.
    Perhaps,
    /// No index can serve it: an answer would be a scan.
    Never,
}

impl Service {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Surely, Self::Surely) => Self::Surely,
            _ => Self::Perhaps,
        }
    }
}

/// Whether a read is served, with what it embeds.
pub fn service(spec: &Spec, asked: &OracleRequest) -> Service {
    let own = if asked.id.is_some() { Service::Surely } else { of_list(spec, asked.entity, &asked.filters, &asked.sort) };
    asked.include.iter().fold(own, |so_far, include| so_far.and(of_include(spec, include)))
}

fn of_include(spec: &Spec, include: &Include) -> Service {
    let own = match include.way {
        Way::One { .. } => Service::Surely,
        Way::Many { target, field } => {
            let of_parent = Filter { path: Path::Own(field), op: "eq", with: vec![serde_json::Value::Null] };
            of_list(spec, target, &[of_parent], &include.sort)
        }
    };
    include.inner.iter().fold(own, |so_far, inner| so_far.and(of_include(spec, inner)))
}

fn of_list(spec: &Spec, entity: usize, filters: &[Filter], sort: &[(Path, bool)]) -> Service {
    let of = &spec.entities[entity];
    if of.indexes.iter().any(|index| {
        let order = full_order(index.sort.clone());
        // Behind a join rows are found by their parents, whatever stands in the sort.
        let join = index.equality.iter().any(|path| matches!(path, Path::Via(..)));
        // Who has no parent is found by none, so null is no value to join by.
        let about = |path: Path| filters.iter().filter(move |filter| filter.path == path);
        let fixed =
            |path: &Path| about(*path).any(Filter::is_fixing) && !(join && about(*path).any(|filter| filter.op == "null"));
        let first = order.first().map(|(path, _)| *path).filter(|_| !join);
        let served = |filter: &Filter| {
            let equality = index.equality.contains(&filter.path) && filter.is_fixing();
            let range = Some(filter.path) == first && !matches!(filter.op, "ne" | "nin" | "contains");
            equality || range || spec.may_scan(entity, filter.path)
        };
        index.equality.iter().all(fixed) && filters.iter().all(served) && is_order(of, filters, &order, sort)
    }) {
        return Service::Surely;
    }
    let in_some_index = |path: Path| {
        path == Path::Id
            || of.indexes.iter().any(|index| index.equality.contains(&path) || index.sort.iter().any(|(by, _)| *by == path))
    };
    let hopeless = |filter: &Filter| {
        let unserved = matches!(filter.op, "ne" | "nin" | "contains") || !in_some_index(filter.path);
        unserved && !spec.may_scan(entity, filter.path)
    };
    let single = |path: Path| filters.iter().any(|filter| filter.path == path && filter.is_single());
    let first = sort.iter().map(|(path, _)| *path).find(|path| !single(*path));
    let unsortable = first
        .is_some_and(|path| path != Path::Id && !of.indexes.iter().any(|index| index.sort.iter().any(|(by, _)| *by == path)));
    if filters.iter().any(hopeless) || unsortable { Service::Never } else { Service::Perhaps }
}

fn full_order(mut sort: Vec<(Path, bool)>) -> Vec<(Path, bool)> {
    if !sort.iter().any(|(path, _)| *path == Path::Id) {
        sort.push((Path::Id, false));
    }
    sort
}

/// Whether rows in `order`, read forwards or backwards, are in the order asked for.
fn is_order(of: &Entity, filters: &[Filter], order: &[(Path, bool)], sort: &[(Path, bool)]) -> bool {
    let open = |(path, _): &&(Path, bool)| !filters.iter().any(|filter| filter.path == *path && filter.is_single());
    let (order, mut sort): (Vec<_>, Vec<_>) = (order.iter().filter(open).collect(), sort.iter().filter(open).collect());
    if let Some(at) = sort.iter().position(|(path, _)| *path == Path::Id) {
        sort.truncate(at + 1);
    }
    if sort.len() > order.len() {
        return false;
    }
    let nullable = |path: Path| matches!(path, Path::Own(field) if of.fields[field].nullable() || of.fields[field].read_only);
    let forwards = sort.iter().zip(&order).all(|(asked, given)| asked == given);
    let backwards = sort.iter().zip(&order).all(|(asked, given)| asked.0 == given.0 && asked.1 != given.1 && !nullable(asked.0));
    forwards || backwards
}
