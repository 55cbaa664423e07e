//! Shares as those see them who make them: `.../{field}/shares` and `/v1/_consumers/{id}/shares`.
//!
//! Whoever may download a file may share it, and sees and revokes the shares of their own consumer; whoever may replace the file
//! sees and revokes all of its shares, and so does, by consumer, who administers consumers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use super::announce;
use super::download::{end, whole};
use super::target::{Target, record_of, secret_json};
use crate::core::clock::Micros;
use crate::core::id::MAX_SAFE_INTEGER;
use crate::files::share::{self, Share, Terms};
use crate::http::Reply;
use crate::http::problem::{FieldError, Problem};
use crate::http::route::FileRef;
use crate::identity::auth::Sharer;
use crate::identity::consumer::record::Row;
use crate::model::Action;
use crate::pipeline::Context;
use crate::pipeline::permission::identified;
use crate::pipeline::system::parameters::{Parameters, bad_cursor};
use crate::pipeline::unit_of_work;
use crate::pipeline::write::idempotent::{KeyReservation, bare, remembered};
use crate::pipeline::write::rights::Rights;
use crate::query::policy::SystemPermit;
use crate::query::policy::system::Consumers;
use crate::store::audit;
use crate::store::idempotency;
use crate::store::keys;
use crate::store::object::{self, File};
use crate::store::repeat::repeated;
use crate::store::table::{Reason, TableError, TableName, Transaction, Write};

/// Most uses that a share may be limited to.
const MAX_DOWNLOADS: u64 = 1_000_000;
/// Shares that are revoked in one transaction: three rows each, and an entry of the audit trail.
const AT_ONCE: usize = 30;

/// `POST .../shares`: the only answer that ever has the address. Repeated with its Idempotency-Key it makes no second share and
/// shows the first without its address, which is stored nowhere.
///
/// # Errors
/// 422 for a body that is wrong; 403 and 404 as for a download; 404 without a file.
pub async fn create(cx: &Context<'_>, file: &FileRef) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    if target.limits.share_expiry.is_none() {
        return Err(Problem::not_found());
    }
    let rights = target.rights(cx, Action::Download)?;
    if cx.principal.anonymous {
        return Err(Problem::forbidden(
            "Only callers who are known may share: each use asks whether they still may read the file.",
        ));
    }
    Parameters::read(cx.request, &[])?;
    let body = cx.body.optional_json()?;
    let wish = wished(body)?;
    let claim = KeyReservation::of(cx, Some(body)).await?;
    let claim = claim.as_ref();
    unit_of_work::once(cx, claim, || created(cx, &target, &rights, wish, claim)).await
}

async fn created(
    cx: &Context<'_>,
    target: &Target<'_>,
    rights: &Rights<'_>,
    (expires_in, most): (Option<u64>, Option<i64>),
    claim: Option<&KeyReservation>,
) -> Result<Reply, Problem> {
    let id = target.id;
    let longest = target.limits.share_expiry.ok_or_else(Problem::not_found)?;
    let places = [(TableName::Data, keys::record(target.entity, id)), (TableName::Data, keys::consumer(&cx.principal.consumer))];
    let mut found = cx.app.table.get(&places, true).await?.into_iter();
    let record = record_of(found.next().flatten())?;
    target.permit(rights, &rights.look(cx, &record).await?, Action::Download)?;
    let row = found.next().flatten().map(|row| Row::from_item(&row)).transpose().map_err(Problem::internal)?;
    let (Some(_), Some(object)) = (File::of(&record.fields, target.field), object::key_of(&record.fields, target.field)) else {
        return Err(super::download::no_file());
    };

    let now = cx.app.env.now();
    let window = expires_in.map_or(longest, |seconds| std::time::Duration::from_secs(seconds).min(longest));
    let ends = end(now, whole(window));
    let terms = Terms {
        id: cx.app.env.uuid_v7().to_string(),
        entity: target.entity.name.clone(),
        record: id.to_owned(),
        field: target.field.name.clone(),
        sharer: Sharer::of(cx.principal, row.as_ref()),
        created_at: now.rfc3339(),
    };
    let (secret, mut writes) = share::create(&cx.app.env, target.entity, &terms, object, ends, most);
    let detail = json!({ "share": terms.id, "expires_at": ends.rfc3339(), "max_downloads": most });
    writes.push(Write::Put { item: target.audit_entry(cx, "share.create", detail), condition: None });
    let kept = json!({ "id": terms.id, "expires_at": ends.rfc3339() });
    writes.extend(remembered(cx, claim, &bare(StatusCode::CREATED, Some(&kept))));
    commit(cx, writes).await?;
    let url = format!("{}/v1/_shares/{secret}", cx.request.base_url);
    Ok(secret_json(StatusCode::CREATED, &json!({ "id": terms.id, "url": url, "expires_at": ends.rfc3339() })))
}

/// How long and how often, as far as the body says.
fn wished(body: &Value) -> Result<(Option<u64>, Option<i64>), Problem> {
    let members = match body {
        Value::Null => return Ok((None, None)),
        Value::Object(members) => members,
        _ => return Err(announce::invalid(vec![FieldError::new("", "type", "must be an object, or left out")])),
    };
    let mut errors = announce::unknown(members, &["expires_in", "max_downloads"]);
    let mut number = |name: &str, most: u64, label: &str| match members.get(name) {
        None | Some(Value::Null) => None,
        Some(value) => {
            let number = crate::core::json::whole(value).filter(|number| (1..=most).contains(number));
            if number.is_none() {
                errors.push(FieldError::new(format!("/{name}"), "minimum", format!("must be {label}")));
            }
            number
        }
    };
    let longest = MAX_SAFE_INTEGER.unsigned_abs();
    let expires_in = number("expires_in", longest, &format!("a whole number of seconds from 1 to {longest}"));
    let most = number("max_downloads", MAX_DOWNLOADS, &format!("a whole number from 1 to {MAX_DOWNLOADS}"));
    match errors.is_empty() {
        true => Ok((expires_in, most.and_then(|most| i64::try_from(most).ok()))),
        false => Err(announce::invalid(errors)),
    }
}

/// `GET .../shares`: those of the caller's consumer that live, or all of them.
///
/// # Errors
/// As [`create`].
pub async fn list(cx: &Context<'_>, file: &FileRef) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    let parameters = Parameters::read(cx.request, &["limit", "cursor"])?;
    let all = administers(cx, &target).await?;
    let pk = keys::share_of_file(target.entity, target.id, &target.field.name, "").pk;
    let own = |share: &Share| all || share.terms.sharer.consumer == cx.principal.consumer;
    page(cx, &parameters, pk, &own).await
}

/// `GET /v1/_consumers/{id}/shares`.
///
/// # Errors
/// 400 for parameters that are not known here.
pub async fn list_of_consumer(cx: &Context<'_>, _: SystemPermit<Consumers>, consumer: &str) -> Result<Reply, Problem> {
    let parameters = Parameters::read(cx.request, &["limit", "cursor"])?;
    page(cx, &parameters, keys::share_of_consumer(consumer, "").pk, &|_| true).await
}

async fn page(
    cx: &Context<'_>,
    parameters: &Parameters,
    pk: String,
    shows: &(dyn Fn(&Share) -> bool + Send + Sync),
) -> Result<Reply, Problem> {
    let after = parameters.cursor()?.map(position).transpose()?;
    let (shares, next) = share::list(&*cx.app.table, pk, parameters.limit()?, after).await?;
    let now = cx.app.env.now();
    let data: Vec<Value> = shares.iter().filter(|share| share.is_live(now) && shows(share)).map(document).collect();
    let next = next.map(|after| URL_SAFE_NO_PAD.encode([b"1", after.as_slice()].concat()));
    Ok(parameters.page(cx.request, &data, next.as_deref()))
}

/// A share without its address, which nobody knows any more.
fn document(share: &Share) -> Value {
    let Terms { id, entity, record, field, sharer, created_at } = &share.terms;
    json!({
        "id": id,
        "resource": entity,
        "resource_id": record,
        "field": field,
        "consumer": sharer.consumer,
        "subject": sharer.subject,
        "created_at": created_at,
        "expires_at": share.ends.rfc3339(),
        "max_downloads": share.most,
        "downloads": share.used,
    })
}

/// `1` (the form of the cursor) and the id of the last share that was looked at.
fn position(cursor: &str) -> Result<Vec<u8>, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    bytes.strip_prefix(b"1").filter(|rest| rest.len() == 36).map(<[u8]>::to_vec).ok_or_else(bad_cursor)
}

/// `DELETE .../shares/{id}`: 204; 404 for a share that is not there, or not the caller's.
///
/// # Errors
/// As [`list`].
pub async fn revoke(cx: &Context<'_>, file: &FileRef, share: &str) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    Parameters::read(cx.request, &[])?;
    let all = administers(cx, &target).await?;
    let claim = KeyReservation::of(cx, None).await?;
    let claim = claim.as_ref();
    unit_of_work::once(cx, claim, || revoked(cx, &target, share, all, claim)).await
}

/// `all`: whether the caller revokes the shares of other consumers too.
async fn revoked(
    cx: &Context<'_>,
    target: &Target<'_>,
    share: &str,
    all: bool,
    claim: Option<&KeyReservation>,
) -> Result<Reply, Problem> {
    let listing = keys::share_of_file(target.entity, target.id, &target.field.name, share);
    let found = share::one(&*cx.app.table, listing).await?;
    let share =
        found.filter(|share| all || share.terms.sharer.consumer == cx.principal.consumer).ok_or_else(Problem::not_found)?;
    let remembered = remembered(cx, claim, &bare(StatusCode::NO_CONTENT, None));
    end_of(cx, std::slice::from_ref(&share), remembered).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE .../shares`: all of the file that the caller sees.
///
/// # Errors
/// As [`list`].
pub async fn revoke_all(cx: &Context<'_>, file: &FileRef) -> Result<Reply, Problem> {
    let target = Target::of(cx, file)?;
    Parameters::read(cx.request, &[])?;
    let all = administers(cx, &target).await?;
    let pk = keys::share_of_file(target.entity, target.id, &target.field.name, "").pk;
    end_all(cx, pk, &|share| all || share.terms.sharer.consumer == cx.principal.consumer).await
}

/// `DELETE /v1/_consumers/{id}/shares`.
///
/// # Errors
/// 400 for parameters that are not known here.
pub async fn revoke_of_consumer(cx: &Context<'_>, _: SystemPermit<Consumers>, consumer: &str) -> Result<Reply, Problem> {
    Parameters::read(cx.request, &[])?;
    end_all(cx, keys::share_of_consumer(consumer, "").pk, &|_| true).await
}

async fn end_all(cx: &Context<'_>, pk: String, of: &(dyn Fn(&Share) -> bool + Send + Sync)) -> Result<Reply, Problem> {
    let mut after = None;
    loop {
        let (shares, next) = share::list(&*cx.app.table, pk.clone(), 100, after).await?;
        let shares: Vec<Share> = shares.into_iter().filter(|share| of(share)).collect();
        for chunk in shares.chunks(AT_ONCE) {
            end_of(cx, chunk, Vec::new()).await?;
        }
        after = match next {
            Some(next) => Some(next),
            None => return Ok(Reply::empty(StatusCode::NO_CONTENT)),
        };
    }
}

/// Whether the caller sees the shares of all: who may replace the file. Whoever may not even download it sees none, nor does nobody
/// in particular.
async fn administers(cx: &Context<'_>, target: &Target<'_>) -> Result<bool, Problem> {
    identified(cx)?;
    let place = [(TableName::Data, keys::record(target.entity, target.id))];
    let record = record_of(cx.app.table.get(&place, true).await?.pop().flatten())?;
    let may = async |action| {
        let rights = target.rights(cx, action)?;
        target.permit(&rights, &rights.look(cx, &record).await?, action)
    };
    match may(Action::Upload).await {
        Ok(()) => Ok(true),
        Err(problem) if problem.code.status().is_server_error() => Err(problem),
        Err(_) => may(Action::Download).await.map(|()| false),
    }
}

/// Revokes shares in one transaction, with an entry of the audit trail and `others` beside it.
async fn end_of(cx: &Context<'_>, shares: &[Share], others: Vec<Write>) -> Result<(), Problem> {
    let Some(first) = shares.first() else { return Ok(()) };
    let mut writes = Vec::new();
    for share in shares {
        // An entity that the model has lost: its shares can lead nowhere.
        let Some(entity) = cx.model().by_name(&share.terms.entity) else { continue };
        writes.extend(share.revoke(entity));
    }
    let ids: Vec<&str> = shares.iter().map(|share| share.terms.id.as_str()).collect();
    let entry = audit::Entry {
        action: format!("{}.{}.share.delete", first.terms.entity, first.terms.field),
        resource: first.terms.entity.clone(),
        id: Some(first.terms.record.clone()),
        detail: Some(json!({ "shares": ids })),
        ..audit::Entry::by(cx.principal, &cx.correlation)
    };
    writes.push(Write::Put { item: audit::item(entry, &cx.app.env), condition: None });
    writes.extend(others);
    commit(cx, writes).await
}

/// Commits; again where others are at the same rows. To do it twice is to do it once.
pub(super) async fn commit(cx: &Context<'_>, writes: Vec<Write>) -> Result<(), Problem> {
    cx.gate.passed().await;
    let env = &cx.app.env;
    let writes = idempotency::fenced(env, writes);
    let writes: Vec<_> = writes.into_iter().map(|write| (TableName::Data, write)).collect();
    let transaction = Transaction { token: env.uuid_v7().to_string(), writes };
    let once = || async {
        cx.app.table.transact(transaction.clone()).await.map_err(|error| match error {
            TableError::Cancelled(reasons) if reasons.iter().all(passes) => TableError::Busy("conflict".to_owned()),
            error => error,
        })
    };
    match repeated(env, once).await {
        // The row was there a moment ago: somebody else has revoked it, or it has ended.
        Err(TableError::Cancelled(reasons)) if reasons.iter().any(|reason| matches!(reason, Reason::ConditionFailed(_))) => {
            Err(Problem::not_found())
        }
        other => Ok(other?),
    }
}

fn passes(reason: &Reason) -> bool {
    matches!(reason, Reason::None | Reason::Conflict | Reason::Throttled)
}

/// The shares of a file end with it; this is for its address.
pub(super) fn has_ended(share: &Share, now: Micros) -> Option<&'static str> {
    match share {
        Share { revoked: true, .. } => Some("This share was revoked."),
        Share { ends, .. } if now >= *ends => Some("This share has ended."),
        share if !share.is_live(now) => Some("This share was used as often as it may be."),
        _ => None,
    }
}
