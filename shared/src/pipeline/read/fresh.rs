//! Answers from the data themselves.

use serde_json::Value;

use super::refused::{bad_cursor, list_failed, scan_failed, too_many_to_count};
use crate::cache::Answer;
use crate::http::problem::Problem;
use crate::pipeline::Context;
use crate::pipeline::embed;
use crate::pipeline::list::{self, RowVisibility};
use crate::pipeline::plan_stats;
use crate::pipeline::scan::Row;
use crate::query::ListQuery;
use crate::query::plan::{Cursor, IncludePlan, ReadPlan};
use crate::query::policy::Permitted;
use crate::query::shape;
use crate::store::table::TableName;
use crate::store::{items, keys};

/// A page of a list.
///
/// # Errors
/// A cursor of another list, a count beyond the budget, what the table says.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "read", skip_all)]
pub(super) async fn list(cx: &Context<'_>, permitted: &Permitted<ListQuery>, plan: &ReadPlan<'_>) -> Result<Answer, Problem> {
    let app = cx.app;
    let query = permitted.query();
    let ReadPlan { own: plan, includes } = plan;
    let after = match &query.cursor {
        None => None,
        Some(text) => {
            let keys = app.secrets_for(Some(text)).await?.cursor;
            Some(Cursor::open(text, &keys, query, plan).map_err(|_| bad_cursor())?.position)
        }
    };
    let counted = async { if query.count { list::count(app, permitted, plan).await.map(Some) } else { Ok(None) } };
    let begun = app.env.now();
    let (page, counted) = futures::try_join!(list::page(app, permitted, plan, after), counted).map_err(scan_failed)?;
    cx.metrics.plan(plan_stats::of(&app.model, query, plan, &page, app.env.now().since(begun)));
    let total = match counted {
        None => None,
        Some(Some(total)) => Some(total as u64),
        Some(None) => return Err(too_many_to_count(&app.model, permitted)),
    };
    let shown = embed::show(app, permitted, includes, &page.rows).await.map_err(list_failed)?;
    let records: Value = shown.into_iter().map(Value::Object).collect();
    Ok(Answer { version: app.model.hash.clone(), body: records.to_string().into(), next: page.next, total })
}

/// One record with what is embedded in it.
///
/// # Errors
/// 404 for a record that does not exist or may not be seen; what the table says.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "read", skip_all)]
pub(super) async fn record(
    cx: &Context<'_>,
    permitted: &Permitted<ListQuery>,
    includes: &[IncludePlan<'_>],
    id: &str,
) -> Result<Answer, Problem> {
    let app = cx.app;
    let entity = app.model.entity(permitted.query().entity);
    let place = [(TableName::Data, keys::record(entity, id))];
    let found = app.table.get(&place, true).await?.into_iter().next().flatten();
    let record = found.as_ref().and_then(items::decode).ok_or_else(Problem::not_found)?;
    let row = Row { position: Vec::new(), record };
    let judged = RowVisibility::new(app, permitted).visible(vec![row]).await.map_err(scan_failed)?;
    let Some((row, Some(mask))) = judged.into_iter().next() else { return Err(Problem::not_found()) };
    let rows = [(row.record, mask)];
    let shown = if permitted.includes().is_empty() {
        vec![shape::record(entity, &rows[0].0, &rows[0].1, permitted.query().fields.as_ref())]
    } else {
        embed::show(app, permitted, includes, &rows).await.map_err(list_failed)?
    };
    let body = shown.into_iter().next().map_or(Value::Null, Value::Object);
    let [(record, _)] = rows;
    Ok(Answer { version: record.version, body: body.to_string().into(), next: None, total: None })
}
