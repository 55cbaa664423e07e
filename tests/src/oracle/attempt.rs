//! Random writes, and whether they did what they had to, no more and no less.

use http::Method;
use serde_json::{Map, Value, json};

use super::ask::OracleRequest;
use super::change::{Change, Done, Faults, change};
use super::judge::{discreet, same};
use super::spec::{Id, Kind, Spec};
use super::stage::{Reply, Request, Stage, id_text};
use super::value;
use super::viewer::{Caller, Viewer, World};
use crate::rng::Rng;

type Verdict<T> = Result<T, String>;

/// A random write of an entity by somebody.
pub fn random(rng: &mut Rng, viewer: &Viewer<'_>, entity: usize) -> Change {
    let ids: Vec<String> = viewer.world.0[entity].keys().cloned().collect();
    let id = match rng.perhaps(&ids) {
        Some(id) if rng.percent(90) => id.clone(),
        _ => new_id(rng, viewer.spec, entity),
    };
    match rng.below(10) {
        0..2 => Change::Create { body: body(rng, viewer, entity, "create", true) },
        2..4 => {
            let mut body = body(rng, viewer, entity, "update", true);
            body.remove("id");
            // As GET gave it, then PUT.
            if let (Some(row), true) = (viewer.world.0[entity].get(&id), rng.percent(50)) {
                let mask = viewer.mask(entity, "read", row).unwrap_or_default();
                let shown = viewer.shown(entity, row, &mask);
                let changed: Vec<String> = rng.some(&body.keys().cloned().collect::<Vec<_>>(), 20);
                body.retain(|name, _| changed.contains(name));
                for (name, value) in shown {
                    body.entry(name).or_insert(value);
                }
            }
            parts_of(viewer.spec, entity, &id, &mut body, rng);
            Change::Put { id, body }
        }
        4..7 => Change::Merge { body: body(rng, viewer, entity, "update", false), id },
        7..9 => Change::Patch { operations: operations(rng, viewer, entity, &id), id },
        _ => Change::Delete { id },
    }
}

/// The members of a composite id mostly agree with it.
fn parts_of(spec: &Spec, entity: usize, id: &str, body: &mut Map<String, Value>, rng: &mut Rng) {
    let of = &spec.entities[entity];
    for (at, text) in of.parts().iter().zip(id.split(',')) {
        if rng.percent(95) {
            let field = &of.fields[*at];
            body.insert(field.name.clone(), spec.part(field, text));
        }
    }
}

/// An id that nobody has, most likely.
pub fn new_id(rng: &mut Rng, spec: &Spec, entity: usize) -> String {
    let of = &spec.entities[entity];
    match &of.id {
        Id::Uuid => format!("aaaaaaaa-0000-7000-8000-{:012}", rng.below(1_000_000)),
        Id::Integer => rng.within(0, 100_000).to_string(),
        Id::Text => format!("{}{}", rng.pick(&["a", "B", "c.d-", "9"]), rng.below(100_000)),
        Id::Parts(parts) => vec![rng.below(1000).to_string(); parts.len()].join(","),
    }
}

/// A random value of a field: of a ref, mostly the id of a record.
fn field_value(rng: &mut Rng, viewer: &Viewer<'_>, entity: usize, at: usize) -> Value {
    let field = &viewer.spec.entities[entity].fields[at];
    if field.nullable() && rng.percent(20) || rng.percent(1) {
        return Value::Null;
    }
    if let Some(reference) = field.kind.reference() {
        let rows: Vec<&super::viewer::Row> = viewer.world.0[reference.target].values().collect();
        return match rng.perhaps(&rows) {
            Some(row) if rng.percent(97) => row.id_value(viewer.spec, reference.target),
            _ if field.nullable() => Value::Null,
            _ => match viewer.spec.entities[reference.target].id {
                Id::Integer => json!(999_999),
                Id::Uuid => json!("aaaaaaaa-0000-7000-8000-999999999999"),
                _ => json!("nobody"),
            },
        };
    }
    if field.unique && rng.percent(90) {
        return match field.kind {
            Kind::Integer => json!(rng.within(10, 99_999)),
            _ => json!(format!("u{}", rng.below(100_000))),
        };
    }
    if viewer.spec.entities[entity].parts().contains(&at) {
        return json!(rng.below(1000));
    }
    value::of(rng, &field.kind)
}

/// A random body. `whole`: with what a new record needs.
pub fn body(rng: &mut Rng, viewer: &Viewer<'_>, entity: usize, action: &str, whole: bool) -> Map<String, Value> {
    let of = &viewer.spec.entities[entity];
    let writable = viewer.widest(entity, action);
    let mut body = Map::new();
    if whole && matches!(of.id, Id::Text | Id::Integer) {
        let text = new_id(rng, viewer.spec, entity);
        body.insert("id".to_owned(), if of.id == Id::Integer { json!(text.parse::<i64>().unwrap_or(0)) } else { json!(text) });
    }
    for (at, field) in of.fields.iter().enumerate() {
        let may = writable.contains(&at) && !field.read_only && !field.stamp;
        let percent = match (may, whole && field.required) {
            (true, true) => 98,
            (true, false) if whole => 70,
            (true, false) => 35,
            (false, _) => 3,
        };
        if rng.percent(percent) {
            let value = match field.stamp {
                true => json!("2020-01-01T00:00:00.000Z"),
                false => field_value(rng, viewer, entity, at),
            };
            body.insert(field.name.clone(), value);
        }
    }
    if rng.percent(2) {
        body.insert(super::judge::NONESUCH.to_owned(), json!(1));
    }
    body
}

fn operations(rng: &mut Rng, viewer: &Viewer<'_>, entity: usize, id: &str) -> Vec<Value> {
    let of = &viewer.spec.entities[entity];
    let row = viewer.world.0[entity].get(id);
    let mut found = Vec::new();
    for _ in 0..rng.within(1, 3) {
        let readable = row.and_then(|row| viewer.mask(entity, "read", row)).unwrap_or_default();
        let writable = row.and_then(|row| viewer.mask(entity, "update", row)).unwrap_or_default();
        let all: Vec<usize> = (0..of.fields.len()).collect();
        let pick = |rng: &mut Rng, from: &std::collections::BTreeSet<usize>| {
            let likely: Vec<usize> = from.iter().copied().collect();
            if rng.percent(85) && !likely.is_empty() { *rng.pick(&likely) } else { *rng.pick(&all) }
        };
        let (to, from) = (pick(rng, &writable), pick(rng, &readable));
        let pointer = |at: usize| format!("/{}", of.fields[at].name);
        found.push(match rng.below(7) {
            0 | 1 => {
                let stored = row.map_or(Value::Null, |row| row.field(viewer.spec, entity, from));
                let value = if rng.percent(80) { stored } else { field_value(rng, viewer, entity, from) };
                json!({"op": "test", "path": pointer(from), "value": value})
            }
            2 => json!({"op": "copy", "from": pointer(from), "path": pointer(to)}),
            3 => json!({"op": "move", "from": pointer(from), "path": pointer(to)}),
            4 => json!({"op": "remove", "path": pointer(to)}),
            5 => json!({"op": "add", "path": pointer(to), "value": field_value(rng, viewer, entity, to)}),
            _ => json!({"op": "replace", "path": pointer(to), "value": field_value(rng, viewer, entity, to)}),
        });
    }
    found
}

/// A write as a request.
pub fn request(spec: &Spec, entity: usize, change: &Change) -> Request {
    let plural = &spec.entities[entity].plural;
    let at = |id: &str| format!("{plural}/{id}");
    match change {
        Change::Create { body } => Request::with(Method::POST, plural.clone(), Some(body.clone().into())),
        Change::Put { id, body } => Request::with(Method::PUT, at(id), Some(body.clone().into())),
        Change::Merge { id, body } => Request::with(Method::PATCH, at(id), Some(body.clone().into())),
        Change::Patch { id, operations } => Request::with(Method::PATCH, at(id), Some(operations.clone().into()))
            .header("content-type", "application/json-patch+json"),
        Change::Delete { id } => Request::with(Method::DELETE, at(id), None),
    }
}

/// Does a write, judges its answer and gives the world that has to be there now.
pub async fn write(
    stage: &Stage,
    viewer: &Viewer<'_>,
    entity: usize,
    what: &Change,
    headers: &[(&'static str, String)],
) -> Verdict<(World, u16)> {
    let mut sent = request(viewer.spec, entity, what);
    sent.headers.extend_from_slice(headers);
    let now = stage.next_moment();
    let reply = stage.call(viewer.spec, viewer.caller, &sent).await;
    let wanted = change(viewer, entity, what, &now, Some(&made(&reply.body)));
    let world = judged(viewer, entity, what, &reply, wanted)?;
    Ok((world.unwrap_or_else(|| viewer.world.clone()), reply.status))
}

/// The id that the server made; of a record that was refused, one that it could have made.
fn made(body: &Value) -> String {
    body["id"].as_str().unwrap_or("01a1ee56-0000-7000-8000-000000000000").to_owned()
}

/// Whether an answer is the one that a write has to have; the new world, if there is one.
fn judged(
    viewer: &Viewer<'_>,
    entity: usize,
    what: &Change,
    reply: &Reply,
    wanted: Result<Done, Faults>,
) -> Verdict<Option<World>> {
    match wanted {
        Err(faults) => {
            if !faults.contains(&reply.status) {
                return Err(format!("expected one of {faults:?}, got {} {}", reply.status, reply.body));
            }
            discreet(viewer, &format!("{what:?}"), &reply.body).map(|()| None)
        }
        Ok(done) if done.or_restricted && reply.status == 409 => Ok(None),
        Ok(done) => {
            if reply.status != done.status {
                return Err(format!("expected {}, got {} {}", done.status, reply.status, reply.body));
            }
            if let Some((row, mask)) = &done.after {
                same(&reply.body, &Value::Object(viewer.shown(entity, row, mask)), "the record after the write")?;
                let location = format!("/v1/{}/{}", viewer.spec.entities[entity].plural, row.id);
                if done.status == 201 && reply.header("location") != location {
                    return Err(format!("Location is {}", reply.header("location")));
                }
            }
            Ok(Some(done.world))
        }
    }
}

/// Several writes of one entity in one call: on their own one after another, or all or nothing.
pub async fn bulk(stage: &Stage, viewer: &Viewer<'_>, entity: usize, changes: &[Change], atomic: bool) -> Verdict<World> {
    let operations: Vec<Value> = changes.iter().filter_map(operation).collect();
    let path = format!("{}/_bulk", viewer.spec.entities[entity].plural);
    let now = stage.next_moment();
    let body = json!({"operations": operations, "atomic": atomic});
    let reply = stage.call(viewer.spec, viewer.caller, &Request::with(Method::POST, path, Some(body))).await;
    // Whoever may change nothing of the entity is told so once.
    if ["create", "update", "delete"].iter().all(|action| viewer.forbidden(entity, action)) {
        return same(&reply.status, &403, "the status of a bulk call of nothing allowed").map(|()| viewer.world.clone());
    }
    let results: Vec<Reply> = match reply.body["results"].as_array() {
        Some(results) => results
            .iter()
            .map(|one| Reply {
                status: u16::try_from(one["status"].as_u64().unwrap_or(0)).unwrap_or(0),
                headers: reply.headers.clone(),
                body: one.get("data").or_else(|| one.get("problem")).cloned().unwrap_or(Value::Null),
            })
            .collect(),
        None => Vec::new(),
    };
    let (mut world, mut faults, mut lenient) = (viewer.world.clone(), Faults::new(), false);
    for (at, what) in changes.iter().enumerate() {
        let before = world.clone();
        let now_eyes = Viewer { world: &before, ..*viewer };
        let made = made(results.get(at).map_or(&Value::Null, |one| &one.body));
        let wanted = change(&now_eyes, entity, what, &now, Some(&made));
        match wanted {
            Err(more) if atomic => faults.extend(more),
            Ok(done) if atomic => {
                lenient |= done.or_restricted;
                world = done.world;
            }
            wanted => {
                let Some(one) = results.get(at) else { return Err(format!("no result {at}: {} {}", reply.status, reply.body)) };
                let found =
                    without_location(&now_eyes, entity, what, one, wanted).map_err(|why| format!("operation {at}: {why}"))?;
                world = found.unwrap_or(before);
            }
        }
    }
    if !atomic {
        same(&reply.status, &200, "the status of a bulk call").map(|()| world)
    } else if !faults.is_empty() || (lenient && reply.status == 409) {
        let found = faults.contains(&reply.status) || (lenient && reply.status == 409);
        found
            .then(|| viewer.world.clone())
            .ok_or_else(|| format!("expected one of {faults:?}, got {} {}", reply.status, reply.body))
    } else {
        same(&reply.status, &200, "the status of an atomic bulk call")
            .map(|()| world)
            .map_err(|why| format!("{why}\n{}", reply.body))
    }
}

fn without_location(
    viewer: &Viewer<'_>,
    entity: usize,
    what: &Change,
    one: &Reply,
    wanted: Result<Done, Faults>,
) -> Verdict<Option<World>> {
    let mut one = one.clone();
    if let (201, Ok(Done { after: Some((row, _)), .. })) = (one.status, &wanted) {
        let location = format!("/v1/{}/{}", viewer.spec.entities[entity].plural, row.id);
        one.headers.insert(http::header::LOCATION, location.parse().map_err(|_| "an id that no header can carry")?);
    }
    judged(viewer, entity, what, &one, wanted)
}

/// A write as an operation of a bulk call; a JSON Patch cannot be one.
pub fn operation(change: &Change) -> Option<Value> {
    Some(match change {
        Change::Create { body } => json!({"op": "create", "data": body}),
        Change::Put { id, body } => json!({"op": "upsert", "id": id, "data": body}),
        Change::Merge { id, body } => json!({"op": "update", "id": id, "data": body}),
        Change::Delete { id } => json!({"op": "delete", "id": id}),
        Change::Patch { .. } => return None,
    })
}

/// The same request again under its key gives the same answer, has no second effect, and shows somebody else with the same
/// account no more than they may read now.
pub async fn replayed(
    stage: &Stage,
    viewer: &Viewer<'_>,
    other: &Caller,
    entity: usize,
    what: &Change,
    key: &str,
) -> Verdict<(World, u16)> {
    let headers = [("idempotency-key", key.to_owned())];
    let (world, status) = write(stage, viewer, entity, what, &headers).await?;
    if status >= 300 {
        return Ok((world, status));
    }
    let mut sent = request(viewer.spec, entity, what);
    sent.headers.extend(headers);
    let again = stage.call(viewer.spec, viewer.caller, &sent).await;
    same(&again.status, &status, "the status of a replay").map_err(|why| format!("{why} {}", again.body))?;
    if again.header("idempotency-replayed") != "true" {
        return Err("the repetition is no replay".to_owned());
    }
    let mut other = other.clone();
    (other.consumer, other.subject) = (viewer.caller.consumer.clone(), viewer.caller.subject.clone());
    let theirs = stage.call(viewer.spec, &other, &sent).await;
    if theirs.status >= 300 {
        return Ok((world, status));
    }
    let seen = Viewer { world: &world, caller: &other, ..*viewer };
    let Some(members) = theirs.body.as_object() else { return Ok((world, status)) };
    let id = id_text(&viewer.spec.entities[entity].id, &theirs.body["id"]);
    let mask = world.0[entity].get(&id).and_then(|row| seen.mask(entity, "read", row)).unwrap_or_default();
    for name in members.keys().filter(|name| *name != "id") {
        let visible = mask.iter().any(|at| viewer.spec.entities[entity].fields[*at].name == *name);
        if !visible {
            return Err(format!("a replay shows {name} to {other:?}: {}", theirs.body));
        }
    }
    Ok((world, status))
}

/// A write with `If-Match`. `right`: the tag is that of the stored version.
pub async fn conditional(
    stage: &Stage,
    viewer: &Viewer<'_>,
    entity: usize,
    what: &Change,
    tag: &str,
    right: bool,
) -> Verdict<(World, u16)> {
    let sent = request(viewer.spec, entity, what).header("if-match", tag);
    let now = stage.next_moment();
    let reply = stage.call(viewer.spec, viewer.caller, &sent).await;
    let wanted = change(viewer, entity, what, &now, Some(&made(&reply.body)));
    let there = what.id().is_some_and(|id| viewer.world.0[entity].contains_key(id));
    let wanted = match wanted {
        // What may not be seen or changed at all is refused before its version is looked at. There is none to look at before
        // the rest where a PUT would create.
        Err(faults) if faults.is_subset(&Faults::from([403, 404])) && (there || !matches!(what, Change::Put { .. })) => {
            Err(faults)
        }
        wanted if right && there => wanted,
        Err(faults) => Err(faults.into_iter().chain([412]).collect()),
        Ok(_) => Err(Faults::from([412])),
    };
    let world = judged(viewer, entity, what, &reply, wanted)?;
    Ok((world.unwrap_or_else(|| viewer.world.clone()), reply.status))
}

/// A read that finds the ETag of a record for its caller.
pub async fn etag(stage: &Stage, viewer: &Viewer<'_>, entity: usize, id: &str) -> Option<String> {
    let mut asked = OracleRequest::list(entity);
    asked.id = Some(id.to_owned());
    let path = format!("{}/{id}", viewer.spec.entities[entity].plural);
    let reply = stage.call(viewer.spec, viewer.caller, &Request::get(path, asked.query(viewer.spec))).await;
    (reply.status == 200).then(|| reply.header("etag").to_owned())
}
