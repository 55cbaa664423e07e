//! `GET /v1/_shares/{secret}`: anybody who has the address gets a link of one minute.
//!
//! Limited by the client's address first, then charged to whoever shared, as a download. What the sharer may do is asked anew: the
//! consumer's record as it is by now, the record as it is, the file as it is. The use is counted last, on condition that one is left,
//! in one transaction with the entry of the audit trail.
//!
//! `HEAD` is told whether the share still leads somewhere, by the same status. It is no use of it, so it gets no link: one that was
//! not counted would be a way around the count.

use std::time::Duration;

use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::json;

use super::download::{DownloadRequest, end, signed};
use super::shares::has_ended;
use super::target::{Target, record_of, secret};
use crate::app::App;
use crate::files::share::{self, Share};
use crate::http::problem::{Code, Problem};
use crate::http::route::FileRef;
use crate::http::{Reply, header_value};
use crate::identity::auth::Principal;
use crate::identity::consumer::record::Row;
use crate::limit::Call;
use crate::limit::address::AddressBucket;
use crate::model::{Action, EntityIx, FieldType, Operation};
use crate::pipeline::admit::Admitted;
use crate::pipeline::system::parameters::Parameters;
use crate::pipeline::{Context, Gate, RequestContext, admit};
use crate::store::keys;
use crate::store::object;
use crate::store::repeat::repeated;
use crate::store::table::{Item, Reason, TableError, TableName, Transaction, Write};

/// How long the link lives.
const WINDOW: Duration = Duration::from_secs(60);

/// Answers it.
///
/// # Errors
/// 404 for an address that never was, and where the sharer may not read the file any more; 410 for a share that was revoked, has
/// ended, was used up, or whose file is gone; 429.
pub async fn shared(cx: &RequestContext<'_>, secret_text: &str) -> Result<Reply, Problem> {
    let (app, now) = (cx.app, cx.app.env.now());
    admit::by_address(cx, AddressBucket::Open)?;
    let wanted = DownloadRequest::read(&Parameters::read(cx.request, &["disposition"])?)?;
    let place = [(TableName::Data, share::place(secret_text))];
    let found = app.table.get(&place, true).await?.pop().flatten();
    let share = found.as_ref().and_then(Share::read).ok_or_else(Problem::not_found)?;
    if let Some(why) = has_ended(&share, now) {
        return Err(gone(why));
    }
    let file = file_of(app, &share)?;
    let (record, principal) = present(app, &share, file.entity).await?;
    cx.metrics.consumer(&principal.consumer);
    let gate = Gate::open();
    let cx = Context { inner: cx, principal: &principal, gate: &gate };
    let target = Target::of(&cx, &file)?;

    let calls = [Call { entity: Some(file.entity), operation: Operation::Download, count: 1 }];
    let (windows, link) = futures::join!(admit::admit(&cx, &principal, &calls, None), async {
        let record = record_of(record).map_err(|_| gone("The file of this share is gone."))?;
        let rights = target.rights(&cx, Action::Download).map_err(no_longer)?;
        let effective = rights.look(&cx, &record).await?;
        target.permit(&rights, &effective, Action::Download).map_err(no_longer)?;
        if object::key_of(&record.fields, target.field) != Some(&share.object) {
            return Err(gone("The file of this share is gone."));
        }
        signed(target.objects, target.limits, target.field, &record, wanted.disposition(), now, WINDOW).await
    });
    let windows = windows.map_err(Problem::from)?;
    let found = Reply::empty(StatusCode::FOUND);
    let result = match link {
        Ok(_) if cx.request.method == Method::HEAD => Ok(found),
        Ok((url, _)) => count(&cx, &target, &share).await.map(|()| found.header(LOCATION, header_value(url))),
        Err(problem) => Err(problem),
    };
    Admitted { windows, result: result.map(secret) }.answer(&cx)
}

fn gone(why: &str) -> Problem {
    Problem::new(Code::Gone, why)
}

/// Whoever shared may not do so any more. That may change again, so it is not gone; and it is nobody's business.
fn no_longer(problem: Problem) -> Problem {
    match problem.code {
        Code::Forbidden => Problem::not_found(),
        _ => problem,
    }
}

/// The file that was shared, by the model that runs here.
fn file_of(app: &App, share: &Share) -> Result<FileRef, Problem> {
    let entity = app.model.by_name(&share.terms.entity).ok_or_else(Problem::not_found)?;
    let field = entity.by_field(&share.terms.field).ok_or_else(Problem::not_found)?;
    match &field.kind {
        FieldType::File(limits) if limits.share_expiry.is_some() => {
            Ok(FileRef { entity: entity.ix, id: share.terms.record.clone(), field: field.ix })
        }
        _ => Err(Problem::not_found()),
    }
}

/// The record, and the sharer, as they are by now.
async fn present(app: &App, share: &Share, entity: EntityIx) -> Result<(Option<Item>, Principal), Problem> {
    let record = keys::record(app.model.entity(entity), &share.terms.record);
    let places = [(TableName::Data, record), (TableName::Data, keys::consumer(&share.terms.sharer.consumer))];
    let mut found = app.table.get(&places, true).await?.into_iter();
    let record = found.next().flatten();
    let row = found.next().flatten().map(|row| Row::from_item(&row)).transpose().map_err(Problem::internal)?;
    let sharer = share.terms.sharer.now(&app.model, row).ok_or_else(Problem::not_found)?;
    Ok((record, sharer))
}

/// Counts the use, with its entry.
async fn count(cx: &Context<'_>, target: &Target<'_>, share: &Share) -> Result<(), Problem> {
    let env = &cx.app.env;
    let expires_at = end(env.now(), WINDOW).rfc3339();
    let detail = json!({ "share": share.terms.id, "expires_at": expires_at, "address": cx.request.address.to_string() });
    let entry = Write::Put { item: target.audit_entry(cx, "share.download", detail), condition: None };
    let writes = vec![(TableName::Data, share.count(env.now())), (TableName::Data, entry)];
    // One token for all attempts: a use is counted once, however often it has to be sent.
    let transaction = Transaction { token: env.uuid_v7().to_string(), writes };
    let once = || async {
        cx.app.table.transact(transaction.clone()).await.map_err(|error| match error {
            TableError::Cancelled(reasons) if !reasons.iter().any(is_condition) => TableError::Busy("conflict".to_owned()),
            error => error,
        })
    };
    match repeated(env, once).await {
        Err(TableError::Cancelled(_)) => Err(gone("This share has ended, or was used as often as it may be.")),
        other => Ok(other?),
    }
}

fn is_condition(reason: &Reason) -> bool {
    matches!(reason, Reason::ConditionFailed(_))
}
