//! What a list costs in CPU beside its calls: parameters, policy, plan, and the shaping of 20 records.
//!
//! `cargo bench --workspace --bench list`
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark ends by it; criterion's macro has no docs")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use holdfast::core::caller::Caller;
use holdfast::identity::auth::Principal;
use holdfast::model::value::Record;
use holdfast::model::{Action, Entity, FieldMask, Model, parse};
use holdfast::query::ListQuery;
use holdfast::query::{self, plan, policy, shape};
use holdfast::store::constraints::States;
use serde_json::{Value, json};

const QUERY: &str = "customer_id=c1&status[in]=open,paid&placed_at[gte]=2026-01-01T00:00:00Z&sort=-placed_at&include=customer&fields=id,status,total,customer_id&limit=20";

const MODEL: &str = "
name: Bench
version: 1.0.0
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 80, required: true}
      email: email
      region: {type: string, max: 20}
  order:
    fields:
      customer: {ref: customer, on_delete: restrict, inverse: orders, required: true}
      status: {enum: [open, paid, sent], default: open, filter: scan}
      placed_at: {type: timestamp, required: true}
      total: {type: decimal, scale: 2}
      cost: {type: decimal, scale: 2}
      note: {type: text, max: 500}
    indexes:
      by_customer_and_day: {equality: customer, sort: [-placed_at]}
roles:
  clerk:
    entities:
      customer: {read: {fields: [id, name, region]}, list: {fields: [id, name, region]}}
      order:
        read: {fields: [id, customer, status, placed_at, total, note]}
        list: {fields: [id, customer, status, placed_at, total, note]}
";

struct Bench {
    model: Model,
    clerk: Principal,
    states: States,
}

impl Bench {
    fn order(&self) -> &Entity {
        self.model.by_name("order").unwrap()
    }

    fn parsed(&self) -> ListQuery {
        let view = policy::view(&self.model, &self.clerk, self.order().ix, Action::List).unwrap();
        query::parse_list(&self.model, self.order(), &view, QUERY).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    fn permitted(&self, query: ListQuery) -> policy::Permitted<ListQuery> {
        policy::permit_list(&self.model, &self.clerk, query).unwrap_or_else(|denied| panic!("{denied:?}"))
    }

    fn records(&self) -> Vec<(Record, FieldMask)> {
        let mask = self.permitted(self.parsed()).access().widest();
        let record = |number: u32| {
            let Value::Object(fields) = json!({
                "customer_id": "c1", "status": "open", "placed_at": "2026-02-03T04:05:06.000Z",
                "total": format!("{number}.50"), "cost": "1.00", "note": "Leave it with the neighbour."
            }) else {
                unreachable!("it is an object")
            };
            (Record { id: format!("o{number}"), version: "v".repeat(22), fields }, mask.clone())
        };
        (0..20).map(record).collect()
    }
}

fn list(criterion: &mut Criterion) {
    let model = parse("bench", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let clerk = Principal::unverified(Caller {
        consumer: "c".into(),
        subject: "s".into(),
        roles: vec!["clerk".into()],
        ..Caller::default()
    });
    let bench = Bench { model, clerk, states: States::default() };
    criterion.bench_function("parse", |b| b.iter(|| black_box(bench.parsed())));
    criterion.bench_function("permit", |b| {
        b.iter_batched(|| bench.parsed(), |query| bench.permitted(query), criterion::BatchSize::SmallInput)
    });
    let permitted = bench.permitted(bench.parsed());
    criterion.bench_function("plan", |b| b.iter(|| plan::plan(&bench.model, &bench.states, black_box(&permitted)).unwrap()));
    let records = bench.records();
    let fields = permitted.query().fields.as_ref();
    criterion.bench_function("shape 20 records to JSON", |b| {
        b.iter(|| {
            let shown = records.iter().map(|(record, mask)| Value::Object(shape::record(bench.order(), record, mask, fields)));
            Value::Array(shown.collect()).to_string()
        });
    });
    criterion.bench_function("all of it", |b| {
        b.iter(|| {
            let permitted = bench.permitted(bench.parsed());
            let plan = plan::plan(&bench.model, &bench.states, &permitted).unwrap();
            let shown = records.iter().map(|(record, mask)| {
                Value::Object(shape::record(bench.order(), record, mask, permitted.query().fields.as_ref()))
            });
            (plan, Value::Array(shown.collect()).to_string())
        });
    });
}

criterion_group!(benches, list);
criterion_main!(benches);
