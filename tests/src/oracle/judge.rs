//! Whether an answer to a read is the one that a world has in which the caller's invisible parts do not exist.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::ask::{Include, OracleRequest, Way};
use super::generate::NAMES;
use super::served::{Service, service};
use super::spec::Path;
use super::stage::{Reply, Request, Stage};
use super::value;
use super::viewer::{Mask, Row, Viewer};

/// A name that no model has.
pub const NONESUCH: &str = "nonesuch";
/// Most pages that a walk may take.
const MAX_PAGES: usize = 300;

/// How a read went, for the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    Answered {
        rows: usize,
    },
    /// For want of an index.
    Unserved,
    /// Forbidden, hidden or not found.
    Refused,
}

type Verdict<T> = Result<T, String>;

/// Makes a read and judges all pages of its answer.
pub async fn read(stage: &Stage, viewer: &Viewer<'_>, asked: &OracleRequest) -> Verdict<Went> {
    let query = asked.query(viewer.spec);
    let first = send(stage, viewer, asked, &query).await;
    let faults = faults(viewer, asked);
    if !faults.is_empty() {
        refused(stage, viewer, asked, &query, &first, &faults).await?;
        return Ok(Went::Refused);
    }
    if let Some(id) = &asked.id {
        let row = viewer.world.0[asked.entity].get(id);
        let Some((row, mask)) = row.and_then(|row| Some((row, viewer.mask(asked.entity, "read", row)?))) else {
            // What no index embeds is refused before anything is looked for, for whoever asks.
            if first.status != 400 || !unserved(viewer, asked, &first)? {
                same(&first.status, &404, "the status of a record that is not there for the caller")?;
            }
            return Ok(Went::Refused);
        };
        return match unserved(viewer, asked, &first)? {
            true => Ok(Went::Unserved),
            false => {
                let sight = Sight { viewer, asked: &asked.fields, include: &asked.include };
                sight.record(asked.entity, row, &mask, &first.body).map(|()| Went::Answered { rows: 1 })
            }
        };
    }
    if uncounted(viewer, asked, &first) {
        return Ok(Went::Unserved);
    }
    if unserved(viewer, asked, &first)? {
        return Ok(Went::Unserved);
    }
    pages(stage, viewer, asked, &query, first).await
}

/// A cursor of somebody else shows no more than one's own list.
pub async fn foreign_cursor(stage: &Stage, own: &Viewer<'_>, other: &Viewer<'_>, asked: &OracleRequest) -> Verdict<()> {
    let query = asked.query(own.spec);
    let cursor = send(stage, other, asked, &query).await.body["next_cursor"].as_str().map(str::to_owned);
    let (Some(cursor), true) = (cursor, faults(own, asked).is_empty()) else { return Ok(()) };
    let page = send(stage, own, asked, &format!("{query}&cursor={cursor}")).await;
    if page.status == 400 {
        return Ok(());
    }
    same(&page.status, &200, "the status of a page by somebody else's cursor")?;
    let expected = expected(own, asked);
    let sight = Sight { viewer: own, asked: &asked.fields, include: &asked.include };
    for shown in page.body["data"].as_array().into_iter().flatten() {
        sight.one_of(asked.entity, &expected, shown)?;
    }
    Ok(())
}

async fn send(stage: &Stage, viewer: &Viewer<'_>, asked: &OracleRequest, query: &str) -> Reply {
    let plural = &viewer.spec.entities[asked.entity].plural;
    let path = asked.id.as_ref().map_or(plural.clone(), |id| format!("{plural}/{id}"));
    stage.call(viewer.spec, viewer.caller, &Request::get(path, query)).await
}

/// The statuses that a read may be refused with, whatever the data; none: it is to be answered.
pub fn faults(viewer: &Viewer<'_>, asked: &OracleRequest) -> BTreeSet<u16> {
    let action = if asked.id.is_some() { "read" } else { "list" };
    if viewer.forbidden(asked.entity, action) {
        return BTreeSet::from([403]);
    }
    let mut faults = BTreeSet::new();
    if !hidden(viewer, asked).is_empty() {
        faults.insert(400);
    }
    let of = &viewer.spec.entities[asked.entity];
    let joined = |path: Path| of.indexes.iter().any(|index| index.equality.contains(&path));
    if asked.filters.iter().any(|filter| matches!(filter.path, Path::Via(..)) && !joined(filter.path)) {
        faults.insert(400);
    }
    let mut open: Vec<&Include> = asked.include.iter().collect();
    while let Some(include) = open.pop() {
        if viewer.forbidden(include.way.target(), "list") {
            // What lies behind it does not exist for the caller, or is forbidden with it.
            faults.insert(403);
            if !include.inner.is_empty() || !include.sort.is_empty() {
                faults.insert(400);
            }
        }
        open.extend(&include.inner);
    }
    faults
}

/// Names in a read that do not exist for its caller.
fn hidden(viewer: &Viewer<'_>, asked: &OracleRequest) -> Vec<String> {
    let spec = viewer.spec;
    let action = if asked.id.is_some() { "read" } else { "list" };
    let widest = viewer.widest(asked.entity, action);
    let mut found = Vec::new();
    let filtered = asked.filters.iter().map(|filter| &filter.path);
    for path in asked.fields.iter().flatten().chain(asked.sort.iter().map(|(path, _)| path)).chain(filtered) {
        if let Path::Own(field) = path
            && !widest.contains(field)
        {
            found.push(spec.name(asked.entity, *path));
        }
    }
    for filter in &asked.filters {
        if let Path::Via(via, field) = filter.path {
            let target = spec.target(asked.entity, via);
            if !widest.contains(&via) {
                found.extend(spec.entities[asked.entity].fields[via].kind.reference().map(|one| one.relation.clone()));
            } else if !viewer.widest(target, "list").contains(&field) {
                found.push(spec.entities[target].fields[field].name.clone());
            }
        }
    }
    hidden_includes(viewer, &widest, &asked.include, &mut found);
    found
}

fn hidden_includes(viewer: &Viewer<'_>, widest: &Mask, includes: &[Include], found: &mut Vec<String>) {
    for include in includes {
        let target = include.way.target();
        let there = viewer.widest(target, "list");
        let shows = match include.way {
            Way::One { field, .. } => widest.contains(&field),
            Way::Many { field, .. } => there.contains(&field) || viewer.forbidden(target, "list"),
        };
        if !shows {
            found.push(include.name.clone());
            continue;
        }
        for (path, _) in &include.sort {
            if let Path::Own(field) = path
                && !there.contains(field)
            {
                found.push(viewer.spec.name(target, *path));
            }
        }
        hidden_includes(viewer, &there, &include.inner, found);
    }
}

/// A refusal has one of these statuses, names nothing that the caller may not know, and what is hidden is refused as what does not
/// exist.
async fn refused(
    stage: &Stage,
    viewer: &Viewer<'_>,
    asked: &OracleRequest,
    query: &str,
    reply: &Reply,
    faults: &BTreeSet<u16>,
) -> Verdict<()> {
    if !faults.contains(&reply.status) {
        return Err(format!("expected one of {faults:?}, got {} {}", reply.status, reply.body));
    }
    discreet(viewer, query, &reply.body)?;
    let hidden = hidden(viewer, asked);
    // Where one entity is looked at in two ways a name may be hidden here and known there.
    let once = asked.include.iter().all(|include| include.inner.is_empty() && include.way.target() != asked.entity);
    // Names that may be part of other words cannot be replaced where there are other words.
    let shared = hidden.iter().any(|name| !is_telling(name)) && !asked.include.is_empty()
        || hidden.iter().any(|name| name.ends_with("ted_at"));
    if reply.status != 400 || hidden.is_empty() || !once || shared {
        return Ok(());
    }
    // The longest first: `holder` is part of `holder_id`.
    let mut names = hidden;
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.dedup();
    let numbered = || names.iter().enumerate();
    let without =
        |text: &str| numbered().fold(text.to_owned(), |text, (at, name)| text.replace(name, &format!("{NONESUCH}{at}")));
    let other = send(stage, viewer, asked, &without(query)).await;
    let told = |reply: &Reply| {
        let mut body = reply.body.clone();
        body["correlation_id"] = Value::Null;
        // Which of the names that the caller sees is near depends on what was sent, and on nothing else.
        NEAR.replace_all(&without(&body.to_string()), "there are").into_owned()
    };
    same(&told(reply), &told(&other), "a hidden name, refused as one that does not exist")
}

#[expect(clippy::unwrap_used, reason = "a constant")]
static NEAR: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"did you mean \\"[a-z0-9_.]+\\"\? There are"#).unwrap());

/// No name of a field that the caller can never read stands in an error, unless the caller sent it.
pub fn discreet(viewer: &Viewer<'_>, sent: &str, body: &Value) -> Verdict<()> {
    let text = body.to_string();
    let (mut known, mut hidden): (BTreeSet<&str>, BTreeSet<&str>) = (BTreeSet::new(), BTreeSet::new());
    for (at, entity) in viewer.spec.entities.iter().enumerate() {
        let seen: Mask = ["list", "read", "create", "update"].iter().flat_map(|action| viewer.widest(at, action)).collect();
        for (field, of) in entity.fields.iter().enumerate() {
            let relation = of.kind.reference().map(|reference| reference.relation.as_str());
            let sent_it = sent.contains(&of.name) || relation.is_some_and(|relation| sent.contains(relation));
            if seen.contains(&field) || sent_it { &mut known } else { &mut hidden }.insert(&of.name);
        }
    }
    let told = |name: &&&str| is_telling(name) && stands_in(&text, name);
    match hidden.difference(&known).find(told) {
        Some(name) => Err(format!("the answer names {name}, which the caller may not know: {body}")),
        None => Ok(()),
    }
}

/// Whether a name stands in a text as a word.
fn stands_in(text: &str, name: &str) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.match_indices(name).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        !part(before) && !part(text.as_bytes().get(at + name.len()))
    })
}

/// Whether a name in an answer can only be that field's: an invented one, or one that is no word.
fn is_telling(name: &str) -> bool {
    name.contains('_') && !matches!(name, "created_at" | "updated_at") || NAMES.contains(&name)
}

/// Whether a read was rightly refused for want of an index.
fn unserved(viewer: &Viewer<'_>, asked: &OracleRequest, reply: &Reply) -> Verdict<bool> {
    let service = service(viewer.spec, asked);
    let names_index = || reply.body["detail"].as_str().is_some_and(|detail| detail.contains("index"));
    match (reply.status, service) {
        (200, Service::Surely | Service::Perhaps) => Ok(false),
        (400, Service::Perhaps | Service::Never) if reply.body["code"] == "invalid_parameter" && names_index() => {
            discreet(viewer, &asked.query(viewer.spec), &reply.body)?;
            Ok(true)
        }
        (status, service) => Err(format!("served {service:?}, got {status} {}", reply.body)),
    }
}

/// Whether a count was refused because it would examine too much.
fn uncounted(viewer: &Viewer<'_>, asked: &OracleRequest, reply: &Reply) -> bool {
    let many = viewer.world.0[asked.entity].len() > viewer.spec.examine;
    asked.count && many && reply.status == 400 && reply.body["parameter"] == "count"
}

/// The rows that a list has for the caller, with their masks.
fn expected<'a>(viewer: &Viewer<'a>, asked: &OracleRequest) -> Vec<(&'a Row, Mask)> {
    let entity = asked.entity;
    let visible = viewer.world.0[entity].values().filter_map(|row| Some((row, viewer.mask(entity, "list", row)?)));
    let meets = |row: &Row, mask: &Mask| {
        asked.filters.iter().all(|filter| {
            let seen = viewer.seen(entity, filter.path, row, mask);
            seen.is_some_and(|seen| value::holds(&viewer.spec.kind(entity, filter.path), &seen, filter.op, &filter.with))
        }) && asked.sort.iter().all(|(path, _)| viewer.seen(entity, *path, row, mask).is_some())
    };
    visible.filter(|(row, mask)| meets(row, mask)).collect()
}

async fn pages(stage: &Stage, viewer: &Viewer<'_>, asked: &OracleRequest, query: &str, first: Reply) -> Verdict<Went> {
    let expected = expected(viewer, asked);
    let sight = Sight { viewer, asked: &asked.fields, include: &asked.include };
    let mut shown: Vec<&Row> = Vec::new();
    let mut page = first;
    for number in 0.. {
        same(&page.status, &200, "the status of a page")?;
        let data = page.body["data"].as_array().ok_or("a page without data")?;
        if data.len() > asked.limit.unwrap_or(20) {
            return Err(format!("a page of {} rows", data.len()));
        }
        if asked.count {
            same(&page.body["total"], &Value::from(expected.len()), "the count")?;
        }
        for one in data {
            // A record without its id cannot be told from others that look alike: it has to be one of those not shown yet.
            let left: Vec<(&Row, Mask)> = expected.iter().filter(|(row, _)| !shown.contains(row)).cloned().collect();
            shown.push(sight.one_of(asked.entity, &left, one)?);
        }
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        if number > MAX_PAGES {
            return Err("the pages do not end".to_owned());
        }
        if !page.header("link").contains(cursor) {
            return Err("no Link to the next page".to_owned());
        }
        page = send(stage, viewer, asked, &format!("{query}&cursor={cursor}")).await;
    }
    if shown.len() != expected.len() {
        let missing: Vec<&str> =
            expected.iter().filter(|(row, _)| !shown.contains(row)).map(|(row, _)| row.id.as_str()).collect();
        return Err(format!("{} of {} rows shown; missing {missing:?}", shown.len(), expected.len()));
    }
    // Rows that look alike without their ids may have been taken for one another.
    if asked.fields.is_none() {
        in_order(viewer, asked.entity, &asked.sort, &shown)?;
    }
    Ok(Went::Answered { rows: shown.len() })
}

fn in_order(viewer: &Viewer<'_>, entity: usize, sort: &[(Path, bool)], rows: &[&Row]) -> Verdict<()> {
    for pair in rows.windows(2) {
        if compare(viewer, entity, sort, pair[0], pair[1]) == Ordering::Greater {
            return Err(format!("{} stands before {}, against the sort", pair[0].id, pair[1].id));
        }
    }
    Ok(())
}

/// Nulls last in both directions.
fn compare(viewer: &Viewer<'_>, entity: usize, sort: &[(Path, bool)], a: &Row, b: &Row) -> Ordering {
    let mut found = Ordering::Equal;
    for (path, down) in sort {
        let (a, b) = (viewer.stored(entity, *path, a), viewer.stored(entity, *path, b));
        found = found.then(match (a.is_null(), b.is_null()) {
            (false, false) => {
                let natural = value::order(&viewer.spec.kind(entity, *path), &a, &b);
                if *down { natural.reverse() } else { natural }
            }
            (a, b) => a.cmp(&b),
        });
    }
    found
}

/// What is asked to be shown of records.
struct Sight<'a> {
    viewer: &'a Viewer<'a>,
    asked: &'a Option<Vec<Path>>,
    include: &'a [Include],
}

impl Sight<'_> {
    /// The row among these that `shown` is.
    fn one_of<'r>(&self, entity: usize, rows: &[(&'r Row, Mask)], shown: &Value) -> Verdict<&'r Row> {
        let mut why = "is not among the expected rows".to_owned();
        for (row, mask) in rows {
            let id = row.id_value(self.viewer.spec, entity);
            if shown.get("id").is_some_and(|shown| *shown != id) {
                continue;
            }
            match self.record(entity, row, mask, shown) {
                Ok(()) => return Ok(row),
                Err(error) => why = error,
            }
        }
        Err(format!("{shown}: {why}"))
    }

    /// Whether `shown` is this row as the caller sees it.
    fn record(&self, entity: usize, row: &Row, mask: &Mask, shown: &Value) -> Verdict<()> {
        let (viewer, spec) = (self.viewer, self.viewer.spec);
        let mut own: Map<String, Value> = shown.as_object().cloned().ok_or_else(|| format!("{shown} is no record"))?;
        for include in self.include {
            let value = own.remove(&include.name).ok_or_else(|| format!("{} is not embedded", include.name))?;
            let inner = Sight { viewer, asked: &None, include: &include.inner };
            match include.way {
                Way::One { field, target } => inner.one(target, mask.contains(&field), row.field(spec, entity, field), &value),
                Way::Many { target, field } => inner.many(include, target, field, &row.id_value(spec, entity), &value),
            }
            .map_err(|why| format!("{} of {}: {why}", include.name, row.id))?;
        }
        let mut expected = viewer.shown(entity, row, mask);
        if let Some(asked) = self.asked {
            let names: Vec<String> = asked.iter().map(|path| spec.name(entity, *path)).collect();
            expected.retain(|name, _| names.contains(name));
        }
        same(&Value::Object(own), &Value::Object(expected), "a record")
    }

    fn one(&self, target: usize, may_read: bool, reference: Value, shown: &Value) -> Verdict<()> {
        let found = self.viewer.world.at(target, &reference).filter(|_| may_read);
        match found.and_then(|found| Some((found, self.viewer.mask(target, "list", found)?))) {
            Some((found, mask)) => self.record(target, found, &mask, shown),
            None => same(shown, &Value::Null, "what is embedded of nothing"),
        }
    }

    fn many(&self, include: &Include, target: usize, field: usize, parent: &Value, shown: &Value) -> Verdict<()> {
        let viewer = self.viewer;
        let (kind, mut left) = (viewer.spec.kind(target, Path::Own(field)), Vec::new());
        for row in viewer.world.0[target].values() {
            let Some(mask) = viewer.mask(target, "list", row) else { continue };
            let belongs = value::equal(&kind, &row.field(viewer.spec, target, field), parent);
            let sorts = include.sort.iter().all(|(path, _)| viewer.seen(target, *path, row, &mask).is_some());
            if belongs && mask.contains(&field) && sorts {
                left.push((row, mask));
            }
        }
        let all = left.len();
        let items = shown.as_array().ok_or("not an array")?;
        let mut rows = Vec::new();
        for item in items {
            let row = self.one_of(target, &left, item)?;
            left.retain(|(other, _)| other.id != row.id);
            rows.push(row);
        }
        in_order(viewer, target, &include.sort, &rows)?;
        // Only a budget that ends before the page does excuses less than was asked for.
        if viewer.world.0[target].len() <= viewer.spec.examine {
            same(&rows.len(), &all.min(include.limit.unwrap_or(20)), "how many are embedded")?;
            if let Some(last) = rows.last()
                && let Some((before, _)) = left.iter().find(|(row, _)| compare(viewer, target, &include.sort, row, last).is_lt())
            {
                return Err(format!("{} comes before {} and is left out", before.id, last.id));
            }
        }
        Ok(())
    }
}

/// Whether two things that have to be one are.
pub fn same<T: PartialEq + std::fmt::Display>(got: &T, expected: &T, what: &str) -> Verdict<()> {
    if got == expected { Ok(()) } else { Err(format!("{what}:\n  got      {got}\n  expected {expected}")) }
}
