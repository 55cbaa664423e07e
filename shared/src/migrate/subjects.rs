//! `migrate --subject-issuer`: values that rules compare with `$subject` get the alias of their issuer.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use super::place::{Place, Resumed};
use super::rewrite::{Change, Rewrite, Rewriter};
use super::{MigrateError, Names, Progress, Stuck};
use crate::core::clock::Env;
use crate::core::id::is_id_part;
use crate::identity::consumer::record::Row;
use crate::model::value::Record;
use crate::model::{Entity, Model, Path, SubjectPath, limits, subject_paths};
use crate::store::repeat::repeated;
use crate::store::table::{Item, Key, SharedTable, TableError, TableName};
use crate::store::{items, keys};

/// Name of the migration in the key of its place.
const NAME: &str = "subjects";

/// Gives stored subjects their names.
pub struct Subjects {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    rewriter: Rewriter,
    names: Names,
    paths: Vec<SubjectPath>,
}

impl Rewrite for Subjects {
    fn changes<'a>(
        &'a self,
        entity: &'a Entity,
        records: Vec<Record>,
    ) -> BoxFuture<'a, Result<Vec<(Option<Change>, Vec<Stuck>)>, TableError>> {
        Box::pin(async move {
            let of_keys = self.of_keys(entity, &records).await?;
            Ok(records.into_iter().map(|record| self.change(entity, record, &of_keys)).collect())
        })
    }
}

impl Subjects {
    /// Over the records of a model in a table.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env, names: Names) -> Self {
        let rewriter = Rewriter::new(&table, &model, &env);
        let paths = subject_paths(&model);
        Self { table, model, env, rewriter, names, paths }
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
            let (page, next) = self.rewriter.scan(after).await?;
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
            let (page, next) = self.rewriter.scan(after).await?;
            for (entity, changes) in self.changes(&page, &mut done).await? {
                self.rewriter.write_all(entity, &changes, self, &mut done, &mut progress).await?;
            }
            progress(&done);
            let Some(next) = next else { break };
            self.place().keep(&next, done.stuck, &done.stuck_in).await?;
            after = Some(next);
        }
        self.place().remove().await?;
        Ok(done)
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

    /// Where an interrupted run of the same migration was, and how many values could not change until then.
    async fn begin(&self) -> Result<(Progress, Option<Key>), TableError> {
        let Resumed { after, count, names } = self.place().read().await?;
        let done = Progress { stuck: count, stuck_in: names, resumed: after.is_some(), ..Progress::default() };
        Ok((done, after))
    }

    fn place(&self) -> Place<'_> {
        Place::new(&self.table, &self.env, NAME, self.plan_name())
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
