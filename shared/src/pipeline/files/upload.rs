//! `POST /v1/{plural}/{id}/{field}/upload`: a link for one PUT of exactly what was announced.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::announce;
use super::download::{end, whole};
use super::shares::commit;
use super::target::{Target, record_of, secret_json};
use crate::core::clock::Micros;
use crate::files::upload::{self, Announced};
use crate::http::problem::Problem;
use crate::http::route::FileRef;
use crate::http::{JSON, Reply};
use crate::model::Action;
use crate::pipeline::Context;
use crate::pipeline::system::parameters::Parameters;
use crate::pipeline::unit_of_work::{self, Committed, Failure, UnitOfWork, row_of};
use crate::pipeline::write::idempotent::{KeyReservation, REPLAYED, bare, remembered};
use crate::store::idempotency::Answer;
use crate::store::keys;
use crate::store::object::Upload;
use crate::store::table::{Item, TableName, Write};

/// What an `Idempotency-Key` remembers of an upload: enough to sign the same link again, and no link.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The key of its object.
    object: String,
    /// Start, microseconds since 1970.
    begun: i64,
    /// How long its link lives, seconds.
    window: u64,
}

/// Answers it. The row that lets the object vanish is there before the link is, so nothing that is ever uploaded is forgotten.
///
/// Repeated with its Idempotency-Key it begins no second upload: the link is signed again as of the moment of the first, so it is
/// for the same object, and ends when the first does.
///
/// # Errors
/// 422 for what the field does not take; 403, 404 as the permission says.
pub async fn upload(cx: &Context<'_>, file: &FileRef) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    let rights = target.rights(cx, Action::Upload)?;
    Parameters::read(cx.request, &[])?;
    let body = cx.body.json(&[JSON])?;
    let file = announce::read(body, target.limits)?;
    let place = [(TableName::Data, keys::record(target.entity, target.id))];
    let record = record_of(cx.app.table.get(&place, true).await?.pop().flatten())?;
    target.permit(&rights, &rights.look(cx, &record).await?, Action::Upload)?;

    let claim = KeyReservation::of(cx, Some(body)).await?;
    let mut beginning = Beginning { cx, target: &target, file: &file };
    Ok(unit_of_work::perform(cx, claim.as_ref(), &mut beginning).await?.into_answer())
}

struct Beginning<'a> {
    cx: &'a Context<'a>,
    target: &'a Target<'a>,
    file: &'a Announced,
}

impl UnitOfWork for Beginning<'_> {
    type State = ();
    type Answer = Reply;

    async fn read(&self, claim: Option<&KeyReservation>) -> Result<(Option<Item>, ()), Problem> {
        Ok((row_of(self.cx, claim).await?, ()))
    }

    async fn replay(&self, kept: Answer) -> Result<Reply, Problem> {
        again(self.target, self.file, &kept).await
    }

    async fn attempt(&mut self, (): (), claim: Option<&KeyReservation>) -> Result<Committed<Reply>, Failure> {
        let answer = begin(self.cx, self.target, self.file, claim).await.map_err(Failure::UnlessReplayed)?;
        Ok(Committed { answer, unsettled: None })
    }
}

async fn begin(
    cx: &Context<'_>,
    target: &Target<'_>,
    file: &Announced,
    claim: Option<&KeyReservation>,
) -> Result<Reply, Problem> {
    let (now, window) = (cx.app.env.now(), whole(target.limits.link_expiry));
    let place = upload::place(target.entity, target.id, target.field, cx.principal);
    let (begun, mut rows) = upload::begin(&cx.app.env, place, file.clone(), window, now);
    let kept = Kept { object: begun.object, begun: now.0, window: window.as_secs() };
    let reply = link(target, file, &kept).await?;
    let entry = target.audit_entry(cx, "upload", json!({ "expires_at": end(now, window).rfc3339(), "size": file.size }));
    rows.push((TableName::Data, Write::Put { item: entry, condition: None }));
    let kept = serde_json::to_value(&kept).map_err(Problem::internal)?;
    let kept_rows = remembered(cx, claim, &bare(StatusCode::CREATED, Some(&kept)));
    if kept_rows.is_empty() {
        cx.gate.passed().await;
        // Not atomic, and need not be: without all of them no link is given.
        cx.app.table.write_batch(rows).await?;
    } else {
        commit(cx, rows.into_iter().map(|(_, write)| write).chain(kept_rows).collect()).await?;
    }
    Ok(reply)
}

/// The answer to a repetition.
async fn again(target: &Target<'_>, file: &Announced, before: &Answer) -> Result<Reply, Problem> {
    let kept: Kept = serde_json::from_slice(&before.body).map_err(Problem::internal)?;
    Ok(link(target, file, &kept).await?.header(REPLAYED, HeaderValue::from_static("true")))
}

/// The answer with the link.
async fn link(target: &Target<'_>, file: &Announced, kept: &Kept) -> Result<Reply, Problem> {
    let (begun, window) = (Micros(kept.begun), Duration::from_secs(kept.window));
    let link =
        Upload { key: &kept.object, content_type: &file.content_type, size: file.size, sha256: &announce::digest(&file.sha256) };
    let link = target.objects.sign_upload(link, begun, window).await?;
    let headers: Map<String, Value> = link.headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let expires_at = end(begun, window).rfc3339();
    let document = json!({ "url": link.url, "method": "PUT", "headers": headers, "expires_at": expires_at });
    Ok(secret_json(StatusCode::CREATED, &document))
}
