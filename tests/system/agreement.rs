//! The template, the gateway and the contract name the same routes.

use std::collections::BTreeSet;

use holdfast::http::route::endpoint::Auth;
use holdfast::http::route::{endpoints, find, patterns};
use holdfast::model::{self, Model};
use holdfast_local::gateway::routes::Routes;
use holdfast_local::template::{EMBEDDED, Template};
use holdfast_tests::root;

/// `contract.md`, as routes: method, path, function, whether the authorizer is asked first; and, at the end, what revokes shares by
/// file and lists and revokes them by consumer, which the contract leaves open.
const CONTRACT: &[(&str, &str, &str, bool)] = &[
    ("GET", "/v1/{plural}", "data-api", true),
    ("POST", "/v1/{plural}", "data-api", true),
    ("GET", "/v1/{plural}/{id}", "data-api", true),
    ("PUT", "/v1/{plural}/{id}", "data-api", true),
    ("PATCH", "/v1/{plural}/{id}", "data-api", true),
    ("DELETE", "/v1/{plural}/{id}", "data-api", true),
    ("POST", "/v1/{plural}/_bulk", "data-api", true),
    ("GET", "/v1/_consumers", "data-api", true),
    ("POST", "/v1/_consumers", "data-api", true),
    ("GET", "/v1/_consumers/{id}", "data-api", true),
    ("PUT", "/v1/_consumers/{id}", "data-api", true),
    ("PATCH", "/v1/_consumers/{id}", "data-api", true),
    ("DELETE", "/v1/_consumers/{id}", "data-api", true),
    ("POST", "/v1/_consumers/{id}/keys", "data-api", true),
    ("DELETE", "/v1/_consumers/{id}/keys/{key_id}", "data-api", true),
    ("GET", "/v1/_me", "data-api", true),
    ("POST", "/v1/_cache/purge", "data-api", true),
    ("GET", "/v1/_usage", "data-api", true),
    ("GET", "/v1/_usage/dashboard", "data-api", false),
    ("GET", "/v1/_usage/metrics", "data-api", true),
    ("GET", "/v1/_notifications", "data-api", true),
    ("GET", "/v1/_audit", "data-api", true),
    ("GET", "/v1/_health", "data-api", false),
    ("GET", "/v1/_health/ready", "data-api", false),
    ("POST", "/v1/{plural}/{id}/{field}/upload", "download", true),
    ("POST", "/v1/{plural}/{id}/{field}/complete", "download", true),
    ("GET", "/v1/{plural}/{id}/{field}/download", "download", true),
    ("POST", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("GET", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("DELETE", "/v1/{plural}/{id}/{field}/shares/{share_id}", "download", true),
    ("GET", "/v1/_shares/{secret}", "download", false),
    ("GET", "/v1/openapi.json", "docs", false),
    ("GET", "/v1/openapi.yaml", "docs", false),
    ("GET", "/v1/docs", "docs", false),
    ("GET", "/v1/docs/llms.txt", "docs", false),
    ("DELETE", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("GET", "/v1/_consumers/{id}/shares", "download", true),
    ("DELETE", "/v1/_consumers/{id}/shares", "download", true),
];

#[test]
fn the_template_has_exactly_the_routes_of_the_contract() {
    let template = Template::parse(EMBEDDED).unwrap();
    let mut expected: BTreeSet<(String, String, bool)> = BTreeSet::from([("$default".to_owned(), "data-api".to_owned(), false)]);
    for (method, path, function, authorized) in CONTRACT {
        expected.insert((format!("{method} {path}"), (*function).to_owned(), *authorized));
        if *method == "GET" {
            expected.insert((format!("HEAD {path}"), (*function).to_owned(), *authorized));
        }
    }
    let binary = |id: &str| template.function(id).unwrap().binary.clone();
    let served: BTreeSet<_> =
        template.routes.iter().map(|route| (route.key(), binary(&route.function), route.authorized)).collect();
    // System resources that answer GET with a page of their own need no HEAD route: `/v1/{plural}` and `/v1/{plural}/{id}` take it.
    let by_pattern = |key: &str| {
        let segments = key.strip_prefix("HEAD /v1/").map(|rest| rest.split('/').count());
        segments.is_some_and(|count| count <= 2) && key.contains("/_") && !key.contains("_health") && !key.contains("_shares")
    };
    let missing: Vec<_> = expected.difference(&served).filter(|(key, _, _)| !by_pattern(key)).collect();
    let surplus: Vec<_> = served.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

/// What the table of endpoints says of each: function, and whether the authorizer is asked.
#[test]
fn the_table_of_endpoints_has_exactly_the_routes_of_the_contract() {
    let path = |pattern: &str| pattern.replace("{consumer}", "{id}");
    let row = |endpoint: &holdfast::http::route::endpoint::Endpoint| {
        let authorized = endpoint.auth == Auth::Authorizer;
        (endpoint.method.to_string(), path(endpoint.pattern), endpoint.function.name().to_owned(), authorized)
    };
    let served: BTreeSet<_> = endpoints().iter().map(row).collect();
    let contract = |(method, path, function, authorized): &(&str, &str, &str, bool)| {
        ((*method).to_owned(), (*path).to_owned(), (*function).to_owned(), *authorized)
    };
    assert_eq!(served, CONTRACT.iter().map(contract).collect());
}

fn demo() -> Model {
    model::parse("model.yaml", &std::fs::read_to_string(root().join("model.yaml")).unwrap()).unwrap()
}

/// A path of the demo for a pattern.
fn sample(pattern: &str) -> String {
    let segment = |segment: &str| match segment {
        "{plural}" => "books".to_owned(),
        "{field}" => "sample".to_owned(),
        variable if variable.starts_with('{') => "x1".to_owned(),
        literal => literal.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[test]
fn the_handlers_serve_every_route_of_the_template() {
    let (template, model) = (Template::parse(EMBEDDED).unwrap(), demo());
    for served in &template.routes {
        let (Some(method), Some(pattern)) = (&served.method, &served.path) else { continue };
        let refused = find(&model, method, &sample(pattern)).1.err().map(|problem| problem.code);
        assert_eq!(refused, None, "{}", served.key());
    }
}

#[test]
fn the_template_has_a_route_for_everything_that_the_handlers_serve() {
    let (template, model) = (Template::parse(EMBEDDED).unwrap(), demo());
    let routes = Routes::new(&template.routes);
    for (method, pattern) in patterns(&model) {
        let (found, _) = routes.find(&method, &sample(&pattern)).unwrap();
        assert_ne!(found.key(), "$default", "{method} {pattern}");
    }
}

#[test]
fn every_function_of_the_template_is_a_binary_of_the_workspace() {
    let template = Template::parse(EMBEDDED).unwrap();
    let built: BTreeSet<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = template.functions.iter().map(|function| function.binary.clone()).collect();
    assert_eq!(named, built);
}

/// The bucket cannot read the model: its parameter repeats what the demo's says.
#[test]
fn pages_that_may_use_the_api_may_use_links_of_files() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let parameter = template.split("  FilesCorsOrigins:\n").nth(1).unwrap();
    let default = parameter.lines().find_map(|line| line.trim().strip_prefix("Default: ")).unwrap();
    assert_eq!(default.split(',').collect::<Vec<_>>(), demo().cors.origins);
}
