//! An oracle of evolution: random chains of models over random records and writes, versions beside each other, and migrations that die.
//!
//! At every moment every acknowledged constraint that the model in force calls complete holds, or the write is refused as `building`;
//! afterwards `verify` is clean, and every record can be read, changed and deleted. `HOLDFAST_EVOLUTIONS` says how many cases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::migrate::{Evolution, Fills};
use holdfast::model::value::{Record, new_version};
use holdfast::model::{FieldType, Model, parse};
use holdfast::query::policy::Writer;
use holdfast::store::constraints::{Constraints, REFRESH, RuleKind, States};
use holdfast::store::double::{Double, Intercept, TableCall};
use holdfast::store::table::{SharedTable, TableError, TableName};
use holdfast::store::verify::Verifier;
use holdfast::store::write::{Batch, Mutation, WriteError};
use holdfast::store::{items, keys};
use holdfast_local::embedded::{DATA_TABLE, Dynamo, VOLATILE_TABLE};
use holdfast_tests::modelled::{Modelled, Times};
use holdfast_tests::rng::Rng;
use serde_json::{Map, Value, json};

/// Ids of all entities.
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Values of texts: ids among them, and what is none.
const TEXTS: [&str; 7] = ["a", "b", "c", "x", "17", "not an id!", "one"];

/// What the field `link` of `item` may be.
const LINKS: [&str; 8] = [
    "",
    "link_id: {type: string, max: 60}",
    "link_id: {type: string, max: 60, unique: true}",
    "link: {ref: person, on_delete: restrict}",
    "link: {ref: person, on_delete: cascade, inverse: items}",
    "link: {ref: person, on_delete: set_null, inverse: items}",
    "link: {ref: place, on_delete: restrict}",
    "link: {ref: place, on_delete: set_null, inverse: items}",
];
/// What the field `code` of `item` may be.
const CODES: [&str; 8] = [
    "",
    "code: {type: string, max: 40}",
    "code: {type: string, max: 40, unique: true}",
    "code: {type: string, max: 40, default: one}",
    "code: {type: string, max: 40, required: true, fill: one}",
    "code: {type: enum, values: [one, two, x]}",
    "code: {type: integer}",
    "code: {type: integer, unique: true}",
];
/// The entity that a model has or has not.
const NOTES: [&str; 3] = [
    "",
    "      about: {ref: person, on_delete: restrict}\n",
    "      about: {ref: person, on_delete: cascade, inverse: notes}\n      word: {type: string, max: 40, unique: true}\n",
];
const INDEXES: [&str; 3] = ["", "by_code: {sort: [-code]}", "by_code: {equality: [code], sort: [id]}"];

fn source(rng: &mut Rng) -> String {
    let (link, code) = (LINKS[rng.below(LINKS.len())], CODES[rng.below(CODES.len())]);
    let index = if code.is_empty() { "" } else { INDEXES[rng.below(INDEXES.len())] };
    let contention = ["", "    contention: 2000\n"][rng.below(2)];
    let lines =
        |lines: &[&str]| lines.iter().filter(|line| !line.is_empty()).map(|line| format!("      {line}\n")).collect::<String>();
    let indexes = if index.is_empty() { String::new() } else { format!("    indexes:\n      {index}\n") };
    let plain = "    id: string\n    timestamps: false\n    fields:\n      title: {type: string, max: 50}\n";
    let note = NOTES[rng.below(NOTES.len())];
    let note = if note.is_empty() { String::new() } else { format!("  note:\n{plain}{note}") };
    format!(
        "name: Random\nversion: 1.0.0\nentities:\n  person:\n    plural: people\n{contention}{plain}  place:\n{plain}  item:\n    id: \
         string\n    timestamps: false\n    fields:\n      title: {{type: string, max: 50}}\n{}{indexes}{note}roles:\n  admin: {{all: true}}\n",
        lines(&[link, code])
    )
}

/// A clock that the case moves.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

/// Refuses every call after some: the process that made them is dead.
struct Dies(AtomicI64);

impl Intercept for Dies {
    async fn around<T: Send>(
        &self,
        _: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        match self.0.fetch_sub(1, Ordering::Relaxed) > 0 {
            true => pass.await,
            false => Err(TableError::Broken("dead".to_owned())),
        }
    }
}

/// A version of the model at work.
struct Version {
    model: Arc<Model>,
    constraints: Arc<Constraints>,
    writer: Writer,
}

struct Case {
    rng: Rng,
    table: SharedTable,
    clock: Arc<Moved>,
    env: Env,
    /// What is stored, by entity and id, as acknowledged.
    stored: BTreeMap<(String, String), Record>,
    story: Vec<String>,
}

impl Case {
    fn new(seed: u64, table: SharedTable) -> Self {
        let clock = Arc::new(Moved(AtomicI64::new(1_800_000_000_000_000)));
        let env = Env { clock: Arc::clone(&clock) as _, random: Env::system().random };
        Self { rng: Rng::of(seed), table, clock, env, stored: BTreeMap::new(), story: vec![format!("seed {seed}")] }
    }

    fn version(&mut self) -> Version {
        loop {
            let source = source(&mut self.rng);
            // Some combinations are none: an index over what cannot be sorted.
            let Ok(model) = parse("model.yaml", &source) else { continue };
            self.story.push(source);
            let model = Arc::new(model);
            let constraints = Arc::new(Constraints::new(Arc::clone(&self.table), Arc::clone(&model), self.env.clone()));
            let writer = Writer::new(Arc::clone(&self.table), Arc::clone(&model), self.env.clone());
            return Version { writer: writer.with_constraints(Arc::clone(&constraints)), model, constraints };
        }
    }

    /// Time passes until nobody remembers what was.
    fn pass(&self) {
        let beyond = REFRESH + Duration::from_secs(1);
        self.clock.0.fetch_add(i64::try_from(beyond.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// The states as a version that is about to write knows them, once it has waited for what it has marked.
    async fn states(&self, version: &Version) -> Arc<States> {
        self.pass();
        loop {
            match version.constraints.before_write(self.env.now().plus(Duration::from_millis(1))).await {
                Ok(states) => return states,
                Err(TableError::Busy(_)) => self.pass(),
                Err(error) => panic!("{error}\n{}", self.story.join("\n")),
            }
        }
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.rng.below(TEXTS.len())]
    }

    /// Fields as a client of this version may send them.
    fn fields(&mut self, version: &Version, entity: &str, before: Option<&Record>) -> Map<String, Value> {
        let mut fields = before.map(|record| record.fields.clone()).unwrap_or_default();
        for field in &version.model.by_name(entity).unwrap().fields {
            let keeps = before.is_some() && self.rng.below(2) == 0;
            if keeps {
                continue;
            }
            let value = match &field.kind {
                _ if field.nullable && self.rng.below(4) == 0 => Value::Null,
                FieldType::Integer { .. } => json!(self.rng.below(4)),
                FieldType::Enum(words) => json!(words[self.rng.below(words.len())]),
                FieldType::Ref { .. } => json!(IDS[self.rng.below(IDS.len())]),
                _ => json!(self.text()),
            };
            fields.insert(field.name.clone(), value);
        }
        fields
    }

    /// A random write by a version, held against what it calls complete.
    async fn write(&mut self, version: &Version) {
        let mut entity = ["person", "place", "item", "item", "note"][self.rng.below(5)];
        if version.model.by_name(entity).is_none() {
            entity = "item";
        }
        let id = IDS[self.rng.below(IDS.len())];
        let place = (entity.to_owned(), id.to_owned());
        let before = self.stored.get(&place).cloned();
        let after = match before {
            Some(_) if self.rng.below(3) == 0 => None,
            _ => {
                let fields = self.fields(version, entity, before.as_ref());
                Some(Record { id: id.to_owned(), version: new_version(&self.env), fields })
            }
        };
        let states = self.states(version).await;
        let entity_ix = version.model.by_name(entity).unwrap().ix;
        let batch = Batch {
            mutations: vec![Mutation { entity: entity_ix, before: before.clone(), after: after.clone() }],
            ..Batch::default()
        };
        self.story.push(format!(
            "{entity}/{id}: {:?} -> {:?}",
            before.as_ref().map(|r| &r.fields),
            after.as_ref().map(|r| &r.fields)
        ));
        let deadline = self.env.now().plus(Duration::from_secs(3600));
        match version.writer.write_unchecked(&batch, deadline).await {
            Ok(written) => {
                version.writer.settle(written.unsettled).await;
                self.reread(version).await;
                self.holds(version, &states, &place, before.as_ref(), after.as_ref());
            }
            Err(
                error @ (WriteError::Building { .. }
                | WriteError::Unique { .. }
                | WriteError::ReferenceMissing { .. }
                | WriteError::Restricted { .. }),
            ) => self.story.push(format!("  refused: {error}")),
            Err(error) => panic!("{error}\n{}", self.story.join("\n")),
        }
    }

    /// What is stored now: deletions bring others along.
    async fn reread(&mut self, version: &Version) {
        for entity in &version.model.entities {
            for id in IDS {
                let found = self.table.get(&[(TableName::Data, keys::record(entity, id))], true).await.unwrap();
                let place = (entity.name.clone(), id.to_owned());
                match found[0].as_ref().and_then(items::decode) {
                    Some(record) => drop(self.stored.insert(place, record)),
                    None => drop(self.stored.remove(&place)),
                }
            }
        }
    }

    /// What the states call complete holds after an acknowledged write.
    fn holds(
        &self,
        version: &Version,
        states: &States,
        place: &(String, String),
        before: Option<&Record>,
        after: Option<&Record>,
    ) {
        let item = version.model.by_name("item").unwrap();
        let is_complete = |kind: RuleKind, field| {
            !states.pending().any(|rule| rule.kind == kind && rule.field == field && rule.entity == item.ix)
        };
        for field in &item.fields {
            let values = || {
                let items = self.stored.iter().filter(|((entity, _), _)| entity == "item");
                items.filter_map(|((_, id), record)| Some((id, record.fields.get(&field.name).filter(|value| !value.is_null())?)))
            };
            if field.unique && is_complete(RuleKind::Unique, field.ix) {
                let mut seen: Vec<&Value> = Vec::new();
                for (_, value) in values() {
                    assert!(!seen.contains(&value), "{value} twice\n{}", self.story.join("\n"));
                    seen.push(value);
                }
            }
            let FieldType::Ref { target, .. } = field.kind else { continue };
            let target = &version.model.entity(target).name;
            if place.0 == *target && after.is_none() && is_complete(RuleKind::Reference, field.ix) {
                let refers = values().find(|(_, value)| value.as_str() == Some(&place.1));
                assert!(refers.is_none(), "{refers:?} is left behind\n{}", self.story.join("\n"));
            }
            let value = |record: Option<&Record>| {
                record.and_then(|record| record.fields.get(&field.name)).and_then(Value::as_str).map(str::to_owned)
            };
            if place.0 == "item" && value(after) != value(before) {
                let is_there = value(after).is_none_or(|id| self.stored.contains_key(&(target.clone(), id)));
                assert!(is_there, "a reference to nobody was accepted\n{}", self.story.join("\n"));
            }
        }
    }

    /// A migration to a version, that may die some times first. Whether it is complete.
    async fn migrate(&mut self, version: &Version, deaths: usize) -> bool {
        for _ in 0..deaths {
            let calls = i64::try_from(self.rng.below(60)).unwrap();
            let dying: SharedTable = Arc::new(Double::new(Arc::clone(&self.table), Dies(calls.into())));
            let evolution = Evolution::new(dying, Arc::clone(&version.model), self.env.clone(), Fills::default());
            let outcome = evolution.run(Duration::ZERO, |_| {}, |_| {}).await;
            self.story.push(format!("a migration after {calls} calls: {}", outcome.is_ok()));
            self.pass();
        }
        let evolution = Evolution::new(Arc::clone(&self.table), Arc::clone(&version.model), self.env.clone(), Fills::default());
        self.pass();
        let done = evolution
            .run(Duration::ZERO, |_| {}, |_| {})
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.story.join("\n")));
        self.story.push(format!("migrated: {done:?}"));
        self.reread(version).await;
        self.pass();
        done.is_complete()
    }

    /// Removes all that the version has no more, after some deaths. Nothing of it is left anywhere.
    async fn drop_all(&mut self, version: &Version, deaths: usize) {
        let evolution = |table| Evolution::new(table, Arc::clone(&version.model), self.env.clone(), Fills::default());
        let ours = evolution(Arc::clone(&self.table));
        let chosen = ours.leftovers().await.unwrap();
        for _ in 0..deaths {
            let calls = i64::try_from(self.rng.below(60)).unwrap();
            let dying: SharedTable = Arc::new(Double::new(Arc::clone(&self.table), Dies(calls.into())));
            let outcome = Evolution::new(dying, Arc::clone(&version.model), self.env.clone(), Fills::default())
                .drop_leftovers(&chosen, Duration::ZERO, |_| {})
                .await;
            self.story.push(format!("a removal after {calls} calls: {}", outcome.is_ok()));
            self.pass();
        }
        let left = ours.leftovers().await.unwrap();
        let done = ours.drop_leftovers(&left, Duration::ZERO, |_| {}).await;
        self.story.push(format!("removed {chosen:?}: {done:?}"));
        let done = done.unwrap_or_else(|error| panic!("{error}\n{}", self.story.join("\n")));
        assert!(done.is_complete(), "{}", self.story.join("\n"));
        assert_eq!(ours.leftovers().await.unwrap(), [], "{}", self.story.join("\n"));
        self.stored.retain(|(entity, _), _| version.model.by_name(entity).is_some());
        self.reread(version).await;
        for ((entity, id), record) in &self.stored {
            let entity = version.model.by_name(entity).unwrap();
            let unknown = record.fields.keys().find(|name| entity.by_field(name).is_none());
            assert!(unknown.is_none(), "{id} has {unknown:?}\n{}", self.story.join("\n"));
        }
        let verifier = Verifier::new(Arc::clone(&self.table), Arc::clone(&version.model), self.env.clone(), false);
        let report = verifier.run(self.env.now(), |_| {}).await.unwrap();
        assert_eq!(report.foreign, 0, "{report:?}\n{}", self.story.join("\n"));
        self.pass();
    }

    /// Every record can be read, changed to something valid, and deleted, and nothing is left.
    async fn end(&mut self, version: &Version) {
        let mut fresh = 1000;
        let has_others = self.stored.keys().any(|(entity, _)| version.model.by_name(entity).is_none());
        if has_others || self.rng.below(2) == 0 {
            let deaths = self.rng.below(3);
            self.drop_all(version, deaths).await;
        }
        let stored: Vec<_> = self.stored.keys().cloned().collect();
        for place in &stored {
            let before = self.stored[place].clone();
            let entity = version.model.by_name(&place.0).unwrap();
            let mut fields = before.fields.clone();
            for field in &entity.fields {
                fresh += 1;
                let value = match &field.kind {
                    FieldType::Ref { .. } => Value::Null,
                    FieldType::Integer { .. } => json!(fresh),
                    FieldType::Enum(words) => json!(words[0]),
                    _ => json!(format!("t{fresh}")),
                };
                fields.insert(field.name.clone(), value);
            }
            let after = Record { fields, version: new_version(&self.env), ..before.clone() };
            self.must(version, Mutation::update(entity, before, after)).await;
        }
        self.reread(version).await;
        assert!(self.migrate(version, 0).await, "{}", self.story.join("\n"));
        self.verify(version).await;
        for place in &stored {
            let entity = version.model.by_name(&place.0).unwrap();
            if let Some(record) = self.stored.get(place).cloned() {
                self.must(version, Mutation::delete(entity, record)).await;
                self.reread(version).await;
            }
        }
        assert!(self.stored.is_empty(), "{:?}", self.stored);
        // A version without a field leaves the rows of its rules.
        self.migrate(version, 0).await;
        self.verify(version).await;
    }

    async fn must(&mut self, version: &Version, mutation: Mutation) {
        self.states(version).await;
        let said = format!("{mutation:?}");
        let batch = Batch { mutations: vec![mutation], ..Batch::default() };
        let deadline = self.env.now().plus(Duration::from_secs(3600));
        match version.writer.write_unchecked(&batch, deadline).await {
            Ok(written) => version.writer.settle(written.unsettled).await,
            Err(error) => panic!("stuck: {said}: {error}\n{}", self.story.join("\n")),
        }
    }

    /// Nothing is wrong.
    async fn verify(&self, version: &Version) {
        let verifier = Verifier::new(Arc::clone(&self.table), Arc::clone(&version.model), self.env.clone(), false);
        let report = verifier.run(self.env.now(), |_| {}).await.unwrap();
        assert_eq!(report.problems, 0, "{:#?}\n{}", report.listed, self.story.join("\n"));
    }

    async fn run(mut self) {
        let first = self.version();
        for _ in 0..8 {
            self.write(&first).await;
        }
        let mut versions = vec![first];
        for _ in 0..1 + self.rng.below(2) {
            let next = self.version();
            let (deaths, steps) = (self.rng.below(3), self.rng.below(8));
            if self.rng.below(3) > 0 {
                let evolution =
                    Evolution::new(Arc::clone(&self.table), Arc::clone(&next.model), self.env.clone(), Fills::default());
                evolution.prepare(|_| {}).await.unwrap_or_else(|error| panic!("{error}\n{}", self.story.join("\n")));
                self.reread(&next).await;
            }
            // Beside the version before, as in a canary.
            for _ in 0..steps {
                let by_next = self.rng.below(2) == 0;
                let version = if by_next { &next } else { versions.last().unwrap() };
                self.write(version).await;
            }
            self.migrate(&next, deaths).await;
            if self.rng.below(3) == 0 {
                self.drop_all(&next, deaths).await;
            }
            for _ in 0..6 {
                self.write(&next).await;
            }
            versions.push(next);
            // A rollback, and forward again.
            if self.rng.below(4) == 0 && versions.len() > 1 {
                let back = versions.len() - 2;
                for _ in 0..4 {
                    self.write(&versions[back]).await;
                }
                let newest = versions.len() - 1;
                self.migrate(&versions[newest], 0).await;
            }
        }
        let last = versions.pop().unwrap();
        self.end(&last).await;
    }
}

/// Every so many cases run over the embedded DynamoDB, as the real SDK speaks to it; the others over a store in memory, 20 times as fast.
const EMBEDDED: u64 = 25;
/// Items of a page of a scan, so that a run can die between two.
const PAGE: usize = 9;

async fn cases(from: u64, count: u64) {
    for seed in from..from + count {
        if seed % EMBEDDED != 0 {
            Case::new(seed, Arc::new(Modelled::new(Times::none(PAGE)))).run().await;
            continue;
        }
        let dynamo = Dynamo::in_memory().await.unwrap();
        let config = holdfast::aws::local_config(&dynamo.endpoint, holdfast::aws::plain_http_client());
        let table = DynamoTable::new(&config, Options::new(DATA_TABLE, VOLATILE_TABLE), Env::system());
        table.create_tables().await.unwrap();
        Case::new(seed, Arc::new(table)).run().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_change_at_random_keep_every_promise() {
    let count: u64 = std::env::var("HOLDFAST_EVOLUTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let from: u64 = std::env::var("HOLDFAST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let halves = [(from, count / 2), (from + count / 2, count - count / 2)].map(|(from, count)| tokio::spawn(cases(from, count)));
    for half in halves {
        half.await.unwrap();
    }
}
