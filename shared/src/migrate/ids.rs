//! `migrate`, ids of another kind: the id of a record is the text in its keys, so those that the new kind takes stay as they are, and
//! only what refers to them is converted and what is ordered by them built anew. Others are told: only a person can say what becomes of them.

use serde_json::Value;

use super::rewrite::Rewriter;
use super::{MigrateError, Plan, Progress, Stuck};
use crate::model::evolution::MigrationStep;
use crate::model::value::Record;
use crate::model::{Entity, Model, normalise_id, validate};
use crate::store::items;

/// Entities whose ids are of another kind than those that are stored.
pub(super) fn converted<'m>(model: &'m Model, plan: &Plan) -> Vec<&'m Entity> {
    let names = plan.steps.iter().filter_map(|step| match &step.work {
        MigrationStep::ConvertId { entity, .. } => Some(entity),
        _ => None,
    });
    names.filter_map(|name| model.by_name(name)).collect()
}

/// Tells the records whose ids an entity does not take any more.
pub(super) async fn check(
    rewriter: &Rewriter,
    entities: &[&Entity],
    done: &mut Progress,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<(), MigrateError> {
    let mut after = None;
    while !entities.is_empty() {
        let (page, next) = rewriter.scan(after).await?;
        done.items += page.len() as u64;
        for entity in entities {
            let prefix = format!("r#{}#", entity.name);
            let records = page.iter().filter(|item| item.key.pk.starts_with(&prefix)).filter_map(items::decode);
            done.add_stuck(records.filter_map(|record| stuck(entity, &record)).collect());
        }
        progress(done);
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

fn stuck(entity: &Entity, record: &Record) -> Option<Stuck> {
    let normal = normalise_id(&entity.id, &record.id_value(entity));
    let text = |id: Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let is_same = normal.is_ok_and(|id| text(id) == record.id);
    let is_of_parts = entity.id_parts().is_empty() || validate::composite_id(entity, &record.fields).as_ref() == Some(&record.id);
    (!is_same || !is_of_parts).then(|| Stuck {
        record: format!("{}/{}", entity.name, record.id),
        field: "id".to_owned(),
        why: "it is no id of this kind: delete the record under the model of before, or import it under another id".to_owned(),
    })
}
