//! Roles against each other: what one sees and another does not, the other tries to get by every way that there is.

use std::collections::BTreeSet;

use holdfast::model::Model;
use http::Method;
use serde_json::{Map, Value, json};

use super::ask::{self, Filter, Include, OracleRequest, Way};
use super::attempt;
use super::case::Tally;
use super::change::{Change, change};
use super::convert;
use super::judge::{self, Went, same};
use super::spec::{Path, Spec};
use super::stage::{Reply, Request, Stage};
use super::viewer::{Caller, Mask, Row, Viewer, World};

type Verdict<T> = Result<T, String>;

/// Hidden rows that are tried of each entity and pair.
const ROWS: usize = 2;
/// Hidden fields of such a row that writes are tried with; reads are tried with all.
const FIELDS: usize = 2;

/// Somebody of a role.
#[derive(Debug, Clone)]
pub struct Somebody {
    /// What failures call them.
    pub name: &'static str,
    /// Names of roles.
    pub roles: &'static [&'static str],
    /// Who acts.
    pub subject: &'static str,
    /// On whose account.
    pub consumer: &'static str,
    /// Claims.
    pub claims: Value,
}

struct Pairs {
    spec: Spec,
    stage: Stage,
    world: World,
    tally: Tally,
    asked: BTreeSet<String>,
}

/// Loads records (in an order in which references lead to what is there) as `everybody[0]`, who may do everything, and tries for
/// every pair what one sees and the other does not.
///
/// # Errors
/// What was shown that must not be, or done otherwise than the oracle.
pub async fn pairs(mut model: Model, records: &[(String, Value)], everybody: &[Somebody]) -> Result<Tally, String> {
    let spec = convert::spec(&model);
    let callers: Vec<Caller> = everybody.iter().map(|one| caller(&spec, one)).collect();
    // Limits are not what is tried here.
    model.auth.default_plan = None;
    // Nor is that a condition is asked for: the writes here have both, some with and some without.
    model.entities.iter_mut().for_each(|entity| entity.require_if_match = false);
    let stage = Stage::of(model, 7).await;
    for (plural, record) in records {
        let reply = stage.call(&spec, &callers[0], &Request::with(Method::POST, plural.clone(), Some(record.clone()))).await;
        same(&reply.status, &201, plural).map_err(|why| format!("{why} {record} {}", reply.body))?;
    }
    let world = stage.stored(&spec).await;
    let mut pairs = Pairs { spec, stage, world, tally: Tally::default(), asked: BTreeSet::new() };
    for own in &callers {
        for other in callers.iter().filter(|other| other.name != own.name) {
            let told = |why: String| format!("{why}\n\n{} against {}", own.name, other.name);
            pairs.against(own, other).await.map_err(told)?;
        }
    }
    Ok(pairs.tally)
}

fn caller(spec: &Spec, one: &Somebody) -> Caller {
    let claims = one.claims.as_object().cloned().unwrap_or_default();
    Caller {
        name: one.name.to_owned(),
        roles: (0..spec.roles.len()).filter(|at| one.roles.contains(&spec.roles[*at].name.as_str())).collect(),
        claims: claims.into_iter().collect(),
        subject: one.subject.to_owned(),
        consumer: one.consumer.to_owned(),
        scopes: None,
    }
}

impl Pairs {
    fn viewer<'a>(&'a self, caller: &'a Caller) -> Viewer<'a> {
        Viewer { spec: &self.spec, world: &self.world, caller }
    }

    /// Fields that `other` sees of a row, by any way, and `own` does not.
    fn secrets(&self, own: &Caller, other: &Caller, entity: usize, row: &Row) -> Mask {
        let seen = |caller: &Caller| -> Mask {
            let viewer = self.viewer(caller);
            ["list", "read"].iter().filter_map(|action| viewer.mask(entity, action, row)).flatten().collect()
        };
        seen(other).difference(&seen(own)).copied().collect()
    }

    async fn against(&mut self, own: &Caller, other: &Caller) -> Verdict<()> {
        for entity in 0..self.spec.entities.len() {
            let rows: Vec<(String, Mask)> = self.world.0[entity]
                .values()
                .map(|row| (row.id.clone(), self.secrets(own, other, entity, row)))
                .filter(|(_, secrets)| !secrets.is_empty())
                .collect();
            // The first and the last: they stand at other places of every index.
            let some = rows.iter().take(1).chain(rows.iter().rev().take(ROWS - 1));
            for (id, secrets) in some {
                let told = |why: String| format!("{why}\n\n{} {id}", self.spec.entities[entity].plural);
                let told = told(String::new());
                self.reads(own, other, entity, id, secrets).await.map_err(|why| format!("{why}{told}"))?;
                self.conditions(own, other, entity, id, secrets).await.map_err(|why| format!("{why}{told}"))?;
                self.writes(own, other, entity, id, secrets).await.map_err(|why| format!("{why}{told}"))?;
            }
        }
        Ok(())
    }

    /// By id, list, filter, sort, embedding and by the other's cursor.
    async fn reads(&mut self, own: &Caller, other: &Caller, entity: usize, id: &str, secrets: &Mask) -> Verdict<()> {
        let mut questions =
            vec![OracleRequest { id: Some(id.to_owned()), include: around(&self.spec, entity), ..OracleRequest::list(entity) }];
        questions.push(OracleRequest { id: Some(id.to_owned()), ..OracleRequest::list(entity) });
        let all = OracleRequest { count: true, limit: Some(7), ..OracleRequest::list(entity) };
        questions.push(OracleRequest { include: around(&self.spec, entity), ..all.clone() });
        let row = self.world.0[entity][id].clone();
        let by_id = Filter { path: Path::Id, op: "eq", with: vec![row.id_value(&self.spec, entity)] };
        questions.push(OracleRequest { filters: vec![by_id], ..all.clone() });
        for field in secrets {
            let (path, stored) = (Path::Own(*field), row.field(&self.spec, entity, *field));
            for op in ["eq", "ne", "gte", "null"] {
                let with = if op == "null" { vec![json!(stored.is_null())] } else { vec![stored.clone()] };
                if op == "null" || (!stored.is_null() && self.spec.kind(entity, path).is_sortable()) {
                    questions.push(OracleRequest { filters: vec![Filter { path, op, with }], ..all.clone() });
                }
            }
            for down in [false, true] {
                questions.push(OracleRequest { sort: vec![(path, down)], ..all.clone() });
            }
            questions.push(OracleRequest { fields: Some(vec![path]), ..all.clone() });
        }
        // From the other side: lists that could embed the row.
        for parent in 0..self.spec.entities.len() {
            let include = around(&self.spec, parent).into_iter().filter(|include| include.way.target() == entity).collect();
            questions.push(OracleRequest { include, limit: Some(9), ..OracleRequest::list(parent) });
        }
        for asked in questions {
            let query = format!("{} {} {:?} {}", own.name, asked.entity, asked.id, asked.query(&self.spec));
            if self.asked.insert(query) {
                let told = |why: String| format!("{why}\n{asked:?}");
                match judge::read(&self.stage, &self.viewer(own), &asked).await.map_err(told)? {
                    Went::Answered { rows } => {
                        self.tally.answered += 1;
                        self.tally.rows += rows;
                    }
                    Went::Unserved => self.tally.unserved += 1,
                    Went::Refused => self.tally.refused += 1,
                }
            }
        }
        let first = OracleRequest { limit: Some(1), ..OracleRequest::list(entity) };
        judge::foreign_cursor(&self.stage, &self.viewer(own), &self.viewer(other), &first).await
    }

    /// Neither version nor representation of what is not seen can be found out by conditional requests.
    async fn conditions(&mut self, own: &Caller, other: &Caller, entity: usize, id: &str, secrets: &Mask) -> Verdict<()> {
        let path = format!("{}/{id}", self.spec.entities[entity].plural);
        let Some(tag) = attempt::etag(&self.stage, &self.viewer(other), entity, id).await else { return Ok(()) };
        let plain = self.stage.call(&self.spec, own, &Request::get(path.clone(), "")).await;
        for tag in [tag.as_str(), "*"] {
            let asked = Request::get(path.clone(), "").header("if-none-match", tag);
            let reply = self.stage.call(&self.spec, own, &asked).await;
            let fresh = tag == "*" && plain.status == 200;
            same(&reply.status, &if fresh { 304 } else { plain.status }, "a conditional read")?;
            self.silent(&reply, own, entity, id, secrets, "")?;
        }
        Ok(())
    }

    /// Every write that could show, copy, compare, overwrite or remove it.
    async fn writes(&mut self, own: &Caller, other: &Caller, entity: usize, id: &str, secrets: &Mask) -> Verdict<()> {
        let row = self.world.0[entity][id].clone();
        let shown = self.viewer(other).shown(entity, &row, secrets);
        let mut tried = vec![
            Change::Merge { id: id.to_owned(), body: Map::new() },
            Change::Put { id: id.to_owned(), body: shown.clone() },
            Change::Create { body: shown.clone() },
            Change::Delete { id: id.to_owned() },
        ];
        for field in secrets.iter().take(FIELDS) {
            let (name, stored) = (self.spec.entities[entity].fields[*field].name.clone(), row.field(&self.spec, entity, *field));
            tried.push(Change::Merge { id: id.to_owned(), body: Map::from_iter([(name.clone(), stored.clone())]) });
            let path = format!("/{name}");
            let test = json!({"op": "test", "path": path, "value": stored});
            tried.push(Change::Patch { id: id.to_owned(), operations: vec![test] });
            if let Some(to) = self.viewer(own).widest(entity, "update").iter().next() {
                let to = format!("/{}", self.spec.entities[entity].fields[*to].name);
                for op in ["copy", "move"] {
                    let operations = vec![json!({"op": op, "from": path, "path": to})];
                    tried.push(Change::Patch { id: id.to_owned(), operations });
                }
            }
        }
        tried.extend(self.taken(own, entity, &row));
        let key = format!("key-{}-{entity}-{id}", other.name);
        self.keyed(own, other, entity, id, &key).await?;
        for what in tried {
            let told = |why: String| format!("{why}\n{what:?}");
            if !self.asked.insert(format!("{} {entity} {what:?}", own.name)) {
                continue;
            }
            let now = self.stage.next_moment();
            // What is allowed is tried elsewhere; here it would only change the data.
            if change(&self.viewer(own), entity, &what, &now, Some("00000000-0000-7000-8000-000000000000")).is_ok() {
                continue;
            }
            let sent = attempt::request(&self.spec, entity, &what);
            let text = format!("{:?} {}", sent.body, sent.path);
            let (_, status) = attempt::write(&self.stage, &self.viewer(own), entity, &what, &[]).await.map_err(told)?;
            same(&(status >= 400), &true, "a refusal").map_err(told)?;
            let reply = self.stage.call(&self.spec, own, &sent).await;
            self.silent(&reply, own, entity, id, secrets, &text).map_err(told)?;
            self.tally.unwritten += 1;
            let tag = attempt::etag(&self.stage, &self.viewer(other), entity, id).await;
            for tag in tag.iter().map(String::as_str).chain(["\"wrong.tag\""]) {
                let reply = self.stage.call(&self.spec, own, &sent.clone().header("if-match", tag)).await;
                let seen = self.viewer(own).mask(entity, "read", &row).is_some();
                if reply.status < 400
                    || (!seen && reply.status == 412 && what.id().is_some() && !matches!(what, Change::Put { .. }))
                {
                    return Err(told(format!("If-Match {tag}: {} {}", reply.status, reply.body)));
                }
                self.silent(&reply, own, entity, id, secrets, &text).map_err(told)?;
            }
            if let Some(operation) = attempt::operation(&what) {
                for atomic in [false, true] {
                    let body = json!({"operations": [operation], "atomic": atomic});
                    let path = format!("{}/_bulk", self.spec.entities[entity].plural);
                    let reply = self.stage.call(&self.spec, own, &Request::with(Method::POST, path, Some(body))).await;
                    let done = reply.body["results"][0]["status"].as_u64().is_some_and(|status| status < 400);
                    same(&done, &false, "an operation of a bulk call").map_err(told)?;
                    self.silent(&reply, own, entity, id, secrets, &text).map_err(told)?;
                }
            }
        }
        match self.stage.stored(&self.spec).await == self.world {
            true => Ok(()),
            false => Err("what was refused has changed something".to_owned()),
        }
    }

    /// Creations that would take a unique value of the row: they fail without a word about who has it.
    fn taken(&self, own: &Caller, entity: usize, row: &Row) -> Vec<Change> {
        let of = &self.spec.entities[entity];
        let unique = of.fields.iter().filter(|field| field.unique && !row.fields[&field.name].is_null());
        let _ = own;
        unique
            .map(|field| {
                let mut body = row.fields.clone();
                body.retain(|name, value| {
                    !value.is_null() && of.fields.iter().any(|one| one.name == *name && !one.read_only && !one.stamp)
                });
                body.insert("id".to_owned(), json!("somebody-new"));
                let _ = field;
                Change::Create { body }
            })
            .collect()
    }

    /// A key of the other's request is not a key of one's own.
    async fn keyed(&mut self, own: &Caller, other: &Caller, entity: usize, id: &str, key: &str) -> Verdict<()> {
        let what = Change::Merge { id: id.to_owned(), body: Map::new() };
        let sent = attempt::request(&self.spec, entity, &what).header("idempotency-key", key);
        let theirs = self.stage.call(&self.spec, other, &sent).await;
        if theirs.status != 200 {
            return Ok(());
        }
        let reply = self.stage.call(&self.spec, own, &sent).await;
        if reply.header("idempotency-replayed") == "true" && own.consumer != other.consumer {
            return Err(format!("a replay of somebody else's request: {}", reply.body));
        }
        self.world = self.stage.stored(&self.spec).await;
        let row = &self.world.0[entity][id];
        let mask = self.viewer(own).mask(entity, "read", row).unwrap_or_default();
        let allowed = self.viewer(own).shown(entity, row, &mask);
        if reply.status == 200 {
            same(&reply.body, &Value::Object(allowed), "what the own request shows")?;
        }
        self.tally.written += 1;
        Ok(())
    }

    /// An answer in which no secret value stands, but those that were sent.
    fn silent(&self, reply: &Reply, own: &Caller, entity: usize, id: &str, secrets: &Mask, sent: &str) -> Verdict<()> {
        let text = reply.body.to_string();
        let row = &self.world.0[entity][id];
        for field in secrets {
            let Value::String(secret) = row.field(&self.spec, entity, *field) else { continue };
            // Short words stand anywhere.
            if secret.len() > 5 && !sent.contains(&secret) && text.contains(&secret) && !id.contains(&secret) {
                return Err(format!("{} shows {} to {}: {text}", reply.status, secret, own.name));
            }
        }
        let location = reply.header("location");
        if reply.status >= 400 && !location.is_empty() {
            return Err(format!("{} with Location {location}", reply.status));
        }
        match reply.status {
            400.. => judge::discreet(&self.viewer(own), &format!("{sent} {id}"), &reply.body),
            _ => Ok(()),
        }
    }
}

/// All relations of an entity, one step far.
fn around(spec: &Spec, entity: usize) -> Vec<Include> {
    let one = spec.entities[entity]
        .references()
        .map(|(field, reference)| (reference.relation.clone(), Way::One { field, target: reference.target }));
    let many = spec.inverses(entity).into_iter().map(|(name, target, field)| (name, Way::Many { target, field }));
    let include = |(name, way)| ask::Include { name, way, limit: None, sort: Vec::new(), inner: Vec::new() };
    one.chain(many).map(include).collect()
}
