//! `migrate --subject-issuer`: values that rules compare with `$subject` get the alias of their issuer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MigrateError, Names, Progress, Stuck};
use crate::core::clock::Env;
use crate::core::id::is_id_part;
use crate::identity::consumer::record::Row;
use crate::model::value::{Record, new_version};
use crate::model::{Entity, FieldIx, Model, Path, SubjectPath, limits, subject_paths};
use crate::store::audit;
use crate::store::constraints::Constraints;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Key, Returning, SharedTable, TableError, TableName, Write};
use crate::store::write::{AttachedWrites, Batch, Mutation, WriteError, Writer};
use crate::store::{items, keys};

/// Name of the migration in the key of its place.
const NAME: &str = "subjects";
/// Records of one transaction.
const CHUNK: usize = 8;
/// How long one write may wait for others.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a record is read anew because somebody else changed it.
const ATTEMPTS: u32 = 30;

const PLAN: &str = "p";
const STUCK: &str = "s";
const CURSOR_PK: &str = "pk0";
const CURSOR_SK: &str = "sk0";

/// Gives stored subjects their names.
pub struct Subjects {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    writer: Writer,
    indexes: Constraints,
    names: Names,
    paths: Vec<SubjectPath>,
}

/// A record as it shall be, and the fields that change.
struct Change {
    before: Record,
    after: Record,
    fields: Vec<String>,
}

impl Subjects {
    /// Over the records of a model in a table.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env, names: Names) -> Self {
        let writer = Writer::new(Arc::clone(&table), Arc::clone(&model), env.clone());
        let indexes = Constraints::new(Arc::clone(&table), Arc::clone(&model), env.clone());
        let paths = subject_paths(&model);
        Self { table, model, env, writer, indexes, names, paths }
    }

    /// Where records hold subjects.
    pub fn paths(&self) -> &[SubjectPath] {
        &self.paths
    }

    /// Looks at everything and changes nothing.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn plan(&self, mut progress: impl FnMut(&Progress) + Send) -> Result<Progress, MigrateError> {
        let (mut done, mut after) = (Progress::default(), None);
        while !self.paths.is_empty() {
            let (page, next) = self.scan(after).await?;
            self.changes(&page, &mut done).await?;
            progress(&done);
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(done)
    }

    /// Changes what has to change. Interrupted, it goes on where it was.
    ///
    /// # Errors
    /// [`MigrateError`]; a further run goes on.
    pub async fn run(&self, mut progress: impl FnMut(&Progress) + Send) -> Result<Progress, MigrateError> {
        let (mut done, mut after) = self.begin().await?;
        while !self.paths.is_empty() {
            let (page, next) = self.scan(after).await?;
            for (entity, changes) in self.changes(&page, &mut done).await? {
                for chunk in changes.chunks(CHUNK) {
                    self.write_all(entity, chunk, &mut done).await?;
                    progress(&done);
                }
            }
            progress(&done);
            let Some(next) = next else { break };
            self.keep_place(&next, &done).await?;
            after = Some(next);
        }
        self.put(Write::Delete { key: keys::migration(NAME), condition: None }).await?;
        Ok(done)
    }

    async fn scan(&self, after: Option<Key>) -> Result<(Vec<Item>, Option<Key>), TableError> {
        repeated(&self.env, || self.table.scan(TableName::Data, after.clone(), (0, 1))).await
    }

    /// What of a page's records has to change, by entity.
    async fn changes(&self, page: &[Item], done: &mut Progress) -> Result<Vec<(&Entity, Vec<Change>)>, TableError> {
        done.items += page.len() as u64;
        let mut found = Vec::new();
        for entity in self.model.entities.iter().filter(|entity| self.paths.iter().any(|path| path.entity == entity.ix)) {
            let prefix = format!("r#{}#", entity.name);
            let of_entity = page.iter().filter(|item| item.key.pk.starts_with(&prefix));
            let records: Vec<Record> = of_entity.filter_map(items::decode).collect();
            done.records += records.len() as u64;
            let of_keys = self.of_keys(entity, &records).await?;
            let mut changes = Vec::new();
            for record in records {
                done.of_keys += self.names_in(entity, &record).filter(|name| of_keys.contains(*name)).count() as u64;
                let (change, stuck) = self.change(entity, record, &of_keys);
                for field in change.iter().flat_map(|change| &change.fields) {
                    *done.values.entry(format!("{}.{field}", entity.name)).or_default() += 1;
                }
                done.pending += u64::from(change.is_some());
                done.add_stuck(stuck);
                changes.extend(change);
            }
            found.push((entity, changes));
        }
        Ok(found)
    }

    fn paths_of(&self, entity: &Entity) -> impl Iterator<Item = &SubjectPath> {
        let ix = entity.ix;
        self.paths.iter().filter(move |path| path.entity == ix)
    }

    /// Names in a record that change and may be those of API keys.
    fn names_in<'a>(&'a self, entity: &'a Entity, record: &'a Record) -> impl Iterator<Item = &'a str> {
        let fields = self.paths_of(entity).filter_map(|path| match path.path {
            Path::Own(field) => Some((path, record.fields.get(&entity.field(field).name)?)),
            Path::Id | Path::Via(..) => None,
        });
        let values = fields.flat_map(|(path, value)| {
            let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            elements.iter().filter(|element| !path.constants.contains(element))
        });
        values.filter_map(Value::as_str).filter(|name| self.names.may_be_key(name))
    }

    /// Which of the names in these records are ids of consumers with API keys.
    async fn of_keys(&self, entity: &Entity, records: &[Record]) -> Result<HashSet<String>, TableError> {
        let names = records.iter().flat_map(|record| self.names_in(entity, record)).filter(|name| is_id_part(name));
        let names: Vec<&str> = names.collect::<HashSet<_>>().into_iter().collect();
        let asked: Vec<_> = names.iter().map(|name| (TableName::Data, keys::consumer(name))).collect();
        let found = repeated(&self.env, || self.table.get(&asked, true)).await?;
        let has_keys = |item: &Option<Item>| {
            let row = item.as_ref().and_then(|item| Row::from_item(item).ok());
            row.is_some_and(|row| row.consumer.is_some() && row.keys > 0)
        };
        Ok(names.into_iter().zip(&found).filter(|(_, item)| has_keys(item)).map(|(name, _)| name.to_owned()).collect())
    }

    /// What has to change of a record, and what has to and cannot.
    fn change(&self, entity: &Entity, before: Record, of_keys: &HashSet<String>) -> (Option<Change>, Vec<Stuck>) {
        let (mut after, mut fields, mut stuck) = (before.clone(), Vec::new(), Vec::new());
        for path in self.paths_of(entity) {
            let (name, was) = (path.name(entity), before.get(entity, path.path));
            let Some(now) = self.renamed(path, &was, of_keys) else { continue };
            match refusal(entity, path, &now) {
                None => {
                    after.fields.insert(name.to_owned(), now);
                    fields.push(name.to_owned());
                }
                Some(why) => stuck.push(self.stuck(entity, &before.id, name, why)),
            }
        }
        let bytes = serde_json::to_vec(&after.fields).map_or(usize::MAX, |json| json.len());
        if bytes > entity.max_bytes && !fields.is_empty() {
            let why =
                format!("the record would take {bytes} bytes: raise `max_bytes` of {}, now {}", entity.name, entity.max_bytes);
            stuck.push(self.stuck(entity, &before.id, &fields.join(", "), why));
            return (None, stuck);
        }
        ((!fields.is_empty()).then_some(Change { before, after, fields }), stuck)
    }

    fn stuck(&self, entity: &Entity, id: &str, field: &str, why: String) -> Stuck {
        Stuck { record: format!("{}/{id}", entity.name), field: field.to_owned(), why }
    }

    /// A value with the names that its subjects get; `None`: it stays as it is.
    fn renamed(&self, path: &SubjectPath, value: &Value, of_keys: &HashSet<String>) -> Option<Value> {
        match value {
            Value::Array(elements) => {
                let renamed: Vec<_> = elements.iter().map(|element| self.renamed(path, element, of_keys)).collect();
                let any = renamed.iter().any(Option::is_some);
                let elements = renamed.into_iter().zip(elements).map(|(new, old)| new.unwrap_or_else(|| old.clone()));
                any.then(|| elements.collect())
            }
            Value::String(name) if !path.constants.contains(value) => {
                self.names.renamed(name, of_keys.contains(name)).map(Value::String)
            }
            _ => None,
        }
    }

    /// Several records at once, or, where that is refused, each alone.
    async fn write_all(&self, entity: &Entity, changes: &[Change], done: &mut Progress) -> Result<(), MigrateError> {
        match self.write(entity, changes).await {
            Ok(()) => {
                done.changed += changes.len() as u64;
                Ok(())
            }
            Err(WriteError::Store(error)) => Err(error.into()),
            Err(_) => {
                for change in changes {
                    self.write_alone(entity, &change.before.id, done).await?;
                }
                Ok(())
            }
        }
    }

    /// One record, from the state that it has by now.
    async fn write_alone(&self, entity: &Entity, id: &str, done: &mut Progress) -> Result<(), MigrateError> {
        let key = [(TableName::Data, keys::record(entity, id))];
        for _ in 0..ATTEMPTS {
            let found = repeated(&self.env, || self.table.get(&key, true)).await?;
            let Some(record) = found.first().and_then(Option::as_ref).and_then(items::decode) else { return Ok(()) };
            let of_keys = self.of_keys(entity, std::slice::from_ref(&record)).await?;
            // Values that cannot change are told of already.
            let (Some(change), _) = self.change(entity, record, &of_keys) else { return Ok(()) };
            let why = match self.write(entity, std::slice::from_ref(&change)).await {
                Ok(()) => {
                    done.changed += 1;
                    return Ok(());
                }
                // Somebody was faster, or the answer was lost: what is stored tells what is left to do.
                Err(WriteError::Changed { .. } | WriteError::Unknown) => continue,
                Err(WriteError::Busy) => return Err(MigrateError::Busy(format!("{}/{id}", entity.name))),
                Err(WriteError::Store(error)) => return Err(error.into()),
                Err(WriteError::Unique { field, .. }) => taken(entity, field),
                Err(other) => other.to_string(),
            };
            done.add_stuck(vec![self.stuck(entity, id, &change.fields.join(", "), why)]);
            return Ok(());
        }
        Err(MigrateError::Busy(format!("{}/{id} changes all the time", entity.name)))
    }

    /// All of the changes in one transaction, each with an audit entry.
    async fn write(&self, entity: &Entity, changes: &[Change]) -> Result<(), WriteError> {
        let deadline = self.env.now().plus(PATIENCE);
        self.indexes.before_write(deadline).await?;
        let mutation = |change: &Change| {
            let mut after = Record { version: new_version(&self.env), ..change.after.clone() };
            after.stamp(entity, &self.env, false);
            Mutation::update(entity, change.before.clone(), after)
        };
        let riders = AttachedWrites {
            audit: changes.iter().map(|change| self.audited(entity, change)).collect(),
            ..AttachedWrites::default()
        };
        let batch = Batch { mutations: changes.iter().map(mutation).collect(), riders, ..Batch::default() };
        let written = self.writer.write(&batch, deadline).await?;
        self.writer.settle(written.unsettled).await;
        Ok(())
    }

    fn audited(&self, entity: &Entity, change: &Change) -> Item {
        let entry = audit::Entry {
            action: format!("{}.update", entity.name),
            resource: entity.name.clone(),
            id: Some(change.before.id.clone()),
            detail: Some(json!({ "fields": change.fields })),
            ..audit::Entry::of("operator", "holdfast migrate")
        };
        audit::item(entry, &self.env)
    }

    /// Where an interrupted run of the same migration was.
    async fn begin(&self) -> Result<(Progress, Option<Key>), TableError> {
        let key = [(TableName::Data, keys::migration(NAME))];
        let found = repeated(&self.env, || self.table.get(&key, true)).await?.into_iter().next().flatten();
        let place = found.filter(|place| place.s(PLAN) == Some(&self.plan_name()));
        let Some(place) = place else { return Ok((Progress::default(), None)) };
        let stuck = place.n(STUCK).and_then(|stuck| u64::try_from(stuck).ok()).unwrap_or(0);
        let after = place.s(CURSOR_PK).zip(place.b(CURSOR_SK)).map(|(pk, sk)| Key::new(pk, sk));
        Ok((Progress { stuck, resumed: after.is_some(), ..Progress::default() }, after))
    }

    async fn keep_place(&self, next: &Key, done: &Progress) -> Result<(), TableError> {
        let item = Item::new(keys::migration(NAME))
            .with(PLAN, Attr::S(self.plan_name()))
            .with(STUCK, Attr::N(i64::try_from(done.stuck).unwrap_or(i64::MAX)))
            .with(CURSOR_PK, Attr::S(next.pk.clone()))
            .with(CURSOR_SK, Attr::B(next.sk.clone()));
        self.put(Write::Put { item, condition: None }).await
    }

    async fn put(&self, write: Write) -> Result<(), TableError> {
        repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(|_| ())
    }

    /// What has to be the same for a run to go on where another was: the names, and where they stand.
    fn plan_name(&self) -> String {
        let places = self.paths.iter().map(|path| {
            let entity = self.model.entity(path.entity);
            format!("; {}.{}", entity.name, path.name(entity))
        });
        std::iter::once(self.names.plan()).chain(places).collect()
    }
}

/// Why a new value cannot stand where the old one does.
fn refusal(entity: &Entity, path: &SubjectPath, now: &Value) -> Option<String> {
    if let Some(fixed) = path.fixed {
        let help = "export the records and import them with new ids and values, or let the rule compare a claim (`$claim.sub`)";
        return Some(format!("{fixed}: {help}"));
    }
    let Path::Own(field) = path.path else { return None };
    let field = entity.field(field);
    limits(&field.kind, now).err().map(|fault| {
        let name = format!("{}.{}", entity.name, field.name);
        format!("it would be {now}, which {}: change the limits of {name} first", fault.message)
    })
}

fn taken(entity: &Entity, field: FieldIx) -> String {
    format!("another {} has the new value of the unique field {} already", entity.name, entity.field(field).name)
}
