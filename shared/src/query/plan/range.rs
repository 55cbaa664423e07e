//! From comparisons to the part of a partition that can hold matching rows.

use serde_json::Value;

use crate::model::value::encode::{self, FIRST_PRESENT, Order, order_at};
use crate::model::{Entity, FieldType, Index, Model, Op, Path, SortPart};
use crate::query::condition::Comparison;
use crate::store::keys;

use super::query_plan::{MAX_SCANS, Scan};

/// The values that constraints fix a path to: the smallest set among them.
pub(super) fn fixed<'a>(constraints: &[&'a Comparison], path: Path) -> Option<Vec<&'a Value>> {
    static NULL: Value = Value::Null;
    constraints
        .iter()
        .filter(|comparison| comparison.path == path)
        .filter_map(|comparison| match comparison.op {
            Op::Eq | Op::In => Some(comparison.operands.iter().collect::<Vec<_>>()),
            Op::Null if comparison.operands.first() == Some(&Value::Bool(true)) => Some(vec![&NULL]),
            _ => None,
        })
        .min_by_key(Vec::len)
}

/// The order of an index with the id at its end.
pub(super) fn full_order(index: &Index) -> Vec<SortPart> {
    let mut order = index.sort.clone();
    if !order.iter().any(|part| part.by == Path::Id) {
        order.push(SortPart { by: Path::Id, descending: false });
    }
    order
}

/// Encoded combinations of the values of several paths; `None` where there are too many.
pub(super) fn combinations(model: &Model, entity: &Entity, paths: &[(Path, Vec<&Value>)]) -> Option<Vec<Vec<Vec<u8>>>> {
    let mut all: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for (path, values) in paths {
        let order = order_at(model, entity, *path);
        let mut encoded: Vec<Vec<u8>> = values.iter().map(|value| encode::encode(&order, value)).collect();
        encoded.sort();
        encoded.dedup();
        if all.len() * encoded.len() > MAX_SCANS {
            return None;
        }
        all = all
            .iter()
            .flat_map(|start| encoded.iter().map(move |value| start.iter().chain([value]).cloned().collect()))
            .collect();
    }
    Some(all)
}

/// The scans of some partitions of an index, narrowed by what constraints say of its sort fields, and how many of those fields
/// they narrow.
pub(super) fn scans(
    model: &Model,
    entity: &Entity,
    index: &Index,
    partitions: &[String],
    constraints: &[&Comparison],
) -> (Vec<Scan>, Vec<Path>) {
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut used = Vec::new();
    let mut bounds = None;
    for part in full_order(index) {
        let Some(values) = fixed(constraints, part.by) else {
            bounds = narrow(model, entity, part, constraints);
            if bounds.is_some() {
                used.push(part.by);
            }
            break;
        };
        if prefixes.len() * values.len() * partitions.len() > MAX_SCANS {
            break;
        }
        let order = order_at(model, entity, part.by);
        prefixes = prefixes
            .iter()
            .flat_map(|prefix| {
                let order = &order;
                values.iter().map(move |value| {
                    let mut longer = prefix.clone();
                    encode::append(&mut longer, order, value, part.descending);
                    longer
                })
            })
            .collect();
        prefixes.sort();
        prefixes.dedup();
        used.push(part.by);
    }
    let scans = partitions.iter().flat_map(|pk| prefixes.iter().map(|prefix| scan(index, pk, prefix, bounds.as_ref()))).collect();
    (scans, used)
}

/// Lowest and highest bytes of one part.
type Bounds = (Vec<u8>, Vec<u8>);

fn scan(index: &Index, pk: &str, prefix: &[u8], bounds: Option<&Bounds>) -> Scan {
    let join = |end: &[u8]| [prefix, end].concat();
    let (from, to) = match bounds {
        Some((from, to)) => (Some(join(from)), Some(join(to))),
        None if prefix.is_empty() => (None, None),
        None => (Some(prefix.to_vec()), after(prefix)),
    };
    Scan { index: index.ix, pk: pk.to_owned(), from, to }
}

fn narrow(model: &Model, entity: &Entity, part: SortPart, constraints: &[&Comparison]) -> Option<Bounds> {
    let order = order_at(model, entity, part.by);
    let mut bounds: Option<Bounds> = None;
    for comparison in constraints.iter().filter(|comparison| comparison.path == part.by) {
        let Some(operand) = comparison.operands.first() else { continue };
        let mut value = Vec::new();
        encode::append(&mut value, &order, operand, part.descending);
        let (from, to) = match (comparison.op, part.descending) {
            (Op::Gt | Op::Gte, false) | (Op::Lt | Op::Lte, true) => (value, vec![FIRST_PRESENT + 1]),
            (Op::Lt | Op::Lte, false) | (Op::Gt | Op::Gte, true) => (vec![FIRST_PRESENT], end_of(&value)),
            (Op::Prefix, _) if order == Order::Text => {
                let start = encode::text_prefix(operand.as_str().unwrap_or_default(), part.descending);
                let end = end_of(&start);
                (start, end)
            }
            // Words that begin alike do not stand together, and what is no text begins with nothing.
            (Op::Prefix, _) if matches!(order, Order::Enum(_)) => continue,
            (Op::Prefix, _) => (vec![FIRST_PRESENT + 1], vec![FIRST_PRESENT]),
            (Op::Null, _) if operand == &Value::Bool(false) => (vec![FIRST_PRESENT], vec![FIRST_PRESENT + 1]),
            _ => continue,
        };
        bounds = Some(match bounds {
            None => (from, to),
            Some((low, high)) => (low.max(from), high.min(to)),
        });
    }
    bounds
}

/// The least bytes behind everything that begins with `prefix`; `None` where nothing is: nulls (0xFF) at the end of a partition.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The least bytes behind everything that begins with a value that is there: at the latest, what is behind all of them.
fn end_of(value: &[u8]) -> Vec<u8> {
    after(value).unwrap_or_else(|| vec![FIRST_PRESENT + 1])
}

/// The partitions of an index for combinations of its equality values.
pub(super) fn partitions(entity: &Entity, index: &Index, combinations: &[Vec<Vec<u8>>]) -> Vec<String> {
    combinations.iter().map(|values| keys::partition(entity, index, values)).collect()
}

/// Whether filters by a path may be evaluated row by row: its field is marked `filter: scan`.
pub(super) fn may_scan(model: &Model, entity: &Entity, path: Path) -> bool {
    match path {
        Path::Id => false,
        Path::Own(field) => entity.field(field).scan,
        Path::Via(reference, field) => match entity.field(reference).kind {
            FieldType::Ref { target, .. } => model.entity(target).field(field).scan,
            _ => false,
        },
    }
}
