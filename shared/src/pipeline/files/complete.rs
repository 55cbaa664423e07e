//! `POST /v1/{plural}/{id}/{field}/complete`: what arrived is held against what was announced, and the record shows it.
//!
//! The transaction of the record keeps the new object and marks the old one for deletion; it is repeated while others change the record.
//! Completing what is complete already changes nothing and says so with the same answer; with an `Idempotency-Key` also when the
//! file has been replaced since.

use http::StatusCode;
use serde_json::{Value, json};

use super::announce;
use super::target::{Target, record_of};
use crate::files::upload::{self, Begun};
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::route::FileRef;
use crate::http::{Reply, VERSION, conditional};
use crate::model::Action;
use crate::model::value::{Record, new_version};
use crate::pipeline::Context;
use crate::pipeline::system::parameters::Parameters;
use crate::pipeline::write::commit::{Pauses, deadline};
use crate::pipeline::write::idempotent::{KeyReservation, reply_of};
use crate::pipeline::write::prepare::{merged, shown, stamp};
use crate::pipeline::write::refused::unknown_outcome;
use crate::pipeline::write::replay::masked;
use crate::pipeline::write::rights::{EffectiveAccess, Rights};
use crate::store::idempotency::{self, Answer};
use crate::store::keys;
use crate::store::object::{self, File, media};
use crate::store::pending_deletion::{PendingDeletion, RETAINED};
use crate::store::table::{Item, TableError, TableName};
use crate::store::write::{AttachedWrites, Batch, Check, Mutation, WriteError};

/// Answers it.
///
/// # Errors
/// 409 while nothing has arrived, or where the caller began no upload; 410 where it was not completed in time; 422 for content that
/// is not what was announced; 403, 404, 412 as for any write.
pub async fn complete(cx: &Context<'_>, file: &FileRef) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    let rights = target.rights(cx, Action::Upload)?;
    Parameters::read(cx.request, &[])?;
    empty_body(cx)?;
    let claim = KeyReservation::of(cx, None).await?;
    let mut pauses = Pauses::new();
    let mut verified = None;
    loop {
        let (record, begun) = read(cx, &target).await?;
        let effective = rights.look(cx, &record).await?;
        target.permit(&rights, &effective, Action::Upload)?;
        if let Some(claim) = &claim
            && let Some(kept) = claim.found(cx).await?
        {
            return reply_of(masked(cx, target.entity, false, kept).await?, true);
        }
        let begun = begun.ok_or_else(|| Problem::conflict("You have begun no upload here; ask for a link with upload first."))?;
        if object::key_of(&record.fields, target.field) == Some(&begun.object) {
            return Ok(answer(&target, &record, &effective));
        }
        conditional::check_write(&cx.request.headers, Some(&record.version), false)?;
        if verified.as_ref() != Some(&begun.object) {
            cx.gate.passed().await;
            verify(&target, &begun).await?;
            verified = Some(begun.object.clone());
        }
        let error = match commit(cx, &target, &rights, (record, effective), &begun, claim.as_ref()).await {
            Ok(reply) => return Ok(reply),
            Err(CommitError::Refused(problem)) => return Err(problem),
            Err(CommitError::Write(error)) => error,
        };
        match error {
            WriteError::Rider(row) => return already(cx, &target, &rights, &begun, row.as_deref()).await,
            WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_)
                if pauses.pause(cx).await => {}
            error => return Err(refused(error, claim.is_some())),
        }
    }
}

/// There is nothing to say: no body, or an empty object.
fn empty_body(cx: &Context<'_>) -> Result<(), Problem> {
    match cx.body.optional_json()? {
        Value::Null => Ok(()),
        Value::Object(members) if members.is_empty() => Ok(()),
        Value::Object(members) => Err(announce::invalid(announce::unknown(members, &[]))),
        _ => Err(announce::invalid(vec![FieldError::new("", "type", "must be an empty object, or left out")])),
    }
}

/// The record and the caller's upload; beside it what has to precede a write.
async fn read(cx: &Context<'_>, target: &Target<'_>) -> Result<(Record, Option<Begun>), Problem> {
    let row = upload::place(target.entity, target.id, target.field, cx.principal);
    let places = [(TableName::Data, keys::record(target.entity, target.id)), (TableName::Data, row)];
    let (found, ready) = futures::join!(cx.app.table.get(&places, true), cx.app.indexes.before_write(deadline(cx)));
    ready?;
    let mut found = found?.into_iter();
    let record = record_of(found.next().flatten())?;
    let begun = match found.next().flatten() {
        Some(row) => Some(upload::read(&row).ok_or_else(|| TableError::Broken("an upload's row cannot be read".into()))?),
        None => None,
    };
    Ok((record, begun))
}

/// Size, type and checksum as the store found them. The signature bound them already; this trusts nobody.
async fn verify(target: &Target<'_>, begun: &Begun) -> Result<(), Problem> {
    let Some(stored) = target.objects.head(&begun.object).await? else {
        return Err(Problem::conflict("Nothing has arrived under the link of this upload; send the file first."));
    };
    let mut errors = Vec::new();
    let mut wrong = |name: &str, message: String| errors.push(FieldError::new(format!("/{name}"), "mismatch", message));
    if stored.size != begun.file.size {
        wrong("size", format!("{} bytes arrived, {} were announced", stored.size, begun.file.size));
    }
    if stored.content_type.as_deref().and_then(media::essence) != media::essence(&begun.file.content_type) {
        wrong("content_type", "another type arrived than was announced".to_owned());
    }
    if stored.sha256.as_deref() != Some(&announce::digest(&begun.file.sha256)[..]) {
        wrong("sha256", "other content arrived than was announced".to_owned());
    }
    if !errors.is_empty() {
        let detail = "What arrived is not what was announced; begin again with upload.";
        return Err(Problem::new(Code::ValidationFailed, detail).with_errors(errors));
    }
    Ok(target.objects.keep(&begun.object).await?)
}

/// Reason why a completed upload is not committed.
enum CommitError {
    /// The record may not become this.
    Refused(Problem),
    /// The store does not take the transaction.
    Write(WriteError),
}

impl From<Problem> for CommitError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

async fn commit(
    cx: &Context<'_>,
    target: &Target<'_>,
    rights: &Rights<'_>,
    (before, effective): (Record, EffectiveAccess),
    begun: &Begun,
    claim: Option<&KeyReservation>,
) -> Result<Reply, CommitError> {
    let mut after = Record { id: before.id.clone(), version: new_version(&cx.app.env), fields: before.fields.clone() };
    let file = File {
        filename: begun.file.filename.clone(),
        content_type: begun.file.content_type.clone(),
        size: begun.file.size,
        sha256: begun.file.sha256.clone(),
        uploaded_at: cx.app.env.now().rfc3339(),
    };
    after.fields.insert(target.field.name.clone(), serde_json::to_value(&file).map_err(Problem::internal)?);
    let size = Value::Object(after.fields.clone()).to_string().len();
    if size > target.entity.max_bytes {
        let detail = format!(
            "With this file's name and type the record takes {size} bytes, at most {} are stored.",
            target.entity.max_bytes
        );
        return Err(Problem::new(Code::ValidationFailed, detail).into());
    }
    after.fields.insert(object::member(&target.field.name), Value::String(begun.object.clone()));
    stamp(cx, target.entity, &mut after, false);
    let new = rights.look(cx, &after).await?;
    if new.writable.is_none() {
        return Err(rights.forbidden().into());
    }
    let checks: Vec<Check> = merged(effective.checks, new.checks.clone());
    let entry = target.audit_entry(cx, "complete", json!({ "size": file.size, "content_type": file.content_type }));
    let reply = answer(target, &after, &new);
    let idempotency = match claim {
        Some(claim) => idempotency::items(&claim.scope, &claim.print, &kept(&reply), cx.app.env.now()),
        None => Ok(Vec::new()),
    };
    let batch = Batch {
        mutations: vec![Mutation::update(target.entity, before, after)],
        checks,
        riders: AttachedWrites {
            idempotency: idempotency.map_err(Problem::internal)?,
            audit: vec![entry],
            conditioned: vec![PendingDeletion::keep(begun.vanishing.clone())],
            ..AttachedWrites::default()
        },
        voids: Vec::new(),
    };
    match cx.app.writer.write(&batch, deadline(cx)).await {
        Ok(written) => {
            cx.app.writer.settle(written.unsettled).await;
            Ok(reply)
        }
        Err(error) => Err(CommitError::Write(error)),
    }
}

/// The record as the caller may read it.
fn answer(target: &Target<'_>, record: &Record, effective: &EffectiveAccess) -> Reply {
    let body = shown(target.entity, record, effective.readable.clone());
    let reply = Reply::json(StatusCode::OK, &body);
    if effective.readable.is_some() { reply.version(&record.version) } else { reply }
}

/// The answer as it is remembered.
fn kept(reply: &Reply) -> Answer {
    let headers = reply.version.iter().map(|version| (VERSION.to_owned(), version.clone())).collect();
    Answer { status: reply.status.as_u16(), headers, body: reply.body.to_vec() }
}

/// Another call has completed the upload, or it cannot be completed any more.
async fn already(
    cx: &Context<'_>,
    target: &Target<'_>,
    rights: &Rights<'_>,
    begun: &Begun,
    row: Option<&Item>,
) -> Result<Reply, Problem> {
    let (record, _) = read(cx, target).await?;
    let effective = rights.look(cx, &record).await?;
    target.permit(rights, &effective, Action::Upload)?;
    match object::key_of(&record.fields, target.field) == Some(&begun.object) {
        true => Ok(answer(target, &record, &effective)),
        false => Err(too_late(row)),
    }
}

/// What the row that lets the object vanish says.
fn too_late(row: Option<&Item>) -> Problem {
    match row {
        Some(row) if row.attrs.contains_key(RETAINED) => Problem::conflict(
            "This upload was completed before, and its file has been replaced or cleared since; begin a new one.",
        ),
        _ => Problem::new(Code::Gone, "This upload was not completed in time; begin a new one."),
    }
}

/// `keyed`: a repetition with the idempotency key finds out what an unknown outcome was.
fn refused(error: WriteError, keyed: bool) -> Problem {
    match error {
        WriteError::Busy | WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_) => {
            Problem::unavailable("conflicts until the deadline")
        }
        WriteError::Unknown if keyed => unknown_outcome(),
        WriteError::Unknown => Problem::timeout().logged("outcome unknown at the deadline"),
        WriteError::Store(error) => error.into(),
        error => Problem::internal(error),
    }
}
