//! A store with a small model, for the tests of this module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::table::{Item, Key, Table, TableName};
use super::write::{Batch, COUNT, Mutation, RESTRICTING, WriteError, Writer, Written, unique_hash};
use super::{items, keys, tags};
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::{Clock, Env, Micros};
use crate::model::value::{Record, new_version};
use crate::model::{Entity, Model, parse};

pub(crate) const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    contention: 60
    fields:
      email: {type: email, unique: true}
      rank: {type: integer, unique: true}
    indexes:
      by_rank: {sort: [-rank]}
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
      series: {ref: series, on_delete: cascade, inverse: books}
      sequel_to: {ref: book, on_delete: set_null, inverse: sequels}
    indexes:
      by_title: {sort: [title], fields: [title]}
  series:
    plural: series
    id: string
    fields:
      title: {type: string, max: 50}
  note:
    id: string
    cache: off
    fields:
      book: {ref: book, on_delete: cascade, inverse: notes}
roles:
  admin: {all: true}
";

/// A write whose tags are cleared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    pub(crate) actions: usize,
    pub(crate) cascading: bool,
}

pub(crate) struct Fixture {
    pub(crate) dynamo: Embedded,
    pub(crate) model: Arc<Model>,
    pub(crate) env: Env,
    pub(crate) writer: Writer,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dynamo = Embedded::start().await;
        let model = parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let (model, env) = (Arc::new(model), Env::system());
        let writer = Writer::new(Arc::new(dynamo.table.clone()), Arc::clone(&model), env.clone());
        Self { dynamo, model, env, writer }
    }

    pub(crate) fn entity(&self, name: &str) -> &Entity {
        self.model.by_name(name).unwrap()
    }

    pub(crate) fn record(&self, id: &str, fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record { id: id.to_owned(), version: new_version(&self.env), fields }
    }

    pub(crate) fn deadline(&self) -> Micros {
        self.env.now().plus(Duration::from_secs(20))
    }

    pub(crate) async fn write(&self, mutations: Vec<Mutation>) -> Result<Done, WriteError> {
        let batch = Batch { mutations, ..Batch::default() };
        let Written { unsettled, actions, cascading } = self.writer.write(&batch, self.deadline()).await?;
        self.writer.clear(unsettled).await;
        Ok(Done { actions, cascading })
    }

    pub(crate) async fn create(&self, entity: &str, id: &str, fields: Value) -> Record {
        let record = self.record(id, fields);
        self.write(vec![Mutation::create(self.entity(entity), record.clone())]).await.unwrap();
        record
    }

    pub(crate) async fn update(&self, entity: &str, before: &Record, fields: Value) -> Result<Record, WriteError> {
        let after = self.record(&before.id, fields);
        self.write(vec![Mutation::update(self.entity(entity), before.clone(), after.clone())]).await?;
        Ok(after)
    }

    pub(crate) async fn delete(&self, entity: &str, record: &Record) -> Result<Done, WriteError> {
        self.write(vec![Mutation::delete(self.entity(entity), record.clone())]).await
    }

    pub(crate) async fn read(&self, entity: &str, id: &str) -> Option<Record> {
        let key = [(TableName::Data, keys::record(self.entity(entity), id))];
        self.dynamo.table.get(&key, true).await.unwrap()[0].as_ref().map(|item| items::decode(item).unwrap())
    }

    pub(crate) async fn all(&self) -> Vec<Item> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.dynamo.table.scan(TableName::Data, after, (0, 1)).await.unwrap();
            items.extend(page);
            after = next;
            if after.is_none() {
                return items;
            }
        }
    }

    /// Everything in the table but tags, compared with what these records alone should have made.
    pub(crate) async fn assert_holds(&self, records: &[(&str, &Record)]) {
        let mut expected: Vec<Key> = Vec::new();
        let mut counts: BTreeMap<Key, (i64, i64)> = Default::default();
        for (name, record) in records {
            let entity = self.entity(name);
            expected.push(keys::record(entity, &record.id));
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                expected.push(keys::index_row(&self.model, entity, index, record));
            }
            for field in entity.fields.iter().filter(|field| field.unique) {
                if let Some(value) = record.fields.get(&field.name).filter(|value| !value.is_null()) {
                    expected.push(keys::unique(entity, &field.name, &unique_hash(&self.model, field, value)));
                }
            }
            if entity.is_referenced() {
                for shard in 0..entity.shards {
                    counts.entry(keys::guard(entity, &record.id, shard)).or_default();
                }
            }
            for relation in &entity.to_one {
                let Some(id) = record.fields.get(&entity.field(relation.field).name).and_then(Value::as_str) else { continue };
                let target = self.model.entity(relation.target);
                let count = counts.entry(keys::guard(target, id, keys::shard(&record.id, target.shards))).or_default();
                count.0 += 1;
                count.1 += i64::from(relation.name == "author");
            }
        }
        let (mut found, mut found_counts) = (Vec::new(), BTreeMap::new());
        for item in self.all().await {
            if item.key.pk.starts_with("t#") {
                assert_eq!(tags::unsettled(&item), [] as [String; 0], "{:?}", item.key);
                assert!(item.s(tags::VERSION).is_some());
            } else if item.key.pk.starts_with("g#") {
                found_counts.insert(item.key.clone(), (item.n(COUNT).unwrap(), item.n(RESTRICTING).unwrap()));
            } else {
                found.push(item.key);
            }
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(found_counts, counts);
    }
}

/// A clock that goes ahead of another.
pub(crate) struct Later(pub(crate) Arc<dyn Clock>, pub(crate) Duration);

impl Clock for Later {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1)
    }
}
