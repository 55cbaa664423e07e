//! A kept answer, shown again: never more of it than its caller may read now.

use serde_json::{Map, Value};

use super::answer::RecordAnswer;
use crate::http::problem::Problem;
use crate::model::value::Record;
use crate::model::{Action, Entity, FieldMask, Path};
use crate::pipeline::Context;
use crate::pipeline::related::Related;
use crate::query::policy::Access;
use crate::store::idempotency::Answer;
use crate::store::table::{TableError, TableName};
use crate::store::{items, keys};

/// The answer with what the caller may read by present permissions, evaluated on the present state of its records. `many`: it is
/// that of a `_bulk` call, whose records shrink to their ids where they may not be read any more.
///
/// # Errors
/// 403 or 404 where a single record may not be read any more.
pub(in crate::pipeline) async fn masked(
    cx: &Context<'_>,
    entity: &Entity,
    many: bool,
    Answer { status, headers, body }: Answer,
) -> Result<RecordAnswer, Problem> {
    if body.is_empty() {
        return Ok(RecordAnswer { status, headers, body: None });
    }
    let mut body: Value = serde_json::from_slice(&body).map_err(Problem::internal)?;
    let mut shown: Vec<&mut Map<String, Value>> = match many {
        true => match body.get_mut("results") {
            Some(Value::Array(results)) => results.iter_mut().filter_map(|one| one.get_mut("data")?.as_object_mut()).collect(),
            _ => Vec::new(),
        },
        false => body.as_object_mut().into_iter().collect(),
    };
    let access = Access::of(cx.model(), cx.principal, entity, Action::Read);
    let masks = masks(cx, entity, &access, &shown).await?;
    for (record, mask) in shown.iter_mut().zip(masks) {
        if mask.is_none() && !many && record.len() > 1 {
            return Err(if access.is_forbidden() {
                Problem::forbidden(format!("You may not read {} any more.", entity.plural))
            } else {
                Problem::not_found()
            });
        }
        let mask = mask.unwrap_or_default();
        record.retain(|name, _| name == "id" || entity.by_field(name).is_some_and(|field| mask.contains(field.ix)));
    }
    Ok(RecordAnswer { status, headers, body: Some(body) })
}

/// What may be read of each record now. Of one that is gone, only what may be read of every record: no condition can be evaluated.
async fn masks(
    cx: &Context<'_>,
    entity: &Entity,
    access: &Access,
    shown: &[&mut Map<String, Value>],
) -> Result<Vec<Option<FieldMask>>, Problem> {
    let all = access.alternatives().iter().filter(|alternative| alternative.rows.is_always());
    let open = all.fold(None, |open: Option<FieldMask>, alternative| {
        let mut open = open.unwrap_or_default();
        open.union(&alternative.fields);
        Some(open)
    });
    if access.is_forbidden() || open.as_ref().is_some_and(|open| access.is_open(open) && open.contains_all(&access.widest())) {
        return Ok(shown.iter().map(|_| open.clone()).collect());
    }
    let records = stored(cx, entity, shown).await?;
    let mut paths: Vec<Path> = Vec::new();
    access.paths(&mut |path| paths.push(path));
    let there: Vec<&Record> = records.iter().flatten().collect();
    let related = Related::load(cx.app, entity, &there, &paths).await?;
    let mask = |record: &Option<Record>| match record {
        Some(record) => access.mask(cx.model(), entity, &related.values(record)),
        None => open.clone(),
    };
    Ok(records.iter().map(mask).collect())
}

async fn stored(cx: &Context<'_>, entity: &Entity, shown: &[&mut Map<String, Value>]) -> Result<Vec<Option<Record>>, TableError> {
    let place = |record: &&mut Map<String, Value>| {
        let id = match record.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        (TableName::Data, keys::record(entity, &id))
    };
    let keys: Vec<_> = shown.iter().map(place).collect();
    Ok(cx.app.table.get(&keys, true).await?.iter().map(|item| item.as_ref().and_then(items::decode)).collect())
}
