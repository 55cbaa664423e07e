//! `POST /v1/_cache/purge`: nothing that was cached before is served from then on.
//!
//! What is cached depends on tags, so a purge announces itself at tags, as a write that changes nothing, and costs the same for ten
//! entries and ten million.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::{JSON, Reply, path_id};
use crate::model::{Entity, Model};
use crate::pipeline::Context;
use crate::pipeline::unit_of_work;
use crate::pipeline::write::idempotent::{KeyReservation, bare};
use crate::query::policy::system as permission;
use crate::query::policy::{PermittedBatch, SystemPermit};
use crate::store::audit;
use crate::store::table::{Key, TableName};
use crate::store::write::{AttachedWrites, WriteError};
use crate::store::{items, keys, tags};

const FORMS: &str = "must be {\"entity\": \"..\", \"id\": \"..\"}, {\"entity\": \"..\"} or {\"all\": true}";

/// Target of a purge.
enum Target<'m> {
    All,
    Entity(&'m Entity),
    Record(&'m Entity, String),
}

/// Answers it, with the purge in the audit trail; with an `Idempotency-Key`, once.
pub(super) async fn purge(cx: &Context<'_>, _: SystemPermit<permission::Cache>) -> Result<Reply, Problem> {
    Parameters::read(cx.request, &[])?;
    let body = cx.body.json(&[JSON])?;
    let target = target(&cx.app.model, body)?;
    let claim = KeyReservation::of(cx, Some(body)).await?;
    unit_of_work::once(cx, claim.as_ref(), || purged(cx, &target, claim.as_ref())).await
}

async fn purged(cx: &Context<'_>, target: &Target<'_>, claim: Option<&KeyReservation>) -> Result<Reply, Problem> {
    let (batch, answer) = (batch(cx, target).await?, bare(StatusCode::NO_CONTENT, None));
    let unsettled = unit_of_work::write(cx, claim, batch, &answer).await.map_err(refused)?;
    cx.app.writer.settle(unsettled).await;
    // `bounded` answers in other memories last as long as their bound; here they need not.
    cx.app.cache.clear_memory();
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

async fn batch(cx: &Context<'_>, target: &Target<'_>) -> Result<PermittedBatch, Problem> {
    Ok(PermittedBatch {
        voids: tags_of(cx, target).await?.into_iter().collect(),
        riders: AttachedWrites { audit: vec![audit::item(entry(cx, target), &cx.app.env)], ..AttachedWrites::default() },
        ..PermittedBatch::default()
    })
}

/// A purge has no condition of its own but that of its key.
fn refused(error: WriteError) -> Problem {
    match error {
        WriteError::Unknown => Problem::timeout().logged("outcome unknown at the deadline"),
        WriteError::Store(error) => error.into(),
        error => Problem::unavailable(error.to_string()),
    }
}

fn target<'m>(model: &'m Model, body: &Value) -> Result<Target<'m>, Problem> {
    let body = body.as_object().ok_or_else(|| invalid("", "type", FORMS))?;
    if let Some(unknown) = body.keys().find(|name| !["entity", "id", "all"].contains(&name.as_str())) {
        let pointer = format!("/{}", unknown.replace('~', "~0").replace('/', "~1"));
        return Err(invalid(&pointer, "unknown", "is not known here; known are: entity, id, all"));
    }
    match (body.get("all"), body.get("entity")) {
        (Some(Value::Bool(true)), None) if !body.contains_key("id") => Ok(Target::All),
        (None, Some(entity)) => of_entity(model, body, entity),
        _ => Err(invalid("", "one_of", FORMS)),
    }
}

fn of_entity<'m>(model: &'m Model, body: &Map<String, Value>, entity: &Value) -> Result<Target<'m>, Problem> {
    let Some(found) = entity.as_str().and_then(|name| model.by_name(name)) else {
        let names: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_str()).collect();
        return Err(invalid("/entity", "enum", &format!("must be an entity: {}", names.join(", "))));
    };
    match body.get("id") {
        None => Ok(Target::Entity(found)),
        Some(Value::String(id)) => match path_id::check(model, found, id) {
            Ok(id) => Ok(Target::Record(found, id)),
            Err(problem) => Err(invalid("/id", "format", &problem.detail)),
        },
        Some(_) => Err(invalid("/id", "type", "must be a text: the id as it stands in the record's address")),
    }
}

fn invalid(pointer: &str, code: &str, message: &str) -> Problem {
    Problem::new(Code::ValidationFailed, "The body breaks a rule; `errors` says which.")
        .with_errors(vec![FieldError::new(pointer, code, message)])
}

/// The tags that answers about the target depend on. Partitions of an index with equality fields cannot be named without reading
/// all records, so a purge of an entity that has some takes everything: too much is slow for a moment, too little is wrong.
async fn tags_of(cx: &Context<'_>, target: &Target<'_>) -> Result<BTreeSet<Key>, Problem> {
    let model = &cx.app.model;
    let mut touched = BTreeSet::new();
    match target {
        Target::All => {
            touched.insert(keys::global_tag());
        }
        Target::Entity(entity) => {
            touched.extend(tags::of_entity(entity));
            touched.extend(entity.indexes.iter().any(tags::has_tags).then(keys::global_tag));
        }
        Target::Record(entity, id) => {
            let shard = keys::shard(id, entity.shards);
            touched.insert(keys::entity_tag(entity, shard));
            let place = [(TableName::Data, keys::record(entity, id))];
            let item = cx.app.table.get(&place, true).await?.pop().flatten();
            if let Some(record) = item.as_ref().and_then(items::decode) {
                let tagged = entity.indexes.iter().filter(|index| tags::has_tags(index));
                let partitions = tagged.map(|index| keys::index_row(model, entity, index, &record).pk);
                touched.extend(partitions.map(|partition| keys::partition_tag(&partition, shard)));
            }
        }
    }
    Ok(touched)
}

fn entry(cx: &Context<'_>, target: &Target<'_>) -> audit::Entry {
    let (id, detail) = match target {
        Target::All => (None, json!({ "all": true })),
        Target::Entity(entity) => (None, json!({ "entity": entity.name })),
        Target::Record(entity, id) => (Some(id.clone()), json!({ "entity": entity.name })),
    };
    audit::Entry {
        action: "cache.purge".to_owned(),
        resource: "cache".to_owned(),
        id,
        detail: Some(detail),
        ..audit::Entry::by(cx.principal, &cx.correlation)
    }
}
