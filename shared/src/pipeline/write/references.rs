//! References that a change sets: each needs the right to read the record that it names.
//!
//! Without that right a record might as well not be there: a caller that may only create must not find out by 422 or 201 which
//! records exist, nor attach anything to them. So a record that may not be read is treated as one that does not exist, by the same
//! steps and with the same problem. `link: true` at the field of a role waives this ([`EffectiveAccess::links`](super::rights::EffectiveAccess::links)).

use super::prepared::{Prepared, Reference};
use super::rights::Rights;
use crate::http::problem::Problem;
use crate::model::value::Record;
use crate::model::{Action, Entity, FieldIx, FieldType, Path};
use crate::pipeline::Context;
use crate::query::condition::Values;
use crate::query::policy::Access;
use crate::store::references::referred;
use crate::store::table::TableName;
use crate::store::write::Check;
use crate::store::{items, keys};

/// What is found of the references that a change sets.
#[derive(Default)]
pub(super) struct Found {
    /// Those to records that the caller may not read, or that do not exist.
    pub(super) unseen: Vec<Reference>,
    /// What the right to read the others stands on.
    pub(super) checks: Vec<Check>,
}

/// What can be said of a record before it is read.
enum Glance {
    /// The caller may read it, if it exists.
    Seen,
    /// The caller may not read it, whether or not it exists.
    Unseen,
    /// Its fields decide.
    Depends,
}

/// Looks at the references that `after` has and `before` has not. `earlier`: what the same transaction does before.
///
/// # Errors
/// Errors of the table.
pub(super) async fn look(
    cx: &Context<'_>,
    entity: &Entity,
    earlier: &[Prepared],
    before: Option<&Record>,
    after: &Record,
) -> Result<Found, Problem> {
    let mut found = Found::default();
    let mut open = Vec::new();
    for reference in set(entity, before, after) {
        match glance(cx, &reference) {
            Glance::Seen => {}
            Glance::Unseen => found.unseen.push(reference),
            Glance::Depends => open.push(reference),
        }
    }
    for (reference, record) in read(cx, earlier, open).await? {
        let seen = match &record {
            Some((record, _)) => sees(cx, earlier, &reference, record).await?,
            None => None,
        };
        match (record, seen) {
            (Some((record, stored)), Some(checks)) => {
                found.checks.extend(checks);
                found.checks.extend(stored.then(|| check(&reference, &record)));
            }
            _ => found.unseen.push(reference),
        }
    }
    Ok(found)
}

/// Of references that were not seen, those that the rest of the transaction does not make and show either.
///
/// # Errors
/// Errors of the table.
pub(super) async fn still_unseen(cx: &Context<'_>, all: &[Prepared], unseen: &[Reference]) -> Result<Vec<FieldIx>, Problem> {
    let mut fields = Vec::new();
    for reference in unseen {
        let seen = match made(all, reference) {
            Some(record) => sees(cx, all, reference, record).await?.is_some(),
            None => false,
        };
        fields.extend((!seen).then_some(reference.field));
    }
    Ok(fields)
}

/// The references that come, in the order of the model. One that the model gives by default is not the caller's doing.
fn set(entity: &Entity, before: Option<&Record>, after: &Record) -> Vec<Reference> {
    let refs = entity.fields.iter().filter_map(|field| match field.kind {
        FieldType::Ref { target, .. } => Some((field, target)),
        _ => None,
    });
    let set = refs.filter_map(|(field, target)| {
        let value = after.fields.get(&field.name);
        let id = referred(value)?;
        let stays = before.is_some_and(|before| referred(before.fields.get(&field.name)).as_ref() == Some(&id));
        (!stays && value != field.default.as_ref()).then_some(Reference { field: field.ix, target, id })
    });
    set.collect()
}

/// Of an entity whose records may all be read, or none, nothing has to be looked at; nor where ids alone decide.
fn glance(cx: &Context<'_>, reference: &Reference) -> Glance {
    let target = cx.model().entity(reference.target);
    let read = Access::of(cx.model(), cx.principal, target, Action::Read);
    let mut depends = false;
    read.paths(&mut |path| depends |= path != Path::Id);
    let by_id = || read.mask(cx.model(), target, &IdAlone(target, &reference.id)).is_some();
    match (read.is_open(&Default::default()), depends) {
        (true, _) => Glance::Seen,
        (false, true) => Glance::Depends,
        (false, false) if by_id() => Glance::Seen,
        (false, false) => Glance::Unseen,
    }
}

/// A record of which only the id is known.
struct IdAlone<'a>(&'a Entity, &'a str);

impl Values for IdAlone<'_> {
    fn value(&self, path: Path) -> serde_json::Value {
        let record = Record { id: self.1.to_owned(), version: String::new(), fields: Default::default() };
        record.get(self.0, path).into_owned()
    }
}

type Target = (Reference, Option<(Record, bool)>);

/// The records that references name, strongly consistent and in one batch, and whether each is stored already.
async fn read(cx: &Context<'_>, earlier: &[Prepared], references: Vec<Reference>) -> Result<Vec<Target>, Problem> {
    let (made_now, stored): (Vec<_>, Vec<_>) = references.into_iter().partition(|one| made(earlier, one).is_some());
    let mut targets: Vec<Target> = Vec::with_capacity(made_now.len() + stored.len());
    for reference in made_now {
        let record = made(earlier, &reference).map(|record| (record.clone(), false));
        targets.push((reference, record));
    }
    // Each once, whichever refs name it.
    let mut places = Vec::new();
    let at: Vec<usize> = stored
        .iter()
        .map(|one| {
            let place = (TableName::Data, keys::record(cx.model().entity(one.target), &one.id));
            places.iter().position(|known| *known == place).unwrap_or_else(|| {
                places.push(place);
                places.len() - 1
            })
        })
        .collect();
    let found = if places.is_empty() { Vec::new() } else { cx.app.table.get(&places, true).await? };
    for (reference, at) in stored.into_iter().zip(at) {
        let item = found.get(at).and_then(Option::as_ref);
        targets.push((reference, items::stored(item)?.map(|record| (record, true))));
    }
    Ok(targets)
}

/// The record as an operation of this transaction leaves it.
fn made<'p>(prepared: &'p [Prepared], reference: &Reference) -> Option<&'p Record> {
    let mut records = prepared.iter().filter(|one| one.mutation.entity == reference.target);
    records.find_map(|one| one.mutation.after.as_ref().filter(|after| after.id == reference.id))
}

/// What the right to read a record stands on beside itself; `None` where there is no such right.
async fn sees(
    cx: &Context<'_>,
    earlier: &[Prepared],
    reference: &Reference,
    record: &Record,
) -> Result<Option<Vec<Check>>, Problem> {
    let rights = Rights::any(cx.model(), cx, cx.model().entity(reference.target), Action::Read);
    let effective = rights.look_after(cx, earlier, record).await?;
    Ok(effective.readable.map(|_| effective.checks))
}

fn check(reference: &Reference, record: &Record) -> Check {
    Check { entity: reference.target, id: record.id.clone(), version: record.version.clone() }
}
