use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::parse;
use crate::model::value::Record;
use crate::store::keys;
use crate::store::table::Table as _;
use crate::store::testing::{Fixture, Later};
use crate::store::verify::Verifier;
use crate::store::write::{Batch, Mutation, WriteError, Writer};

const NOW: Duration = Duration::ZERO;

/// A team: customers and orders, whose fields are as given.
fn model(customer: &str, order: &str) -> Arc<Model> {
    let source = format!(
        "name: Shop\nversion: 1.0.0\nentities:\n  customer:\n    id: string\n    fields:\n      {customer}\n  company:\n    \
         plural: companies\n    id: string\n    fields:\n      title: {{type: string, max: 50}}\n  order:\n    id: string\n    \
         fields:\n      {order}\nroles:\n  admin: {{all: true}}\n"
    );
    Arc::new(parse("model.yaml", &source).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{source}")))
}

/// A version of the model at work on a table.
struct Version<'f> {
    fix: &'f Fixture,
    model: Arc<Model>,
    constraints: Arc<Constraints>,
    writer: Writer,
}

impl<'f> Version<'f> {
    fn new(fix: &'f Fixture, model: &Arc<Model>) -> Self {
        // Whoever has marked something waits until nobody remembers it: this one came long after all others.
        let clock = Arc::new(Later(fix.env.clock.clone(), Duration::ZERO));
        let env = Env { clock, random: fix.env.random.clone() };
        let table: SharedTable = Arc::new(fix.dynamo.table.clone());
        let constraints = Arc::new(Constraints::new(Arc::clone(&table), Arc::clone(model), env.clone()));
        let writer = Writer::new(table, Arc::clone(model), env).with_constraints(Arc::clone(&constraints));
        Self { fix, model: Arc::clone(model), constraints, writer }
    }

    async fn write(&self, entity: &str, before: Option<Record>, after: Option<Record>) -> Result<(), WriteError> {
        // As after the time for which states are remembered.
        *self.constraints.memory() = Memory::default();
        let first = self.constraints.before_write(self.fix.env.now().plus(Duration::from_millis(1))).await;
        if matches!(first, Err(TableError::Busy(_))) {
            self.constraints.memory().hold = Some(self.fix.env.now());
        }
        let mutation = Mutation { entity: self.model.by_name(entity).unwrap().ix, before, after };
        let batch = Batch { mutations: vec![mutation], ..Batch::default() };
        let written = self.writer.write(&batch, self.fix.deadline()).await?;
        self.writer.settle(written.unsettled).await;
        Ok(())
    }

    async fn create(&self, entity: &str, id: &str, fields: Value) -> Result<(), WriteError> {
        self.write(entity, None, Some(self.fix.record(id, fields))).await
    }

    async fn set(&self, entity: &str, id: &str, fields: Value) -> Result<(), WriteError> {
        let before = self.read(entity, id).await.unwrap();
        self.write(entity, Some(before), Some(self.fix.record(id, fields))).await
    }

    async fn delete(&self, entity: &str, id: &str) -> Result<(), WriteError> {
        let before = self.read(entity, id).await.unwrap();
        self.write(entity, Some(before), None).await
    }

    async fn read(&self, entity: &str, id: &str) -> Option<Record> {
        let key = [(TableName::Data, keys::record(self.model.by_name(entity).unwrap(), id))];
        crate::store::items::stored(self.fix.dynamo.table.get(&key, true).await.unwrap()[0].as_ref()).unwrap()
    }

    async fn states(&self) -> Arc<States> {
        self.constraints.memory().read = None;
        self.constraints.states().await.unwrap()
    }

    async fn prepare(&self) {
        let pending = self.states().await.targets(&self.model);
        self.constraints.prepare(&pending).await.unwrap();
    }

    async fn build(&self) -> Progress {
        let pending = self.states().await.targets(&self.model);
        let done = self.constraints.build(&pending, NOW, |_| {}).await.unwrap();
        assert!(done.overtaken.is_empty(), "{done:?}");
        done
    }

    async fn assert_clean(&self) {
        let table = Arc::new(self.fix.dynamo.table.clone());
        let verifier = Verifier::new(table, Arc::clone(&self.model), self.fix.env.clone(), false);
        let report = verifier.strict().run(self.fix.deadline(), |_| {}).await.unwrap();
        assert_eq!(report.problems, 0, "{:#?}", report.listed);
    }
}

fn is_building(result: &Result<(), WriteError>, what: &str) -> bool {
    matches!(result, Err(WriteError::Building { constraint, .. }) if constraint == what)
}

const PLAIN: &str = "email: {type: string, max: 60}";
const UNIQUE: &str = "email: {type: string, max: 60, unique: true}";
const TEXT_REF: &str = "customer_id: {type: string, max: 60}";
const REF: &str = "customer: {ref: customer, on_delete: restrict}";

#[tokio::test]
async fn a_unique_field_over_stored_values_is_prepared_kept_and_then_promised() {
    let fix = Fixture::new().await;
    let old = Version::new(&fix, &model(PLAIN, TEXT_REF));
    for (id, email) in [("a", "a@x"), ("b", "b@x")] {
        old.create("customer", id, json!({"email": email})).await.unwrap();
    }
    let new = Version::new(&fix, &model(UNIQUE, TEXT_REF));
    let refused = new.create("customer", "c", json!({"email": "a@x"})).await;
    assert!(is_building(&refused, "unique customer.email"), "{refused:?}");
    new.create("customer", "c", json!({"email": null})).await.unwrap();
    new.prepare().await;
    new.create("customer", "d", json!({"email": "d@x"})).await.unwrap();
    let met = new.create("customer", "e", json!({"email": "d@x"})).await;
    assert!(matches!(met, Err(WriteError::Unique { .. })), "a duplicate that is met is refused: {met:?}");
    assert_eq!(new.build().await.duplicates, 0);
    let taken = new.create("customer", "f", json!({"email": "a@x"})).await;
    assert!(matches!(taken, Err(WriteError::Unique { .. })), "{taken:?}");
    new.assert_clean().await;
}

#[tokio::test]
async fn duplicates_are_told_and_never_stuck() {
    let fix = Fixture::new().await;
    let old = Version::new(&fix, &model(PLAIN, TEXT_REF));
    for id in ["a", "b", "c"] {
        old.create("customer", id, json!({"email": "same@x"})).await.unwrap();
    }
    let new = Version::new(&fix, &model(UNIQUE, TEXT_REF));
    let done = new.build().await;
    assert_eq!((done.duplicates, done.listed.len()), (2, 2), "{done:?}");
    assert_eq!(new.states().await.pending().count(), 1, "it does not become ready");
    // Whoever does not own the row gives the value up, or goes.
    new.set("customer", "b", json!({"email": "b@x"})).await.unwrap();
    new.delete("customer", "c").await.unwrap();
    assert_eq!(new.build().await.duplicates, 0);
    assert_eq!(new.states().await.pending().count(), 0);
    let taken = new.set("customer", "b", json!({"email": "same@x"})).await;
    assert!(matches!(taken, Err(WriteError::Unique { .. })), "{taken:?}");
    new.assert_clean().await;
}

#[tokio::test]
async fn a_unique_row_whose_owner_has_another_value_is_taken_over() {
    let fix = Fixture::new().await;
    let new = Version::new(&fix, &model(UNIQUE, TEXT_REF));
    new.create("customer", "a", json!({"email": "a@x"})).await.unwrap();
    new.create("customer", "b", json!({"email": "b@x"})).await.unwrap();
    let old = Version::new(&fix, &model(PLAIN, TEXT_REF));
    old.set("customer", "a", json!({"email": "other@x"})).await.unwrap();
    old.delete("customer", "b").await.unwrap();
    assert_eq!(new.states().await.pending().count(), 1, "a version that does not keep it has written");
    assert_eq!(new.states().await.unprepared().count(), 0, "and hinders nobody");
    for (id, email) in [("c", "a@x"), ("d", "b@x")] {
        new.create("customer", id, json!({"email": email})).await.unwrap();
    }
    new.build().await;
    new.assert_clean().await;
}

#[tokio::test]
async fn a_version_without_the_field_keeps_the_rule() {
    let fix = Fixture::new().await;
    let with = Version::new(&fix, &model(UNIQUE, REF));
    with.create("customer", "a", json!({"email": "a@x"})).await.unwrap();
    with.create("order", "o", json!({"customer_id": "a"})).await.unwrap();
    let without = Version::new(&fix, &model("name: {type: string, max: 9}", "note: {type: string, max: 9}"));
    let refused = without.delete("customer", "a").await;
    assert!(matches!(refused, Err(WriteError::Restricted { by: None, .. })), "{refused:?}");
    without.delete("order", "o").await.unwrap();
    without.delete("customer", "a").await.unwrap();
    assert_eq!(with.states().await.pending().count(), 0);
    with.create("customer", "b", json!({"email": "a@x"})).await.unwrap();
    // Only the index of its values was not kept.
    with.build().await;
    with.assert_clean().await;
}

#[tokio::test]
async fn a_field_that_becomes_a_ref_refuses_only_deletions_of_its_targets_until_it_is_built() {
    let fix = Fixture::new().await;
    let old = Version::new(&fix, &model(PLAIN, TEXT_REF));
    for id in ["a", "b"] {
        old.create("customer", id, json!({})).await.unwrap();
    }
    old.create("order", "o1", json!({"customer_id": "a"})).await.unwrap();
    old.create("order", "o2", json!({"customer_id": "nobody at all"})).await.unwrap();
    old.create("order", "o3", json!({"customer_id": "gone"})).await.unwrap();
    let new = Version::new(&fix, &model(PLAIN, REF));
    let refused = new.delete("customer", "b").await;
    assert!(is_building(&refused, "reference order.customer_id"), "{refused:?}");
    new.create("order", "o4", json!({"customer_id": "b"})).await.unwrap();
    let done = new.build().await;
    assert_eq!((done.dangling, done.listed[0].other.as_str()), (1, "customer/gone"));
    for id in ["a", "b"] {
        let refused = new.delete("customer", id).await;
        assert!(matches!(refused, Err(WriteError::Restricted { by: Some(_), .. })), "{refused:?}");
    }
    for id in ["o1", "o2", "o3", "o4"] {
        new.set("order", id, json!({"customer_id": null})).await.unwrap();
        new.delete("order", id).await.unwrap();
    }
    new.delete("customer", "a").await.unwrap();
    new.assert_clean().await;
}

#[tokio::test]
async fn a_new_ref_needs_nothing() {
    let fix = Fixture::new().await;
    let old = Version::new(&fix, &model(PLAIN, "note: {type: string, max: 9}"));
    old.create("customer", "a", json!({})).await.unwrap();
    old.create("order", "o", json!({})).await.unwrap();
    let new = Version::new(&fix, &model(PLAIN, REF));
    new.set("order", "o", json!({"customer_id": "a"})).await.unwrap();
    let refused = new.delete("customer", "a").await;
    assert!(matches!(refused, Err(WriteError::Restricted { .. })), "{refused:?}");
    assert_eq!(new.states().await.pending().count(), 0);
}

#[tokio::test]
async fn a_ref_that_gets_another_target_leaves_nobody_stuck() {
    let fix = Fixture::new().await;
    let old = Version::new(&fix, &model(PLAIN, REF));
    old.create("customer", "a", json!({})).await.unwrap();
    old.create("company", "a", json!({})).await.unwrap();
    old.create("order", "o1", json!({"customer_id": "a"})).await.unwrap();
    old.create("order", "o2", json!({"customer_id": "a"})).await.unwrap();
    let new = Version::new(&fix, &model(PLAIN, "customer: {ref: company, on_delete: restrict}"));
    let refused = new.delete("company", "a").await;
    assert!(is_building(&refused, "reference order.customer_id"), "{refused:?}");
    // Nothing refers to a customer any more.
    new.delete("customer", "a").await.unwrap();
    new.delete("order", "o1").await.unwrap();
    assert_eq!(new.build().await.dangling, 0);
    let refused = new.delete("company", "a").await;
    assert!(matches!(refused, Err(WriteError::Restricted { .. })), "{refused:?}");
    new.set("order", "o2", json!({})).await.unwrap();
    new.delete("company", "a").await.unwrap();
    new.assert_clean().await;
}

#[tokio::test]
async fn a_ref_that_goes_and_returns_was_kept_meanwhile() {
    let fix = Fixture::new().await;
    let with = Version::new(&fix, &model(PLAIN, REF));
    with.create("customer", "a", json!({})).await.unwrap();
    with.create("order", "o", json!({"customer_id": "a"})).await.unwrap();
    let without = Version::new(&fix, &model(PLAIN, "note: {type: string, max: 9}"));
    without.delete("order", "o").await.unwrap();
    without.delete("customer", "a").await.unwrap();
    assert_eq!(with.states().await.surplus().len(), 1, "the row is left");
    with.create("customer", "a", json!({})).await.unwrap();
    with.create("order", "o", json!({"customer_id": "a"})).await.unwrap();
    with.assert_clean().await;
}
