//! `POST /v1/{plural}/{id}/{field}/upload`: a link for one PUT of exactly what was announced.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::download::{end, whole};
use super::{Target, announce, record_of, secret_json};
use crate::files::upload;
use crate::http::{JSON, Reply};
use crate::model::{Action, EntityIx, FieldIx};
use crate::object::Upload;
use crate::pipeline::Context;
use crate::pipeline::system::{body, parameters::Parameters};
use crate::problem::Problem;
use crate::store::keys;
use crate::store::table::{TableName, Write};

/// Answers it. The row that lets the object vanish is there before the link is, so nothing that is ever uploaded is forgotten.
///
/// # Errors
/// 422 for what the field does not take; 403, 404 as the permission says.
pub async fn upload(cx: &Context<'_>, entity: EntityIx, id: &str, field: FieldIx) -> Result<Reply, Problem> {
    let target = Target::of(cx, entity, id, field)?;
    let rights = target.rights(cx, Action::Upload)?;
    Parameters::read(cx.request, &[])?;
    let file = announce::read(&body::json(cx.request, &[JSON])?, target.limits)?;
    let place = [(TableName::Data, keys::record(target.entity, id))];
    let record = record_of(cx.app.table.get(&place, true).await?.pop().flatten())?;
    target.permit(&rights, &rights.look(cx, &record).await?, Action::Upload)?;

    let (now, window) = (cx.app.env.now(), whole(target.limits.link_expiry));
    let place = upload::place(target.entity, id, target.field, cx.principal);
    let (begun, mut rows) = upload::begin(&cx.app.env, place, file, window, now);
    let link = Upload {
        key: &begun.object,
        content_type: &begun.file.content_type,
        size: begun.file.size,
        sha256: &announce::digest(&begun.file.sha256),
    };
    let link = target.objects.sign_upload(link, now, window).await?;
    let expires_at = end(now, window).rfc3339();
    let told = target.told(cx, "upload", json!({ "expires_at": expires_at, "size": begun.file.size }));
    rows.push((TableName::Data, Write::Put { item: told, condition: None }));
    cx.gate.passed().await;
    // Not atomic, and need not be: without all of them no link is given.
    cx.app.table.write_batch(rows).await?;
    let headers: Map<String, Value> = link.headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let document = json!({ "url": link.url, "method": "PUT", "headers": headers, "expires_at": expires_at });
    Ok(secret_json(StatusCode::CREATED, &document))
}
