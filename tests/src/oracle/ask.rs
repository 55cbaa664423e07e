//! Random reads.

use serde_json::{Value, json};

use super::grants::{operators, paths};
use super::spec::{Index, Kind, Path, Spec};
use super::value;
use crate::rng::Rng;

/// A list, or one record (`id`).
#[derive(Debug, Clone)]
pub struct OracleRequest {
    pub entity: usize,
    pub id: Option<String>,
    pub filters: Vec<Filter>,
    pub sort: Vec<(Path, bool)>,
    pub fields: Option<Vec<Path>>,
    pub include: Vec<Include>,
    pub limit: Option<usize>,
    pub count: bool,
}

#[derive(Debug, Clone)]
pub struct Filter {
    pub path: Path,
    pub op: &'static str,
    pub with: Vec<Value>,
}

#[derive(Debug, Clone)]
pub struct Include {
    pub name: String,
    pub way: Way,
    pub limit: Option<usize>,
    pub sort: Vec<(Path, bool)>,
    pub inner: Vec<Include>,
}

/// How a relation leads to its other side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// By this ref field to a record of that entity.
    One { field: usize, target: usize },
    /// To the records of that entity whose ref field holds the id.
    Many { target: usize, field: usize },
}

impl Way {
    pub fn target(self) -> usize {
        match self {
            Self::One { target, .. } | Self::Many { target, .. } => target,
        }
    }
}

impl Filter {
    /// Whether it leaves one value.
    pub fn is_single(&self) -> bool {
        match self.op {
            "eq" => true,
            "in" => self.with.len() == 1,
            "null" => self.with == [json!(true)],
            _ => false,
        }
    }

    /// Whether it fixes its path to some values.
    pub fn is_fixing(&self) -> bool {
        matches!(self.op, "eq" | "in") || self.is_single()
    }

    fn text(&self) -> String {
        match self.op {
            "in" | "nin" => {
                let escaped = |value: &Value| value::text(value).replace('\\', "\\\\").replace(',', "\\,");
                self.with.iter().map(escaped).collect::<Vec<_>>().join(",")
            }
            _ => self.with.first().map(value::text).unwrap_or_default(),
        }
    }
}

impl OracleRequest {
    /// All of an entity.
    pub fn list(entity: usize) -> Self {
        let (filters, sort, include) = (Vec::new(), Vec::new(), Vec::new());
        Self { entity, id: None, filters, sort, fields: None, include, limit: None, count: false }
    }

    /// The query string.
    pub fn query(&self, spec: &Spec) -> String {
        let mut parts: Vec<(String, String)> = Vec::new();
        for filter in &self.filters {
            let name = spec.name(self.entity, filter.path);
            let name = if filter.op == "eq" { name } else { format!("{name}[{}]", filter.op) };
            parts.push((name, filter.text()));
        }
        if !self.sort.is_empty() {
            parts.push(("sort".into(), sort_text(spec, self.entity, &self.sort)));
        }
        if let Some(fields) = &self.fields {
            parts.push(("fields".into(), fields.iter().map(|path| spec.name(self.entity, *path)).collect::<Vec<_>>().join(",")));
        }
        let (mut chains, mut extra) = (Vec::new(), Vec::new());
        self.include.iter().for_each(|include| chain(spec, include, "", &mut chains, &mut extra));
        if !chains.is_empty() {
            parts.push(("include".into(), chains.join(",")));
        }
        parts.extend(extra);
        parts.extend(self.limit.map(|limit| ("limit".into(), limit.to_string())));
        if self.count {
            parts.push(("count".into(), "true".into()));
        }
        let pairs = parts.iter().map(|(name, value)| format!("{}={}", value::encoded(name), value::encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn sort_text(spec: &Spec, entity: usize, sort: &[(Path, bool)]) -> String {
    let one = |(path, down): &(Path, bool)| format!("{}{}", if *down { "-" } else { "" }, spec.name(entity, *path));
    sort.iter().map(one).collect::<Vec<_>>().join(",")
}

fn chain(spec: &Spec, include: &Include, before: &str, chains: &mut Vec<String>, extra: &mut Vec<(String, String)>) {
    let own = format!("{before}{}", include.name);
    chains.push(own.clone());
    extra.extend(include.limit.map(|limit| (format!("include[{own}][limit]"), limit.to_string())));
    if !include.sort.is_empty() {
        extra.push((format!("include[{own}][sort]"), sort_text(spec, include.way.target(), &include.sort)));
    }
    include.inner.iter().for_each(|inner| chain(spec, inner, &format!("{own}."), chains, extra));
}

/// A random list; most follow an index, so that many are served.
pub fn list(rng: &mut Rng, spec: &Spec, ids: &[Vec<Value>]) -> OracleRequest {
    let entity = rng.below(spec.entities.len());
    let mut asked = OracleRequest::list(entity);
    let guide = rng.percent(70).then(|| rng.pick(&spec.entities[entity].indexes).clone());
    if let Some(index) = &guide {
        guided(rng, spec, ids, &mut asked, index);
    }
    let all = paths(spec, entity);
    for _ in 0..*rng.pick(&[0, 0, 0, 1, 1, 2]) {
        let scanned: Vec<Path> = all.iter().filter(|path| spec.may_scan(entity, **path)).copied().collect();
        let from = if rng.percent(75) && !scanned.is_empty() { &scanned } else { &all };
        let path = *rng.pick(from);
        add_filter(rng, spec, ids, &mut asked, path, None);
    }
    if asked.sort.is_empty() && rng.percent(15) {
        let own: Vec<Path> = all.iter().filter(|path| !matches!(path, Path::Via(..))).copied().collect();
        let most = rng.within(1, 2);
        asked.sort = rng.sample(&own, most).into_iter().map(|path| (path, rng.percent(50))).collect();
    }
    asked.fields = fields(rng, spec, entity);
    asked.include = includes(rng, spec, entity, 3);
    asked.limit = rng.percent(60).then(|| rng.within(1, 7));
    asked.count = rng.percent(25);
    asked
}

/// A random read of one record.
pub fn get(rng: &mut Rng, spec: &Spec, entity: usize, id: &str) -> OracleRequest {
    let mut asked = OracleRequest::list(entity);
    asked.id = Some(id.to_owned());
    asked.fields = fields(rng, spec, entity);
    asked.include = includes(rng, spec, entity, 3);
    asked
}

/// Filters and sort that an index is for.
fn guided(rng: &mut Rng, spec: &Spec, ids: &[Vec<Value>], asked: &mut OracleRequest, index: &Index) {
    for path in &index.equality {
        add_filter(rng, spec, ids, asked, *path, Some(&["eq", "eq", "eq", "in", "null"]));
    }
    let sort: Vec<(Path, bool)> = match index.sort.is_empty() {
        true => vec![(Path::Id, false)],
        false => index.sort.clone(),
    };
    let (first, _) = sort[0];
    if rng.percent(35) {
        add_filter(rng, spec, ids, asked, first, Some(&["gt", "gte", "lt", "lte", "prefix", "eq", "in", "null"]));
    }
    if rng.percent(60) {
        let reverse = rng.percent(35);
        let many = rng.within(1, sort.len());
        asked.sort = sort.iter().take(many).map(|(path, down)| (*path, *down != reverse)).collect();
        if rng.percent(20) && !asked.sort.iter().any(|(path, _)| *path == Path::Id) && many == sort.len() {
            asked.sort.push((Path::Id, reverse));
        }
    }
}

fn add_filter(
    rng: &mut Rng,
    spec: &Spec,
    ids: &[Vec<Value>],
    asked: &mut OracleRequest,
    path: Path,
    ops: Option<&[&'static str]>,
) {
    let kind = spec.kind(asked.entity, path);
    let mut known = operators(&kind, path == Path::Id);
    if kind == Kind::Json {
        known.retain(|op| *op == "null");
    }
    let fitting: Vec<&'static str> = match ops {
        Some(ops) => ops.iter().filter(|op| known.contains(op)).copied().collect(),
        None => known,
    };
    let Some(op) = rng.perhaps(&fitting).copied() else { return };
    if asked.filters.iter().any(|filter| filter.path == path && filter.op == op) {
        return;
    }
    let one = |rng: &mut Rng| operand(rng, ids, asked.entity, path, &kind);
    let with = match op {
        "null" => vec![json!(rng.percent(40))],
        "in" | "nin" => (0..rng.within(1, 3)).map(|_| one(rng)).collect(),
        _ => vec![one(rng)],
    };
    if !with.iter().any(Value::is_null) {
        asked.filters.push(Filter { path, op, with });
    }
}

fn operand(rng: &mut Rng, ids: &[Vec<Value>], entity: usize, path: Path, kind: &Kind) -> Value {
    let target = match (path, kind) {
        (Path::Id, _) => Some(entity),
        (_, Kind::Ref(reference)) => Some(reference.target),
        _ => None,
    };
    match (target, kind) {
        (Some(target), _) => rng.perhaps(&ids[target]).cloned().unwrap_or(Value::Null),
        (_, Kind::Words) => json!(rng.pick(&value::ELEMENTS)),
        (_, Kind::Numbers) => json!(rng.below(3)),
        _ => value::of(rng, kind),
    }
}

fn fields(rng: &mut Rng, spec: &Spec, entity: usize) -> Option<Vec<Path>> {
    if rng.percent(75) {
        return None;
    }
    let mut own: Vec<Path> = (0..spec.entities[entity].fields.len()).map(Path::Own).collect();
    own.push(Path::Id);
    let most = rng.within(1, 3);
    Some(rng.sample(&own, most))
}

fn includes(rng: &mut Rng, spec: &Spec, entity: usize, depth: usize) -> Vec<Include> {
    if depth == 0 || rng.percent(if depth == 3 { 55 } else { 40 }) {
        return Vec::new();
    }
    let mut ways: Vec<(String, Way)> = spec.entities[entity]
        .references()
        .map(|(field, reference)| (reference.relation.clone(), Way::One { field, target: reference.target }))
        .collect();
    ways.extend(spec.inverses(entity).into_iter().map(|(name, target, field)| (name, Way::Many { target, field })));
    let most = rng.within(1, 2);
    let mut found = Vec::new();
    for (name, way) in rng.sample(&ways, most) {
        let mut include =
            Include { name, way, limit: None, sort: Vec::new(), inner: includes(rng, spec, way.target(), depth - 1) };
        if let Way::Many { target, field } = way {
            include.limit = rng.percent(50).then(|| rng.within(1, 4));
            let serving = spec.entities[target].indexes.iter().filter(|index| index.equality == [Path::Own(field)]);
            let sorts: Vec<Vec<(Path, bool)>> = serving.map(|index| index.sort.clone()).filter(|sort| !sort.is_empty()).collect();
            include.sort = match rng.below(10) {
                0..4 => rng.perhaps(&sorts).cloned().unwrap_or_default(),
                4 | 5 => vec![(Path::Id, rng.percent(40))],
                6 => {
                    let own: Vec<Path> = (0..spec.entities[target].fields.len()).map(Path::Own).collect();
                    vec![(*rng.pick(&own), rng.percent(50))]
                }
                _ => Vec::new(),
            };
        }
        found.push(include);
    }
    found
}
