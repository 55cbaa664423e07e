//! Every role x operation x field: reading, filtering, sorting, writing.

use std::collections::BTreeSet;

use holdfast::model::{Action, Entity, Grant, Op, Rule};
use holdfast_tests::Reply;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Role, Seeded, systems};

/// A member that no model has: a write with it is refused as a whole, and says of every other member whether it may be there.
const NOT_A_MEMBER: &str = "not_a_member";

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_documented_for_reading_if_and_only_if_it_can_be_read() {
    let mut called = 0;
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                for (path, address) in [
                    (format!("/v1/{}", entity.plural), format!("/v1/{}", entity.plural)),
                    (format!("/v1/{}/{{id}}", entity.plural), format!("/v1/{}/{}", entity.plural, seeded.id_of(entity).await)),
                ] {
                    let Some(operation) = role.operation("get", &path) else { continue };
                    let named = words(&role, operation, "fields");
                    for field in names(entity) {
                        let reply = role.actor.get(&format!("{address}?fields={field}")).await;
                        let known = named.contains(&field);
                        // The record of the seed may be one that this caller does not see.
                        let allowed = [200, 404].contains(&reply.status);
                        assert_eq!(known, allowed, "{} {address} {field}: {}", role.name, reply.body);
                        called += 1;
                    }
                    let shown = role.actor.get(&address).await;
                    members_are_documented(&role, entity, &shown);
                }
            }
        }
    }
    assert!(called > 500, "{called}");
}

/// Every member that an answer shows stands in the schema of the record.
fn members_are_documented(role: &Role, entity: &Entity, reply: &Reply) {
    let operation = role
        .operation("get", &format!("/v1/{}", entity.plural))
        .or(role.operation("get", &format!("/v1/{}/{{id}}", entity.plural)));
    let schema = &operation.unwrap()["responses"]["200"]["content"]["application/json"]["schema"];
    let mut schema = role.resolved(schema);
    if schema["properties"]["data"].is_object() {
        schema = role.resolved(&schema["properties"]["data"]["items"]);
    }
    let records = reply.body["data"].as_array().cloned().unwrap_or_else(|| vec![reply.body.clone()]);
    for name in records.iter().filter(|_| reply.status == 200).filter_map(Value::as_object).flat_map(Map::keys) {
        assert!(schema["properties"].get(name).is_some(), "{} sees {}.{name} undocumented", role.name, entity.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_documented_if_and_only_if_it_is_served() {
    let (mut called, mut together) = (0, 0);
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                let path = format!("/v1/{}", entity.plural);
                let Some(operation) = role.operation("get", &path) else { continue };
                let documented = role.parameters(operation);
                for (field, op) in names(entity).iter().flat_map(|field| Op::ALL.map(|op| (field.clone(), op))) {
                    let name = if op == Op::Eq { field.clone() } else { format!("{field}[{}]", op.name()) };
                    let parameter = documented.iter().find(|parameter| parameter["name"] == *name);
                    let value = parameter.map_or_else(|| any_value(&seeded, entity, &field, op), |one| fitting(&one["schema"]));
                    let reply = role.actor.get(&format!("{path}?{name}={value}")).await;
                    let beside = parameter.map(|parameter| beside(parameter["description"].as_str().unwrap(), TOGETHER));
                    match beside {
                        None => drop(reply.expect_problem(400, "invalid_parameter")),
                        Some(beside) if beside.is_empty() => drop(reply.expect(200)),
                        // Some indexes want other fields beside it: without them it is refused, with any set of them served.
                        Some(beside) => {
                            reply.expect_problem(400, "invalid_parameter");
                            for others in beside {
                                let others = equal(&documented, &others);
                                role.actor.get(&format!("{path}?{name}={value}{others}")).await.expect(200);
                                together += 1;
                            }
                        }
                    }
                    called += 1;
                }
            }
        }
    }
    assert!(called > 2000 && together > 50, "{called}, {together}");
}

/// How a description begins to name the filters that go with another one.
const TOGETHER: &str = "Together with an equality filter on ";

/// The sets of fields that a description names after these words: `.. on a and b, or on c.`
fn beside(description: &str, after: &str) -> Vec<Vec<String>> {
    let Some((_, named)) = description.split_once(after) else { return Vec::new() };
    let named = named.split_once(['.', ';']).map_or(named, |(named, rest)| {
        // A dot within a name is no end.
        if rest.starts_with(char::is_alphanumeric) {
            description.rsplit_once(after).unwrap().1.trim_end_matches('.')
        } else {
            named
        }
    });
    named.split(", or on ").map(|set| set.split(" and ").map(|name| name.trim_matches('`').to_owned()).collect()).collect()
}

/// Filters by equality on these fields, as they go on in a query string.
fn equal(documented: &[Value], fields: &[String]) -> String {
    let one = |field: &String| {
        let parameter = documented.iter().find(|parameter| parameter["name"] == **field);
        let parameter = parameter.unwrap_or_else(|| panic!("{field} is named and not documented"));
        format!("&{field}={}", fitting(&parameter["schema"]))
    };
    fields.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_documented_if_and_only_if_it_is_served() {
    const WITH: &str = " with a filter on ";
    let (mut served, mut refused) = (0, 0);
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                let path = format!("/v1/{}", entity.plural);
                let Some(operation) = role.operation("get", &path) else { continue };
                let documented = role.parameters(operation);
                let sort = documented.iter().find(|parameter| parameter["name"] == "sort").unwrap();
                let (_, named) =
                    sort["description"].as_str().unwrap().split_once("An index must have the order or begin with it: ").unwrap();
                let (named, _) = named.split_once(". The opposite").unwrap();
                let orders: Vec<(String, String)> = named
                    .split("; ")
                    .map(|order| {
                        let (order, fields) = order.split_once(WITH).map_or((order, Vec::new()), |(order, fields)| {
                            (order, fields.split(" and ").map(|name| name.trim_matches('`').to_owned()).collect())
                        });
                        (order.trim_matches('`').to_owned(), equal(&documented, &fields))
                    })
                    .collect();
                for (order, others) in &orders {
                    role.actor.get(&format!("{path}?sort={order}{others}")).await.expect(200);
                    served += 1;
                }
                // A condition on rows may fix what an index wants: then more orders are served than are promised.
                let grants = seeded.model.role(&role.name).and_then(|role| role.grants.get(&(entity.ix, Action::List)));
                let free = |grant: &Grant| matches!(&grant.rows, Rule::All(rules) if rules.is_empty());
                let has_conditions = !grants.is_some_and(|grants| grants.iter().any(free));
                for field in names(entity) {
                    let alone =
                        |order: &String| order.split(',').next().is_some_and(|first| first.trim_start_matches('-') == field);
                    if orders.iter().any(|(order, others)| alone(order) && others.is_empty()) || has_conditions {
                        continue;
                    }
                    role.actor.get(&format!("{path}?sort={field}")).await.expect_problem(400, "invalid_parameter");
                    refused += 1;
                }
            }
        }
    }
    assert!(served > 100 && refused > 100, "{served}, {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relation_is_documented_if_and_only_if_it_can_be_embedded() {
    let (mut embedded, mut refused) = (0, 0);
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                let one = format!("/v1/{}/{}", entity.plural, seeded.id_of(entity).await);
                let list = format!("/v1/{}", entity.plural);
                for (path, address) in [(list.clone(), list.clone()), (format!("{list}/{{id}}"), one)] {
                    let Some(operation) = role.operation("get", &path) else { continue };
                    let documented = role.parameters(operation);
                    let parameter = |name: &str| documented.iter().any(|parameter| parameter["name"] == name);
                    let known = if parameter("include") { words(&role, operation, "include") } else { BTreeSet::new() };
                    for name in &known {
                        let reply = role.actor.get(&format!("{address}?include={name}")).await;
                        // The record of the seed may be one that this caller does not see.
                        assert!([200, 404].contains(&reply.status), "{} {address} {name}: {}", role.name, reply.body);
                        embedded += 1;
                    }
                    for (relation, many) in relations(entity) {
                        if !known.contains(&relation) {
                            let reply = role.actor.get(&format!("{address}?include={relation}")).await;
                            assert!([400, 403].contains(&reply.status), "{} {address} {relation}: {}", role.name, reply.body);
                            refused += 1;
                        }
                        for (of, value) in [("limit", "1"), ("sort", "id")] {
                            let name = format!("include[{relation}][{of}]");
                            let reply = role.actor.get(&format!("{address}?include={relation}&{name}={value}")).await;
                            // An order of the embedded that no index has is refused as that, not as something unknown.
                            let unserved = reply.body["detail"].as_str().is_some_and(|why| why.contains("no index of"));
                            let allowed = [200, 404].contains(&reply.status) || unserved;
                            assert_eq!(parameter(&name), allowed && many, "{} {address} {name}: {}", role.name, reply.body);
                        }
                    }
                }
            }
        }
    }
    assert!(embedded > 500 && refused > 20, "{embedded}, {refused}");
}

/// The relations of an entity, and whether each leads to many.
fn relations(entity: &Entity) -> Vec<(String, bool)> {
    let one = entity.to_one.iter().map(|relation| (relation.name.clone(), false));
    one.chain(entity.to_many.iter().map(|relation| (relation.name.clone(), true))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_documented_for_writing_if_and_only_if_it_can_be_written() {
    let mut called = 0;
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                let one = format!("/v1/{}/{{id}}", entity.plural);
                let id = seeded.id_of(entity).await;
                let collection = format!("/v1/{}", entity.plural);
                for (method, path, address) in [
                    (Method::POST, &collection, collection.clone()),
                    (Method::PATCH, &one, format!("/v1/{}/{id}", entity.plural)),
                    (Method::PUT, &one, format!("/v1/{}/{id}", entity.plural)),
                ] {
                    let Some(operation) = role.operation(&method.as_str().to_lowercase(), path) else { continue };
                    let schema = role.resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
                    for field in names(entity).into_iter().filter(|field| field != "id") {
                        let member = &schema["properties"][&field];
                        let body = json!({field.clone(): {"a": "value that no type takes"}, NOT_A_MEMBER: 1});
                        let reply = role.actor.call(method.clone(), &address).header("if-match", "*").json(body).send().await;
                        // Row conditions may keep this caller from this very record.
                        if [403, 404].contains(&reply.status) {
                            continue;
                        }
                        let reply = reply.expect_problem(422, "validation_failed");
                        let codes = codes_of(&reply, &field);
                        let (known, writable) = (member.is_object(), member.is_object() && member["readOnly"] != true);
                        // A new record has no file yet: null is all that may stand there.
                        if method == Method::POST && member["type"] == "null" {
                            assert!(codes.contains("type"), "{field}: {}", reply.body);
                            continue;
                        }
                        let refused = codes.contains("unknown_member") || codes.contains("read_only");
                        let place = || format!("{} {method} {address} {field}: {}", role.name, reply.body);
                        assert_eq!(refused, !writable, "{}", place());
                        // A new record has nothing yet that could be sent back unchanged.
                        assert!(method == Method::POST || codes.contains("read_only") == (known && !writable), "{}", place());
                        assert!(codes_of(&reply, NOT_A_MEMBER).contains("unknown_member"));
                        called += 1;
                    }
                }
            }
        }
    }
    assert!(called > 300, "{called}");
}

/// The codes of the errors about a member as a whole.
fn codes_of(reply: &Reply, member: &str) -> BTreeSet<String> {
    let errors = reply.body["errors"].as_array().into_iter().flatten();
    let here = errors.filter(|error| error["pointer"] == format!("/{member}"));
    here.map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

/// `id` and all fields.
fn names(entity: &Entity) -> Vec<String> {
    std::iter::once("id".to_owned()).chain(entity.fields.iter().map(|field| field.name.clone())).collect()
}

/// The words that a parameter takes.
fn words(role: &Role, operation: &Value, name: &str) -> BTreeSet<String> {
    let parameters = role.parameters(operation);
    let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
    let words = parameter["schema"]["items"]["enum"].as_array().unwrap();
    words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A value that fits a parameter's schema.
fn fitting(schema: &Value) -> String {
    let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
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
        _ => match schema["pattern"].as_str().unwrap_or_default() {
            pattern if pattern.contains("\\\\,") => "1%5C,1",
            pattern if pattern.contains("},[") => "1,1",
            _ => "1",
        },
    };
    text.to_owned()
}

/// A value of the field's type, for a filter that is not documented: were it served, it would be accepted.
fn any_value(seeded: &Seeded, entity: &Entity, field: &str, op: Op) -> String {
    if op == Op::Null {
        return "true".to_owned();
    }
    let schema = entity.by_field(field).map(|field| holdfast::model::type_schema(&seeded.model, &field.kind));
    schema
        .filter(|schema| ["string", "number", "integer", "boolean"].iter().any(|kind| schema["type"] == *kind))
        .map_or("1".to_owned(), |schema| fitting(&schema))
}
