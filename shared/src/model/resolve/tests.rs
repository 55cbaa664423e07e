//! Whole files: what a model says, and what is wrong with it.

use std::collections::{BTreeSet, HashMap};

use crate::model::schema::compile;
use crate::model::*;

const NORTHWIND: &str = include_str!("../../../../tests/models/northwind.yaml");

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
    assert_eq!((order.contention, order.shards), (Some(100), 1), "one tag takes 400 writes a second");
    assert_eq!(model.by_name("employee").unwrap().to_many("reports").unwrap().target, model.by_name("employee").unwrap().ix);
}

#[test]
fn the_demo_is_read_whole() {
    let model = model(include_str!("../../../../model.yaml"));
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
    let model = model(include_str!("../../../../model.yaml"));
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

#[test]
fn indexes_that_relations_and_unique_fields_need_are_implied() {
    let model = model(NORTHWIND);
    let names = |entity: &str| -> Vec<String> {
        let entity = model.by_name(entity).unwrap();
        entity.indexes.iter().filter(|index| !index.declared).map(|index| index.name.clone()).collect()
    };
    assert_eq!(names("category"), ["id", "by_category_name"], "a unique field");
    assert_eq!(names("employee"), ["id", "by_reports_to"], "an inverse");
    assert_eq!(names("order"), ["id", "by_shipper"], "by_customer and by_employee are declared");
    let line = model.by_name("order_line").unwrap();
    assert_eq!(by_ref(line, line.by_field("order_id").unwrap().ix).unwrap().name, "by_order");
    assert!(!line.by_index("by_order_customer").unwrap().is_stored(), "a join");
}

#[test]
fn inherited_roles_are_alternatives_and_what_is_named_replaces_what_is_general() {
    let model = model(
        "name: T
entities: {a: {fields: {x: {type: string, filter: scan}, y: string}}, b: {fields: {x: string}}}
roles:
  top: {inherits: middle, entities: {a: {read: {rows: {x: top}}}}}
  middle: {inherits: base, system: usage}
  base: {entities: {\"*\": {view: true, write: true, delete: false}, a: {all: {fields: {except: y}}, update: false, read: {rows: {x: base}}}}}
  every: {all: true, entities: {b: {read: true}}}
",
    );
    let (a, b) = (model.by_name("a").unwrap().ix, model.by_name("b").unwrap().ix);
    let grants = |role: &str, entity: EntityIx, action: Action| {
        model.role(role).unwrap().grants.get(&(entity, action)).cloned().unwrap_or_default()
    };
    assert_eq!(grants("top", a, Action::Read).len(), 2, "its own and the inherited one");
    assert_eq!(model.role("top").unwrap().system, [SystemPermission::Usage]);
    assert!(grants("base", b, Action::Delete).is_empty() && !grants("base", b, Action::Create).is_empty());
    assert!(grants("base", a, Action::Update).is_empty(), "an action's own key goes before the group");
    assert_eq!(grants("base", a, Action::Read)[0].fields, FieldMask::all(4), "the group's fields do not reach it");
    let list = &grants("base", a, Action::List)[0];
    assert!(list.fields.contains(FieldIx(0)) && !list.fields.contains(FieldIx(1)));
    assert!(grants("every", b, Action::List).is_empty(), "what is said of b replaces `all`");
    assert_eq!(Action::ALL.iter().filter(|action| !grants("every", a, **action).is_empty()).count(), 7);
}

#[test]
fn a_link_is_said_at_a_field_and_holds_where_references_are_written() {
    let model = model(
        "name: T
entities: {a: {fields: {x: string, y: string, b: {ref: b}, c: {ref: b}}}, b: {fields: {x: string}}}
roles:
  list: {entities: {a: {create: {fields: [x, {b: {link: true}}]}}}}
  map: {entities: {a: {create: {fields: {x: true, b_id: {link: true}, c: {link: false}}}}}}
  except: {entities: {a: {all: {fields: {except: y, b: {link: true}}}}}}
  plain: {entities: {a: {write: {fields: all}}}}
",
    );
    let a = model.by_name("a").unwrap();
    let said = |role: &str, action: Action| {
        let grant = &model.role(role).unwrap().grants[&(a.ix, action)][0];
        let names = |mask: &FieldMask| mask.iter().map(|ix| a.field(ix).name.clone()).take(4).collect::<Vec<_>>().join(" ");
        (names(&grant.fields), names(&grant.links))
    };
    let two = |fields: &str, links: &str| (fields.to_owned(), links.to_owned());
    assert_eq!(said("list", Action::Create), two("x b_id", "b_id"));
    assert_eq!(said("map", Action::Create), two("x b_id c_id", "b_id"));
    assert_eq!(said("except", Action::Update), two("x b_id c_id created_at", "b_id"));
    assert_eq!(said("except", Action::Read), two("x b_id c_id created_at", ""), "nothing is written there");
    assert_eq!(said("plain", Action::Create).1, "");
}

#[test]
fn the_hash_changes_with_what_is_said_and_with_nothing_else() {
    let hash = |source: &str| model(source).hash;
    let plain = hash("name: T\nentities: {a: {fields: {t: string, u: text}}}\n");
    assert_eq!(plain.len(), 16);
    assert_eq!(plain, hash("# a comment\nname: T\nentities:\n  a:\n    fields: {t: string,\n      u: text}\n"));
    for other in [
        "name: U\nentities: {a: {fields: {t: string, u: text}}}\n",
        "name: T\nentities: {a: {fields: {u: text, t: string}}}\n",
        "name: T\nentities: {a: {fields: {t: string, u: {type: text, default: '1'}}}}\n",
    ] {
        assert_ne!(plain, hash(other), "{other}");
    }
}

/// What the documents publish compiles, for every purpose and for masks with holes, and is itself valid JSON Schema.
#[test]
fn every_schema_is_a_json_schema() {
    for model in [model(NORTHWIND), model(include_str!("../../../../model.yaml"))] {
        for entity in &model.entities {
            let odd: FieldMask = entity.fields.iter().map(|field| field.ix).filter(|ix| ix.0 % 2 == 1).collect();
            for masks in [Masks::all(entity), Masks { readable: odd.clone(), writable: FieldMask::none() }] {
                for purpose in [Purpose::Read, Purpose::Create, Purpose::Replace, Purpose::Patch] {
                    let schema = json_schema(&model, entity, purpose, &masks);
                    assert_eq!(schema["additionalProperties"], false);
                    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}\n{schema:#}", entity.name));
                    compile(&schema).unwrap();
                }
            }
        }
    }
}

#[test]
fn read_schemas_show_what_the_mask_allows() {
    let model = model(include_str!("../../../../model.yaml"));
    let customer = model.by_name("customer").unwrap();
    let schema = json_schema(&model, customer, Purpose::Read, &Masks::all(customer));
    assert!(schema["properties"]["phone_pin"].is_null(), "write_only");
    assert_eq!(schema["properties"]["created_at"]["readOnly"], true);
    let schema = json_schema(&model, customer, Purpose::Create, &Masks::all(customer));
    assert_eq!(schema["required"], serde_json::json!(["id", "name", "email", "country"]));
    assert_eq!(schema["properties"]["phone_pin"]["writeOnly"], true);
    assert_eq!(schema["properties"]["birthday"]["type"], serde_json::json!(["string", "null"]));
    let none = Masks { readable: FieldMask::none(), writable: FieldMask::none() };
    let schema = json_schema(&model, customer, Purpose::Read, &none);
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Whatever a hand slips to: a model or mistakes with places in the file, never a panic.
    #[test]
    fn a_damaged_file_gives_mistakes_with_places(at in 0usize..10_000, cut in 1usize..40, put in "[a-z:{}\\[\\],\\-\" \n&*$#0-9]{0,6}") {
        let source: Vec<char> = include_str!("../../../../model.yaml").chars().collect();
        let at = at % source.len();
        let rest = (at + cut).min(source.len());
        let damaged: String = source[..at].iter().copied().chain(put.chars()).chain(source[rest..].iter().copied()).collect();
        if let Err(mistakes) = parse("m", &damaged) {
            proptest::prop_assert!(!mistakes.is_empty());
            let lines = damaged.lines().count() + 1;
            proptest::prop_assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line) && mistake.column > 0));
        }
    }
}
