//! `POST /v1/_cache/purge`: nothing that was cached before is served from then on.
//!
//! What is cached depends on tags, so a purge changes tags and costs the same for ten entries and ten million.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::body;
use super::idempotent_change::{IdempotentChange, bare};
use super::parameters::Parameters;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::{JSON, Reply, path_id};
use crate::model::value::new_version;
use crate::model::{Entity, Model};
use crate::pipeline::Context;
use crate::query::policy::SystemPermit;
use crate::query::policy::system as permission;
use crate::store::audit;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Expr, Key, Reason, TableError, TableName, Transaction, Write};
use crate::store::{items, keys, tags};

/// Tags of one transaction, which has the audit trail's row too, and perhaps that of an idempotency key.
const TAGS: usize = 98;
const FORMS: &str = "must be {\"entity\": \"..\", \"id\": \"..\"}, {\"entity\": \"..\"} or {\"all\": true}";

/// What to purge.
enum Target<'m> {
    All,
    Entity(&'m Entity),
    Record(&'m Entity, String),
}

/// Answers it, with the purge in the audit trail; with an `Idempotency-Key`, once.
pub(super) async fn purge(cx: &Context<'_>, _: SystemPermit<permission::Cache>) -> Result<Reply, Problem> {
    Parameters::read(cx.request, &[])?;
    let body = body::json(cx.request, &[JSON])?;
    let target = target(&cx.app.model, &body)?;
    let once = match IdempotentChange::begin(cx, Some(&body)).await {
        Ok(once) => once,
        Err(before) => return before,
    };
    once.end(purged(cx, &target, &once).await).await
}

async fn purged(cx: &Context<'_>, target: &Target<'_>, once: &IdempotentChange<'_>) -> Result<Reply, Problem> {
    let touched: Vec<Key> = tags_of(cx, target).await?.into_iter().collect();
    let told = Write::Put { item: audit::item(entry(cx, target), &cx.app.env), condition: None };
    let last = touched.len().div_ceil(TAGS);
    for (at, chunk) in touched.chunks(TAGS).enumerate() {
        // The row stands in every transaction, and is one and the same row.
        let mut writes: Vec<Write> = chunk.iter().map(|tag| change(cx, tag)).chain([told.clone()]).collect();
        if at + 1 == last {
            // All has had its effect then; until then a repetition does all of it again.
            writes.extend(once.rows(&bare(StatusCode::NO_CONTENT, None)));
        }
        commit(cx, writes).await?;
    }
    // `bounded` answers in other memories last as long as their bound; here they need not.
    cx.app.cache.clear_memory();
    Ok(Reply::empty(StatusCode::NO_CONTENT))
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
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                match index.equality.is_empty() {
                    true => touched.extend(tags::of_partition(entity, &keys::partition(entity, index, &[]))),
                    false => touched.extend([keys::global_tag()]),
                }
            }
        }
        Target::Record(entity, id) => {
            let shard = keys::shard(id, entity.shards);
            touched.insert(keys::entity_tag(entity, shard));
            let place = [(TableName::Data, keys::record(entity, id))];
            let item = cx.app.table.get(&place, true).await?.pop().flatten();
            if let Some(record) = item.as_ref().and_then(items::decode) {
                let stored = entity.indexes.iter().filter(|index| index.is_stored());
                let partitions = stored.map(|index| keys::index_row(model, entity, index, &record).pk);
                touched.extend(partitions.map(|partition| keys::partition_tag(&partition, shard)));
            }
        }
    }
    Ok(touched)
}

/// A purge changes no data, so there is nothing that would have to settle: a new version is all.
fn change(cx: &Context<'_>, tag: &Key) -> Write {
    let update = Expr::new("SET #v = :v").name("#v", tags::VERSION).value(":v", Attr::S(new_version(&cx.app.env)));
    Write::Update { key: tag.clone(), update, condition: None }
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
        ..audit::Entry::by(cx.principal, cx.correlation)
    }
}

/// Commits; again where records under the same tags are being written. To do it twice is to do it once.
async fn commit(cx: &Context<'_>, writes: Vec<Write>) -> Result<(), Problem> {
    let env = &cx.app.env;
    let writes: Vec<_> = writes.into_iter().map(|write| (TableName::Data, write)).collect();
    let transaction = Transaction { token: env.uuid_v7().to_string(), writes };
    let once = || async {
        cx.app.table.transact(transaction.clone()).await.map_err(|error| match error {
            TableError::Cancelled(reasons) if reasons.iter().all(passes) => TableError::Busy("conflict".to_owned()),
            error => error,
        })
    };
    Ok(repeated(env, once).await?)
}

fn passes(reason: &Reason) -> bool {
    matches!(reason, Reason::None | Reason::Conflict | Reason::Throttled)
}
