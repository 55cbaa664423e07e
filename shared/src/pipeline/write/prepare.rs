//! From a change and the stored state to what is to be written: policy, preconditions and validation.

use http::StatusCode;
use serde_json::{Map, Value};

use super::change::{Change, ChangeKind};
use super::operations;
use super::prepared::{Prepared, Reference};
use super::references;
use super::rights::{EffectiveAccess, Rights};
use crate::http::conditional;
use crate::http::problem::{Code, FieldError, Problem};
use crate::model::validate::{self, Current, FieldViolation};
use crate::model::value::{Record, new_version};
use crate::model::{Action, Entity, FieldIx, FieldMask, IdKind, Masks};
use crate::pipeline::Context;
use crate::query::policy::{permit_create, permit_delete, permit_update};
use crate::store::object;
use crate::store::write::Check;

/// Prepares a change of the record that is stored now, if there is one. `earlier`: what the same transaction does before it.
///
/// # Errors
/// The [`Problem`] for the client.
pub(super) async fn prepare(
    cx: &Context<'_>,
    change: &Change<'_>,
    stored: Option<&Record>,
    earlier: &[Prepared],
) -> Result<Prepared, Problem> {
    match (&change.kind, stored) {
        (ChangeKind::Create(body), _) => {
            let entity = change.entity;
            let make = |masks: &Masks| validate::create(cx.model(), entity, masks, body).map(|new| (new.id, new.fields));
            creation(cx, change, earlier, make).await
        }
        (ChangeKind::Replace(body), None) => put_new(cx, change, earlier, body).await,
        (ChangeKind::Delete, Some(before)) => deletion(cx, change, earlier, before).await,
        (_, Some(before)) => update(cx, change, earlier, before).await,
        (_, None) => Err(Problem::not_found()),
    }
}

/// A PUT of an id that does not exist. Whoever may not create learns no more than of any missing record.
async fn put_new(cx: &Context<'_>, change: &Change<'_>, earlier: &[Prepared], body: &Value) -> Result<Prepared, Problem> {
    let entity = change.entity;
    let Some(id) = change.id.as_deref().filter(|_| entity.id != IdKind::Uuid) else { return Err(Problem::not_found()) };
    if Rights::of(cx, entity, Action::Create).is_err() {
        return Err(Problem::not_found());
    }
    conditional::check_write(&change.conditions, None, false)?;
    let make = |masks: &Masks| {
        let fields = validate::replace(cx.model(), entity, masks, id, None, body)?;
        if !entity.id_parts().is_empty() && validate::composite_id(entity, &fields).as_deref() != Some(id) {
            let message = "does not agree with the parts of the id".to_owned();
            return Err(vec![FieldViolation { pointer: "/id".to_owned(), code: "read_only".to_owned(), message }]);
        }
        Ok((Some(id.to_owned()), fields))
    };
    creation(cx, change, earlier, make).await
}

type Made = Result<(Option<String>, Map<String, Value>), Vec<FieldViolation>>;

/// The fields that may be set depend on what the record becomes, so it is made twice: with all fields that could ever be
/// allowed, and, where the result allows fewer, with those alone, which refuses the others by name.
async fn creation(
    cx: &Context<'_>,
    change: &Change<'_>,
    earlier: &[Prepared],
    make: impl Fn(&Masks) -> Made,
) -> Result<Prepared, Problem> {
    let entity = change.entity;
    let rights = Rights::of(cx, entity, Action::Create)?;
    let masks = Masks { readable: rights.read.widest(), writable: rights.write.widest() };
    let (id, fields) = make(&masks).map_err(Problem::validation)?;
    let id = id.unwrap_or_else(|| cx.app.env.uuid_v7().to_string());
    let mut after = Record { id, version: new_version(&cx.app.env), fields };
    stamp(cx, entity, &mut after, true);
    let (effective, found) =
        futures::try_join!(rights.look_after(cx, earlier, &after), references::look(cx, entity, earlier, None, &after))?;
    let (effective, unseen) = without_unseen(cx, &rights, earlier, &after, effective, None, found.unseen).await?;
    let Some(writable) = &effective.writable else { return Err(rights.forbidden()) };
    if !writable.contains_all(&masks.writable) {
        make(&Masks { readable: masks.readable.clone(), writable: writable.clone() }).map_err(Problem::validation)?;
    }
    let mut known = masks.readable;
    known.union(&masks.writable);
    let mutation = permit_create(cx.model(), cx.principal, entity, (after.clone(), &effective.related));
    Ok(Prepared {
        mutation: mutation.map_err(|_| rights.forbidden())?,
        status: StatusCode::CREATED,
        shown: Some(shown(entity, &after, effective.readable)),
        action: Action::Create,
        changed: Vec::new(),
        known,
        unseen,
        location: Some(format!("/v1/{}/{}", entity.plural, after.id)),
        checks: merged(effective.checks, found.checks),
    })
}

/// What a record holds by another version of the model: in a canary the version before must not lose what the new one has written.
fn of_other_versions(entity: &Entity, stored: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    let is_unknown = |name: &str| entity.by_field(object::field_of(name)).is_none();
    stored.iter().filter(move |(name, _)| is_unknown(name)).map(|(name, value)| (name.clone(), value.clone()))
}

/// The stored state has to allow the change and the fields, the new one to be allowed as well.
async fn update(cx: &Context<'_>, change: &Change<'_>, earlier: &[Prepared], before: &Record) -> Result<Prepared, Problem> {
    let entity = change.entity;
    let rights = Rights::any(cx.model(), cx, entity, Action::Update);
    let old = rights.look_after(cx, earlier, before).await?;
    let masks = may_change(&rights, &old, change, before)?;
    let current = Current { id: &before.id, fields: &before.fields };
    let fields = match &change.kind {
        ChangeKind::Replace(body) => validate::replace(cx.model(), entity, &masks, &before.id, Some(&before.fields), body),
        ChangeKind::Merge(patch) => validate::merge_patch(cx.model(), entity, &masks, current, patch),
        ChangeKind::JsonPatch(patch) => {
            let document = validate::readable(entity, &masks, before.id_value(entity), &before.fields);
            let document = operations::apply(entity, patch, Value::Object(document))?;
            validate::document(cx.model(), entity, &masks, current, &document)
        }
        ChangeKind::Create(_) | ChangeKind::Delete => return Err(Problem::internal("not an update")),
    };
    let mut fields = fields.map_err(Problem::validation)?;
    object::carry(entity, &before.fields, &mut fields);
    fields.extend(of_other_versions(entity, &before.fields));
    let changed = changed(entity, before, &fields);
    let mut after = Record { id: before.id.clone(), version: new_version(&cx.app.env), fields };
    stamp(cx, entity, &mut after, false);
    let (new, found) =
        futures::try_join!(rights.look_after(cx, earlier, &after), references::look(cx, entity, earlier, Some(before), &after))?;
    let (new, unseen) = without_unseen(cx, &rights, earlier, &after, new, Some(&old.links), found.unseen).await?;
    let states = ((before.clone(), &old.related as _), (after.clone(), &new.related as _));
    let mutation = permit_update(cx.model(), cx.principal, entity, states.0, states.1).map_err(|_| rights.forbidden())?;
    let mut known = masks.readable;
    known.union(&masks.writable);
    Ok(Prepared {
        mutation,
        status: StatusCode::OK,
        shown: Some(shown(entity, &after, new.readable)),
        action: Action::Update,
        changed,
        known,
        unseen,
        location: None,
        checks: merged(merged(old.checks, new.checks), found.checks),
    })
}

async fn deletion(cx: &Context<'_>, change: &Change<'_>, earlier: &[Prepared], before: &Record) -> Result<Prepared, Problem> {
    let entity = change.entity;
    let rights = Rights::any(cx.model(), cx, entity, Action::Delete);
    let old = rights.look_after(cx, earlier, before).await?;
    let masks = may_change(&rights, &old, change, before)?;
    let mutation = permit_delete(cx.model(), cx.principal, entity, (before.clone(), &old.related));
    Ok(Prepared {
        mutation: mutation.map_err(|_| rights.forbidden())?,
        status: StatusCode::NO_CONTENT,
        shown: None,
        action: Action::Delete,
        changed: Vec::new(),
        known: masks.readable,
        unseen: Vec::new(),
        location: None,
        checks: old.checks,
    })
}

/// What the rights come to, as if no record were there that the caller may neither read nor link to; and the references to such
/// records. `links`: which refs may be linked, where the state before decides that.
async fn without_unseen(
    cx: &Context<'_>,
    rights: &Rights<'_>,
    earlier: &[Prepared],
    after: &Record,
    effective: EffectiveAccess,
    links: Option<&FieldMask>,
    mut unseen: Vec<Reference>,
) -> Result<(EffectiveAccess, Vec<Reference>), Problem> {
    unseen.retain(|reference| !links.unwrap_or(&effective.links).contains(reference.field));
    if unseen.is_empty() {
        return Ok((effective, unseen));
    }
    let hidden: Vec<FieldIx> = unseen.iter().map(|reference| reference.field).collect();
    Ok((rights.look_without(cx, earlier, after, &hidden).await?, unseen))
}

fn may_change(rights: &Rights<'_>, effective: &EffectiveAccess, change: &Change<'_>, before: &Record) -> Result<Masks, Problem> {
    let (readable, writable) = rights.to_change(effective)?;
    conditional::check_write(&change.conditions, Some(&before.version), change.entity.require_if_match)?;
    // Whether an unreadable value that cannot change is the one that was sent must not be told, so it cannot be sent at all.
    let hidden = |field: &FieldIx| change.entity.field(*field).immutable && !readable.contains(*field);
    let writable = writable.iter().filter(|field| !hidden(field)).collect();
    Ok(Masks { readable, writable })
}

/// The record as the caller may read it: id first, then the readable fields in the order of the model.
pub(in crate::pipeline) fn shown(entity: &Entity, record: &Record, readable: Option<FieldMask>) -> Value {
    let masks = Masks { readable: readable.unwrap_or_default(), writable: FieldMask::none() };
    Value::Object(validate::readable(entity, &masks, record.id_value(entity), &record.fields))
}

/// Sets the moments that the model keeps.
pub(in crate::pipeline) fn stamp(cx: &Context<'_>, entity: &Entity, record: &mut Record, created: bool) {
    record.stamp(entity, &cx.app.env, created);
}

fn changed(entity: &Entity, before: &Record, after: &Map<String, Value>) -> Vec<String> {
    let value = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    let differs = |name: &&String| value(&before.fields, name) != value(after, name);
    entity.fields.iter().map(|field| &field.name).filter(differs).cloned().collect()
}

/// Each record once: where it was seen in two versions, the first is as good as any, because both cannot be the stored one.
pub(in crate::pipeline) fn merged(mut checks: Vec<Check>, more: Vec<Check>) -> Vec<Check> {
    for check in more {
        if !checks.iter().any(|known| known.entity == check.entity && known.id == check.id) {
            checks.push(check);
        }
    }
    checks
}

/// A problem of a change, told by its place in the request's body.
pub(super) fn with_pointer(mut problem: Problem, change: &Change<'_>) -> Problem {
    if change.place.is_empty() || problem.code.status().is_server_error() {
        return problem;
    }
    if problem.errors.is_empty() {
        problem.errors = vec![FieldError::new(change.place.clone(), problem.code.name(), problem.detail.clone())];
        return problem;
    }
    let below = format!("{}/data", change.place);
    problem.errors = problem.errors.into_iter().map(|error| error.below(&below)).collect();
    problem
}

/// One problem of several: the code of the first, the places of all.
pub(super) fn merge_problems(mut problems: Vec<Problem>) -> Option<Problem> {
    if let Some(at) = problems.iter().position(|problem| problem.code.status().is_server_error()) {
        return Some(problems.swap_remove(at));
    }
    let errors: Vec<FieldError> = problems.iter().flat_map(|problem| problem.errors.clone()).collect();
    let first = problems.into_iter().next()?;
    let detail = match first.code {
        Code::ValidationFailed => "Nothing was done: `errors` lists what breaks rules of the model, by operation.".to_owned(),
        _ => format!("Nothing was done. {}", first.detail),
    };
    Some(Problem { detail, errors, ..first })
}
