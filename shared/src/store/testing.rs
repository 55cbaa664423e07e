//! A store with a small model, for the tests of this module.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::table::{Item, Key, Table, TableName};
use super::write::{Batch, Mutation, WriteError, Writer, Written, unique_hash};
use super::{gate, items, keys, references};
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::{Clock, Env, Micros};
use crate::model::value::{Record, new_version};
use crate::model::{Entity, FieldType, Model, parse};

pub(crate) const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    contention: 1000
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
        self.env.now().plus(Duration::from_secs(60))
    }

    pub(crate) async fn write(&self, mutations: Vec<Mutation>) -> Result<Done, WriteError> {
        let batch = Batch { mutations, ..Batch::default() };
        let Written { unsettled, actions, cascading } = self.writer.write(&batch, self.deadline()).await?;
        self.writer.settle(unsettled).await;
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
        items::stored(self.dynamo.table.get(&key, true).await.unwrap()[0].as_ref()).unwrap()
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

    /// Everything in the table but tags, gates and fences, compared with what these records alone should have made; and nothing is
    /// left behind a tag or a gate, and no gate beside what does not exist.
    pub(crate) async fn assert_holds(&self, records: &[(&str, &Record)]) {
        let mut expected: Vec<Key> = Vec::new();
        for (name, record) in records {
            let entity = self.entity(name);
            expected.push(keys::record(entity, &record.id));
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                expected.push(keys::index_row(&self.model, entity, index, record));
            }
            for field in &entity.fields {
                let value = record.fields.get(&field.name).filter(|value| !value.is_null());
                let Some(value) = value else { continue };
                if field.unique {
                    expected.push(keys::unique(entity, &field.name, &unique_hash(&self.model, field, value)));
                }
                if let (FieldType::Ref { target, .. }, Some(id)) = (&field.kind, references::referred(Some(value))) {
                    expected.push(keys::reference(self.model.entity(*target), &id, &entity.name, &field.name, &record.id));
                }
            }
        }
        let mut found = Vec::new();
        for item in self.all().await {
            match item.key.pk.split_once('#').map(|(kind, _)| kind) {
                Some("t") => assert_eq!(gate::unsettled(&item), [] as [String; 0], "{:?}", item.key),
                Some("tf") => {}
                Some("g") => {
                    assert!(gate::unsettled(&item).is_empty() && gate::closed(&item).is_none(), "{item:?}");
                    let beside = records.iter().any(|(name, record)| item.key.pk == format!("g#{name}#{}", record.id));
                    assert!(beside, "a gate of nobody: {item:?}");
                }
                _ => found.push(item.key),
            }
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}

/// A clock that goes ahead of another.
pub(crate) struct Later(pub(crate) Arc<dyn Clock>, pub(crate) Duration);

impl Clock for Later {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1)
    }
}
