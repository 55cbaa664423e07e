//! What a write has to do, or why it has to be refused: the naive way, on a copy of the whole world.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::spec::{Field, Id, Kind, OnDelete, Path};
use super::value;
use super::viewer::{Mask, Row, Viewer, World};

/// A write of one record.
#[derive(Debug, Clone)]
pub enum Change {
    Create { body: Map<String, Value> },
    Put { id: String, body: Map<String, Value> },
    Merge { id: String, body: Map<String, Value> },
    Patch { id: String, operations: Vec<Value> },
    Delete { id: String },
}

/// Statuses with which a write may be refused.
pub type Faults = BTreeSet<u16>;

/// A write that has to be done.
#[derive(Debug)]
pub struct Done {
    pub status: u16,
    pub world: World,
    /// The record afterwards, and what the caller may read of it; `None` after a delete.
    pub after: Option<(Row, Mask)>,
    /// Refusing with 409 would be right as well: a deletion takes along what restricts it.
    pub or_restricted: bool,
}

impl Change {
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Create { .. } => None,
            Self::Put { id, .. } | Self::Merge { id, .. } | Self::Patch { id, .. } | Self::Delete { id } => Some(id),
        }
    }
}

/// What a body makes of a record.
struct Draft<'a> {
    viewer: &'a Viewer<'a>,
    entity: usize,
    readable: Mask,
    writable: Mask,
    faults: Faults,
}

/// What has to become of a write at `now`. `made` is the id that the server gave, of entities whose ids it makes.
pub fn change(viewer: &Viewer<'_>, entity: usize, change: &Change, now: &str, made: Option<&str>) -> Result<Done, Faults> {
    let row = change.id().and_then(|id| viewer.world.0[entity].get(id));
    let forbidden = |action| viewer.forbidden(entity, action);
    match (change, row) {
        (Change::Create { .. }, _) if forbidden("create") => Err(Faults::from([403])),
        (Change::Create { body }, _) => create(viewer, entity, body, None, now, made),
        (Change::Put { .. }, _) if forbidden("create") && forbidden("update") => Err(Faults::from([403])),
        (Change::Put { .. }, None) if forbidden("create") || viewer.spec.entities[entity].id == Id::Uuid => {
            Err(Faults::from([404]))
        }
        (Change::Put { id, body }, None) => create(viewer, entity, body, Some(id), now, made),
        (Change::Merge { .. } | Change::Patch { .. }, _) if forbidden("update") => Err(Faults::from([403])),
        (Change::Delete { .. }, _) if forbidden("delete") => Err(Faults::from([403])),
        (_, None) => Err(Faults::from([404])),
        (Change::Delete { .. }, Some(row)) => {
            rights(viewer, entity, "delete", row)?;
            delete(viewer, entity, row, now)
        }
        (change, Some(row)) => update(viewer, entity, change, row, now),
    }
}

/// Readable and writable fields of a stored record that is to be changed.
fn rights(viewer: &Viewer<'_>, entity: usize, action: &str, row: &Row) -> Result<(Mask, Mask), Faults> {
    match (viewer.mask(entity, "read", row), viewer.mask(entity, action, row)) {
        (Some(readable), Some(writable)) => Ok((readable, writable)),
        (Some(_), None) => Err(Faults::from([403])),
        (None, Some(writable)) if viewer.forbidden(entity, "read") => Ok((Mask::new(), writable)),
        (None, _) => Err(Faults::from([404])),
    }
}

fn create(
    viewer: &Viewer<'_>,
    entity: usize,
    body: &Map<String, Value>,
    put: Option<&str>,
    now: &str,
    made: Option<&str>,
) -> Result<Done, Faults> {
    let of = &viewer.spec.entities[entity];
    let readable = if put.is_some() { viewer.widest(entity, "read") } else { Mask::new() };
    let mut draft = Draft { viewer, entity, readable, writable: viewer.widest(entity, "create"), faults: Faults::new() };
    let body = &put.map_or_else(|| body.clone(), |id| draft.with_parts(id, body));
    let blank: Map<String, Value> = of.fields.iter().map(|field| (field.name.clone(), first(field))).collect();
    let fields = draft.drafted(body, &blank, |_| true, false);
    let id = match (&of.id, put, body.get("id")) {
        (Id::Uuid, _, given) => {
            if given.is_some() {
                draft.faults.insert(422);
            }
            made.unwrap_or_default().to_owned()
        }
        (_, Some(id), given) => {
            if given.is_some_and(|given| value::text(given) != id) {
                draft.faults.insert(422);
            }
            id.to_owned()
        }
        (Id::Parts(_), None, _) => parts(of.parts(), &of.fields, &fields),
        (_, None, Some(id)) => value::text(id),
        (_, None, None) => {
            draft.faults.insert(422);
            String::new()
        }
    };
    if !of.parts().is_empty() && parts(of.parts(), &of.fields, &fields) != id {
        draft.faults.insert(422);
    }
    let mut row = Row { id, fields };
    stamp(&mut row, &of.fields, now, true);
    let unseen = unseen(viewer, entity, None, &row, &viewer.links(entity, "create", &row));
    let without = without(viewer, entity, &row, &unseen);
    match (Viewer { world: &without, ..*viewer }).mask(entity, "create", &row) {
        None => drop(draft.faults.insert(403)),
        // What this row does not let one write must not be there.
        Some(writable) => {
            draft.writable = writable;
            draft.drafted(body, &blank, |_| true, false);
        }
    }
    if viewer.world.0[entity].contains_key(&row.id) {
        draft.faults.insert(409);
    }
    draft.constraints(None, &row, &unseen);
    draft.done(201, row)
}

fn update(viewer: &Viewer<'_>, entity: usize, change: &Change, row: &Row, now: &str) -> Result<Done, Faults> {
    let fields = &viewer.spec.entities[entity].fields;
    let (readable, mut writable) = rights(viewer, entity, "update", row)?;
    // Whether an unreadable value that cannot change is this one must not be told.
    writable.retain(|at| !(fields[*at].immutable && !readable.contains(at)));
    let mut draft = Draft { viewer, entity, readable, writable, faults: Faults::new() };
    let after = match change {
        Change::Put { body, .. } => {
            draft.same_id(row, body);
            let body = draft.with_parts(&row.id, body);
            draft.drafted(&body, &row.fields, |_| true, true)
        }
        Change::Merge { body, .. } => {
            draft.same_id(row, body);
            draft.merged(body, &row.fields)
        }
        Change::Patch { operations, .. } => {
            let document = viewer.shown(entity, row, &draft.readable);
            let document = operations.iter().try_fold(document, patched)?;
            draft.same_id(row, &document);
            let readable = draft.readable.clone();
            draft.drafted(&document, &row.fields, |at| readable.contains(&at), true)
        }
        Change::Create { .. } | Change::Delete { .. } => return Err(Faults::new()),
    };
    let mut after = Row { id: row.id.clone(), fields: after };
    stamp(&mut after, fields, now, false);
    let unseen = unseen(viewer, entity, Some(row), &after, &viewer.links(entity, "update", row));
    let without = without(viewer, entity, &after, &unseen);
    if (Viewer { world: &without, ..*viewer }).mask(entity, "update", &after).is_none() {
        draft.faults.insert(403);
    }
    draft.constraints(Some(row), &after, &unseen);
    draft.done(200, after)
}

/// The refs that come to name what the caller may neither read nor link to: for it no such records exist.
fn unseen(viewer: &Viewer<'_>, entity: usize, before: Option<&Row>, after: &Row, links: &Mask) -> Vec<usize> {
    let of = &viewer.spec.entities[entity];
    let names_hidden = |at: usize, target: usize| {
        let value = after.field(viewer.spec, entity, at);
        let stays = before.is_some_and(|before| before.field(viewer.spec, entity, at) == value);
        if value.is_null() || stays || links.contains(&at) || of.fields[at].default.as_ref() == Some(&value) {
            return false;
        }
        let mut world = viewer.world.clone();
        if target == entity && value::text(&value) == after.id && before.is_none() {
            world.0[entity].insert(after.id.clone(), after.clone());
        }
        let viewer = Viewer { world: &world, ..*viewer };
        world.at(target, &value).is_none_or(|row| viewer.mask(target, "read", row).is_none())
    };
    of.references().filter(|(at, reference)| names_hidden(*at, reference.target)).map(|(at, _)| at).collect()
}

/// The world without the records that these refs name.
fn without(viewer: &Viewer<'_>, entity: usize, row: &Row, refs: &[usize]) -> World {
    let mut world = viewer.world.clone();
    for at in refs {
        world.0[viewer.spec.target(entity, *at)].remove(&value::text(&row.field(viewer.spec, entity, *at)));
    }
    world
}

impl Draft<'_> {
    fn fields(&self) -> &[Field] {
        &self.viewer.spec.entities[self.entity].fields
    }

    fn may_write(&self, at: usize) -> bool {
        let field = &self.fields()[at];
        self.writable.contains(&at) && !field.read_only && !field.stamp
    }

    /// The body of a PUT with the parts of a composite id that it leaves to the path.
    fn with_parts(&self, id: &str, body: &Map<String, Value>) -> Map<String, Value> {
        let of = &self.viewer.spec.entities[self.entity];
        let mut body = body.clone();
        for (at, text) in of.parts().iter().zip(id.split(',')).filter(|(at, _)| self.may_write(**at)) {
            let field = &of.fields[*at];
            body.entry(field.name.clone()).or_insert_with(|| self.viewer.spec.part(field, text));
        }
        body
    }

    fn same_id(&mut self, row: &Row, body: &Map<String, Value>) {
        if body.get("id").is_some_and(|id| *id != row.id_value(self.viewer.spec, self.entity)) {
            self.faults.insert(422);
        }
    }

    /// A whole record: what a body leaves out goes back to its beginning where the caller may write it and `clears` says so.
    fn drafted(
        &mut self,
        body: &Map<String, Value>,
        before: &Map<String, Value>,
        clears: impl Fn(usize) -> bool,
        exists: bool,
    ) -> Map<String, Value> {
        self.unknown(body);
        let mut after = before.clone();
        for (at, field) in self.fields().to_vec().iter().enumerate() {
            let stored = before.get(&field.name).cloned().unwrap_or(Value::Null);
            let value = match body.get(&field.name) {
                Some(value) => self.given(at, field, value, &stored, exists),
                None if !self.may_write(at) || !clears(at) => stored,
                None if field.required => {
                    self.faults.insert(422);
                    stored
                }
                None => {
                    if exists && field.immutable && first(field) != stored {
                        self.faults.insert(422);
                    }
                    first(field)
                }
            };
            after.insert(field.name.clone(), value);
        }
        after
    }

    /// RFC 7396 over the fields, and within `json` fields.
    fn merged(&mut self, body: &Map<String, Value>, before: &Map<String, Value>) -> Map<String, Value> {
        self.unknown(body);
        let mut after = before.clone();
        for (at, field) in self.fields().to_vec().iter().enumerate() {
            let Some(value) = body.get(&field.name) else { continue };
            let stored = before.get(&field.name).cloned().unwrap_or(Value::Null);
            let value = match field.kind == Kind::Json && value.is_object() && self.readable.contains(&at) {
                true => merge(stored.clone(), value),
                false => value.clone(),
            };
            let value = self.given(at, field, &value, &stored, true);
            after.insert(field.name.clone(), value);
        }
        after
    }

    fn unknown(&mut self, body: &Map<String, Value>) {
        if body.keys().any(|name| name != "id" && !self.fields().iter().any(|field| field.name == *name)) {
            self.faults.insert(422);
        }
    }

    /// A member of a body.
    fn given(&mut self, at: usize, field: &Field, value: &Value, stored: &Value, exists: bool) -> Value {
        if !self.may_write(at) {
            if !self.readable.contains(&at) || value != stored {
                self.faults.insert(422);
            }
            return stored.clone();
        }
        let fits = if value.is_null() { field.nullable() } else { value::fits(&field.kind, value) };
        if !fits || (exists && field.immutable && value != stored) {
            self.faults.insert(422);
        }
        value.clone()
    }

    /// Unique values and references.
    fn constraints(&mut self, before: Option<&Row>, after: &Row, unseen: &[usize]) {
        let (viewer, entity) = (self.viewer, self.entity);
        for (at, field) in self.fields().to_vec().iter().enumerate() {
            let value = after.field(viewer.spec, entity, at);
            let changed = before.is_none_or(|before| before.field(viewer.spec, entity, at) != value);
            if value.is_null() || !changed {
                continue;
            }
            let taken = |row: &Row| row.id != after.id && value::equal(&field.kind, &row.field(viewer.spec, entity, at), &value);
            if field.unique && viewer.world.0[entity].values().any(taken) {
                self.faults.insert(409);
            }
            if let Some(reference) = field.kind.reference() {
                let to_itself = reference.target == entity && value::text(&value) == after.id;
                let exists = viewer.world.at(reference.target, &value).is_some() || to_itself;
                if !exists || unseen.contains(&at) {
                    self.faults.insert(422);
                }
            }
        }
    }

    fn done(self, status: u16, after: Row) -> Result<Done, Faults> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let mut world = self.viewer.world.clone();
        world.0[self.entity].insert(after.id.clone(), after.clone());
        let viewer = Viewer { world: &world, ..*self.viewer };
        let mask = viewer.mask(self.entity, "read", &after).unwrap_or_default();
        Ok(Done { status, world, after: Some((after, mask)), or_restricted: false })
    }
}

/// What a field holds where nothing is said.
fn first(field: &Field) -> Value {
    field.default.clone().unwrap_or(Value::Null)
}

fn parts(parts: &[usize], of: &[Field], fields: &Map<String, Value>) -> String {
    let part = |at: &usize| fields.get(&of[*at].name).map(value::text).unwrap_or_default();
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

fn stamp(row: &mut Row, fields: &[Field], now: &str, created: bool) {
    for field in fields.iter().filter(|field| field.stamp && (created || field.name == "updated_at")) {
        row.fields.insert(field.name.clone(), Value::from(now));
    }
}

fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = if let Value::Object(target) = target { target } else { Map::new() };
    for (name, value) in patch {
        let old = target.remove(name).unwrap_or(Value::Null);
        if !value.is_null() {
            target.insert(name.clone(), merge(old, value));
        }
    }
    Value::Object(target)
}

/// One operation of a JSON Patch on members of the record itself.
fn patched(mut document: Map<String, Value>, operation: &Value) -> Result<Map<String, Value>, Faults> {
    let member = |key: &str| operation[key].as_str().and_then(|path| path.strip_prefix('/')).unwrap_or_default().to_owned();
    let (path, from) = (member("path"), member("from"));
    let missing = Faults::from([422]);
    match operation["op"].as_str().unwrap_or_default() {
        "add" => drop(document.insert(path, operation["value"].clone())),
        "replace" if !document.contains_key(&path) => return Err(missing),
        "replace" => drop(document.insert(path, operation["value"].clone())),
        "remove" => drop(document.remove(&path).ok_or(missing)?),
        "copy" => {
            let value = document.get(&from).cloned().ok_or(missing)?;
            document.insert(path, value);
        }
        "move" => {
            let value = document.remove(&from).ok_or(missing)?;
            document.insert(path, value);
        }
        _ => match document.get(&path) {
            Some(value) if *value == operation["value"] => {}
            // A `test` of what is not there has failed, or cannot be done.
            None => return Err(Faults::from([409, 422])),
            Some(_) => return Err(Faults::from([409])),
        },
    }
    Ok(document)
}

fn delete(viewer: &Viewer<'_>, entity: usize, row: &Row, now: &str) -> Result<Done, Faults> {
    let spec = viewer.spec;
    let mut gone: BTreeSet<(usize, String)> = BTreeSet::from([(entity, row.id.clone())]);
    let points = |at: usize, field: usize, row: &Row, gone: &BTreeSet<(usize, String)>| {
        let value = row.field(spec, at, field);
        !value.is_null() && gone.contains(&(spec.target(at, field), value::text(&value)))
    };
    let all = || viewer.world.0.iter().enumerate().flat_map(|(at, rows)| rows.values().map(move |row| (at, row)));
    let referring = |gone: &BTreeSet<(usize, String)>, how: OnDelete| -> Vec<(usize, String, usize)> {
        all()
            .flat_map(|(at, row)| spec.entities[at].references().map(move |(field, reference)| (at, row, field, reference)))
            .filter(|(at, row, field, reference)| reference.on_delete == how && points(*at, *field, row, gone))
            .map(|(at, row, field, _)| (at, row.id.clone(), field))
            .collect()
    };
    loop {
        let more: Vec<_> = referring(&gone, OnDelete::Cascade).into_iter().map(|(at, id, _)| (at, id)).collect();
        let before = gone.len();
        gone.extend(more);
        if gone.len() == before {
            break;
        }
    }
    let mut or_restricted = false;
    for (at, id, _) in referring(&gone, OnDelete::Restrict) {
        match gone.contains(&(at, id)) {
            true => or_restricted = true,
            false => return Err(Faults::from([409])),
        }
    }
    let mut world = viewer.world.clone();
    for (at, id, field) in referring(&gone, OnDelete::SetNull) {
        if let Some(row) = world.0[at].get_mut(&id) {
            row.fields.insert(spec.name(at, Path::Own(field)), Value::Null);
            stamp(row, &spec.entities[at].fields, now, false);
        }
    }
    for (at, id) in &gone {
        world.0[*at].remove(id);
    }
    Ok(Done { status: 204, world, after: None, or_restricted })
}
