//! Which indexes serve a list.
//!
//! Each alternative of the policy, together with the caller's filters, asks for an index whose equality fields are all fixed.
//! Indexes of one order can be merged, so the choice is by order: for every order that the caller's sort accepts, the best index
//! per alternative; then the order whose indexes fix most.

use super::help;
use super::query_plan::{Join, MAX_SCANS, NoIndex, QueryPlan, Scan};
use super::range::{self, fixed, full_order, may_scan};
use crate::model::{Entity, EntityIx, FieldType, Index, IndexIx, Model, Op, Path, SortPart};
use crate::query::ListQuery;
use crate::query::condition::{Comparison, Condition};
use crate::query::policy::Permitted;
use crate::store::constraints::States;

/// A planned list, and what its plan would be for other values of the same query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) plan: QueryPlan,
    /// Index of each alternative of the policy.
    indexes: Vec<IndexIx>,
}

impl Choice {
    /// The plan by the same indexes for a list of the same form: only the values that its comparisons fix may differ.
    ///
    /// # Errors
    /// [`NoIndex`] for a list of another form.
    pub(super) fn bind(&self, model: &Model, permitted: &Permitted<ListQuery>) -> Result<QueryPlan, NoIndex> {
        let (query, entity) = (permitted.query(), model.entity(self.plan.entity));
        let QueryPlan { entity: of, ref joins, ref order, reverse, .. } = self.plan;
        let mut plan = QueryPlan { entity: of, scans: Vec::new(), joins: joins.clone(), order: order.clone(), reverse };
        for (alternative, index) in permitted.access().alternatives().iter().zip(&self.indexes) {
            let index = entity.index(*index);
            // The partitions of a join are those of a condition on the parents, which stays.
            if !index.is_stored() {
                continue;
            }
            let constraints = constraints(query, &alternative.rows);
            let combinations = combinations(model, entity, index, &constraints).ok_or_else(|| help::no_index(model, query))?;
            plan.add_scans(scans(model, entity, index, &combinations, &constraints).0);
        }
        Ok(plan)
    }
}

/// A way to serve one alternative.
struct Candidate {
    index: IndexIx,
    order: Vec<SortPart>,
    reverse: bool,
    scans: Vec<Scan>,
    join: Option<Join>,
    /// Comparisons of the caller that have to be evaluated row by row although their field is not marked for it.
    unserved: usize,
    /// How much it narrows: equality fields, then sort fields.
    narrowed: (usize, usize),
    /// Whether the rows carry the whole record.
    whole: bool,
}

/// Plans a permitted list.
///
/// # Errors
/// [`NoIndex`], naming the index to add.
pub fn plan(model: &Model, states: &States, permitted: &Permitted<ListQuery>) -> Result<QueryPlan, NoIndex> {
    choose(model, states, permitted).map(|choice| choice.plan)
}

/// As [`plan`], with what it takes to bind the plan to other values.
///
/// # Errors
/// As [`plan`].
pub(super) fn choose(model: &Model, states: &States, permitted: &Permitted<ListQuery>) -> Result<Choice, NoIndex> {
    best(model, states, permitted).ok_or_else(|| {
        // Would it be served if all indexes were complete?
        let built = if states.not_ready().is_empty() { None } else { best(model, &States::default(), permitted) };
        match built {
            Some(choice) => help::not_built(model, states, permitted.query(), &choice.plan),
            None => help::no_index(model, permitted.query()),
        }
    })
}

fn best(model: &Model, states: &States, permitted: &Permitted<ListQuery>) -> Option<Choice> {
    let query = permitted.query();
    let entity = model.entity(query.entity);
    let mut per_alternative: Vec<Vec<Candidate>> = Vec::new();
    for alternative in permitted.access().alternatives() {
        let own: Vec<&Comparison> = own(query).collect();
        let constraints = constraints(query, &alternative.rows);
        let candidates = entity
            .indexes
            .iter()
            .filter(|index| states.is_ready(entity.ix, index.ix))
            .filter_map(|index| candidate(model, states, entity, index, query, &own, &constraints))
            .collect();
        per_alternative.push(candidates);
    }
    let (rank, choice) = orders(&per_alternative)
        .into_iter()
        .filter_map(|(order, reverse)| combined(entity.ix, &per_alternative, &order, reverse))
        .min_by(|a, b| a.0.cmp(&b.0))?;
    (rank.0 == 0).then_some(choice)
}

/// The comparisons of the caller, and those that embedding adds.
fn own(query: &ListQuery) -> impl Iterator<Item = &Comparison> {
    query.filters.iter().chain(&query.fixed)
}

/// The comparisons that hold for every row of an alternative.
fn constraints<'a>(query: &'a ListQuery, rows: &'a Condition) -> Vec<&'a Comparison> {
    own(query).chain(rows.required()).collect()
}

fn orders(candidates: &[Vec<Candidate>]) -> Vec<(Vec<SortPart>, bool)> {
    let mut orders: Vec<(Vec<SortPart>, bool)> = Vec::new();
    for candidate in candidates.iter().flatten() {
        let order = (candidate.order.clone(), candidate.reverse);
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    orders
}

/// Less is better: comparisons not served, alternatives that are not narrowed at all, then what is narrowed (negative), and
/// rows that do not carry the whole record.
type Rank = (usize, usize, std::cmp::Reverse<(usize, usize)>, usize);

/// The best index per alternative among those of one order.
fn combined(entity: EntityIx, per_alternative: &[Vec<Candidate>], order: &[SortPart], reverse: bool) -> Option<(Rank, Choice)> {
    let mut plan = QueryPlan { entity, scans: Vec::new(), joins: Vec::new(), order: order.to_vec(), reverse };
    let mut indexes = Vec::with_capacity(per_alternative.len());
    let mut rank = (0, 0, (0, 0), 0);
    for candidates in per_alternative {
        let best = candidates
            .iter()
            .filter(|candidate| candidate.order == order && candidate.reverse == reverse)
            .min_by_key(|candidate| (candidate.unserved, std::cmp::Reverse(candidate.narrowed), !candidate.whole))?;
        rank.0 += best.unserved;
        rank.1 += usize::from(best.narrowed == (0, 0));
        rank.2.0 += best.narrowed.0;
        rank.2.1 += best.narrowed.1;
        rank.3 += usize::from(!best.whole);
        plan.add_scans(best.scans.iter().cloned());
        plan.joins.extend(best.join.clone().filter(|join| !plan.joins.contains(join)));
        indexes.push(best.index);
    }
    let fits = plan.scans.len() <= MAX_SCANS;
    fits.then_some(((rank.0, rank.1, std::cmp::Reverse(rank.2), rank.3), Choice { plan, indexes }))
}

fn candidate(
    model: &Model,
    states: &States,
    entity: &Entity,
    index: &Index,
    query: &ListQuery,
    own: &[&Comparison],
    constraints: &[&Comparison],
) -> Option<Candidate> {
    let order = full_order(index);
    let reverse = direction(entity, &order, query.sort.as_deref(), own)?;
    let combinations = combinations(model, entity, index, constraints)?;
    let (scans, used, join) = match index.equality[..] {
        [Path::Via(reference, field)] => {
            let join = join(model, states, entity, index, reference, field, &combinations)?;
            (Vec::new(), Vec::new(), Some(join))
        }
        _ => {
            let (scans, used) = scans(model, entity, index, &combinations, constraints);
            (scans, used, None)
        }
    };
    let served = |comparison: &Comparison| match comparison.op {
        Op::Eq | Op::In => index.equality.contains(&comparison.path) || used.contains(&comparison.path),
        Op::Null => used.contains(&comparison.path) || index.equality.contains(&comparison.path),
        Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::Prefix => used.contains(&comparison.path),
        Op::Ne | Op::Nin | Op::Contains => false,
    };
    let unserved = own.iter().filter(|comparison| !served(comparison) && !may_scan(model, entity, comparison.path)).count();
    let narrowed = (index.equality.len(), used.len());
    Some(Candidate { index: index.ix, order, reverse, scans, join, unserved, narrowed, whole: index.projection.is_none() })
}

/// Encoded combinations of the values that constraints fix the equality fields of an index to; `None` where they do not fix all of
/// them, or to too many values.
fn combinations(model: &Model, entity: &Entity, index: &Index, constraints: &[&Comparison]) -> Option<Vec<Vec<Vec<u8>>>> {
    let values =
        index.equality.iter().map(|path| fixed(constraints, *path).map(|values| (*path, values))).collect::<Option<Vec<_>>>()?;
    // Whose reference is null has null on its other side, but no parent that a join would find it by.
    if !index.is_stored() && values.iter().any(|(_, values)| values.iter().any(|value| value.is_null())) {
        return None;
    }
    range::combinations(model, entity, &values)
}

/// The scans of a stored index for these combinations, and the sort fields that narrow them.
fn scans(
    model: &Model,
    entity: &Entity,
    index: &Index,
    combinations: &[Vec<Vec<u8>>],
    constraints: &[&Comparison],
) -> (Vec<Scan>, Vec<Path>) {
    range::scans(model, entity, index, &range::partitions(entity, index, combinations), constraints)
}

fn join(
    model: &Model,
    states: &States,
    entity: &Entity,
    index: &Index,
    reference: crate::model::FieldIx,
    field: crate::model::FieldIx,
    combinations: &[Vec<Vec<u8>>],
) -> Option<Join> {
    let FieldType::Ref { target, .. } = entity.field(reference).kind else { return None };
    let parent = model.entity(target);
    let by_field =
        parent.indexes.iter().find(|index| index.equality == [Path::Own(field)] && states.is_ready(parent.ix, index.ix))?;
    let by_reference = entity.indexes.iter().find(|own| {
        own.equality == [Path::Own(reference)] && full_order(own) == full_order(index) && states.is_ready(entity.ix, own.ix)
    })?;
    Some(Join { parent: target, partitions: range::partitions(parent, by_field, combinations), index: by_reference.ix })
}

/// Whether rows in this order are in the wanted order, read forwards (`false`) or backwards (`true`).
fn direction(entity: &Entity, order: &[SortPart], wanted: Option<&[SortPart]>, own: &[&Comparison]) -> Option<bool> {
    let single = |path: Path| fixed(own, path).is_some_and(|values| values.len() == 1);
    let wanted: Vec<&SortPart> = wanted.unwrap_or_default().iter().filter(|part| !single(part.by)).collect();
    let given: Vec<&SortPart> = order.iter().filter(|part| !single(part.by)).collect();
    // Behind the id nothing can change the order any more.
    let to = wanted.iter().position(|part| part.by == Path::Id).map_or(wanted.len(), |at| at + 1);
    let wanted = &wanted[..to];
    if wanted.is_empty() {
        return Some(false);
    }
    if wanted.len() > given.len() || wanted.iter().zip(&given).any(|(wanted, given)| wanted.by != given.by) {
        return None;
    }
    let same = wanted.iter().zip(&given).filter(|(wanted, given)| wanted.descending == given.descending).count();
    if same == wanted.len() {
        return Some(false);
    }
    // Read backwards, nulls would come first.
    let nullable = wanted.iter().any(|part| matches!(part.by, Path::Own(field) if entity.field(field).nullable));
    (same == 0 && !nullable).then_some(true)
}
