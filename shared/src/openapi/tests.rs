//! Documents against the model, the policy and the router.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::prune::references;
use super::{Site, caller, openapi, openapi_of_all, openapi_of_role};
use crate::http::route::patterns;
use crate::model::{Action, Masks, Model, Purpose, json_schema};
use crate::query::policy::Access;

const BASE: Site<'static> = Site { url: "https://api.example", environment: "live" };

fn models() -> [Model; 2] {
    [
        crate::model::parse("model.yaml", include_str!("../../../model.yaml")).unwrap(),
        crate::model::parse("northwind.yaml", include_str!("../../../tests/models/northwind.yaml")).unwrap(),
    ]
}

/// Every method and path of a document, with its operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn an_operation_is_there_if_and_only_if_it_is_allowed() {
    let mut checked = 0;
    for model in models() {
        for role in &model.roles {
            let document = openapi_of_role(&model, &role.name, BASE).unwrap();
            let caller = caller::of_role(&model, &[&role.name]);
            let found: HashSet<(String, String)> =
                operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
            for entity in &model.entities {
                let may = |action| !Access::of(&model, &caller, entity, action).is_forbidden();
                let (list, one, bulk) = (
                    format!("/v1/{}", entity.plural),
                    format!("/v1/{}/{{id}}", entity.plural),
                    format!("/v1/{}/_bulk", entity.plural),
                );
                for (method, path, allowed) in [
                    ("GET", &list, may(Action::List)),
                    ("POST", &list, may(Action::Create)),
                    ("GET", &one, may(Action::Read)),
                    ("PUT", &one, may(Action::Update) || (may(Action::Create) && entity.id != crate::model::IdKind::Uuid)),
                    ("PATCH", &one, may(Action::Update)),
                    ("DELETE", &one, may(Action::Delete)),
                    ("POST", &bulk, may(Action::Create) || may(Action::Update) || may(Action::Delete)),
                ] {
                    assert_eq!(found.contains(&(method.to_owned(), path.clone())), allowed, "{} {method} {path}", role.name);
                    checked += 1;
                }
                for field in crate::store::object::fields(entity) {
                    let of = |action| Access::of(&model, &caller, entity, action).widest().contains(field.ix);
                    let (up, down) = (of(Action::Upload), of(Action::Download) && of(Action::Read));
                    let shared = crate::store::object::limits(field).unwrap().share_expiry.is_some();
                    for (method, path, allowed) in [
                        ("POST", "upload", up),
                        ("POST", "complete", up),
                        ("GET", "download", down),
                        ("POST", "shares", shared && down),
                        ("GET", "shares", shared && (up || down)),
                        ("DELETE", "shares", shared && (up || down)),
                        ("DELETE", "shares/{share_id}", shared && (up || down)),
                    ] {
                        let path = format!("/v1/{}/{{id}}/{}/{path}", entity.plural, field.name);
                        assert_eq!(found.contains(&(method.to_owned(), path.clone())), allowed, "{} {method} {path}", role.name);
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn every_operation_is_one_that_the_router_knows() {
    for model in models() {
        let served: HashSet<(String, String)> =
            patterns(&model).into_iter().map(|(method, path)| (method.to_string(), path.replace("{consumer}", "{id}"))).collect();
        for (method, path, _) in operations(&openapi_of_all(&model, BASE)) {
            assert!(served.contains(&(method.clone(), path.clone())), "{method} {path}");
        }
    }
}

#[test]
fn all_references_resolve_and_nothing_is_left_over() {
    for model in models() {
        for role in &model.roles {
            let document = openapi_of_role(&model, &role.name, BASE).unwrap();
            let mut found = Vec::new();
            references(&document, &mut found);
            let found: HashSet<String> = found.into_iter().collect();
            for reference in &found {
                assert!(document.pointer(&reference[1..]).is_some(), "{}: {reference}", role.name);
            }
            for (kind, members) in
                document["components"].as_object().unwrap().iter().filter(|(kind, _)| *kind != "securitySchemes")
            {
                for name in members.as_object().unwrap().keys() {
                    assert!(found.contains(&format!("#/components/{kind}/{name}")), "{}: {kind}/{name} is unused", role.name);
                }
            }
        }
    }
}

#[test]
fn operation_ids_tags_and_parameters_are_in_order() {
    for model in models() {
        let document = openapi_of_all(&model, BASE);
        let tags: HashSet<&str> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
        let mut ids = HashSet::new();
        for (method, path, operation) in operations(&document) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{method} {path}");
            let mut names = HashSet::new();
            let own = document["paths"][&path]["parameters"].as_array().cloned().unwrap_or_default();
            for parameter in operation["parameters"].as_array().unwrap().iter().chain(&own) {
                let parameter = parameter["$ref"].as_str().map_or(parameter, |at| document.pointer(&at[1..]).unwrap());
                let name = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
                assert!(names.insert(name), "{method} {path} {name:?}");
            }
            assert_eq!(path.matches('{').count(), names.iter().filter(|(place, _)| *place == "path").count(), "{path}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with(['2', '3'])));
        }
    }
}

#[test]
fn schemas_of_bodies_are_those_that_validate() {
    let [model, _] = models();
    for (role, entity, action, purpose, name) in [
        ("admin", "book", Action::Create, Purpose::Create, "BookCreate"),
        ("admin", "order_line", Action::Create, Purpose::Create, "OrderLineCreate"),
        ("partner", "order", Action::Update, Purpose::Replace, "OrderReplace"),
        ("packer", "order", Action::Update, Purpose::Patch, "OrderPatch"),
        ("customer", "review", Action::Update, Purpose::Replace, "ReviewReplace"),
    ] {
        let document = openapi_of_role(&model, role, BASE).unwrap();
        let caller = caller::of_role(&model, &[role]);
        let entity = model.by_name(entity).unwrap();
        let masks = Masks {
            readable: Access::of(&model, &caller, entity, Action::Read).widest(),
            writable: Access::of(&model, &caller, entity, action).widest(),
        };
        assert_eq!(document["components"]["schemas"][name], json_schema(&model, entity, purpose, &masks), "{role} {name}");
    }
}

#[test]
fn only_what_may_be_read_is_named_anywhere() {
    let [model, _] = models();
    let document = openapi_of_role(&model, "packer", BASE).unwrap();
    let order = &document["components"]["schemas"]["Order"]["properties"];
    assert!(order["status"].is_object() && order["total"].is_null() && order["channel"].is_null());
    assert!(document["components"]["schemas"]["OrderLine"]["properties"]["unit_price"].is_null());
    let names: Vec<String> = operations(&document)
        .iter()
        .filter(|(method, path, _)| method == "GET" && path == "/v1/orders")
        .flat_map(|(_, _, operation)| operation["parameters"].as_array().unwrap().clone())
        .map(|parameter| parameter["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(names.contains(&"status".to_owned()) && names.contains(&"placed_at[gte]".to_owned()), "{names:?}");
    assert!(names.contains(&"customer.country".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.starts_with("channel") || name.starts_with("total") || name.starts_with("note")),
        "{names:?}"
    );
    let public = openapi_of_role(&model, "public", BASE).unwrap();
    assert!(public["components"]["schemas"]["Book"]["properties"]["cost"].is_null());
    assert!(!public["paths"]["/v1/books"].to_string().contains("cost"));
}

#[test]
fn every_filter_that_is_named_can_be_parsed() {
    let mut parsed = 0;
    for model in models() {
        let document = openapi_of_all(&model, BASE);
        for entity in &model.entities {
            let list = &document["paths"][format!("/v1/{}", entity.plural)]["get"];
            for parameter in list["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["$ref"].is_null()) {
                let name = parameter["name"].as_str().unwrap();
                if ["sort", "fields", "include"].contains(&name) || name.starts_with("include[") {
                    continue;
                }
                let schema =
                    if parameter["schema"]["type"] == "array" { &parameter["schema"]["items"] } else { &parameter["schema"] };
                // A composite id has two parts here; in a list its comma is escaped.
                let values = [sample(schema), "1,1".to_owned(), "1\\,1".to_owned()];
                let read = |value: &String| {
                    crate::query::parse_list(&model, entity, &crate::query::Everything, &format!("{name}={value}"))
                };
                assert!(values.iter().any(|value| read(value).is_ok()), "{} {name}: {:?}", entity.name, read(&values[0]));
                parsed += 1;
            }
        }
    }
    assert!(parsed > 100, "{parsed}");
}

fn sample(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words[0].as_str().unwrap().to_owned();
    }
    let text = match (schema["type"].as_str().unwrap(), schema["format"].as_str().unwrap_or_default()) {
        ("boolean", _) => "true",
        ("integer" | "number", _) | (_, "decimal") => "1",
        (_, "date") => "2026-01-01",
        (_, "date-time") => "2026-01-01T00:00:00Z",
        (_, "uuid") => "00000000-0000-7000-8000-000000000000",
        (_, "uri") => "https://example.com/",
        (_, "email") => "a@example.com",
        _ => "1",
    };
    text.to_owned()
}

#[test]
fn system_resources_follow_the_permissions() {
    let [model, _] = models();
    let paths = |role: &str| {
        let document = openapi_of_role(&model, role, BASE).unwrap();
        let all: Vec<String> =
            document["paths"].as_object().unwrap().keys().filter(|path| path.contains("/_")).cloned().collect();
        all.into_iter().filter(|path| !path.ends_with("_bulk")).collect::<Vec<_>>()
    };
    // Health is for machines.
    let all = patterns(&model).into_iter().map(|(_, path)| path);
    let served: HashSet<String> = all.filter(|path| path.starts_with("/v1/_") && !path.contains("_health")).collect();
    assert_eq!(paths("admin").into_iter().collect::<HashSet<_>>(), served);
    // Shares are for everybody who has their address.
    let permitted = ["/v1/_consumers", "/v1/_cache", "/v1/_audit"];
    let open = served.into_iter().filter(|path| !permitted.iter().any(|resource| path.starts_with(resource)));
    assert_eq!(paths("packer").into_iter().collect::<HashSet<_>>(), open.collect());
    let ours = super::system_schemas::schemas(&model).into_iter().chain(super::file_schemas::schemas());
    assert!(ours.into_iter().all(|(name, _)| super::names::OURS.contains(&name.as_str())));
}

#[test]
fn deprecations_limits_and_errors_are_told() {
    let [model, _] = models();
    let document = openapi_of_role(&model, "admin", BASE).unwrap();
    assert_eq!(document["paths"]["/v1/vouchers"]["get"]["deprecated"], true);
    assert_eq!(document["components"]["schemas"]["Book"]["properties"]["sku"]["deprecated"], true);
    assert!(document["info"]["description"].as_str().unwrap().contains("`burst`: 50 per 1 s, at most 100 at once"));
    assert_eq!(document["x-errors"].as_array().unwrap().len(), crate::http::problem::Code::ALL.len());
    assert_eq!(
        document["paths"]["/v1/orders/{id}"]["patch"]["parameters"][0],
        json!({"$ref": "#/components/parameters/IfMatchRequired"})
    );
    assert_eq!(document["servers"][0]["url"], BASE.url);
}

#[test]
fn an_operation_may_be_deprecated_alone() {
    let [model, _] = models();
    let document = openapi_of_role(&model, "admin", BASE).unwrap();
    let publisher = &document["paths"]["/v1/publishers/{id}"];
    assert_eq!((&publisher["delete"]["deprecated"], &publisher["delete"]["x-sunset"]), (&json!(true), &json!("2027-06-30")));
    assert!(publisher["delete"]["description"].as_str().unwrap().contains("may be gone after 2027-06-30"));
    assert!(publisher["delete"]["responses"]["204"]["headers"]["Sunset"].is_object());
    assert!(publisher["patch"]["deprecated"].is_null() && document["components"]["schemas"]["Publisher"]["deprecated"].is_null());
    // What shows books may show what is deprecated of them, embedded or not; shelves alone show nothing of the kind.
    assert!(document["paths"]["/v1/authors"]["get"]["responses"]["200"]["headers"]["Deprecation"].is_object());
    let public = openapi_of_role(&model, "public", BASE).unwrap();
    assert!(public["paths"]["/v1/authors"]["get"]["responses"]["200"]["headers"]["Deprecation"].is_null());
}

#[test]
fn examples_of_errors_fit_their_schema() {
    let [model, _] = models();
    let document = openapi(&model, &caller::of_role(&model, &["admin"]), BASE);
    let validator = jsonschema::validator_for(&document["components"]["schemas"]["Problem"]).unwrap();
    for response in document["components"]["responses"].as_object().unwrap().values() {
        let examples = response["content"]["application/problem+json"]["examples"].as_object();
        for (name, example) in examples.into_iter().flatten() {
            assert!(validator.is_valid(&example["value"]), "{name}");
        }
    }
}

#[test]
fn markdown_names_every_operation() {
    let [model, _] = models();
    let document = openapi_of_role(&model, "partner", BASE).unwrap();
    let text = super::markdown(&document);
    for (method, path, _) in operations(&document) {
        assert!(text.contains(&format!("### {method} {path}\n")), "{method} {path}");
    }
}

/// What a document has and what came back, where they differ.
fn lost(before: &Value, after: &Value, place: &str, out: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(members), Value::Object(others)) => {
            for (name, member) in members {
                lost(member, others.get(name).unwrap_or(&Value::Null), &format!("{place}/{name}"), out);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            items.iter().zip(others).enumerate().for_each(|(at, (one, other))| lost(one, other, &format!("{place}/{at}"), out));
        }
        _ if before == after => {}
        // Nothing and an empty list or object are one to the crate.
        (Value::Object(members), Value::Null) if members.is_empty() => {}
        (Value::Array(items), Value::Null) if items.is_empty() => {}
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        _ => out.push(format!("{place}: {before} became {after}")),
    }
}

#[test]
fn every_role_s_document_is_openapi_3_1_and_loses_nothing_in_the_types_of_oas3() {
    for model in models() {
        for role in &model.roles {
            let document = openapi_of_role(&model, &role.name, BASE).unwrap();
            let read = oas3::from_json(document.to_string()).unwrap_or_else(|error| panic!("{}: {error}", role.name));
            read.validate_version().unwrap();
            let again: Value = serde_json::from_str(&oas3::to_json(&read).unwrap()).unwrap();
            let mut differences = Vec::new();
            lost(&document, &again, "", &mut differences);
            assert_eq!(differences, Vec::<String>::new(), "{}", role.name);
            assert_eq!(read.operations().count(), operations(&document).len());
        }
    }
}

#[test]
fn examples_fit_the_schemas_beside_them() {
    let mut checked = 0;
    for model in models() {
        for role in &model.roles {
            let document = openapi_of_role(&model, &role.name, BASE).unwrap();
            let mut found = Vec::new();
            media_types(&document["paths"], &mut found);
            for (schema, example) in found {
                // A schema with all components beside it, so that its references resolve.
                let mut whole = schema.clone();
                whole["components"] = document["components"].clone();
                let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
                let errors: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{}: {example}: {errors:?}", role.name);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

fn media_types<'v>(value: &'v Value, found: &mut Vec<(&'v Value, &'v Value)>) {
    if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
        found.push((schema, example));
    }
    match value {
        Value::Object(members) => members.values().for_each(|member| media_types(member, found)),
        Value::Array(items) => items.iter().for_each(|item| media_types(item, found)),
        _ => {}
    }
}

#[test]
fn a_record_that_can_be_sent_has_an_example() {
    for model in models() {
        let document = openapi_of_role(&model, "admin", BASE).unwrap();
        for entity in &model.entities {
            let operation = &document["paths"][format!("/v1/{}", entity.plural)]["post"];
            assert!(operation["requestBody"]["content"]["application/json"]["example"].is_object(), "{}", entity.name);
        }
    }
}
