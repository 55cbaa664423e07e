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

#[test]
fn the_demo_is_read_whole() {
    let model = model(include_str!("../../../model.yaml"));
    assert_eq!(model.entities.len(), 9);
    assert_eq!(model.auth.used_claims, ["customer_id"]);
}

/// The rows of a data file of this repository.
fn rows(path: &str) -> Vec<serde_json::Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_data_fits_the_demo() {
    let model = model(include_str!("../../../model.yaml"));
    let mut ids: HashMap<EntityIx, BTreeSet<String>> = HashMap::new();
    for ix in model.dependency_order() {
        let entity = model.entity(ix);
        for row in rows(&format!("infra/local/demo/{}.ndjson", entity.plural)) {
            let new = validate::create(&model, entity, &Masks::all(entity), &row).unwrap_or_else(|bad| panic!("{row} {bad:?}"));
            for relation in &entity.to_one {
                let id = match &new.fields[&entity.field(relation.field).name] {
                    serde_json::Value::Null => continue,
                    serde_json::Value::String(id) => id.clone(),
                    number => number.to_string(),
                };
                assert!(ids[&relation.target].contains(&id), "{}: no {} {id} before {row}", entity.name, relation.name);
            }
            let known = ids.entry(ix).or_default();
            assert!(new.id.is_none_or(|id| known.insert(id)), "{}: an id twice: {row}", entity.name);
        }
    }
    assert_eq!(ids.len(), model.entities.len(), "every entity has demo data");
}
