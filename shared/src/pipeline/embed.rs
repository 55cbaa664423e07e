//! Embedded relations. To-one: one batch for all records of a page. To-many: one query per parent, a bounded number at once.
//!
//! Nothing is planned here: the plans were made with that of the read ([`ReadPlan`](crate::query::plan::ReadPlan)), and are only bound
//! to each parent.

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};

use super::list::{self, Page, RowVisibility};
use super::scan::{Row, ScanError};
use crate::app::App;
use crate::model::value::Record;
use crate::model::{Entity, FieldMask, Path};
use crate::query::ListQuery;
use crate::query::plan::{ChildrenPlan, IncludePlan, NoIndex, QueryPlan, Reads};
use crate::query::policy::Permitted;
use crate::query::shape;
use crate::store::references::referred;
use crate::store::table::TableName;
use crate::store::{items, keys};

/// Queries under way at once for one relation of one page.
const AT_ONCE: usize = 8;

/// Reason why a list cannot be answered.
#[derive(Debug)]
pub enum ListError {
    /// No index serves it.
    NoIndex(NoIndex),
    /// Its rows cannot be read.
    Scan(ScanError),
}

impl<E: Into<ScanError>> From<E> for ListError {
    fn from(error: E) -> Self {
        Self::Scan(error.into())
    }
}

/// Shows records with what is embedded in them.
pub fn show<'a>(
    app: &'a App,
    permitted: &'a Permitted<ListQuery>,
    includes: &'a [IncludePlan<'a>],
    rows: &'a [(Record, FieldMask)],
) -> BoxFuture<'a, Result<Vec<Map<String, Value>>, ListError>> {
    async move {
        let query = permitted.query();
        let entity = app.model.entity(query.entity);
        let mut shown: Vec<Map<String, Value>> =
            rows.iter().map(|(record, mask)| shape::record(entity, record, mask, query.fields.as_ref())).collect();
        for plan in includes {
            let name = plan.include.relation.name(entity);
            let values = match &plan.reads {
                Reads::Target(position) => to_one(app, entity, *position, plan, rows).await?,
                Reads::Children(children) => to_many(app, entity, children, plan, rows).await?,
            };
            for (record, value) in shown.iter_mut().zip(values) {
                record.insert(name.to_owned(), value);
            }
        }
        Ok(shown)
    }
    .boxed()
}

async fn to_one(
    app: &App,
    entity: &Entity,
    position: u16,
    plan: &IncludePlan<'_>,
    rows: &[(Record, FieldMask)],
) -> Result<Vec<Value>, ListError> {
    let permitted = &plan.include.target;
    let relation = &entity.to_one[usize::from(position)];
    let target = app.model.entity(relation.target);
    // Who may not read the reference does not learn where it leads.
    let ids: Vec<Option<String>> = rows
        .iter()
        .map(|(record, mask)| {
            mask.contains(relation.field).then(|| referred(Some(&record.get(entity, Path::Own(relation.field)))))?
        })
        .collect();
    let mut wanted: Vec<&String> = ids.iter().flatten().collect();
    wanted.sort();
    wanted.dedup();
    let places: Vec<_> = wanted.iter().map(|id| (TableName::Data, keys::record(target, id))).collect();
    let found = if places.is_empty() { Vec::new() } else { app.table.get(&places, true).await? };
    let records = found
        .iter()
        .filter_map(|item| items::decode(item.as_ref()?))
        .map(|record| Row { position: Vec::new(), record })
        .collect();
    let visible: Vec<(Record, FieldMask)> = RowVisibility::new(app, permitted)
        .visible(records)
        .await?
        .into_iter()
        .filter_map(|(row, mask)| Some((row.record, mask?)))
        .collect();
    let shown = show(app, permitted, &plan.includes, &visible).await?;
    let by_id: std::collections::HashMap<&str, &Map<String, Value>> =
        visible.iter().map(|(record, _)| record.id.as_str()).zip(&shown).collect();
    let value = |id: &String| by_id.get(id.as_str()).map(|record| Value::Object((*record).clone()));
    Ok(ids.iter().map(|id| id.as_ref().and_then(value).unwrap_or(Value::Null)).collect())
}

async fn to_many(
    app: &App,
    entity: &Entity,
    children: &ChildrenPlan<'_>,
    plan: &IncludePlan<'_>,
    rows: &[(Record, FieldMask)],
) -> Result<Vec<Value>, ListError> {
    let permitted = &plan.include.target;
    let lists: Vec<(Permitted<ListQuery>, QueryPlan)> = rows
        .iter()
        .map(|(record, _)| children.bind(&app.model, record.id_value(entity)))
        .collect::<Result<_, _>>()
        .map_err(ListError::NoIndex)?;
    // Boxed one by one: the compiler cannot yet prove a stream of borrowing closures to be Send.
    let reads: Vec<BoxFuture<'_, Result<Page, ScanError>>> =
        lists.iter().map(|(query, plan)| list::page(app, query, plan, None).boxed()).collect();
    let pages: Vec<Page> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    // All children at once, so that what they embed costs one batch and not one per parent.
    let records: Vec<(Record, FieldMask)> = pages.iter().flat_map(|page| page.rows.iter().cloned()).collect();
    let mut shown = show(app, permitted, &plan.includes, &records).await?.into_iter();
    Ok(pages.iter().map(|page| shown.by_ref().take(page.rows.len()).map(Value::Object).collect()).collect())
}
