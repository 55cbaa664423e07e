//! Writes that cannot go wrong: under concurrency, with the faults of the real database, and with handlers that die.

mod broken;
mod contend;
mod crash;
mod handler;
mod interleave;
mod semantics;

use std::sync::Arc;
use std::time::Duration;

use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::model::value::{Record, new_version};
use holdfast::model::{Entity, Model, parse};
use holdfast::query::policy::Writer;
use holdfast::store::table::{Item, SharedTable, TableName};
use holdfast::store::verify::{Kind, Report, Verifier};
use holdfast::store::write::{Batch, Mutation, WriteError};
use holdfast::store::{items, keys};
use holdfast_local::embedded::{DATA_TABLE, Dynamo, VOLATILE_TABLE};
use holdfast_tests::proxy::{Faults, Proxy};
use serde_json::Value;

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    contention: 1000
    fields:
      email: {type: email, unique: true}
      tally: {type: integer}
    indexes:
      by_tally: {sort: [-tally]}
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
      series: {ref: series, on_delete: cascade, inverse: books}
    indexes:
      by_title: {sort: [title], fields: [title]}
  series:
    plural: series
    id: string
    fields:
      title: {type: string, max: 50}
  note:
    id: string
    fields:
      book: {ref: book, on_delete: set_null, inverse: notes}
roles:
  admin: {all: true}
";

/// An embedded store, perhaps behind the proxy.
struct Store {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    proxy: Option<Proxy>,
    /// The store itself, past the proxy.
    direct: SharedTable,
    _dynamo: Dynamo,
}

impl Store {
    async fn plain() -> Self {
        Self::start(None).await
    }

    async fn behind_proxy(faults: Faults) -> Self {
        Self::start(Some(faults)).await
    }

    async fn start(faults: Option<Faults>) -> Self {
        let dynamo = Dynamo::in_memory().await.unwrap();
        let direct = table(&dynamo.endpoint);
        direct.create_tables().await.unwrap();
        let direct: SharedTable = Arc::new(direct);
        let proxy = match faults {
            Some(faults) => Some(Proxy::start(&dynamo.endpoint, faults).await.unwrap()),
            None => None,
        };
        let through: SharedTable = match &proxy {
            Some(proxy) => Arc::new(table(&proxy.endpoint)),
            None => Arc::clone(&direct),
        };
        let model = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        Self { table: through, model, env: Env::system(), proxy, direct, _dynamo: dynamo }
    }

    fn entity(&self, name: &str) -> &Entity {
        self.model.by_name(name).unwrap()
    }

    fn record(&self, id: &str, fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record { id: id.to_owned(), version: new_version(&self.env), fields }
    }

    fn writer(&self, table: &SharedTable) -> Writer {
        Writer::new(Arc::clone(table), Arc::clone(&self.model), self.env.clone())
    }

    fn deadline(&self) -> Micros {
        self.env.now().plus(Duration::from_secs(30))
    }

    /// A write by a handler that lives to settle it.
    async fn write(&self, mutations: Vec<Mutation>) -> Result<(), WriteError> {
        let writer = self.writer(&self.table);
        let written = writer.write_unchecked(&Batch { mutations, ..Batch::default() }, self.deadline()).await?;
        writer.settle(written.unsettled).await;
        Ok(())
    }

    async fn create(&self, entity: &str, id: &str, fields: Value) {
        self.write(vec![Mutation::create(self.entity(entity), self.record(id, fields))]).await.unwrap();
    }

    async fn read(&self, entity: &str, id: &str) -> Option<Record> {
        let key = [(TableName::Data, keys::record(self.entity(entity), id))];
        self.table.get(&key, true).await.unwrap()[0].as_ref().and_then(items::decode)
    }

    async fn all(&self, prefix: &str) -> Vec<Item> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.direct.scan(TableName::Data, after, (0, 1)).await.unwrap();
            found.extend(page.into_iter().filter(|item| item.key.pk.starts_with(prefix)));
            after = next;
            if after.is_none() {
                return found;
            }
        }
    }

    /// What `verify` says some time later, once abandoned cascades, tags and gates are taken up as readers and the reporter do.
    async fn verified(&self) -> Report {
        if let Some(proxy) = &self.proxy {
            proxy.quiet().await;
        }
        let clock = Arc::new(Later(self.env.clock.clone(), Duration::from_secs(120)));
        let env = Env { clock, random: self.env.random.clone() };
        let writer = Writer::new(Arc::clone(&self.direct), Arc::clone(&self.model), env.clone());
        writer.sweep(env.now().plus(Duration::from_secs(30))).await.unwrap();
        let verifier = |repair| Verifier::new(Arc::clone(&self.direct), Arc::clone(&self.model), env.clone(), repair).strict();
        let deadline = env.now().plus(Duration::from_secs(30));
        let first = verifier(false).run(deadline, |_| {}).await.unwrap();
        if first.listed.iter().any(|problem| !matches!(problem.kind, Kind::TagUnsettled | Kind::GateUnsettled)) {
            return first;
        }
        verifier(true).run(deadline, |_| {}).await.unwrap();
        verifier(false).run(deadline, |_| {}).await.unwrap()
    }

    async fn assert_sound(&self) {
        let report = self.verified().await;
        assert_eq!(report.problems, 0, "{:#?}", report.listed);
    }
}

/// The tables at an endpoint, with patience for a bad day.
pub(super) fn table(endpoint: &str) -> DynamoTable {
    let config = holdfast::aws::local_config(endpoint, holdfast::aws::plain_http_client());
    let mut options = Options::new(DATA_TABLE, VOLATILE_TABLE);
    options.attempt_timeout = Duration::from_secs(10);
    options.patience = Duration::from_secs(20);
    DynamoTable::new(&config, options, Env::system())
}

struct Later(Arc<dyn Clock>, Duration);

impl Clock for Later {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1)
    }
}
