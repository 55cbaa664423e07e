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
use crate::model::value::{Record, new_version};
use crate::model::{Action, Entity};
use crate::pipeline::Context;
use crate::pipeline::system::parameters::Parameters;
use crate::pipeline::unit_of_work::{self, Committed, Failure, UnitOfWork, deadline, row_of};
use crate::pipeline::write::idempotent::KeyReservation;
use crate::pipeline::write::prepare::{merged, shown, stamp};
use crate::pipeline::write::refused::unknown_outcome;
use crate::pipeline::write::replay::masked;
use crate::pipeline::write::rights::{EffectiveAccess, Rights};
use crate::query::policy::{PermittedBatch, permit_upload};
use crate::store::idempotency::Answer;
use crate::store::keys;
use crate::store::object::{self, File, media};
use crate::store::pending_deletion::{PendingDeletion, RETAINED};
use crate::store::table::{Item, TableError, TableName};
use crate::store::write::{AttachedWrites, Check, WriteError};

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
    let mut completion = Completion { cx, target: &target, rights: &rights, verified: None };
    Ok(unit_of_work::perform(cx, claim.as_ref(), &mut completion).await?.into_answer())
}

struct Completion<'a> {
    cx: &'a Context<'a>,
    target: &'a Target<'a>,
    rights: &'a Rights<'a>,
    /// Key of the object that was verified by an earlier attempt.
    verified: Option<String>,
}

/// The record, what the caller may do with it, and the caller's upload.
type State = (Record, EffectiveAccess, Option<Begun>);

impl UnitOfWork for Completion<'_> {
    type State = State;
    type Answer = Reply;

    async fn read(&self, claim: Option<&KeyReservation>) -> Result<(Option<Item>, State), Problem> {
        let (record, begun) = read(self.cx, self.target).await?;
        let effective = self.rights.look(self.cx, &record).await?;
        self.target.permit(self.rights, &effective, Action::Upload)?;
        Ok((row_of(self.cx, claim).await?, (record, effective, begun)))
    }

    async fn replay(&self, kept: Answer) -> Result<Reply, Problem> {
        masked(self.cx, self.target.entity, false, kept).await?.into_reply(true)
    }

    async fn attempt(
        &mut self,
        (record, effective, begun): State,
        claim: Option<&KeyReservation>,
    ) -> Result<Committed<Reply>, Failure> {
        let begun = begun.ok_or_else(|| Problem::conflict("You have begun no upload here; ask for a link with upload first."))?;
        if object::key_of(&record.fields, self.target.field) == Some(&begun.object) {
            return Ok(Committed { answer: answer(self.target, &record, &effective), unsettled: None });
        }
        conditional::check_write(&self.cx.request.headers, Some(&record.version), false)?;
        self.verify(&begun).await?;
        let (batch, answer) = self.build(record, effective, &begun).await?;
        match unit_of_work::write(self.cx, claim, batch, &kept(&answer)).await {
            Ok(unsettled) => Ok(Committed { answer, unsettled: Some(unsettled) }),
            Err(WriteError::Rider(row)) => {
                let answer = already(self.cx, self.target, self.rights, &begun, row.as_deref()).await?;
                Ok(Committed { answer, unsettled: None })
            }
            Err(error) => Err(failure(error, claim.is_some())),
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
    let (found, ready) = futures::join!(cx.app.table.get(&places, true), cx.app.constraints.before_write(deadline(cx)));
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

impl Completion<'_> {
    /// Verifies an upload, once: it keeps the object, which is an effect.
    async fn verify(&mut self, begun: &Begun) -> Result<(), Problem> {
        if self.verified.as_ref() != Some(&begun.object) {
            self.cx.gate.passed().await;
            verify(self.target, begun).await?;
            self.verified = Some(begun.object.clone());
        }
        Ok(())
    }

    /// The transaction, and its answer.
    async fn build(&self, before: Record, effective: EffectiveAccess, begun: &Begun) -> Result<(PermittedBatch, Reply), Problem> {
        let Self { cx, target, rights, .. } = self;
        let mut after = Record { id: before.id.clone(), version: new_version(&cx.app.env), fields: before.fields.clone() };
        let file = File {
            filename: begun.file.filename.clone(),
            content_type: begun.file.content_type.clone(),
            size: begun.file.size,
            sha256: begun.file.sha256.clone(),
            uploaded_at: cx.app.env.now().rfc3339(),
        };
        after.fields.insert(target.field.name.clone(), serde_json::to_value(&file).map_err(Problem::internal)?);
        check_size(target.entity, &after)?;
        after.fields.insert(object::member(&target.field.name), Value::String(begun.object.clone()));
        stamp(cx, target.entity, &mut after, false);
        let new = rights.look(cx, &after).await?;
        let entry = target.audit_entry(cx, "complete", json!({ "size": file.size, "content_type": file.content_type }));
        let reply = answer(target, &after, &new);
        let states = ((before, &effective.related as _), (after, &new.related as _));
        let mutation = permit_upload(cx.model(), cx.principal, (target.entity, target.field.ix), states.0, states.1);
        let checks: Vec<Check> = merged(effective.checks, new.checks);
        let batch = PermittedBatch {
            mutations: vec![mutation.map_err(|_| rights.forbidden())?],
            checks,
            riders: AttachedWrites {
                audit: vec![entry],
                conditioned: vec![PendingDeletion::keep(begun.vanishing.clone())],
                ..AttachedWrites::default()
            },
            voids: Vec::new(),
        };
        Ok((batch, reply))
    }
}

/// Refuses a record that the file's name and type make too large to be stored.
fn check_size(entity: &Entity, record: &Record) -> Result<(), Problem> {
    let size = Value::Object(record.fields.clone()).to_string().len();
    if size <= entity.max_bytes {
        return Ok(());
    }
    let most = entity.max_bytes;
    let detail = format!("With this file's name and type the record takes {size} bytes, at most {most} are stored.");
    Err(Problem::new(Code::ValidationFailed, detail))
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
fn failure(error: WriteError, keyed: bool) -> Failure {
    let conflict = || Problem::unavailable("conflicts until the deadline");
    match error {
        WriteError::Changed { .. } | WriteError::CheckFailed { .. } | WriteError::IdempotencyRow(_) => {
            Failure::Outrun(conflict())
        }
        WriteError::Busy => Failure::Refused(conflict()),
        WriteError::Unknown if keyed => Failure::Refused(unknown_outcome()),
        WriteError::Unknown => Failure::Refused(Problem::timeout().logged("outcome unknown at the deadline")),
        WriteError::Store(error) => Failure::Refused(error.into()),
        error => Failure::Refused(Problem::internal(error)),
    }
}
