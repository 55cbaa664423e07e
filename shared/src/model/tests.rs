//! Whole files: what a model says, and what is wrong with it.

use super::*;

const NORTHWIND: &str = include_str!("../../../tests/models/northwind.yaml");

fn model(source: &str) -> Model {
    parse("model.yaml", source).unwrap_or_else(|mistakes| panic!("{}", shown(&mistakes)))
}

fn shown(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn northwind_is_read_whole() {
    let model = model(NORTHWIND);
    assert_eq!(model.entities.len(), 11);
    let order = model.by_name("order").unwrap();
    assert_eq!(order.by_field("customer_id").unwrap().name, "customer_id");
    assert!(matches!(order.by_field("shipper_id").unwrap().kind, FieldType::Ref { .. }));
    assert_eq!(order.to_one("customer").unwrap().target, model.by_name("customer").unwrap().ix);
    assert_eq!(order.to_many("lines").unwrap().target, model.by_name("order_line").unwrap().ix);
    assert_eq!(order.indexes[0].name, "id");
    assert_eq!(order.shards, 4);
    assert_eq!(model.by_name("employee").unwrap().to_many("reports").unwrap().target, model.by_name("employee").unwrap().ix);
}
