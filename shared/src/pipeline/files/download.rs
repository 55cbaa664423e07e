//! `GET /v1/{plural}/{id}/{field}/download`: a link, in one wait.
//!
//! The record is read, the limits are charged and the audit trail is written at the same time: the entry stands there before it is
//! known whether a link may be given, and is withdrawn where none is. A crash in between leaves an entry of a link that nobody got;
//! a link without an entry cannot be.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::json;

use super::target::{Target, record_of, secret, secret_json};
use crate::core::clock::Micros;
use crate::core::id::MAX_SAFE_INTEGER;
use crate::http::problem::Problem;
use crate::http::route::FileRef;
use crate::http::{JSON, Reply, header_value, negotiate};
use crate::limit::WindowState;
use crate::model::value::Record;
use crate::model::{Action, FileLimits};
use crate::pipeline::Context;
use crate::pipeline::admit::{AdmitError, Admitted};
use crate::pipeline::system::parameters::{Parameters, refuse};
use crate::store::keys;
use crate::store::object::disposition::{self, Disposition};
use crate::store::object::{self, Download, File, Objects, media};
use crate::store::table::{Key, Returning, TableName, Write};

/// Answers it, with the limits of the caller.
///
/// # Errors
/// A refused admission; no link is given then.
pub async fn download(
    cx: &Context<'_>,
    admission: impl Future<Output = Result<Vec<WindowState>, AdmitError>>,
    file: &FileRef,
) -> Result<Admitted, AdmitError> {
    let mut admission = pin!(admission);
    // Whoever was denied a moment ago is denied without a call.
    if let Poll::Ready(decided) = futures::poll!(admission.as_mut()) {
        return Ok(Admitted { windows: decided?, result: link(cx, file).await.map(|(reply, _)| reply) });
    }
    let (decided, link) = futures::join!(admission, link(cx, file));
    match (decided, link) {
        (Ok(windows), link) => Ok(Admitted { windows, result: link.map(|(reply, _)| reply) }),
        (Err(refused), link) => {
            if let Ok((_, entry)) = link {
                withdraw_best_effort(cx, entry).await;
            }
            Err(refused)
        }
    }
}

/// Parameters of a request for a link.
pub(super) struct DownloadRequest {
    expires_in: Option<u64>,
    disposition: Disposition,
}

/// Takes an entry back: no link is given after all. Where that fails, the entry stays.
async fn withdraw_best_effort(cx: &Context<'_>, key: Key) {
    let write = Write::Delete { key, condition: None };
    if let Err(error) = cx.app.table.write(TableName::Data, write, Returning::Nothing).await {
        tracing::warn!(%error, correlation_id = cx.correlation, "the entry of a link that was not given stays");
    }
}

/// The answer with the link, and its entry in the audit trail.
async fn link(cx: &Context<'_>, file: &FileRef) -> Result<(Reply, Key), Problem> {
    let target = Target::of(cx, file)?;
    let rights = target.rights(cx, Action::Download)?;
    let wanted = DownloadRequest::read(&Parameters::read(cx.request, &["expires_in", "disposition"])?)?;
    let now = cx.app.env.now();
    let window = wanted.window(target.limits.link_expiry);
    let expires_at = end(now, window).rfc3339();

    let row = target.audit_entry(cx, "download", json!({ "expires_at": expires_at, "disposition": wanted.disposition.name() }));
    let entry = row.key.clone();
    let write = cx.app.table.write(TableName::Data, Write::Put { item: row, condition: None }, Returning::Nothing);
    let found = async {
        let place = [(TableName::Data, keys::record(target.entity, target.id))];
        let record = record_of(cx.app.table.get(&place, true).await?.pop().flatten())?;
        target.permit(&rights, &rights.look(cx, &record).await?, Action::Download)?;
        signed(target.objects, target.limits, target.field, &record, wanted.disposition, now, window).await
    };
    let (written, found) = futures::join!(write, found);
    let found = match (written, found) {
        (Ok(_), Ok(found)) => Ok(found),
        (_, Err(problem)) => Err(problem),
        (Err(error), Ok(_)) => Err(error.into()),
    };
    let (url, file) = match found {
        Ok(found) => found,
        Err(problem) => {
            withdraw_best_effort(cx, entry).await;
            return Err(problem);
        }
    };
    let reply = match negotiate::names(&cx.request.headers, JSON) {
        false => secret(Reply::empty(StatusCode::FOUND).header(LOCATION, header_value(url))),
        true => {
            let File { filename, content_type, size, .. } = file;
            let document = json!({
                "url": url, "expires_at": expires_at, "filename": filename, "content_type": content_type, "size": size,
            });
            secret_json(StatusCode::OK, &document)
        }
    };
    Ok((reply, entry))
}

/// A link to the file in a field of a record.
///
/// # Errors
/// 404 where there is none.
pub(super) async fn signed(
    objects: &dyn Objects,
    limits: &FileLimits,
    field: &crate::model::Field,
    record: &Record,
    disposition: Disposition,
    now: Micros,
    window: Duration,
) -> Result<(String, File), Problem> {
    let (file, key) = File::of(&record.fields, field).zip(object::key_of(&record.fields, field)).ok_or_else(no_file)?;
    let shown = media::essence(&file.content_type).is_some_and(|essence| media::is_listed(&limits.inline, &essence));
    let disposition = if shown { disposition } else { Disposition::Attachment };
    let disposition = disposition::header(disposition, &file.filename);
    let link = Download { key, content_type: &file.content_type, disposition: &disposition };
    let link = objects.sign_download(link, now, window).await?;
    Ok((link.url, file))
}

/// A window in whole seconds, one at least: links know nothing finer.
pub(super) fn whole(window: Duration) -> Duration {
    Duration::from_secs(window.as_secs().max(1))
}

/// When a window that begins now ends: links count whole seconds.
pub(super) fn end(now: Micros, window: Duration) -> Micros {
    Micros(now.seconds().saturating_mul(1_000_000)).plus(window)
}

pub(super) fn no_file() -> Problem {
    Problem::new(crate::http::problem::Code::NotFound, "There is no file in this field of the record.")
}

impl DownloadRequest {
    /// # Errors
    /// 400 that names the parameter.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let expires_in = parameters.get("expires_in").map(|text| {
            let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
            seconds
                .filter(|seconds| (1..=MAX_SAFE_INTEGER.unsigned_abs()).contains(seconds))
                .ok_or_else(|| refuse("expires_in", &format!("must be a whole number of seconds from 1 to {MAX_SAFE_INTEGER}")))
        });
        let disposition = match parameters.get("disposition") {
            None | Some("attachment") => Disposition::Attachment,
            Some("inline") => Disposition::Inline,
            Some(_) => return Err(refuse("disposition", "must be inline or attachment")),
        };
        Ok(Self { expires_in: expires_in.transpose()?, disposition })
    }

    /// How long the link lives: shortened by the caller, never lengthened.
    pub(super) fn window(&self, limit: Duration) -> Duration {
        let limit = whole(limit);
        self.expires_in.map_or(limit, |seconds| Duration::from_secs(seconds).min(limit))
    }

    /// What a browser is to do.
    pub(super) fn disposition(&self) -> Disposition {
        self.disposition
    }
}
